// Two hallways that meet in a T, and a red box at the end of an arm.
#pragma once

#include <charconv>

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

// What TMaze and YMaze share: the box is in an arm by chance, or at a given place; goal_pos is told as upstream's info does.
class ArmMaze : public GoTo {
 public:
  // fixed_x, fixed_z: where the box is, unless is_fixed is off.
  static std::vector<Option> options_of(bool is_fixed, double fixed_x, double fixed_z) {
    return {{"goal_pos", is_fixed ? 1.0 : 0.0, "1: the box is at goal_pos.x, goal_pos.z; 0: at the end of an arm by chance"},
            {"goal_pos.x", fixed_x, "metres"},
            {"goal_pos.z", fixed_z, "metres"}};
  }
  explicit ArmMaze(const Options& options)
      : GoTo(options, 280),
        is_fixed_(whole_option(options, "goal_pos", 0, 1) == 1),
        goal_x_(number_option(options, "goal_pos.x", -1000, 1000)),
        goal_z_(number_option(options, "goal_pos.z", -1000, 1000)) {}

  void facts(Facts& out) const override {
    GoTo::facts(out);
    Vec3 at = world().is_made() ? world().entity(goal_).position : Vec3{};
    std::array<char, 96> text;
    char* end = text.data();
    for (double value : {at.x, at.y, at.z}) {
      if (end != text.data()) *end++ = ' ';
      end = std::to_chars(end, text.data() + text.size(), value).ptr;
    }
    out.text("goal_pos", {text.data(), static_cast<size_t>(end - text.data())});
  }

 protected:
  void place_goal(World& world, Context& context, const Where& left, const Where& right) {
    Entity box = Entity::box(Colour::kRed);
    if (is_fixed_) goal_ = world.place(box, context, {.min_x = goal_x_, .max_x = goal_x_, .min_z = goal_z_, .max_z = goal_z_});
    else goal_ = world.place(box, context, context.rng.integers(0, 2) == 0 ? left : right);
  }
  void place_agent_in(World& world, Context& context, size_t room) {
    double heading = context.rng.uniform(-std::numbers::pi / 4, std::numbers::pi / 4);
    world.place_agent(context, {.room = room, .heading = heading});
  }

 private:
  bool is_fixed_;
  double goal_x_, goal_z_;
};

class TMaze final : public ArmMaze {
 public:
  static EnvEntry entry(const char* id, bool is_fixed, double goal_z) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 280, .options = options_of(is_fixed, 10, goal_z)}),
            [](const Options& options) { return std::make_unique<TMaze>(options); }};
  }
  using ArmMaze::ArmMaze;

 protected:
  void generate(World& world, Context& context) override {
    size_t stem = world.add_room(-1, 8, -2, 2), bar = world.add_room(8, 12, -8, 8);
    world.connect(stem, bar, {.min_z = -2, .max_z = 2});
    place_goal(world, context, {.room = bar, .max_z = -8.0 + 2}, {.room = bar, .min_z = 8.0 - 2});
    place_agent_in(world, context, stem);
  }
};

}  // namespace vldac::miniworld

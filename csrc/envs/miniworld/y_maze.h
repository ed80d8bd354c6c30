// Three hallways that meet in a Y, and a red box at the end of an arm.
#pragma once

#include "envs/miniworld/t_maze.h"

namespace vldac::miniworld {

class YMaze final : public ArmMaze {
 public:
  static EnvEntry entry(const char* id, bool is_fixed, double goal_z) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 280, .options = options_of(is_fixed, 3.9, goal_z)}),
            [](const Options& options) { return std::make_unique<YMaze>(options); }};
  }
  using ArmMaze::ArmMaze;

 protected:
  void generate(World& world, Context& context) override {
    constexpr std::array<Vec3, 4> kStem{Vec3{-9.15, 0, -2}, Vec3{-9.15, 0, 2}, Vec3{-1.15, 0, 2}, Vec3{-1.15, 0, -2}};
    constexpr std::array<Vec3, 3> kHub{Vec3{-1.15, 0, -2}, Vec3{-1.15, 0, 2}, Vec3{2.31, 0, 0}};
    auto turned = [&](double degrees) {
      Matrix3 turn = rotation(kYAxis, degrees * kDegree);
      std::array<Vec3, 4> outline;
      for (size_t i = 0; i < outline.size(); ++i) {
        outline[i] = times(kStem[i], turn);
        outline[i].y = 0.0;
      }
      return outline;
    };
    size_t stem = world.add_room(kStem), hub = world.add_room(kHub);
    size_t left = world.add_room(turned(-120)), right = world.add_room(turned(120));
    world.connect(stem, hub, {.min_z = -2, .max_z = 2});
    world.connect(left, hub, {.min_z = -1.995, .max_z = 0});
    world.connect(right, hub, {.min_z = 0, .max_z = 1.995});
    place_goal(world, context, {.room = left, .max_z = world.rooms()[left].min_z + 2.5},
               {.room = right, .min_z = world.rooms()[right].max_z - 2.5});
    place_agent_in(world, context, stem);
  }
};

}  // namespace vldac::miniworld

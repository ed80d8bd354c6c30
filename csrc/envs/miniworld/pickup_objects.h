// A room with balls, boxes and keys to pick up, which disappear.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class PickupObjects final : public MiniWorld {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id,
                     .num_actions = 5,
                     .max_episode_steps = 400,
                     .options = {{"size", 12, "length of the room's sides, metres"}, {"num_objs", 5, "things in the room, 1 to 100"}}}),
            [](const Options& options) { return std::make_unique<PickupObjects>(options); }};
  }
  explicit PickupObjects(const Options& options)
      : MiniWorld(options, 400), size_(number_option(options, "size", 2, 1000)), num_objects_(whole_option(options, "num_objs", 1, 100)) {}

  int goal() const override { return nearest_item(); }
  Errand errand() const override { return to_pick(goal(), true); }
  void facts(Facts& out) const override {
    MiniWorld::facts(out);
    out.number("picked_up", num_picked_up_);
  }

 protected:
  void generate(World& world, Context& context) override {
    world.add_room(0, size_, 0, size_, {.wall = Surface::kBrickWall, .floor = Surface::kAsphalt, .has_ceiling = false});
    for (int64_t i = 0; i < num_objects_; ++i) {
      int64_t kind = context.rng.integers(0, 3);
      auto colour = static_cast<Colour>(context.rng.integers(0, kColours.size()));
      world.place(kind == 0 ? Entity::ball(colour, 0.9) : kind == 1 ? Entity::box(colour, 0.9) : Entity::key(colour), context);
    }
    world.place_agent(context);
    num_picked_up_ = 0;
  }
  void judge(int64_t, StepResult& result, World& world, Context&) override {
    if (world.carrying() == World::kNone) return;
    world.remove(world.carrying());
    ++num_picked_up_;
    result.reward = 1.0;
    has_succeeded_ = result.terminated = num_picked_up_ == num_objects_;
  }
  void save_own(Bytes& out) const override { out.put(num_picked_up_); }
  void load_own(Bytes& in) override { num_picked_up_ = in.get_within<int64_t>(0, num_objects_); }

 private:
  double size_;
  int64_t num_objects_, num_picked_up_ = 0;
};

}  // namespace vldac::miniworld

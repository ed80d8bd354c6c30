// A room with a box, a ball and a key. Nothing pays and nothing ends.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class RoomObjects final : public MiniWorld {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id,
                     .num_actions = 8,
                     .max_episode_steps = 0,
                     .options = {{"size", 10, "length of the room's sides, metres"}}}),
            [](const Options& options) { return std::make_unique<RoomObjects>(options); }};
  }
  explicit RoomObjects(const Options& options) : MiniWorld(options, 0), size_(number_option(options, "size", 2, 1000)) {}

 protected:
  void generate(World& world, Context& context) override {
    world.add_room(0, size_, 0, size_, {.wall = Surface::kBrickWall, .floor = Surface::kAsphalt, .has_ceiling = false});
    world.body.radius = 1.5;  // so that things are not too close to be seen
    auto colour = [&] { return static_cast<Colour>(context.rng.integers(0, kColours.size())); };
    world.place(Entity::box(colour(), 0.9), context);
    world.place(Entity::ball(colour(), 0.9), context);
    world.place(Entity::key(colour()), context);
    world.place_agent(context);
  }
  void judge(int64_t, StepResult&, World&, Context&) override {}

 private:
  double size_;
};

}  // namespace vldac::miniworld

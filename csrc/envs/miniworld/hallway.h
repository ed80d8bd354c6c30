// A hallway with a red box at its end.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class Hallway final : public GoTo {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 250, .options = {{"length", 12, "of the hallway, metres"}}}),
            [](const Options& options) { return std::make_unique<Hallway>(options); }};
  }
  explicit Hallway(const Options& options) : GoTo(options, 250), length_(number_option(options, "length", 2, 1000)) {}

 protected:
  void generate(World& world, Context& context) override {
    size_t room = world.add_room(-1, -1 + length_, -2, 2);
    double end = world.rooms()[room].max_x - 2;
    goal_ = world.place(Entity::box(Colour::kRed), context, {.min_x = end});
    double heading = context.rng.uniform(-std::numbers::pi / 4, std::numbers::pi / 4);
    world.place_agent(context, {.heading = heading, .max_x = end});
  }

 private:
  double length_;
};

}  // namespace vldac::miniworld

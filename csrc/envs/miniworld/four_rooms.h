// Four rooms in a square with openings between them, and a red box in one.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class FourRooms final : public GoTo {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 250}),
            [](const Options& options) { return std::make_unique<FourRooms>(options); }};
  }
  explicit FourRooms(const Options& options) : GoTo(options, 250) {}

 protected:
  void generate(World& world, Context& context) override {
    size_t top_left = world.add_room(-7, -1, 1, 7), top_right = world.add_room(1, 7, 1, 7);
    size_t bottom_right = world.add_room(1, 7, -7, -1), bottom_left = world.add_room(-7, -1, -7, -1);
    world.connect(top_left, top_right, {.min_z = 3, .max_z = 5, .max_y = 2.2});
    world.connect(top_right, bottom_right, {.min_x = 3, .max_x = 5, .max_y = 2.2});
    world.connect(bottom_right, bottom_left, {.min_z = -5, .max_z = -3, .max_y = 2.2});
    world.connect(bottom_left, top_left, {.min_x = -5, .max_x = -3, .max_y = 2.2});
    goal_ = world.place(Entity::box(Colour::kRed), context);
    world.place_agent(context);
  }
};

}  // namespace vldac::miniworld

// Two rooms in the open with a gap in the wall between them, and a red box in the other one.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class WallGap final : public GoTo {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 300}),
            [](const Options& options) { return std::make_unique<WallGap>(options); }};
  }
  explicit WallGap(const Options& options) : GoTo(options, 300) {}

 protected:
  void generate(World& world, Context& context) override {
    RoomStyle style{.wall = Surface::kBrickWall, .floor = Surface::kAsphalt, .has_ceiling = false};
    size_t top = world.add_room(-7, 7, 0.5, 8, style), bottom = world.add_room(-7, 7, -8, -0.5, style);
    world.connect(top, bottom, {.min_x = -1.5, .max_x = 1.5});
    goal_ = world.place(Entity::box(Colour::kRed), context, {.room = bottom});
    world.place(Entity::meshed(MeshName::kBuilding, 30, true), context, {.position = Vec3{30, 0, 30}, .heading = -std::numbers::pi});
    world.place_agent(context, {.room = top});
  }
};

}  // namespace vldac::miniworld

// A sidewalk with a red box at its end, and a street, which ends the episode.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class Sidewalk final : public GoTo {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 150}),
            [](const Options& options) { return std::make_unique<Sidewalk>(options); }};
  }
  explicit Sidewalk(const Options& options) : GoTo(options, 150) {}
  Errand errand() const override { return {.kind = Errand::Kind::kReach, .target = goal(), .forbidden_room = street_}; }

 protected:
  void generate(World& world, Context& context) override {
    size_t walk = world.add_room(-3, 0, 0, 12, {.wall = Surface::kBrickWall, .floor = Surface::kConcreteTiles, .has_ceiling = false});
    street_ = world.add_room(0, 6, -80, 80, {.floor = Surface::kAsphalt, .has_ceiling = false});
    world.connect(walk, street_, {.min_z = 0, .max_z = 12});
    world.place(Entity::meshed(MeshName::kBuilding, 30, true), context, {.position = Vec3{30, 0, 30}, .heading = -std::numbers::pi});
    for (int i = 1; i < 6; ++i) world.place(Entity::meshed(MeshName::kCone, 0.75, true), context, {.position = Vec3{1, 0, 2.0 * i}});
    goal_ = world.place(Entity::box(Colour::kRed), context, {.room = walk, .min_z = 12 - 2, .max_z = 12});
    world.place_agent(context, {.room = walk, .min_z = 0, .max_z = 1.5});
  }
  void judge(int64_t action, StepResult& result, World& world, Context& context) override {
    if (world.rooms()[street_].contains(world.agent().position)) result.terminated = true;
    GoTo::judge(action, result, world, context);
  }

 private:
  size_t street_ = 0;
};

}  // namespace vldac::miniworld

// A large room and two small ones with five things in them and a picture on a wall. Nothing pays.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class ThreeRooms final : public MiniWorld {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id, .num_actions = 3, .max_episode_steps = 400}),
            [](const Options& options) { return std::make_unique<ThreeRooms>(options); }};
  }
  explicit ThreeRooms(const Options& options) : MiniWorld(options, 400) {}

 protected:
  void generate(World& world, Context& context) override {
    constexpr double kLogoAspect = 510.0 / 1024.0;
    size_t top = world.add_room(-7, 7, 0.5, 7), left = world.add_room(-7, -1, -7, -0.5), right = world.add_room(1, 7, -7, -0.5);
    world.connect(top, left, {.min_x = -5.25, .max_x = -2.75});
    world.connect(top, right, {.min_x = 2.75, .max_x = 5.25});
    world.place(Entity::box(Colour::kRed), context);
    world.place(Entity::box(Colour::kGreen, 0.6), context);
    world.add(Entity::image_frame({0, 1.35, 7}, std::numbers::pi / 2, Surface::kLogo, 1.8, kLogoAspect));
    world.place(Entity::meshed(MeshName::kDuckie, 0.25, false), context);
    world.place(Entity::key(Colour::kBlue), context);
    world.place(Entity::ball(Colour::kGreen), context);
    world.place_agent(context);
  }
  void judge(int64_t, StepResult&, World&, Context&) override {}
};

}  // namespace vldac::miniworld

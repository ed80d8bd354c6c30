// A room with six boxes: the red one must be put next to the yellow one.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class PutNext final : public MiniWorld {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id,
                     .num_actions = 8,
                     .max_episode_steps = 250,
                     .options = {{"size", 12, "length of the room's sides, metres"}}}),
            [](const Options& options) { return std::make_unique<PutNext>(options); }};
  }
  explicit PutNext(const Options& options) : MiniWorld(options, 250), size_(number_option(options, "size", 2, 1000)) {}

  // The red box, and while it is carried the yellow one.
  int goal() const override { return world().carrying() == red_ ? yellow_ : red_; }
  Errand errand() const override {
    if (world().carrying() == World::kNone || is_task()) return to_pick(red_, false);
    return {.kind = Errand::Kind::kBring, .target = yellow_};
  }

 protected:
  void generate(World& world, Context& context) override {
    world.add_room(0, size_, 0, size_);
    for (size_t i = 0; i < kColours.size(); ++i) {
      auto colour = static_cast<Colour>(i);
      int box = world.place(Entity::box(colour, context.rng.uniform(0.6, 0.85)), context);
      if (colour == Colour::kRed) red_ = box;
      if (colour == Colour::kYellow) yellow_ = box;
    }
    world.place_agent(context);
  }
  void judge(int64_t, StepResult& result, World& world, Context&) override {
    if (world.carrying() != World::kNone || !world.is_near(red_, yellow_)) return;
    result.reward += reward();
    result.terminated = has_succeeded_ = true;
  }

 private:
  double size_;
  int red_ = World::kNone, yellow_ = World::kNone;
};

}  // namespace vldac::miniworld

// One square room and a red box in it.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class OneRoom final : public GoTo {
 public:
  static EnvEntry entry(const char* id, double size, int64_t max_episode_steps, bool is_fast = false) {
    return {spec_of({.id = id,
                     .num_actions = 3,
                     .max_episode_steps = max_episode_steps,
                     .options = {{"size", size, "length of the room's sides, metres"},
                                 {"own_max_episode_steps", static_cast<double>(max_episode_steps), "upstream's max_episode_steps"}},
                     .is_fast = is_fast}),
            [](const Options& options) { return std::make_unique<OneRoom>(options); }};
  }
  explicit OneRoom(const Options& options)
      : GoTo(options, whole_option(options, "own_max_episode_steps", 1, 1'000'000'000)),
        size_(number_option(options, "size", 2, 1000)) {}

 protected:
  void generate(World& world, Context& context) override {
    world.add_room(0, size_, 0, size_);
    goal_ = world.place(Entity::box(Colour::kRed), context);
    world.place_agent(context);
  }

 private:
  double size_;
};

}  // namespace vldac::miniworld

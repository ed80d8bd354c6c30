// A room with medkits: health goes down by two a step, and a medkit that is picked up restores it and appears elsewhere.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class CollectHealth final : public MiniWorld {
 public:
  static EnvEntry entry(const char* id) {
    return {spec_of({.id = id,
                     .num_actions = 8,
                     .max_episode_steps = 1000,
                     .options = {{"size", 16, "length of the room's sides, metres"}}}),
            [](const Options& options) { return std::make_unique<CollectHealth>(options); }};
  }
  explicit CollectHealth(const Options& options) : MiniWorld(options, 1000), size_(number_option(options, "size", 2, 1000)) {}

  int goal() const override { return nearest_item(); }
  Errand errand() const override { return to_pick(goal(), true); }
  void facts(Facts& out) const override {
    MiniWorld::facts(out);
    out.number("health", health_);
  }

 protected:
  void generate(World& world, Context& context) override {
    constexpr int kMedkits = 18;
    world.add_room(0, size_, 0, size_, {.wall = Surface::kCinderBlocks, .floor = Surface::kSlime});
    for (int i = 0; i < kMedkits; ++i) world.place(Entity::meshed(MeshName::kMedkit, 0.40, false), context);
    world.place_agent(context);
    health_ = kFull;
  }
  void judge(int64_t action, StepResult& result, World& world, Context& context) override {
    health_ -= 2;
    if (action == 4 && world.carrying() != World::kNone) {
      world.replace(world.carrying(), context);
      health_ = kFull;
    }
    result.reward = health_ > 0 ? 2 : -100;
    result.terminated = health_ <= 0;
    has_succeeded_ = result.truncated && health_ > 0;
  }
  void save_own(Bytes& out) const override { out.put(health_); }
  void load_own(Bytes& in) override { health_ = in.get_within<int64_t>(-kFull, kFull); }

 private:
  static constexpr int64_t kFull = 100;
  double size_;
  int64_t health_ = kFull;
};

}  // namespace vldac::miniworld

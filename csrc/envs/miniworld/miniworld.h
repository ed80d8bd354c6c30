// What all MiniWorld environments share: the order of a step, options, rewards, facts, pictures and snapshots. A family says how its
// world is made and how a step is judged. Facts: the miniworld package 2.1; `make(id)` is the package's environment.
#pragma once

#include <memory>

#include "envs/miniworld/oracle.h"
#include "envs/miniworld/view.h"

namespace vldac::miniworld {

// What the registry needs to know of an id. Its domain parameters are options, except where upstream fixes them.
struct WorldSpec {
  const char* id;
  int num_actions;            // the first ones of the package's
  int64_t max_episode_steps;  // 0: none
  std::vector<Option> options = {};
  bool is_fast = false;         // steps of 0.7 m and 45 degrees
  bool has_fixed_domain = false;  // upstream takes neither domain_rand nor params
};

// The id's spec, with the options that every id has behind its own.
EnvSpec spec_of(const WorldSpec& world);

// An option that must be a number in [low, high], or a whole one. Throws std::invalid_argument.
double number_option(const Options& options, const char* name, double low, double high);
int64_t whole_option(const Options& options, const char* name, int64_t low, int64_t high);

class MiniWorld : public Env {
 public:
  // max_episode_steps: the horizon that truncates and that rewards depend on; 0: none.
  MiniWorld(const Options& options, int64_t max_episode_steps);

  void reset(Context& context) final;
  StepResult step(int64_t action, Context& context) final;
  bool success() const final { return has_succeeded_; }
  int64_t oracle_action() const final { return world_.is_made() ? oracle_.action(world_, errand()) : Oracle::kNoAction; }
  // goal: what the picture shows of it, for the responses of tiny models: its distance (near below 2.5 m, medium below 5 m, far) and its
  // side (ahead: no turn would bring it nearer to the middle; left, right); none where nothing of it is on an 80x60 picture, or a wall
  // is between.
  // From the poses: goal_visible (yes, no: as goal is not none), goal_side (ahead within 15 degrees, behind
  // beyond 120, left, right) and goal_distance (near below 2 m, middle below 5 m, far), or none without a goal; carrying;
  // steps taken in the episode.
  void facts(Facts& out) const override;

  void render(uint8_t* pixels, int width, int height) const final { view_.draw(world_, pixels, width, height); }
  bool has_map() const final { return true; }
  std::array<double, 3> pose() const final;
  MapFrame map_frame(int width, int height) const final { return view_.map_frame(world_, width, height); }
  void render_map(uint8_t* pixels, int width, int height) const final { view_.draw_map(world_, pixels, width, height); }
  void render_depth(float* metres, int width, int height) const final { view_.draw_depth(world_, metres, width, height); }

  // The stream as it stood before the world was made, and what has changed since.
  void save(Bytes& out) const final;
  void load(Bytes& in) final;

  const World& world() const { return world_; }
  int64_t step_count() const { return step_count_; }
  int64_t horizon() const { return max_episode_steps_; }
  // The entity to reach now, or World::kNone.
  virtual int goal() const { return World::kNone; }
  // What the scripted expert does now.
  virtual Errand errand() const {
    return goal() == World::kNone ? Errand{} : Errand{.kind = Errand::Kind::kReach, .target = goal()};
  }

 protected:
  // Rooms first, then entities, the agent last.
  virtual void generate(World& world, Context& context) = 0;
  // After the move: may set reward, terminated and has_succeeded_, and change the world.
  virtual void judge(int64_t action, StepResult& result, World& world, Context& context) = 0;
  // What a family keeps besides the world; load_own throws std::invalid_argument for what cannot be.
  virtual void save_own(Bytes&) const {}
  virtual void load_own(Bytes&) {}

  double reward() const { return 1.0 - 0.2 * (static_cast<double>(step_count_) / static_cast<double>(max_episode_steps_)); }
  bool is_task() const { return is_task_; }
  // The nearest of those in the world that can be picked up.
  int nearest_item() const;
  // Picking it up; in VL-DAC's task nothing can be.
  Errand to_pick(int target, bool may_pick_any) const {
    if (is_task_ || target == World::kNone) return {};
    return {.kind = Errand::Kind::kPick, .target = target, .may_pick_any = may_pick_any};
  }

  bool has_succeeded_ = false;

 private:
  World world_;
  View view_;
  mutable Oracle oracle_;
  int64_t max_episode_steps_;
  bool is_task_;
  int64_t step_count_ = 0;
  Pcg64 start_;  // the stream before the world was made
};

// A red box to reach, which pays and ends.
class GoTo : public MiniWorld {
 public:
  using MiniWorld::MiniWorld;
  int goal() const override { return goal_; }

 protected:
  void judge(int64_t, StepResult& result, World& world, Context&) override {
    if (!world.is_near_agent(goal_)) return;
    result.reward += reward();
    result.terminated = has_succeeded_ = true;
  }
  int goal_ = World::kNone;
};

}  // namespace vldac::miniworld

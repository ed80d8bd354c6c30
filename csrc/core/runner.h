// One environment of a pool: its stream, counters and episodes, and the containment of its faults. An environment that throws or
// pays a reward that is no number ends its episode as a fault (truncated, reward 0, a message) and is built anew.
#pragma once

#include <limits>
#include <memory>
#include <string>

#include "core/env.h"
#include "core/observer.h"
#include "core/prompt_template.h"
#include "core/ring.h"

namespace vldac {

enum class Autoreset : uint8_t { kSameStep, kNextStep, kDisabled };

// What all environments of a pool share.
struct RunnerConfig {
  const EnvEntry* entry;
  Options options;
  Observer observer;
  PromptTemplate prompt;
  Autoreset autoreset;
  bool is_stream;
  int64_t max_episode_steps;  // 0: none
  double step_budget;         // seconds
  int64_t num_envs;
  // The reward of an episode's last step unless that is above 0 (VL-DAC's -1 for a failure); NaN: the environment's own.
  double failure_reward = std::numeric_limits<double>::quiet_NaN();
};

// What the exception that is being handled says, whatever its type. Only inside a catch.
std::string current_error();

// The environment cannot be started, whatever its episode.
class EnvBroken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Runner {
 public:
  Runner(const RunnerConfig& config, int64_t index);
  // Start episode 0 of a seed; start the next episode; take one step. Each leaves its result for write().
  void seed(uint64_t seed);
  void begin_next();
  void step(int64_t action, std::string_view command, FrameStore& frames, uint8_t* scratch);  // command: of text environments
  // Leave the state as it is, to be observed again.
  void show() { outcome_ = Outcome{}; }
  // The observation and the outcome into one row of a batch.
  void write(Batch& batch, size_t row, FrameStore& frames, uint8_t* scratch);

  const Env& env() const { return *env_; }
  uint64_t current_seed() const { return seed_; }
  int64_t episode() const { return episode_; }
  int64_t fault_count() const { return fault_count_; }
  // The observation's id, unique in the pool: observations made so far * E + environment.
  int64_t frame_id() const { return frames_ * config_->num_envs + index_; }
  // The episode is over and nobody has reset it (not in SAME_STEP).
  bool is_over() const { return is_over_; }
  void prompt(std::string& out);
  void save(Bytes& out) const;
  void load(Bytes& in);

 private:
  struct Outcome {
    StepResult result;
    bool is_step = false;  // not a reset, nor a second look
    bool ended = false;
    bool success = false;
    double episode_return = 0.0;
    int64_t length = 0;
    int64_t episode = 0;
    int64_t frame = 0;
    AlignedBytes final_obs;
  };
  void start();
  void fail(const std::string& what);
  void end(FrameStore& frames, uint8_t* scratch);

  const RunnerConfig* config_;
  int64_t index_;
  std::unique_ptr<Env> env_;
  Pcg64 rng_;
  uint64_t seed_ = 0;
  int64_t episode_ = 0, length_ = 0, frames_ = 0, fault_count_ = 0;
  double episode_return_ = 0.0;
  bool is_over_ = false;
  Outcome outcome_;
  std::string fault_, final_prompt_, final_text_;  // of the outcome; kept apart so that their memory is used again
  Facts facts_, final_facts_;
};

}  // namespace vldac

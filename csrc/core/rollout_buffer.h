// One update's steps. Every array is allocated once and is environment-major: flat step i = env * steps + t, so that one
// environment's steps are a contiguous segment in time order and every column is an [S] vector without a copy.
//
// Frames are stored once, as bytes. Environment e owns num_images + steps slots: slots 0 .. num_images - 1 hold the frames that its
// first prompt may show (the present observation last), slot num_images + t the observation after step t. Step t shows the
// shown[i] frames that end at slot num_images - 1 + t; the last slot is the observation that the bootstrap value reads.
//
// One writer; a step is written by respond() and then completed by observe(). Steps of different environments may be at
// different times. Memory never moves, so views stay valid while the buffer lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vldac {

struct RolloutShape {
  size_t num_envs, steps, num_images, max_tokens, frame_bytes;
};

// What the policy said in one environment; tokens and logprob have num_tokens entries.
struct ResponseRow {
  const int64_t* tokens;
  const float* logprob;
  int64_t num_tokens;
  int64_t action;
  uint8_t status, is_valid, has_end;
  float entropy;
  double value;
};

// What came of it; frame is the next observation, already of the next episode if this one ended.
struct OutcomeRow {
  double reward, final_value;
  uint8_t terminated, truncated, success, fault;
  const uint8_t* frame;
};

class RolloutBuffer {
 public:
  explicit RolloutBuffer(const RolloutShape& shape);

  // Put the first observation of environment `env` into its window, alone.
  void begin(size_t env, const uint8_t* frame);
  // The buffer that goes on after this full one: windows, episode and step numbers are carried over.
  RolloutBuffer next() const;

  void respond(size_t env, const ResponseRow& row);
  void observe(size_t env, const OutcomeRow& row);

  const RolloutShape& shape() const { return shape_; }
  size_t num_steps() const { return shape_.num_envs * shape_.steps; }
  size_t slots() const { return shape_.num_images + shape_.steps; }
  bool is_full() const;

  // [env][slot][frame_bytes]
  std::vector<uint8_t> frames;
  // [env][step][max_tokens]; num_tokens says how many count
  std::vector<int64_t> tokens;
  std::vector<float> logprob;
  // [env][step]
  std::vector<int64_t> num_tokens, episode, index, action;
  std::vector<uint8_t> shown, status, is_valid, has_end, terminated, truncated, success, fault;
  std::vector<float> entropy;
  std::vector<double> reward, value, final_value;
  // [env]: steps written, and what the next step starts from
  std::vector<int64_t> filled, next_episode, next_index;
  std::vector<uint8_t> next_shown;

 private:
  size_t row(size_t env) const;
  RolloutShape shape_;
};

}  // namespace vldac

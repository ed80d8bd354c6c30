#include "core/rollout_buffer.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace vldac {

RolloutBuffer::RolloutBuffer(const RolloutShape& shape) : shape_(shape) {
  if (!shape.num_envs || !shape.steps || !shape.num_images || !shape.max_tokens || !shape.frame_bytes)
    throw std::invalid_argument("RolloutBuffer: expected sizes of at least 1");
  size_t steps = num_steps();
  frames.resize(shape.num_envs * slots() * shape.frame_bytes);
  tokens.resize(steps * shape.max_tokens);
  logprob.resize(steps * shape.max_tokens);
  for (auto* column : {&num_tokens, &episode, &index, &action}) column->resize(steps);
  for (auto* column : {&shown, &status, &is_valid, &has_end, &terminated, &truncated, &success, &fault}) column->resize(steps);
  entropy.resize(steps);
  for (auto* column : {&reward, &value, &final_value}) column->resize(steps);
  for (auto* column : {&filled, &next_episode, &next_index}) column->resize(shape.num_envs);
  next_shown.resize(shape.num_envs);
}

size_t RolloutBuffer::row(size_t env) const {
  if (env >= shape_.num_envs) throw std::invalid_argument("RolloutBuffer: no environment " + std::to_string(env));
  auto t = static_cast<size_t>(filled[env]);
  if (t >= shape_.steps) throw std::invalid_argument("RolloutBuffer: environment " + std::to_string(env) + " already has its steps");
  return env * shape_.steps + t;
}

void RolloutBuffer::begin(size_t env, const uint8_t* frame) {
  row(env);
  std::memcpy(&frames[(env * slots() + shape_.num_images - 1) * shape_.frame_bytes], frame, shape_.frame_bytes);
  next_shown[env] = 1;
}

void RolloutBuffer::respond(size_t env, const ResponseRow& said) {
  size_t i = row(env);
  if (said.num_tokens < 0 || static_cast<size_t>(said.num_tokens) > shape_.max_tokens)
    throw std::invalid_argument("RolloutBuffer: a response of " + std::to_string(said.num_tokens) + " tokens, room for " +
                                std::to_string(shape_.max_tokens));
  if (!next_shown[env]) throw std::invalid_argument("RolloutBuffer: no observation in environment " + std::to_string(env));
  auto count = static_cast<size_t>(said.num_tokens);
  std::copy_n(said.tokens, count, &tokens[i * shape_.max_tokens]);
  std::copy_n(said.logprob, count, &logprob[i * shape_.max_tokens]);
  num_tokens[i] = said.num_tokens;
  action[i] = said.action;
  status[i] = said.status;
  is_valid[i] = said.is_valid;
  has_end[i] = said.has_end;
  entropy[i] = said.entropy;
  value[i] = said.value;
  episode[i] = next_episode[env];
  index[i] = next_index[env];
  shown[i] = next_shown[env];
}

void RolloutBuffer::observe(size_t env, const OutcomeRow& came) {
  size_t i = row(env);
  auto t = static_cast<size_t>(filled[env]);
  reward[i] = came.reward;
  final_value[i] = came.final_value;
  terminated[i] = came.terminated;
  truncated[i] = came.truncated;
  success[i] = came.success;
  fault[i] = came.fault;
  std::memcpy(&frames[(env * slots() + shape_.num_images + t) * shape_.frame_bytes], came.frame, shape_.frame_bytes);
  bool ended = came.terminated || came.truncated;
  next_episode[env] += ended;
  next_index[env] = ended ? 0 : next_index[env] + 1;
  next_shown[env] = static_cast<uint8_t>(ended ? 1 : std::min<size_t>(shown[i] + size_t{1}, shape_.num_images));
  ++filled[env];
}

bool RolloutBuffer::is_full() const {
  return std::all_of(filled.begin(), filled.end(), [&](int64_t n) { return n == static_cast<int64_t>(shape_.steps); });
}

RolloutBuffer RolloutBuffer::next() const {
  if (!is_full()) throw std::invalid_argument("RolloutBuffer: next() of a buffer that is not full");
  RolloutBuffer result(shape_);
  size_t window = shape_.num_images * shape_.frame_bytes;
  for (size_t env = 0; env < shape_.num_envs; ++env)
    std::memcpy(&result.frames[env * slots() * shape_.frame_bytes],
                &frames[(env * slots() + shape_.steps) * shape_.frame_bytes], window);
  result.next_episode = next_episode;
  result.next_index = next_index;
  result.next_shown = next_shown;
  return result;
}

}  // namespace vldac

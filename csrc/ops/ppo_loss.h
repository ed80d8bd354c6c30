// The token-wise clipped surrogate of kernels/reference.py: loss, statistics and the coefficient d loss / d logprob, in one pass
// (with a ratio guard in two). Comparisons and products as arithmetic in T takes them, exponentials and sums in double; one thread,
// no allocation but the guard's flags, which are kept per thread. The same bytes at every instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ops/isa.h"

namespace vldac::ops {

enum class KlEstimator { kK1, kK2, kK3 };

struct PpoOptions {
  double clip_low, clip_high, kl_coef, ratio_guard, dual_clip, log_ratio_cap;  // ratio_guard, dual_clip 0: none
  KlEstimator kl_estimator;
};

// Index is int32_t or int64_t.
template <class T, class Index>
struct PpoTokens {
  const T *logprob, *old_logprob, *weight, *ref_logprob;  // [N]; ref_logprob: nullptr for none
  const T* advantages;                                    // [S]
  const Index* step_index;                                // [N], in [0, S)
  size_t num_tokens, num_steps;
};

inline constexpr size_t kPpoStats = 14;

struct PpoResult {
  double loss;
  std::array<double, kPpoStats> stats;  // the order of PPOStats
};

// coefficient_out [N]; 0 for tokens of weight 0, whose log-probs may be NaN.
template <class T, class Index>
PpoResult ppo_clip_loss(const PpoTokens<T, Index>& in, const PpoOptions& options, Isa isa, T* coefficient_out);

}  // namespace vldac::ops

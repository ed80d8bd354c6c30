// What the tiers of the PPO loss share: sums by lane, so that their order does not depend on the width of a vector.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "ops/ppo_loss.h"

namespace vldac::ops {

inline constexpr size_t kPpoBlock = 128;  // tokens whose columns are gathered before vectors read them
inline constexpr size_t kPpoLanes = 8;    // tokens that are summed side by side: the widest tier's vector

enum PpoSum : size_t {
  kLossSum, kWeightSum, kRatioSum, kLowSum, kHighSum, kRawSum, kOldK3Sum, kDifferenceSum, kRefK3Sum, kCapped, kTokens, kActive,
  kRatioMax, kRawMax, kPpoSums
};  // the two maxima last

struct PpoSums {
  alignas(64) double lane[kPpoSums][kPpoLanes] = {};
};

// One block of tokens with its gathered columns. A short last block is filled up with tokens of weight 0.
template <class T>
struct PpoBlock {
  alignas(64) T logprob[kPpoBlock], old_logprob[kPpoBlock], weight[kPpoBlock], ref_logprob[kPpoBlock], coefficient[kPpoBlock];
  alignas(64) double advantage[kPpoBlock];
  alignas(64) int64_t is_hit[kPpoBlock];
};

}  // namespace vldac::ops

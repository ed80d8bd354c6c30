// The tier of any machine, SSE4.1 included: vectors of four that the compiler makes of what there is.
#pragma once

#define VLDAC_TIER generic
#define VLDAC_LANES 4
#define VLDAC_FN
#include "ops/lanes.h"

namespace vldac::rows_tier::generic {
namespace {

VLDAC_INLINE Float fma_of(Float a, Float b, Float c) { return a * b + c; }

// The second where they are equal or not ordered.
VLDAC_INLINE Float max_of(Float a, Float b) { return a > b ? a : b; }

VLDAC_INLINE uint32_t bits_of(Int mask) {
  uint32_t bits = 0;
  for (size_t i = 0; i < kLanes; ++i) bits |= static_cast<uint32_t>(mask[i] < 0) << i;
  return bits;
}

// `count` items, the rest 0 (not read); count <= kLanes.
VLDAC_INLINE Float load_part(const float* from, size_t count) { return load_some(from, count); }
VLDAC_INLINE void store_part(float* to, Float value, size_t count) { store_some(to, value, count); }

}  // namespace
}  // namespace vldac::rows_tier::generic

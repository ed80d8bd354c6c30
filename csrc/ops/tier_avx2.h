// AVX2: the vectors of lanes.h, and what the compiler has no operator for. For files that compile kernels for this tier alone, on x86-64.
#pragma once

#include <immintrin.h>

#include "ops/isa.h"

#define VLDAC_TIER avx2
#define VLDAC_LANES 8
#define VLDAC_FN VLDAC_TARGET("avx2,fma")
#include "ops/lanes.h"

namespace vldac::rows_tier::avx2 {
namespace {

VLDAC_INLINE Float fma_of(Float a, Float b, Float c) {
  return reinterpret_cast<Float>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
}

// The second where they are equal or not ordered.
VLDAC_INLINE Float max_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
}

VLDAC_INLINE uint32_t bits_of(Int mask) { return static_cast<uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask))); }

// `count` items, the rest 0 (not read); count <= kLanes.
VLDAC_INLINE __m256i mask_of(size_t count) { return reinterpret_cast<__m256i>(lane_numbers() < static_cast<int32_t>(count)); }
VLDAC_INLINE Float load_part(const float* from, size_t count) { return reinterpret_cast<Float>(_mm256_maskload_ps(from, mask_of(count))); }
VLDAC_INLINE void store_part(float* to, Float value, size_t count) {
  _mm256_maskstore_ps(to, mask_of(count), reinterpret_cast<__m256>(value));
}

}  // namespace
}  // namespace vldac::rows_tier::avx2

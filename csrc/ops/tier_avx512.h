// AVX-512: the vectors of lanes.h, and what the compiler has no operator for. For files that compile kernels for this tier alone, on x86-64.
#pragma once

#include <immintrin.h>

#include "ops/isa.h"

#define VLDAC_TIER avx512
#define VLDAC_LANES 16
#define VLDAC_FN VLDAC_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#include "ops/lanes.h"

namespace vldac::rows_tier::avx512 {
namespace {

VLDAC_INLINE Float fma_of(Float a, Float b, Float c) {
  return reinterpret_cast<Float>(_mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
}

// The second where they are equal or not ordered. The form with a mask: GCC 12 warns of the one without.
VLDAC_INLINE Float max_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm512_mask_max_ps(reinterpret_cast<__m512>(a), 0xFFFF, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}

VLDAC_INLINE uint32_t bits_of(Int mask) { return _mm512_movepi32_mask(reinterpret_cast<__m512i>(mask)); }

// `count` items, the rest 0 (not read); count <= kLanes.
VLDAC_INLINE Float load_part(const float* from, size_t count) {
  return reinterpret_cast<Float>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
}
VLDAC_INLINE void store_part(float* to, Float value, size_t count) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), reinterpret_cast<__m512>(value));
}

}  // namespace
}  // namespace vldac::rows_tier::avx512

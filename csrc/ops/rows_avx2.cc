#include "ops/isa.h"

#ifdef VLDAC_X86
#include <immintrin.h>

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

}  // namespace
}  // namespace vldac::rows_tier::avx2

#include "ops/rows_kernel.h"
#endif

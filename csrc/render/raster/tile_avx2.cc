#include "ops/isa.h"

#ifdef VLDAC_X86
#include <immintrin.h>

#define VLDAC_TIER avx2
#define VLDAC_LANES 8
#define VLDAC_FN VLDAC_TARGET("avx2")
#include "render/raster/lanes.h"

namespace vldac::raster::avx2 {
namespace {

VLDAC_INLINE Float floor_of(Float value) {
  return reinterpret_cast<Float>(_mm256_floor_ps(reinterpret_cast<__m256>(value)));
}

// The second where they are equal or not ordered.
VLDAC_INLINE Float max_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
}
VLDAC_INLINE Float min_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm256_min_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
}

VLDAC_INLINE uint32_t sign_bits(Int mask) { return static_cast<uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask))); }

VLDAC_INLINE Int gather(const int32_t* from, Int index) { return reinterpret_cast<Int>(_mm256_i32gather_epi32(reinterpret_cast<const int*>(from), reinterpret_cast<__m256i>(index), 4)); }

}  // namespace
}  // namespace vldac::raster::avx2

#include "render/raster/tile_x86.h"
#include "render/raster/tile_kernel.h"
#endif

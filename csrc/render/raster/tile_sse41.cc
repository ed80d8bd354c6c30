#include "ops/isa.h"

#ifdef VLDAC_X86
#include <immintrin.h>

#define VLDAC_TIER sse41
#define VLDAC_LANES 4
#define VLDAC_FN VLDAC_TARGET("sse4.1,ssse3")
#include "render/raster/lanes.h"

namespace vldac::raster::sse41 {
namespace {

VLDAC_INLINE Float floor_of(Float value) {
  return reinterpret_cast<Float>(_mm_floor_ps(reinterpret_cast<__m128>(value)));
}

// The second where they are equal or not ordered.
VLDAC_INLINE Float max_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm_max_ps(reinterpret_cast<__m128>(a), reinterpret_cast<__m128>(b)));
}
VLDAC_INLINE Float min_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm_min_ps(reinterpret_cast<__m128>(a), reinterpret_cast<__m128>(b)));
}

VLDAC_INLINE uint32_t sign_bits(Int mask) { return static_cast<uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(mask))); }

VLDAC_INLINE Int gather(const int32_t* from, Int index) { return Int{from[index[0]], from[index[1]], from[index[2]], from[index[3]]}; }

}  // namespace
}  // namespace vldac::raster::sse41

#include "render/raster/tile_x86.h"
#include "render/raster/tile_kernel.h"
#endif

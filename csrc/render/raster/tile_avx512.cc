#include "ops/isa.h"

#ifdef VLDAC_X86
#include <immintrin.h>

#define VLDAC_TIER avx512
#define VLDAC_LANES 16
#define VLDAC_FN VLDAC_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#include "render/raster/lanes.h"

namespace vldac::raster::avx512 {
namespace {

// Forms with a mask: GCC 12 warns of those without.
constexpr __mmask16 kEvery = 0xFFFF;

VLDAC_INLINE Float floor_of(Float value) {
  return reinterpret_cast<Float>(_mm512_mask_roundscale_ps(reinterpret_cast<__m512>(value), kEvery, reinterpret_cast<__m512>(value), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}

// The second where they are equal or not ordered.
VLDAC_INLINE Float max_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm512_mask_max_ps(reinterpret_cast<__m512>(a), kEvery, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}
VLDAC_INLINE Float min_of(Float a, Float b) {
  return reinterpret_cast<Float>(_mm512_mask_min_ps(reinterpret_cast<__m512>(a), kEvery, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}

VLDAC_INLINE uint32_t sign_bits(Int mask) { return _mm512_movepi32_mask(reinterpret_cast<__m512i>(mask)); }

VLDAC_INLINE Int gather(const int32_t* from, Int index) { return reinterpret_cast<Int>(_mm512_mask_i32gather_epi32(reinterpret_cast<__m512i>(index), kEvery, reinterpret_cast<__m512i>(index), from, 4)); }

}  // namespace
}  // namespace vldac::raster::avx512

#include "render/raster/tile_x86.h"
#include "render/raster/tile_kernel.h"
#endif

#include "ops/isa.h"

#ifdef VLDAC_X86
#include <immintrin.h>

#include <stdexcept>

#define VLDAC_TIER avx512
#define VLDAC_LANES 16
#define VLDAC_FN VLDAC_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

namespace vldac::raster::avx512 {
namespace {

using FilterSum = int32_t __attribute__((vector_size(16)));

// Bytes of the lower and the upper row in turn: the left texels first, then the right ones.
VLDAC_FN inline __attribute__((always_inline)) __m128i square(const uint32_t* lower, const uint32_t* upper) {
  return _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(lower)), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(upper)));
}

// Eight texels, weighted: left and right columns of two rows of two levels.
VLDAC_FN inline __attribute__((always_inline)) FilterSum filter(const uint32_t* low, const uint32_t* low_up, const uint32_t* high,
                                                                const uint32_t* high_up, const int32_t* weights) {
  __m128i zero = _mm_setzero_si128(), pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights));
  __m128i near = square(low, low_up), far = square(high, high_up);
  __m128i sum = _mm_madd_epi16(_mm_unpacklo_epi8(near, zero), _mm_shuffle_epi32(pairs, 0x00));
  sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpackhi_epi8(near, zero), _mm_shuffle_epi32(pairs, 0x55)));
  sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpacklo_epi8(far, zero), _mm_shuffle_epi32(pairs, 0xAA)));
  sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpackhi_epi8(far, zero), _mm_shuffle_epi32(pairs, 0xFF)));
  return reinterpret_cast<FilterSum>(sum);
}

}  // namespace
}  // namespace vldac::raster::avx512

#include "render/raster/tile_kernel.h"
#endif

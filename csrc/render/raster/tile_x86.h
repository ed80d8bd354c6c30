// What the tiers of x86-64 share: texels and pixels in 128 bits. Included after lanes.h; no include guard: once for each tier.
namespace vldac::raster::VLDAC_TIER {
namespace {

// Bytes of the lower and the upper row in turn: the left texels first, then the right ones.
VLDAC_INLINE __m128i square(const uint32_t* lower, const uint32_t* upper) {
  return _mm_unpacklo_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(lower)), _mm_loadu_si128(reinterpret_cast<const __m128i*>(upper)));
}

// Eight texels, weighted: left and right columns of two rows of two levels. Rows are read four texels wide.
VLDAC_INLINE Sum filter(const uint32_t* near, const uint32_t* near_up, const uint32_t* far, const uint32_t* far_up, const uint32_t* weights) {
  const __m128i zero = _mm_setzero_si128();
  __m128i first = square(near, near_up), second = square(far, far_up);
  __m128i sum = _mm_madd_epi16(_mm_unpacklo_epi8(first, zero), _mm_set1_epi32(static_cast<int>(weights[0])));
  sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpackhi_epi8(first, zero), _mm_set1_epi32(static_cast<int>(weights[kLanes]))));
  __m128i more = _mm_madd_epi16(_mm_unpacklo_epi8(second, zero), _mm_set1_epi32(static_cast<int>(weights[2 * kLanes])));
  more = _mm_add_epi32(more, _mm_madd_epi16(_mm_unpackhi_epi8(second, zero), _mm_set1_epi32(static_cast<int>(weights[3 * kLanes]))));
  return reinterpret_cast<Sum>(_mm_add_epi32(sum, more));
}

VLDAC_INLINE __m128i whole(Rgbx pixel) {
  __m128 cut = _mm_min_ps(reinterpret_cast<__m128>(pixel), _mm_set1_ps(255.0f));
  return _mm_cvttps_epi32(_mm_add_ps(cut, _mm_set1_ps(0.5f)));
}

// Four pixels as 12 bytes.
VLDAC_INLINE __m128i pack_four(const Rgbx* pixels) {
  __m128i bytes = _mm_packus_epi16(_mm_packus_epi32(whole(pixels[0]), whole(pixels[1])), _mm_packus_epi32(whole(pixels[2]), whole(pixels[3])));
  return _mm_shuffle_epi8(bytes, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
}

// Eight pixels to 24 bytes.
VLDAC_INLINE void pack_eight(const Rgbx* pixels, uint8_t* out) {
  __m128i first = pack_four(pixels), second = pack_four(pixels + 4);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_or_si128(first, _mm_slli_si128(second, 12)));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 16), _mm_srli_si128(second, 4));
}

}  // namespace
}  // namespace vldac::raster::VLDAC_TIER

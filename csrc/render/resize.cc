#include "render/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#ifdef VLDAC_X86
#include <immintrin.h>
#endif

namespace vldac {
namespace {

constexpr int kBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kBits - 1);
constexpr int kLowBits = 15;
constexpr double kSupport = 2.0;  // of the bicubic filter, in pixels at scale 1

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

// One row of the horizontal pass, [in_width][3] to [out_width][3].
void horizontal_scalar(const ResizeAxis& axis, const uint8_t* in, uint8_t* out) {
  for (int x = 0; x < axis.out_size; ++x) {
    const int32_t* weight = axis.weights.data() + static_cast<size_t>(x) * axis.stride;
    const uint8_t* pixel = in + static_cast<size_t>(axis.taps[x].start) * 3;
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int t = 0; t < axis.taps[x].count; ++t, pixel += 3) {
      red += pixel[0] * weight[t];
      green += pixel[1] * weight[t];
      blue += pixel[2] * weight[t];
    }
    out[x * 3] = to_byte(red);
    out[x * 3 + 1] = to_byte(green);
    out[x * 3 + 2] = to_byte(blue);
  }
}

// One row of the vertical pass from byte `begin` on; `in` is the first of the rows under the taps.
void vertical_scalar(const int32_t* weight, int count, const uint8_t* in, size_t row_bytes, size_t begin, uint8_t* out) {
  for (size_t i = begin; i < row_bytes; ++i) {
    int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += in[t * row_bytes + i] * weight[t];
    out[i] = to_byte(sum);
  }
}

#ifdef VLDAC_X86

void store3(uint8_t* out, int32_t pixel) {
  out[0] = static_cast<uint8_t>(pixel);
  out[1] = static_cast<uint8_t>(pixel >> 8);
  out[2] = static_cast<uint8_t>(pixel >> 16);
}

VLDAC_TARGET("sse4.1") inline int32_t pack_pixel(__m128i low, __m128i high) {
  __m128i sum = _mm_add_epi32(_mm_add_epi32(low, _mm_slli_epi32(high, kLowBits)), _mm_set1_epi32(kHalf));
  sum = _mm_srai_epi32(sum, kBits);
  sum = _mm_packs_epi32(sum, sum);
  return _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
}

// Reads up to `reach` bytes from `in`. Four taps at a time: bytes of two pixels become the pairs (r0, r1), (g0, g1), (b0, b1).
VLDAC_TARGET("sse4.1") void horizontal_sse41(const ResizeAxis& axis, const uint8_t* in, uint8_t* out) {
  const __m128i first = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
  const __m128i second = _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m128i* weight = reinterpret_cast<const __m128i*>(axis.halves.data());
  for (int x = 0; x < axis.out_size; ++x) {
    const uint8_t* pixel = in + static_cast<size_t>(axis.taps[x].start) * 3;
    __m128i low = _mm_setzero_si128(), high = _mm_setzero_si128();
    for (int t = 0; t < axis.stride; t += 4, pixel += 12, weight += 4) {
      __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel));
      __m128i a = _mm_shuffle_epi8(four, first), b = _mm_shuffle_epi8(four, second);
      low = _mm_add_epi32(low, _mm_add_epi32(_mm_madd_epi16(a, _mm_loadu_si128(weight)), _mm_madd_epi16(b, _mm_loadu_si128(weight + 1))));
      high = _mm_add_epi32(high, _mm_add_epi32(_mm_madd_epi16(a, _mm_loadu_si128(weight + 2)), _mm_madd_epi16(b, _mm_loadu_si128(weight + 3))));
    }
    store3(out + x * 3, pack_pixel(low, high));
  }
}

// The sum of one output pixel over its taps, `groups` times four: even pairs in the low lane, odd ones in the high lane.
VLDAC_TARGET("avx2") inline __m256i sum_taps_avx2(const uint8_t* pixel, const int16_t* halves, int groups) {
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                         6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i* weight = reinterpret_cast<const __m256i*>(halves);
  __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
  for (int group = 0; group < groups; ++group, pixel += 12, weight += 2) {
    __m256i four = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel))), pairs);
    low = _mm256_add_epi32(low, _mm256_madd_epi16(four, _mm256_loadu_si256(weight)));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(four, _mm256_loadu_si256(weight + 1)));
  }
  return _mm256_add_epi32(low, _mm256_slli_epi32(high, kLowBits));
}

// Output pixels x and x + 1, of 3 bytes and one more each.
VLDAC_TARGET("avx2") inline void two_pixels_avx2(const ResizeAxis& axis, const uint8_t* in, int x, int groups, int32_t* out) {
  const ResizeTaps* taps = axis.taps.data() + x;
  const int16_t* halves = axis.halves.data() + static_cast<size_t>(x) * groups * 32;
  __m256i first = sum_taps_avx2(in + taps[0].start * 3, halves, groups);
  __m256i second = sum_taps_avx2(in + taps[1].start * 3, halves + groups * 32, groups);
  __m256i sum = _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20), _mm256_permute2x128_si256(first, second, 0x31));
  sum = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(kHalf)), kBits);
  sum = _mm256_packs_epi32(sum, sum);
  sum = _mm256_packus_epi16(sum, sum);
  out[0] = _mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
  out[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1));
}

// The fourth byte of a pixel is overwritten by the next one; the last two are stored without it. One group of taps, which is all
// that a picture needs that does not shrink, is worth a loop of its own.
template <int kGroups>
VLDAC_TARGET("avx2") void horizontal_avx2(const ResizeAxis& axis, const uint8_t* in, uint8_t* out) {
  const int groups = kGroups ? kGroups : axis.stride / 4, size = axis.out_size;
  int32_t pixels[2];
  int x = 0;
  for (; x + 2 < size; x += 2, out += 6) {
    two_pixels_avx2(axis, in, x, groups, pixels);
    std::memcpy(out, &pixels[0], 4);
    std::memcpy(out + 3, &pixels[1], 4);
  }
  two_pixels_avx2(axis, in, x, groups, pixels);  // the axis ends with a spare pixel
  store3(out, pixels[0]);
  if (x + 1 < size) store3(out + 3, pixels[1]);
}

// Where the halves of the pair of weights (t, t + 1) of one output coordinate are; the high ones are 16 numbers on.
inline const int16_t* pair_of(const int16_t* halves, int t) { return halves + t / 4 * 32 + t % 4 / 2 * 8; }

// 16 bytes at a time: bytes of two rows become 16-bit pairs. Returns the first byte that is left to do.
VLDAC_TARGET("sse4.1") size_t vertical_sse41(const int16_t* halves, int count, const uint8_t* in, size_t row_bytes, uint8_t* out) {
  const __m128i zero = _mm_setzero_si128();
  size_t i = 0;
  for (; i + 16 <= row_bytes; i += 16) {
    __m128i low[4] = {zero, zero, zero, zero}, high[4] = {zero, zero, zero, zero};
    for (int t = 0; t < count; t += 2) {
      bool has_second = t + 1 < count;
      __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + t * row_bytes + i));
      __m128i b = has_second ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + (t + 1) * row_bytes + i)) : zero;
      __m128i front = _mm_unpacklo_epi8(a, b), back = _mm_unpackhi_epi8(a, b);
      const __m128i* weight = reinterpret_cast<const __m128i*>(pair_of(halves, t));
      __m128i weight_low = _mm_loadu_si128(weight), weight_high = _mm_loadu_si128(weight + 2);
      __m128i pairs[4] = {_mm_unpacklo_epi8(front, zero), _mm_unpackhi_epi8(front, zero), _mm_unpacklo_epi8(back, zero), _mm_unpackhi_epi8(back, zero)};
      for (int part = 0; part < 4; ++part) {
        low[part] = _mm_add_epi32(low[part], _mm_madd_epi16(pairs[part], weight_low));
        high[part] = _mm_add_epi32(high[part], _mm_madd_epi16(pairs[part], weight_high));
      }
    }
    for (int part = 0; part < 4; ++part)
      low[part] = _mm_srai_epi32(_mm_add_epi32(_mm_add_epi32(low[part], _mm_slli_epi32(high[part], kLowBits)), _mm_set1_epi32(kHalf)), kBits);
    __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(low[0], low[1]), _mm_packs_epi32(low[2], low[3]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), bytes);
  }
  return i;
}

// The same, 32 bytes at a time; unpacking and packing both stay inside 128-bit lanes, so that the order comes out right.
VLDAC_TARGET("avx2") size_t vertical_avx2(const int16_t* halves, int count, const uint8_t* in, size_t row_bytes, uint8_t* out) {
  const __m256i zero = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 32 <= row_bytes; i += 32) {
    __m256i low[4] = {zero, zero, zero, zero}, high[4] = {zero, zero, zero, zero};
    for (int t = 0; t < count; t += 2) {
      bool has_second = t + 1 < count;
      __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + t * row_bytes + i));
      __m256i b = has_second ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + (t + 1) * row_bytes + i)) : zero;
      __m256i front = _mm256_unpacklo_epi8(a, b), back = _mm256_unpackhi_epi8(a, b);
      const __m128i* weight = reinterpret_cast<const __m128i*>(pair_of(halves, t));
      __m256i weight_low = _mm256_broadcastsi128_si256(_mm_loadu_si128(weight));
      __m256i weight_high = _mm256_broadcastsi128_si256(_mm_loadu_si128(weight + 2));
      __m256i pairs[4] = {_mm256_unpacklo_epi8(front, zero), _mm256_unpackhi_epi8(front, zero), _mm256_unpacklo_epi8(back, zero), _mm256_unpackhi_epi8(back, zero)};
      for (int part = 0; part < 4; ++part) {
        low[part] = _mm256_add_epi32(low[part], _mm256_madd_epi16(pairs[part], weight_low));
        high[part] = _mm256_add_epi32(high[part], _mm256_madd_epi16(pairs[part], weight_high));
      }
    }
    for (int part = 0; part < 4; ++part)
      low[part] = _mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(low[part], _mm256_slli_epi32(high[part], kLowBits)), _mm256_set1_epi32(kHalf)), kBits);
    __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(low[0], low[1]), _mm256_packs_epi32(low[2], low[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), bytes);
  }
  return i;
}

#endif  // VLDAC_X86

}  // namespace

ResizeAxis::ResizeAxis(int in_size, int out_size)
    : in_size(in_size), out_size(out_size), is_identity(in_size == out_size), stride(0), taps(out_size) {
  double scale = static_cast<double>(in_size) / out_size;
  double widened = std::max(scale, 1.0);
  double support = kSupport * widened;
  std::vector<double> exact;
  for (int x = 0; x < out_size; ++x) {
    double center = (x + 0.5) * scale;
    int start = std::max(0, static_cast<int>(center - support + 0.5));
    int end = std::min(in_size, static_cast<int>(center + support + 0.5));
    taps[x] = {start, end - start};
    stride = std::max(stride, (end - start + 3) / 4 * 4);
  }
  taps.push_back(taps.back());
  weights.assign(static_cast<size_t>(out_size) * stride, 0);
  halves.assign(static_cast<size_t>(out_size + 1) * stride * 8, 0);
  for (int x = 0; x < out_size; ++x) {
    double center = (x + 0.5) * scale, total = 0.0;
    exact.assign(taps[x].count, 0.0);
    for (int t = 0; t < taps[x].count; ++t) total += exact[t] = bicubic((t + taps[x].start - center + 0.5) * (1.0 / widened));
    for (int t = 0; t < taps[x].count; ++t) {
      double share = total != 0.0 ? exact[t] / total : exact[t];
      auto weight = static_cast<int32_t>((share < 0 ? -0.5 : 0.5) + share * (1 << kBits));
      size_t base = static_cast<size_t>(x) * stride + t / 4 * 4;
      weights[base + t % 4] = weight;
      for (int repeat = 0; repeat < 4; ++repeat) {
        size_t at = base * 8 + t % 4 / 2 * 8 + repeat * 2 + t % 2;
        halves[at] = static_cast<int16_t>(weight & ((1 << kLowBits) - 1));
        halves[at + 16] = static_cast<int16_t>(weight >> kLowBits);
      }
    }
  }
}

static int checked(int size) {
  if (size < 1 || size > 65535) throw std::invalid_argument("resize: expected sizes from 1 to 65535 pixels, got " + std::to_string(size));
  return size;
}

BicubicResize::BicubicResize(int in_width, int in_height, int out_width, int out_height, Isa isa)
    : horizontal_(checked(in_width), checked(out_width)), vertical_(checked(in_height), checked(out_height)), isa_(isa) {
  int lost_rows = in_height - out_height, lost_columns = in_width - out_width;
  is_vertical_first_ = !horizontal_.is_identity && lost_rows > 0 && lost_rows > 2 * lost_columns;
  first_row_ = vertical_.taps.front().start;
  end_row_ = vertical_.taps[out_height - 1].start + vertical_.taps[out_height - 1].count;
  reach_ = in_row_bytes();
  for (const auto& taps : horizontal_.taps) reach_ = std::max<size_t>(reach_, (static_cast<size_t>(taps.start) + horizontal_.stride) * 3 + 4);
}

size_t BicubicResize::wide_bytes() const {
  return horizontal_.is_identity || is_vertical_first_ ? 0 : static_cast<size_t>(end_row_ - first_row_) * out_row_bytes();
}

// The rows between the passes, then one row that may be over-read.
size_t BicubicResize::scratch_bytes() const { return is_identity() ? 0 : wide_bytes() + reach_; }

void BicubicResize::begin(const uint8_t* in, uint8_t* scratch) const noexcept {
  if (horizontal_.is_identity || is_vertical_first_) return;
  size_t in_bytes = in_row_bytes() * vertical_.in_size;
  for (int y = first_row_; y < end_row_; ++y) {
    const uint8_t* row = in + y * in_row_bytes();
    if (y * in_row_bytes() + reach_ > in_bytes) {  // the last rows: their end is the picture's, or nearly
      uint8_t* copy = scratch + wide_bytes();
      std::memcpy(copy, row, in_row_bytes());
      row = copy;
    }
    horizontal_row(row, scratch + static_cast<size_t>(y - first_row_) * out_row_bytes());
  }
}

void BicubicResize::rows(const uint8_t* in, uint8_t* scratch, int first, int count, uint8_t* out) const noexcept {
  const uint8_t* wide = horizontal_.is_identity ? in + first_row_ * in_row_bytes() : scratch;
  for (int y = first; y < first + count; ++y, out += out_row_bytes()) {
    int start = vertical_.taps[y].start;
    if (is_vertical_first_) {
      vertical_row(in + start * in_row_bytes(), in_row_bytes(), y, scratch);
      horizontal_row(scratch, out);
    } else if (vertical_.is_identity) {
      std::memcpy(out, wide + y * out_row_bytes(), out_row_bytes());
    } else {
      vertical_row(wide + (start - first_row_) * out_row_bytes(), out_row_bytes(), y, out);
    }
  }
}

void BicubicResize::horizontal_row(const uint8_t* in, uint8_t* out) const noexcept {
#ifdef VLDAC_X86
  if (isa_ >= Isa::kAvx2 && horizontal_.stride == 4) return horizontal_avx2<1>(horizontal_, in, out);
  if (isa_ >= Isa::kAvx2) return horizontal_avx2<0>(horizontal_, in, out);
  if (isa_ == Isa::kSse41) return horizontal_sse41(horizontal_, in, out);
#endif
  horizontal_scalar(horizontal_, in, out);
}

// Row y of the result from the rows under its taps, of which `in` is the first.
void BicubicResize::vertical_row(const uint8_t* in, size_t row_bytes, int y, uint8_t* out) const noexcept {
  size_t weights = static_cast<size_t>(y) * vertical_.stride, done = 0;
  int count = vertical_.taps[y].count;
#ifdef VLDAC_X86
  if (isa_ >= Isa::kAvx2) done = vertical_avx2(vertical_.halves.data() + weights * 8, count, in, row_bytes, out);
  if (isa_ == Isa::kSse41) done = vertical_sse41(vertical_.halves.data() + weights * 8, count, in, row_bytes, out);
#endif
  vertical_scalar(vertical_.weights.data() + weights, count, in, row_bytes, done, out);
}

}  // namespace vldac

#include "render/patches.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#ifdef VLDAC_X86
#include <immintrin.h>
#endif

namespace vldac {
namespace {

void require(bool holds, const char* expected) {
  if (!holds) throw std::invalid_argument(std::string("PatchEmitter: expected ") + expected);
}

PatchSpec checked(const PatchSpec& spec) {
  require(spec.patch >= 1 && spec.patch <= 64 && spec.merge >= 1 && spec.merge <= 16, "a patch of 1 to 64 pixels and a merge of 1 to 16");
  require(spec.temporal >= 1 && spec.temporal <= 16, "1 to 16 temporal copies");
  require(spec.out_width > 0 && spec.out_height > 0 && spec.out_width % (spec.patch * spec.merge) == 0 && spec.out_height % (spec.patch * spec.merge) == 0,
          "an output size that is a multiple of patch x merge");
  for (int c = 0; c < 3; ++c) require(std::isfinite(spec.mean[c]) && std::isfinite(spec.std[c]) && spec.std[c] > 0, "finite means and standard deviations above 0");
  return spec;
}

// Round to nearest, ties to even; the values here are finite.
uint16_t to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// [size][size][3] pixels, rows `stride` bytes apart, to [3][size][size].
void planes_scalar(const uint8_t* pixels, size_t stride, int size, uint8_t* out) {
  for (int y = 0; y < size; ++y, pixels += stride)
    for (int x = 0; x < size; ++x)
      for (int c = 0; c < 3; ++c) out[(c * size + y) * size + x] = pixels[x * 3 + c];
}

#ifdef VLDAC_X86

// Which byte of which of three 16-byte loads is a pixel's channel, -1 for none: [channel][load][x]. The third load ends with the
// row's last byte.
template <int kSize>
struct Order {
  static constexpr int kLast = kSize * 3 - 16;
  alignas(16) int8_t byte[3][3][16];
  constexpr Order() : byte{} {
    for (int c = 0; c < 3; ++c)
      for (int x = 0; x < 16; ++x) {
        int at = x * 3 + c;
        byte[c][0][x] = static_cast<int8_t>(x < kSize && at < 16 ? at : -1);
        byte[c][1][x] = static_cast<int8_t>(x < kSize && at >= 16 && at < 32 ? at - 16 : -1);
        byte[c][2][x] = static_cast<int8_t>(x < kSize && at >= 32 ? at - kLast : -1);
      }
  }
};

// The same for the two patch sizes in use: one shuffle per load and channel.
template <int kSize>
VLDAC_TARGET("sse4.1") void planes_sse41(const uint8_t* pixels, size_t stride, uint8_t* out) {
  static_assert(kSize == 14 || kSize == 16);
  static constexpr Order<kSize> order;
  for (int y = 0; y < kSize; ++y, pixels += stride) {
    __m128i load[3];
    for (int i = 0; i < 3; ++i) load[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + (i == 2 ? order.kLast : i * 16)));
    for (int c = 0; c < 3; ++c) {
      __m128i plane = _mm_setzero_si128();
      for (int i = 0; i < 3; ++i) plane = _mm_or_si128(plane, _mm_shuffle_epi8(load[i], _mm_load_si128(reinterpret_cast<const __m128i*>(order.byte[c][i]))));
      uint8_t* row = out + (c * kSize + y) * kSize;
      if constexpr (kSize == 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(row), plane);
      } else {  // 14 bytes, none more: the neighbours may be done already
        _mm_storel_epi64(reinterpret_cast<__m128i*>(row), plane);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(row + 6), _mm_srli_si128(plane, 6));
      }
    }
  }
}

#endif  // VLDAC_X86

// [3][area] bytes to [3][temporal][area] values of a [3][256] table. Four at a time: the compiler does not unroll this loop,
// and the unrolled one takes half the time (1 cycle per value on Zen 4).
template <class T>
void look_up(const uint8_t* planes, const T* table, size_t area, int temporal, T* out) {
  for (int c = 0; c < 3; ++c, table += 256, planes += area, out += area * temporal) {
    size_t i = 0;
    for (; i + 4 <= area; i += 4) {
      T values[4] = {table[planes[i]], table[planes[i + 1]], table[planes[i + 2]], table[planes[i + 3]]};
      std::memcpy(out + i, values, sizeof(values));
    }
    for (; i < area; ++i) out[i] = table[planes[i]];
    for (int copy = 1; copy < temporal; ++copy) std::memcpy(out + copy * area, out, area * sizeof(T));
  }
}

}  // namespace

PatchFormat parse_patch_format(const std::string& name) {
  if (name == "float32") return PatchFormat::kFloat32;
  if (name == "bfloat16") return PatchFormat::kBfloat16;
  if (name == "uint8") return PatchFormat::kUint8;
  throw std::invalid_argument("PatchEmitter: expected the format float32, bfloat16 or uint8, got '" + name + "'");
}

PatchEmitter::PatchEmitter(const PatchSpec& spec, Isa isa)
    : spec_(checked(spec)), isa_(isa), resize_(spec.in_width, spec.in_height, spec.out_width, spec.out_height, isa) {
  // The image processor's arithmetic: rescaled in double, rounded to float, normalised in float.
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256; ++value) {
      auto rescaled = static_cast<float>(value * (1.0 / 255));
      float normalised = (rescaled - static_cast<float>(spec.mean[c])) / static_cast<float>(spec.std[c]);
      require(std::isfinite(normalised), "standard deviations that leave normalised values finite");
      floats_.push_back(normalised);
      bfloats_.push_back(to_bfloat16(normalised));
    }
}

size_t PatchEmitter::item_bytes() const {
  return spec_.format == PatchFormat::kFloat32 ? 4 : spec_.format == PatchFormat::kBfloat16 ? 2 : 1;
}

// [3][patch][patch] bytes of one patch, then, where the frame is resized, one row of blocks and the resize's own.
size_t PatchEmitter::scratch_bytes() const {
  if (resize_.is_identity()) return pixel_columns();
  return pixel_columns() + static_cast<size_t>(spec_.patch) * spec_.merge * spec_.out_width * 3 + resize_.scratch_bytes();
}

void PatchEmitter::emit_patch(const uint8_t* pixels, uint8_t* out, uint8_t* planes) const noexcept {
  size_t stride = static_cast<size_t>(spec_.out_width) * 3, area = static_cast<size_t>(spec_.patch) * spec_.patch;
  uint8_t* bytes = spec_.format == PatchFormat::kUint8 ? out : planes;
#ifdef VLDAC_X86
  if (isa_ >= Isa::kSse41 && spec_.patch == 14)
    planes_sse41<14>(pixels, stride, bytes);
  else if (isa_ >= Isa::kSse41 && spec_.patch == 16)
    planes_sse41<16>(pixels, stride, bytes);
  else
#endif
    planes_scalar(pixels, stride, spec_.patch, bytes);
  if (spec_.format == PatchFormat::kFloat32) look_up(bytes, floats_.data(), area, spec_.temporal, reinterpret_cast<float*>(out));
  if (spec_.format == PatchFormat::kBfloat16) look_up(bytes, bfloats_.data(), area, spec_.temporal, reinterpret_cast<uint16_t*>(out));
}

void PatchEmitter::emit(const uint8_t* hwc, void* out, uint8_t* scratch) const noexcept {
  int block = spec_.patch * spec_.merge;
  size_t row_bytes = static_cast<size_t>(spec_.out_width) * 3, patch_bytes = columns() * item_bytes();
  uint8_t *planes = scratch, *stripe = planes + pixel_columns(), *wide = stripe + block * row_bytes;
  auto* to = static_cast<uint8_t*>(out);
  if (!resize_.is_identity()) resize_.begin(hwc, wide);
  for (int top = 0; top < spec_.out_height; top += block) {
    const uint8_t* rows = hwc + top * row_bytes;
    if (!resize_.is_identity()) {
      resize_.rows(hwc, wide, top, block, stripe);
      rows = stripe;
    }
    for (int left = 0; left < spec_.out_width; left += block)
      for (int y = 0; y < block; y += spec_.patch)
        for (int x = left; x < left + block; x += spec_.patch, to += patch_bytes) emit_patch(rows + y * row_bytes + x * 3, to, planes);
  }
}

}  // namespace vldac

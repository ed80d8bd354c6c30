// The tier of any machine: vectors of four that the compiler makes of what there is.
#include <cmath>

#define VLDAC_TIER generic
#define VLDAC_LANES 4
#define VLDAC_FN
#include "render/raster/lanes.h"

namespace vldac::raster::generic {
namespace {

inline Float floor_of(Float value) {
  Float result = {};
  for (int i = 0; i < kLanes; ++i) result[i] = std::floor(value[i]);
  return result;
}

// The second where they are equal or not ordered.
inline Float max_of(Float a, Float b) { return a > b ? a : b; }
inline Float min_of(Float a, Float b) { return a < b ? a : b; }

inline uint32_t sign_bits(Int mask) {
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= static_cast<uint32_t>(mask[i] < 0) << i;
  return bits;
}

VLDAC_INLINE Int gather(const int32_t* from, Int index) { return Int{from[index[0]], from[index[1]], from[index[2]], from[index[3]]}; }

// Eight texels, weighted: left and right columns of two rows of two levels.
inline Sum filter(const uint32_t* near, const uint32_t* near_up, const uint32_t* far, const uint32_t* far_up, const uint32_t* weights) {
  Sum sum = {};
  auto add = [&](uint32_t lower, uint32_t upper, uint32_t pair) {
    auto first = static_cast<int32_t>(pair & 0xFFFF), second = static_cast<int32_t>(pair >> 16);
    for (int c = 0; c < 3; ++c) sum[c] += static_cast<int32_t>(lower >> c * 8 & 255) * first + static_cast<int32_t>(upper >> c * 8 & 255) * second;
  };
  add(near[0], near_up[0], weights[0]);
  add(near[1], near_up[1], weights[kLanes]);
  add(far[0], far_up[0], weights[2 * kLanes]);
  add(far[1], far_up[1], weights[3 * kLanes]);
  return sum;
}

// Eight pixels to 24 bytes.
inline void pack_eight(const Rgbx* pixels, uint8_t* out) {
  for (int x = 0; x < 8; ++x)
    for (int i = 0; i < 3; ++i) {
      float value = pixels[x][i] < 255.0f ? pixels[x][i] : 255.0f;
      *out++ = static_cast<uint8_t>(value > 0.0f ? value + 0.5f : 0.0f);
    }
}

}  // namespace
}  // namespace vldac::raster::generic

#include "render/raster/tile_kernel.h"

// The tier of any machine: vectors of four that the compiler makes of what there is.
#include <cstdint>
#include <stdexcept>

#define VLDAC_TIER generic
#define VLDAC_LANES 4
#define VLDAC_FN

namespace vldac::raster::generic {
namespace {

using FilterSum = int32_t __attribute__((vector_size(16)));

// Eight texels, weighted: left and right columns of two rows of two levels.
inline FilterSum filter(const uint32_t* low, const uint32_t* low_up, const uint32_t* high, const uint32_t* high_up, const int32_t* weights) {
  FilterSum sum = {};
  auto add = [&](uint32_t lower, uint32_t upper, int32_t pair) {
    int32_t first = pair & 0xFFFF, second = pair >> 16;
    for (int c = 0; c < 3; ++c) sum[c] += static_cast<int32_t>(lower >> c * 8 & 255) * first + static_cast<int32_t>(upper >> c * 8 & 255) * second;
  };
  add(low[0], low_up[0], weights[0]);
  add(low[1], low_up[1], weights[1]);
  add(high[0], high_up[0], weights[2]);
  add(high[1], high_up[1], weights[3]);
  return sum;
}

}  // namespace
}  // namespace vldac::raster::generic

#include "render/raster/tile_kernel.h"

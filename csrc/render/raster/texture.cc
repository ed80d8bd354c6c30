#include "render/raster/texture.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

namespace vldac {
namespace {

// Where a texel of a smaller level looks in the larger one: two neighbours and the weight of the second.
struct Tap {
  int first, second;
  float weight;
};

Tap tap_of(int i, int from, int to) {
  float step = 1.0f / static_cast<float>(to);
  float at = (static_cast<float>(i) + 0.5f) * step * static_cast<float>(from) - 0.5f;
  float low = std::floor(at);
  int first = static_cast<int>(low);
  return {std::clamp(first, 0, from - 1), std::clamp(first + 1, 0, from - 1), at - low};
}

float lerp(float a, float b, float weight) { return a + (b - a) * weight; }

// 0..1 to 0..255 as the driver rounds: the last bits of a sum whose unit is 1/256.
uint32_t to_byte(float value) { return std::bit_cast<uint32_t>(value * (255.0f / 256.0f) + 32768.0f) & 255; }

}  // namespace

Texture::Texture(int width, int height, std::span<const uint8_t> rgb)
    : scale_x_(static_cast<float>(width)), scale_y_(static_cast<float>(height)), is_power_of_two_x_((width & (width - 1)) == 0),
      is_power_of_two_y_((height & (height - 1)) == 0) {
  if (width < 1 || height < 1 || width > kMaxSize || height > kMaxSize || rgb.size() != static_cast<size_t>(width) * height * 3)
    throw std::invalid_argument("texture: expected 1 to " + std::to_string(kMaxSize) + " texels a side and three bytes for each, got " +
                                std::to_string(width) + " x " + std::to_string(height) + " and " + std::to_string(rgb.size()) + " bytes");
  uint32_t total = 0;
  for (int w = width, h = height;; w = std::max(1, w / 2), h = std::max(1, h / 2)) {
    levels_.push_back({w, h, w + 1, total});
    total += static_cast<uint32_t>(w + 1) * static_cast<uint32_t>(h + 1);
    if (w == 1 && h == 1) break;
  }
  last_level_ = static_cast<float>(levels_.size() - 1);
  texels_.assign(total + 2, 0);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const uint8_t* from = rgb.data() + (static_cast<size_t>(y) * width + x) * 3;
      texels_[static_cast<size_t>(y) * levels_[0].stride + x] = from[0] | from[1] << 8 | static_cast<uint32_t>(from[2]) << 16;
    }
  repeat_edges(levels_[0]);
  for (size_t i = 1; i < levels_.size(); ++i) {
    shrink(levels_[i - 1], levels_[i]);
    repeat_edges(levels_[i]);
  }
}

// A bilinear look at the middle of each smaller texel: the mean of four texels where sizes halve without remainder.
void Texture::shrink(const Level& from, const Level& to) {
  const uint32_t* in = texels_.data() + from.offset;
  for (int y = 0; y < to.height; ++y) {
    Tap row = tap_of(y, from.height, to.height);
    for (int x = 0; x < to.width; ++x) {
      Tap column = tap_of(x, from.width, to.width);
      uint32_t texel = 0;
      for (int shift = 0; shift < 24; shift += 8) {
        auto channel = [&](int at_y, int at_x) { return static_cast<float>(in[at_y * from.stride + at_x] >> shift & 255) * (1.0f / 255.0f); };
        float low = lerp(channel(row.first, column.first), channel(row.first, column.second), column.weight);
        float high = lerp(channel(row.second, column.first), channel(row.second, column.second), column.weight);
        texel |= to_byte(lerp(low, high, row.weight)) << shift;
      }
      texels_[to.offset + static_cast<size_t>(y) * to.stride + x] = texel;
    }
  }
}

void Texture::repeat_edges(const Level& level) {
  uint32_t* texels = texels_.data() + level.offset;
  for (int y = 0; y < level.height; ++y) texels[y * level.stride + level.width] = texels[y * level.stride];
  std::copy_n(texels, level.stride, texels + static_cast<size_t>(level.height) * level.stride);
}

}  // namespace vldac

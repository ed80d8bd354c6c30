// Where the card games' pictures put things: upstream's layout of 300x300 pixels, scaled to the largest square in the middle of
// the picture. Pictures with a side below 200 pixels have layouts of their own, with larger symbols.
#pragma once

#include <algorithm>
#include <cmath>

namespace vldac {

struct Stage {
  int width, height;
  double scale() const { return std::min(width, height) / 300.0; }
  bool is_small() const { return std::min(width, height) < 200; }
  int x(double at) const { return static_cast<int>(std::floor((width - 300.0 * scale()) / 2 + at * scale() + 0.5)); }
  int y(double at) const { return static_cast<int>(std::floor((height - 300.0 * scale()) / 2 + at * scale() + 0.5)); }
  int length(double of) const { return std::max(1, static_cast<int>(std::floor(of * scale() + 0.5))); }
};

}  // namespace vldac

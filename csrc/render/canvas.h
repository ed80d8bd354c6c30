// A small 2-D canvas over caller-owned RGB bytes: fill, rectangles, anti-aliased text. Deterministic: the same calls give the
// same bytes on every machine (double arithmetic without contraction). Positions and sizes are in pixels, may be fractional.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "render/font_data.h"

namespace vldac {

using Color = std::array<uint8_t, 3>;

class Canvas {
 public:
  Canvas(uint8_t* pixels, int width, int height) : pixels_(pixels), width_(width), height_(height) {}

  void fill(Color color) { rectangle(0, 0, width_, height_, color); }

  void rectangle(double left, double top, double right, double bottom, Color color) {
    for (int y = bound(std::lround(top), height_); y < bound(std::lround(bottom), height_); ++y)
      for (int x = bound(std::lround(left), width_); x < bound(std::lround(right), width_); ++x)
        std::memcpy(pixels_ + (static_cast<size_t>(y) * width_ + x) * 3, color.data(), 3);
  }

  // Width in pixels of `words` at an em of `size` pixels.
  static double text_width(double size, std::string_view words) {
    double width = 0.0;
    for (char character : words) {
      const char* found = std::strchr(font::kCharacters, character);
      if (found && *found) width += font::kWidths[found - font::kCharacters] * size / font::kEm;
    }
    return width;
  }

  // text() with its em made smaller where the words would not end before `right`.
  void text_until(double right, double left, double top, double size, Color color, std::string_view words) {
    double width = text_width(size, words);
    text(left, top, width > right - left ? size * (right - left) / width : size, color, words);
  }

  // Text with its upper left corner at (left, top) and an em of `size` pixels. Characters outside the font are left out.
  void text(double left, double top, double size, Color color, std::string_view words) {
    double scale = font::kEm / size;
    for (char character : words) {
      const char* found = std::strchr(font::kCharacters, character);
      if (!found || !*found) continue;
      auto glyph = static_cast<size_t>(found - font::kCharacters);
      double width = font::kWidths[glyph] / scale;
      double bottom = top + font::kHeight / scale;
      for (int y = bound(static_cast<long>(std::floor(top)), height_); y < bound(static_cast<long>(std::ceil(bottom)), height_); ++y)
        for (int x = bound(static_cast<long>(std::floor(left)), width_); x < bound(static_cast<long>(std::ceil(left + width)), width_); ++x)
          blend(x, y, color, coverage(glyph, (x - left) * scale, (y - top) * scale, scale));
      left += width;
    }
  }

 private:
  static int bound(long value, int limit) { return static_cast<int>(std::clamp<long>(value, 0, limit)); }

  // Mean coverage of the glyph over the square [u, u + side) x [v, v + side) in font pixels.
  static double coverage(size_t glyph, double u, double v, double side) {
    int width = font::kWidths[glyph];
    const uint8_t* data = font::kCoverage + font::kOffsets[glyph];
    double total = 0.0;
    for (int y = std::max(0, static_cast<int>(std::floor(v))); y < std::min<double>(font::kHeight, v + side); ++y)
      for (int x = std::max(0, static_cast<int>(std::floor(u))); x < std::min<double>(width, u + side); ++x) {
        double overlap_x = std::min(u + side, x + 1.0) - std::max(u, static_cast<double>(x));
        double overlap_y = std::min(v + side, y + 1.0) - std::max(v, static_cast<double>(y));
        total += overlap_x * overlap_y * data[y * width + x];
      }
    return total / (side * side * 255.0);
  }

  void blend(int x, int y, Color color, double alpha) {
    uint8_t* pixel = pixels_ + (static_cast<size_t>(y) * width_ + x) * 3;
    for (int c = 0; c < 3; ++c)
      pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + (static_cast<double>(color[c]) - pixel[c]) * alpha));
  }

  uint8_t* pixels_;
  int width_, height_;
};

}  // namespace vldac

// A small 2-D canvas over caller-owned RGB bytes: fill, rectangles, anti-aliased text. Deterministic: the same calls give the
// same bytes on every machine (double arithmetic without contraction). Positions and sizes are in pixels, may be fractional.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
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
      int first = bound(static_cast<long>(std::floor(top)), height_), last = bound(static_cast<long>(std::ceil(bottom)), height_);
      for (int x = bound(static_cast<long>(std::floor(left)), width_); x < bound(static_cast<long>(std::ceil(left + width)), width_); ++x) {
        Span columns((x - left) * scale, scale, font::kWidths[glyph]);
        for (int y = first; y < last; ++y) blend(x, y, color, coverage(glyph, columns, Span((y - top) * scale, scale, font::kHeight)));
      }
      left += width;
    }
  }

 private:
  static int bound(long value, int limit) { return static_cast<int>(std::clamp<long>(value, 0, limit)); }

  // The font pixels that [start, start + side) overlaps in one direction, and by how much each.
  struct Span {
    static constexpr int kMax = font::kHeight;
    static_assert(*std::max_element(std::begin(font::kWidths), std::end(font::kWidths)) <= kMax);
    Span(double start, double side, int limit) : side(side), first(std::max(0, static_cast<int>(std::floor(start)))) {
      for (int i = first; i < std::min<double>(limit, start + side); ++i)
        overlap[count++] = std::min(start + side, i + 1.0) - std::max(start, static_cast<double>(i));
    }
    double side;
    int first, count = 0;
    double overlap[kMax];
  };
  // Mean coverage of the glyph over the columns and rows.
  static double coverage(size_t glyph, const Span& columns, const Span& rows) {
    double total = 0.0;
    for (int y = 0; y < rows.count; ++y) {
      const uint8_t* data = font::kCoverage + font::kOffsets[glyph] + (rows.first + y) * font::kWidths[glyph] + columns.first;
      for (int x = 0; x < columns.count; ++x)
        if (data[x]) total += columns.overlap[x] * rows.overlap[y] * data[x];
    }
    return total / (columns.side * rows.side * 255.0);
  }

  void blend(int x, int y, Color color, double alpha) {
    if (alpha == 0.0) return;
    uint8_t* pixel = pixels_ + (static_cast<size_t>(y) * width_ + x) * 3;
    for (int c = 0; c < 3; ++c)
      pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + (static_cast<double>(color[c]) - pixel[c]) * alpha));
  }

  uint8_t* pixels_;
  int width_, height_;
};

}  // namespace vldac

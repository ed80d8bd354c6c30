// Numbers and words on pictures: plates with a number, sharp at every size, and lines of text.
#pragma once

#include <string_view>

#include "render/glyphs.h"
#include "render/raster/texture.h"

namespace vldac::alfworld {

// Everything that is written on pictures of one size. Built once per size, then only read.
class LabelArt {
 public:
  LabelArt(int width, int height, int64_t /*extra*/);
  enum Kind { kReceptacle, kSmallReceptacle, kObject, kNumKinds };
  struct Box {
    int left, top, right, bottom;
  };
  // The plate's pixels where its middle is at (x, y), moved inside the picture.
  Box plate_box(Kind kind, int number, double x, double y) const;
  void draw_plate(const Picture& picture, Kind kind, int number, const Box& box) const;
  // Height of a line and width of words, in pixels.
  int line_height() const { return static_cast<int>(text_em_ * 1.2 + 0.5); }
  int text_width(std::string_view words) const { return static_cast<int>((text_.advance(words) + 63) / 64); }
  // Dark on light, from (left, top); what passes `right` is left out, letter by letter.
  void draw_text(const Picture& picture, int left, int top, int right, std::string_view words) const;
  void fill_page(const Picture& picture, const Box& box) const;
  // Smaller pictures have none: it could not be read.
  bool has_room_for_text() const { return std::min(width_, height_) >= 140; }
  // Names in the boxes of plans.
  int small_height() const { return static_cast<int>(small_em_ * 0.78 + 0.5); }
  int small_width(std::string_view words) const { return static_cast<int>((small_.advance(words) + 63) / 64); }
  void draw_small(const Picture& picture, int left, int top, std::string_view words) const;

 private:
  int width_, height_;
  std::array<double, kNumKinds> ems_;
  double text_em_, small_em_;
  std::array<GlyphSet, kNumKinds> digits_;
  GlyphSet text_, small_;
  std::array<Blend, kNumKinds> blends_;
  Blend text_blend_;
};

void fill(const Picture& picture, const LabelArt::Box& box, Color colour);

// A texture with a number's plate, for surfaces in a scene; one per number and process, never freed.
const Texture* number_texture(int number);

}  // namespace vldac::alfworld

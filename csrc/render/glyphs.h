// Text of one font and size at whole pixels. At the sizes of the upstream card games the glyphs and the words are Pillow's own
// bitmaps, at others they are drawn from the font's outlines. Built once, then only read.
#pragma once

#include <array>
#include <string_view>

#include "render/path.h"
#include "render/sprite.h"

namespace vldac {

enum class Weight : int { kRegular, kBold };

// The outline of a character at an em of 1, its baseline at y = 0, y pointing down; empty for a blank or an unknown character.
Path glyph_outline(Weight weight, char character);
// Its advance at an em of 1.
double glyph_advance(Weight weight, char character);

class GlyphSet {
 public:
  GlyphSet(Weight weight, double em);
  // Draw `words` with the upper left corner of their line at (left, top); what is outside the picture is left out. A word that
  // the font has as one bitmap is drawn as such. Returns where the next character would begin, in 1/64 pixel.
  int64_t draw(const Picture& picture, int64_t left_64, int top, const Blend& blend, std::string_view words) const;
  // Advance of `words` in 1/64 pixel.
  int64_t advance(std::string_view words) const;

 private:
  struct Glyph {
    int advance_64 = 0;
    Mask mask;
  };
  static constexpr size_t kCharacters = 128;
  const Glyph* word(std::string_view words) const;
  const Glyph& glyph(char character) const { return glyphs_[static_cast<unsigned char>(character) % kCharacters]; }
  std::array<Glyph, kCharacters> glyphs_;
  std::vector<std::pair<std::string_view, Glyph>> words_;
};

}  // namespace vldac

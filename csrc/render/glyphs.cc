#include "render/glyphs.h"

#include "render/glyph_data.h"

namespace vldac {
namespace {

const font::Outline* find_outline(Weight weight, char character) {
  for (const auto& outline : font::kOutlines)
    if (outline.weight == static_cast<int>(weight) && outline.character == character) return &outline;
  return nullptr;
}

}  // namespace

Path glyph_outline(Weight weight, char character) {
  Path path;
  const font::Outline* outline = find_outline(weight, character);
  if (!outline) return path;
  const int16_t *at = font::kOutlinePoints + outline->start, *end = at + outline->size;
  auto point = [&at] {
    double x = *at++, y = *at++;
    return Point{x / font::kUnits, -y / font::kUnits};
  };
  while (at < end) {
    int kind = *at++;
    Point first = point();
    if (kind == 0) path.move(first);
    else if (kind == 1) path.line(first);
    else path.curve(first, point());
  }
  path.close();
  return path;
}

double glyph_advance(Weight weight, char character) {
  const font::Outline* outline = find_outline(weight, character);
  return outline ? static_cast<double>(outline->advance) / font::kUnits : 0.0;
}

GlyphSet::GlyphSet(Weight weight, double em) {
  bool has_bitmaps = false;
  for (const auto& bitmap : font::kBitmaps) {
    if (bitmap.weight != static_cast<int>(weight) || bitmap.em != em) continue;
    has_bitmaps = true;
    const uint8_t* first = font::kBitmapCoverage + bitmap.offset;
    Glyph glyph{bitmap.advance, {bitmap.left, bitmap.top, bitmap.width, bitmap.height, {first, first + bitmap.width * bitmap.height}}};
    std::string_view text = bitmap.text;
    if (text.size() == 1) glyphs_[static_cast<unsigned char>(text[0])] = std::move(glyph);
    else words_.emplace_back(text, std::move(glyph));
  }
  if (has_bitmaps) return;
  double baseline = std::floor(em * font::kAscent / font::kUnits + 0.5);
  for (const auto& outline : font::kOutlines) {
    if (outline.weight != static_cast<int>(weight)) continue;
    auto& glyph = glyphs_[static_cast<unsigned char>(outline.character)];
    glyph.advance_64 = static_cast<int>(std::floor(glyph_advance(weight, outline.character) * em * 64.0 + 0.5));
    glyph.mask = glyph_outline(weight, outline.character).placed(0, baseline, em, em).mask();
  }
}

const GlyphSet::Glyph* GlyphSet::word(std::string_view words) const {
  for (const auto& [text, glyph] : words_)
    if (text == words) return &glyph;
  return nullptr;
}

int64_t GlyphSet::draw(const Picture& picture, int64_t left_64, int top, const Blend& blend, std::string_view words) const {
  auto put = [&](const Glyph& glyph) {
    blend.draw(picture, static_cast<int>((left_64 + 32) >> 6), top, glyph.mask);
    left_64 += glyph.advance_64;
  };
  if (const Glyph* whole = word(words)) {
    put(*whole);
    return left_64;
  }
  for (char character : words) put(glyph(character));
  return left_64;
}

int64_t GlyphSet::advance(std::string_view words) const {
  if (const Glyph* whole = word(words)) return whole->advance_64;
  int64_t total = 0;
  for (char character : words) total += glyph(character).advance_64;
  return total;
}

}  // namespace vldac

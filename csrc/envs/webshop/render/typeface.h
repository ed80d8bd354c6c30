// Running text in DejaVu Sans: advances in proportion to the size (as a browser without hinting has them), and pictures of
// letters at quarter-pixel steps, drawn when they are first asked for and shared by everybody who uses that size.
// Code points outside the font are boxes, and are counted. All of it may be called by several threads at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "envs/webshop/unicode.h"
#include "render/glyphs.h"

namespace vldac::webshop {

struct GlyphId {
  int16_t index = 0;  // kMissing: a box; kInvisible: nothing, of no width
  double advance = 0;  // at an em of 1
};
constexpr int16_t kMissing = -1, kInvisible = -2;

GlyphId find_glyph(Weight weight, uint32_t code);

// How far below its top a line of text has its baseline; whole pixels, as browsers reckon it.
double baseline_in(double em, double line_height);

inline bool is_blank(uint32_t code) { return code == ' ' || (code >= 9 && code <= 13 && code != 11); }

// Calls `visit(at, end, code, glyph)` for each code point of `words`; runs of blanks come once, as a space. `at` and `end` are its
// place in `words`.
template <class Visit>
void each_glyph(Weight weight, std::string_view words, Visit&& visit) {
  bool was_blank = false;
  for (size_t at = 0; at < words.size();) {
    size_t from = at;
    uint32_t code = static_cast<uint8_t>(words[at]) < 0x80 ? static_cast<uint8_t>(words[at++]) : next_code_point(words, at);
    bool is_now_blank = is_blank(code);
    if (is_now_blank && was_blank) continue;
    was_blank = is_now_blank;
    if (is_now_blank) code = ' ';
    if (!visit(from, at, code, find_glyph(weight, code))) return;
  }
}

// Width of `words` in one line, in ems.
double text_width(Weight weight, std::string_view words);

// Coverage of one letter relative to the whole pixel at its origin.
struct GlyphImage {
  int left, top, width, height;
  std::unique_ptr<uint8_t[]> coverage;
};

// The letters of one weight at one em in pixels.
class Letters {
 public:
  static constexpr int kPhases = 4;  // per pixel
  Letters(Weight weight, double em);
  ~Letters();
  Letters(const Letters&) = delete;
  Letters& operator=(const Letters&) = delete;

  // Draws on demand; without a lock where it was drawn before.
  const GlyphImage& image(GlyphId glyph, int phase) const;
  double em() const { return em_; }
  Weight weight() const { return weight_; }

 private:
  Weight weight_;
  double em_;
  mutable std::vector<std::atomic<const GlyphImage*>> images_;  // [glyph + 1 for the box][phase]
};

// The same object for the same size as long as somebody holds it.
std::shared_ptr<const Letters> letters_of(Weight weight, double em);

}  // namespace vldac::webshop

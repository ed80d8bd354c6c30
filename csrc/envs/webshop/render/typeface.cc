#include "envs/webshop/render/typeface.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <mutex>

#include "render/page_font_data.h"
#include "render/path.h"

namespace vldac::webshop {
namespace {

constexpr auto kCount = static_cast<int16_t>(std::size(page_font::kOutlines));
constexpr double kMissingAdvance = 0.6, kMissingHeight = 0.72;  // a box as tall as a capital

const page_font::Outline* find_outline(Weight weight, uint32_t code) {
  auto key = [](const page_font::Outline& outline) { return static_cast<uint32_t>(outline.weight) << 16 | outline.codepoint; };
  if (code > 0xFFFF) return nullptr;
  uint32_t wanted = static_cast<uint32_t>(weight) << 16 | static_cast<uint32_t>(code);
  const auto* end = std::end(page_font::kOutlines);
  const auto* found = std::lower_bound(std::begin(page_font::kOutlines), end, wanted, [&](const auto& outline, uint32_t value) { return key(outline) < value; });
  return found != end && key(*found) == wanted ? found : nullptr;
}

bool is_invisible(uint32_t code) {
  return code == 0xAD || code == 0xFEFF || (code >= 0x200B && code <= 0x200F) || (code >= 0x2060 && code <= 0x2064) || (code >= 0xFE00 && code <= 0xFE0F);
}

GlyphId search_glyph(Weight weight, uint32_t code) {
  if (is_invisible(code)) return {kInvisible, 0.0};
  const page_font::Outline* outline = find_outline(weight, code);
  if (!outline && weight == Weight::kBold) outline = find_outline(Weight::kRegular, code);
  if (!outline) return {kMissing, kMissingAdvance};
  return {static_cast<int16_t>(outline - page_font::kOutlines), static_cast<double>(outline->advance) / page_font::kUnits};
}

// The first 256 code points of both weights.
struct LatinTable {
  LatinTable() {
    for (int weight = 0; weight < 2; ++weight)
      for (uint32_t code = 0; code < 256; ++code) glyphs[static_cast<size_t>(weight)][code] = search_glyph(static_cast<Weight>(weight), code);
  }
  std::array<std::array<GlyphId, 256>, 2> glyphs;
};

Path path_of(const page_font::Outline& outline) {
  Path path;
  const int16_t *at = page_font::kPoints + outline.start, *end = at + outline.size;
  double x = 0, y = 0;
  auto point = [&] {
    x += *at++, y += *at++;
    return Point{x / page_font::kUnits, -y / page_font::kUnits};
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

// A hollow box.
Path box_path(double line) {
  constexpr double kSide = 0.06;
  Path path;
  auto ring = [&path](double left, double top, double right, double bottom, bool is_hole) {
    path.move({left, top});
    path.line(is_hole ? Point{left, bottom} : Point{right, top});
    path.line({right, bottom});
    path.line(is_hole ? Point{right, top} : Point{left, bottom});
    path.line({left, top});
  };
  ring(kSide, -kMissingHeight, kMissingAdvance - kSide, 0, false);
  ring(kSide + line, line - kMissingHeight, kMissingAdvance - kSide - line, -line, true);
  return path;
}

}  // namespace

GlyphId find_glyph(Weight weight, uint32_t code) {
  static const LatinTable table;
  return code < 256 ? table.glyphs[static_cast<size_t>(weight)][code] : search_glyph(weight, code);
}

double baseline_in(double em, double line_height) {
  double ascent = std::floor(em * page_font::kAscent / page_font::kUnits + 0.5), descent = std::floor(em * page_font::kDescent / page_font::kUnits + 0.5);
  return std::floor((line_height - ascent - descent) / 2) + ascent;
}

double text_width(Weight weight, std::string_view words) {
  double width = 0.0;
  each_glyph(weight, words, [&](size_t, size_t, uint32_t, GlyphId glyph) { return width += glyph.advance, true; });
  return width;
}

Letters::Letters(Weight weight, double em) : weight_(weight), em_(em), images_(static_cast<size_t>(kCount + 1) * kPhases) {}

Letters::~Letters() {
  for (auto& image : images_) delete image.load(std::memory_order_relaxed);
}

const GlyphImage& Letters::image(GlyphId glyph, int phase) const {
  auto& slot = images_[static_cast<size_t>(glyph.index == kMissing ? kCount : glyph.index) * kPhases + static_cast<size_t>(phase)];
  if (const GlyphImage* known = slot.load(std::memory_order_acquire)) return *known;
  Path path = glyph.index == kMissing ? box_path(std::max(1.0, em_ / 14.0) / em_) : path_of(page_font::kOutlines[glyph.index]);
  Mask mask = path.placed(static_cast<double>(phase) / kPhases, 0.0, em_, em_).mask();
  auto made = std::make_unique<GlyphImage>(GlyphImage{mask.left, mask.top, mask.width, mask.height, std::make_unique<uint8_t[]>(mask.coverage.size())});
  std::copy(mask.coverage.begin(), mask.coverage.end(), made->coverage.get());
  const GlyphImage* expected = nullptr;
  if (slot.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *expected;  // another thread was faster
}

std::shared_ptr<const Letters> letters_of(Weight weight, double em) {
  static std::mutex mutex;
  static std::vector<std::weak_ptr<const Letters>> known;
  std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.expired(); });
  for (const auto& entry : known)
    if (auto found = entry.lock(); found && found->weight() == weight && found->em() == em) return found;
  auto made = std::make_shared<const Letters>(weight, em);
  known.push_back(made);
  return made;
}

}  // namespace vldac::webshop

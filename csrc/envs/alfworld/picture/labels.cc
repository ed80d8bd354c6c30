#include "envs/alfworld/picture/labels.h"

#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>


namespace vldac::alfworld {
namespace {

constexpr Color kInk{20, 20, 28}, kYellow{255, 226, 110}, kWhite{252, 252, 252}, kPage{245, 243, 236};
constexpr std::array<Color, LabelArt::kNumKinds> kPlates = {kYellow, kYellow, kWhite};

// At the card games' own sizes the font has their words alone.
double em_of(double em) { return em == std::floor(em) ? em + 0.0625 : em; }

struct Digits {
  char text[12];
  size_t length;
  explicit Digits(int number) : length(static_cast<size_t>(std::to_chars(text, text + sizeof text, number).ptr - text)) {}
  operator std::string_view() const { return {text, length}; }
};

// Digits reach from 0.2 to 0.93 of an em below the top of their line.
constexpr double kDigitTop = 0.199, kDigitBottom = 0.929;

}  // namespace

LabelArt::LabelArt(int width, int height, int64_t)
    : width_(width), height_(height),
      ems_{em_of(std::max(10.0, std::min(width, height) * 0.085)), em_of(std::max(9.0, std::min(width, height) * 0.06)),
           em_of(std::max(8.0, std::min(width, height) * 0.035))},
      text_em_(em_of(std::max(8.5, std::min(width, height) * 0.04))), small_em_(em_of(std::max(7.0, std::min(width, height) * 0.031))),
      digits_{GlyphSet(Weight::kBold, ems_[0]), GlyphSet(Weight::kBold, ems_[1]), GlyphSet(Weight::kBold, ems_[2])},
      text_(Weight::kRegular, text_em_), small_(Weight::kRegular, small_em_),
      blends_{Blend(kPlates[0], kInk), Blend(kPlates[1], kInk), Blend(kPlates[2], kInk)},
      text_blend_(kPage, kInk) {}

LabelArt::Box LabelArt::plate_box(Kind kind, int number, double x, double y) const {
  double em = ems_[kind];
  int margin = em >= 11 ? 2 : 1;
  int wide = static_cast<int>((digits_[kind].advance(Digits(number)) + 63) / 64) + 2 * margin;
  int high = static_cast<int>(std::ceil(em * (kDigitBottom - kDigitTop))) + 2 * margin;
  int left = std::clamp(static_cast<int>(std::floor(x - wide / 2.0 + 0.5)), 0, std::max(0, width_ - wide));
  int top = std::clamp(static_cast<int>(std::floor(y - high / 2.0 + 0.5)), 0, std::max(0, height_ - high));
  return {left, top, left + wide, top + high};
}

void LabelArt::draw_plate(const Picture& picture, Kind kind, int number, const Box& box) const {
  fill(picture, box, kPlates[kind]);
  int margin = ems_[kind] >= 11 ? 2 : 1;
  int top = box.top + margin - static_cast<int>(std::floor(ems_[kind] * kDigitTop));
  digits_[kind].draw(picture, (box.left + margin) * 64, top, blends_[kind], Digits(number));
}

void LabelArt::draw_text(const Picture& picture, int left, int top, int right, std::string_view words) const {
  while (!words.empty() && left + text_width(words) > right) words.remove_suffix(1);
  text_.draw(picture, left * 64, top, text_blend_, words);
}

void LabelArt::fill_page(const Picture& picture, const Box& box) const { fill(picture, box, kPage); }

void LabelArt::draw_small(const Picture& picture, int left, int top, std::string_view words) const {
  small_.draw(picture, left * 64, top - static_cast<int>(std::floor(small_em_ * kDigitTop)), text_blend_, words);
}

void fill(const Picture& picture, const LabelArt::Box& box, Color colour) {
  for (int y = std::max(0, box.top); y < std::min(picture.height, box.bottom); ++y)
    for (int x = std::max(0, box.left); x < std::min(picture.width, box.right); ++x) std::memcpy(picture.at(x, y), colour.data(), 3);
}

const Texture* number_texture(int number) {
  static std::mutex mutex;
  static auto* known = new std::map<int, std::unique_ptr<const Texture>>;
  std::lock_guard lock(mutex);
  auto& found = (*known)[number];
  if (!found) {
    constexpr int kSide = 64;
    Digits digits(number);
    double em = digits.length < 2 ? 60.5 : digits.length == 2 ? 42.5 : 28.5;
    GlyphSet glyphs(Weight::kBold, em);
    Blend blend(kYellow, kInk);
    std::vector<uint8_t> pixels(kSide * kSide * 3), flipped(pixels.size());
    Picture picture{pixels.data(), kSide, kSide};
    fill(picture, {0, 0, kSide, kSide}, kYellow);
    auto top = static_cast<int>(std::floor(kSide / 2.0 - em * (kDigitTop + kDigitBottom) / 2 + 0.5));
    glyphs.draw(picture, (kSide * 64 - glyphs.advance(digits)) / 2, top, blend, digits);
    for (size_t y = 0; y < kSide; ++y) std::copy_n(pixels.data() + (kSide - 1 - y) * kSide * 3, kSide * 3, flipped.data() + y * kSide * 3);
    found = std::make_unique<const Texture>(kSide, kSide, flipped);
  }
  return found.get();
}

}  // namespace vldac::alfworld

// How pages look: type sizes, colours and distances, in CSS pixels. The style sheet of the HTML and the box layout of the picture
// are both made from these numbers, so that a browser puts things where the picture has them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "render/canvas.h"
#include "render/glyphs.h"

namespace vldac::webshop {

// Sizes of letters.
enum class Type : uint8_t { kBody, kSmall, kTitle, kLabel, kStrong, kControl, kPrice, kMain, kScore };

struct TypeFace {
  Weight weight;
  int size, line;  // em and height of a line
};
constexpr std::array<TypeFace, 9> kTypes{{{Weight::kRegular, 14, 20},
                                          {Weight::kRegular, 13, 18},
                                          {Weight::kRegular, 17, 24},
                                          {Weight::kBold, 12, 16},
                                          {Weight::kBold, 14, 20},
                                          {Weight::kBold, 13, 18},
                                          {Weight::kBold, 16, 22},
                                          {Weight::kBold, 24, 32},
                                          {Weight::kBold, 32, 40}}};
constexpr const TypeFace& face_of(Type type) { return kTypes[static_cast<size_t>(type)]; }

// Colours of letters, of what they stand on, and of the line around that.
enum class Tone : uint8_t { kPage, kMuted, kPrice, kLink, kVisited, kNote, kNoteLabel, kButton, kBack, kGo, kBuy, kChip, kChosen, kField };

struct ToneColors {
  Color ink, ground, edge;
};
constexpr Color kWhite{255, 255, 255}, kBrand{31, 95, 168}, kHairline{226, 230, 236};
constexpr std::array<ToneColors, 14> kTones{{{{29, 35, 43}, kWhite, kHairline},
                                             {{93, 102, 115}, kWhite, kHairline},
                                             {{177, 39, 4}, kWhite, kHairline},
                                             {{26, 95, 180}, kWhite, kHairline},
                                             {{107, 63, 160}, kWhite, kHairline},
                                             {{29, 35, 43}, {243, 246, 251}, {190, 204, 224}},
                                             {{58, 99, 156}, {243, 246, 251}, {190, 204, 224}},
                                             {{26, 95, 180}, kWhite, {143, 179, 221}},
                                             {{43, 122, 61}, kWhite, {140, 199, 154}},
                                             {kWhite, kBrand, kBrand},
                                             {{29, 20, 0}, {250, 167, 13}, {201, 130, 0}},
                                             {{29, 35, 43}, {245, 243, 241}, {154, 161, 171}},
                                             {{29, 20, 0}, {255, 226, 138}, {68, 68, 68}},
                                             {{138, 146, 157}, kWhite, {154, 161, 171}}}};
constexpr const ToneColors& colors_of(Tone tone) { return kTones[static_cast<size_t>(tone)]; }

// Distances.
constexpr int kPad = 12;                                   // between the page's edge and what it shows
constexpr int kBand = 6;                                   // the coloured band at the page's top
constexpr int kGap = 10;                                   // between things that stand below each other
constexpr int kBarGap = 8;                                 // between buttons
constexpr int kChipGap = 6;                                // between options
constexpr int kColumnGap = 12;                             // between a picture and the words beside it
constexpr int kButtonPadX = 12, kButtonPadY = 5;           // inside a button's border
constexpr int kChipPadX = 10, kChipPadY = 4;               // inside an option's border
constexpr int kNotePadX = 11, kNotePadY = 7;               // inside the instruction's border
constexpr int kBorder = 1;
constexpr int kButtonRadius = 6, kChipRadius = 14, kNoteRadius = 6, kPictureRadius = 6;
constexpr int kGroupGap = 8, kGroupNameGap = 4;            // between option groups, below a group's name
constexpr int kTitleGap = 2;                               // around a product's title
constexpr int kBulletIndent = 18, kBulletGap = 4;

constexpr int kDefaultWidth = 512;
constexpr int kMinWidth = 160;  // CSS pixels

// Side of the picture of a product, in a list and on its own page.
inline int thumb_side(double css_width) { return std::min(88, static_cast<int>(std::floor((css_width - 2 * kPad) * 0.2))); }
inline int picture_side(double css_width) { return std::min(160, static_cast<int>(std::floor((css_width - 2 * kPad) * 0.34))); }

// A button's looks, by what it says.
inline Tone button_tone(std::string_view label) {
  auto is = [label](std::string_view other) {
    return std::equal(label.begin(), label.end(), other.begin(), other.end(), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
  };
  if (is("buy now")) return Tone::kBuy;
  if (is("search")) return Tone::kGo;
  return is("back to search") ? Tone::kBack : Tone::kButton;
}

}  // namespace vldac::webshop

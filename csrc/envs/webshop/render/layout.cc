#include "envs/webshop/render/layout.h"

#include "envs/webshop/render/breaks.h"
#include "envs/webshop/render/sections.h"
#include "envs/webshop/render/strings.h"
#include "envs/webshop/render/typeface.h"

namespace vldac::webshop {
namespace {

enum class Align : uint8_t { kLeft, kCentre };

constexpr double kTolerance = 1.0 / 64.0;  // browsers reckon in 64ths of a pixel
constexpr double kUnlimited = 1e9;

// Breaks `words` into lines of at most `room` ems: calls `visit(line, width)` for each; a word that is wider than a line is broken
// anywhere. Returns how many code points are outside the font.
template <class Visit>
int64_t each_text_line(Weight weight, std::string_view words, double room, double tolerance, Visit&& visit) {
  int64_t missing = 0;
  size_t start = 0, counted = 0;  // code points before `counted` have been looked at once
  while (start < words.size()) {
    size_t line_end = start, next = start;  // the line that ends at the last opportunity, and where the following one begins
    size_t ink_end = start;                 // end of the last sign that is not a blank
    double width = 0.0, ink_width = 0.0, line_width = 0.0;
    uint32_t before = 0, left = 0;
    bool is_full = false, was_blank = false;
    each_glyph(weight, words.substr(start), [&](size_t from, size_t until, uint32_t code, GlyphId glyph) {
      from += start, until += start;
      if (code == ' ') {
        if (ink_end != start) width += glyph.advance;
        was_blank = true;
        return true;
      }
      if (ink_end == start) width = 0.0;  // blanks at a line's start are not shown
      if (ink_end != start && (was_blank || may_break(before, left, code))) line_end = ink_end, next = from, line_width = ink_width;
      if (ink_end != start && width + glyph.advance > room + tolerance) {
        if (next == start) line_end = ink_end, next = from, line_width = ink_width;
        is_full = true;
        return false;
      }
      if (from >= counted) {
        counted = until;
        missing += glyph.index == kMissing;
      }
      width += glyph.advance;
      ink_end = until, ink_width = width;
      before = was_blank ? 0 : left, left = code;
      was_blank = false;
      return true;
    });
    if (!is_full) line_end = ink_end, line_width = ink_width, next = words.size();
    if (line_end > start) visit(stripped(words.substr(start, line_end - start)), line_width);
    start = next;
  }
  return missing;
}

}  // namespace

void write_command(const Page& page, const Clickable& clickable, std::string& out) {
  const Block& block = page.blocks[clickable.block];
  out.clear();
  if (clickable.choice >= 0) {
    out.append(kClick).append(block.choices[static_cast<size_t>(clickable.choice)].value).append("]");
  } else if (!block.command.empty()) {
    out.append(block.command);
  } else if (block.kind == BlockKind::kSearchBar) {
    out.append(kSearchCommand);
  } else {
    out.append(kClick).append(block.text).append("]");
  }
}

// Puts the sections of one page below each other.
class Flow {
 public:
  Flow(const Page& page, Layout& out) : page_(page), out_(out), inner_(out.width_ - 2 * kPad) {}

  void run() {
    out_.rules_.push_back({{0, 0, out_.width_, kBand}, kBrand});
    y_ = kBand + kPad;
    bool is_first = true, was_product = false;
    each_section(page_, [&](const Section& section) {
      bool is_product = section.kind == SectionKind::kProduct;
      if (!is_first && !(is_product && was_product)) y_ += kGap;
      is_first = false, was_product = is_product;
      switch (section.kind) {
        case SectionKind::kBar: bar(section); break;
        case SectionKind::kProduct: product(section); break;
        case SectionKind::kItem: item(section); break;
        case SectionKind::kSingle: y_ += single(section.first, kPad, y_, inner_, false); break;
      }
    });
    out_.height_ = y_ + kPad;
  }

 private:
  const Block& block(size_t i) const { return page_.blocks[i]; }
  static double em(Type type) { return face_of(type).size; }

  double width_of(Type type, std::string_view words) const { return text_width(face_of(type).weight, words) * em(type); }

  // Text from (x, y) on, at most `room` wide; returns its height. `widest`, where given, gets the width of its longest line.
  double text(Type type, Tone tone, std::string_view words, double x, double y, double room, Align align = Align::kLeft, double* widest = nullptr) {
    const TypeFace& face = face_of(type);
    double size = face.size, top = y, baseline = baseline_in(size, face.line);
    double longest = 0.0;
    out_.missing_glyphs_ += each_text_line(face.weight, words, room / size, kTolerance / size, [&](std::string_view line, double width) {
      width *= size;
      longest = std::max(longest, width);
      out_.runs_.push_back({line, align == Align::kCentre ? x + (room - width) / 2 : x, y + baseline, type, tone});
      y += face.line;
    });
    if (widest) *widest = longest;
    return y - top;
  }

  void clickable(size_t i, int32_t choice, const Rect& rect) { out_.clickables_.push_back({static_cast<uint32_t>(i), choice, rect}); }

  Rect button(size_t i, double x, double y) {
    std::string_view words = block(i).text;
    Tone tone = button_tone(words);
    Rect rect{x, y, width_of(Type::kControl, words) + 2 * (kButtonPadX + kBorder), button_height()};
    out_.panels_.push_back({rect, tone, kButtonRadius});
    text(Type::kControl, tone, words, x + kButtonPadX + kBorder, y + kButtonPadY + kBorder, kUnlimited);
    clickable(i, -1, rect);
    return rect;
  }
  static double button_height() { return face_of(Type::kControl).line + 2 * (kButtonPadY + kBorder); }
  double button_width(size_t i) const { return width_of(Type::kControl, block(i).text) + 2 * (kButtonPadX + kBorder); }

  // Buttons from left to right, in as many rows as they need. A search bar takes the room that its buttons leave.
  void bar(const Section& section) {
    double x = kPad, y = y_;
    for (size_t i = section.first; i < section.last; ++i) {
      if (block(i).kind == BlockKind::kSearchBar) {
        if (x > kPad) x = kPad, y += button_height() + kBarGap;
        size_t last = i + 1;
        double taken = 0.0;
        for (; last < section.last && block(last).kind == BlockKind::kButton; ++last) taken += kBarGap + button_width(last);
        field(i, {kPad, y, std::max(0.0, inner_ - taken), button_height()});
        x = kPad + std::max(0.0, inner_ - taken) + kBarGap;
        for (size_t j = i + 1; j < last; ++j) x = button(j, x, y).right() + kBarGap;
        i = last - 1;
        continue;
      }
      if (x > kPad && x + button_width(i) > kPad + inner_ + kTolerance) x = kPad, y += button_height() + kBarGap;
      x = button(i, x, y).right() + kBarGap;
    }
    y_ = y + button_height();
  }
  void field(size_t i, const Rect& rect) {
    out_.panels_.push_back({rect, Tone::kField, kButtonRadius});
    text(Type::kSmall, Tone::kField, block(i).text, rect.x + kButtonPadX + kBorder, rect.y + kButtonPadY + kBorder, kUnlimited);
    clickable(i, -1, rect);
  }

  void product(const Section& section) {
    double side = thumb_side(out_.width_), top = y_ + kBorder + kGap, x = kPad, height = 0.0;
    out_.rules_.push_back({{kPad, y_, inner_, kBorder}, kHairline});
    for (size_t i = section.first; i < section.last; ++i)
      if (block(i).kind == BlockKind::kImage) {
        out_.photos_.push_back({static_cast<uint32_t>(i), title_of(page_, section), {x, top, side, side}});
        x += side + kColumnGap;
        height = side;
      }
    double y = top, room = kPad + inner_ - x;
    for (size_t i = section.first; i < section.last; ++i) {
      const Block& part = block(i);
      if (part.kind == BlockKind::kProductLink) {
        double widest = 0.0;
        double link_height = text(Type::kControl, part.is_visited ? Tone::kVisited : Tone::kLink, part.text, x, y, room, Align::kLeft, &widest);
        clickable(i, -1, {x, y, widest, link_height});
        y += link_height;
      } else if (part.kind == BlockKind::kHeading) {
        y += kTitleGap;
        y += text(Type::kBody, Tone::kPage, part.text, x, y, room) + kTitleGap;
      } else if (part.kind != BlockKind::kImage) {
        y += single(i, x, y, room, true);
      }
    }
    y_ = top + std::max(height, y - top) + kGap;
  }

  void item(const Section& section) {
    double side = picture_side(out_.width_), x = kPad + side + kColumnGap, top = y_;
    size_t at = section.first;
    out_.photos_.push_back({static_cast<uint32_t>(at++), title_of(page_, section), {kPad, top, side, side}});
    size_t options = at;
    while (at < section.last && block(at).kind == BlockKind::kOptionGroup) ++at;
    double y = top;
    size_t facts = at;
    for (; at < section.last; ++at) y += single(at, x, y, kPad + inner_ - x, true);
    y_ = top + std::max(side, y - top);
    if (options == facts) return;
    y_ += kGap;
    for (size_t i = options; i < facts; ++i) {
      if (i > options) y_ += kGroupGap;
      y_ += option_group(i, kPad, y_, inner_);
    }
  }

  double option_group(size_t i, double left, double top, double room) {
    double y = top + text(Type::kSmall, Tone::kMuted, block(i).text, left, top, room) + kGroupNameGap;
    constexpr double kFrame = 2 * (kChipPadX + kBorder);
    double x = left, row_height = 0.0;
    for (size_t choice = 0; choice < block(i).choices.size(); ++choice) {
      std::string_view value = block(i).choices[choice].value;
      Tone tone = block(i).choices[choice].is_selected ? Tone::kChosen : Tone::kChip;
      double width = std::min(room, width_of(Type::kSmall, value) + kFrame);
      if (x > left && x + width > left + room + kTolerance) x = left, y += row_height + kChipGap, row_height = 0.0;
      size_t panel = out_.panels_.size();
      out_.panels_.push_back({{x, y, width, 0}, tone, kChipRadius});
      double height = text(Type::kSmall, tone, value, x + kChipPadX + kBorder, y + kChipPadY + kBorder, width - kFrame) + 2 * (kChipPadY + kBorder);
      out_.panels_[panel].rect.height = height;
      clickable(i, static_cast<int32_t>(choice), out_.panels_[panel].rect);
      row_height = std::max(row_height, height);
      x += width + kChipGap;
    }
    return y + row_height - top;
  }

  double note(std::string_view words, double x, double y, double room) {
    size_t panel = out_.panels_.size();
    out_.panels_.push_back({{x, y, room, 0}, Tone::kNote, kNoteRadius});
    double left = x + kNotePadX + kBorder, inside = room - 2 * (kNotePadX + kBorder), at = y + kNotePadY + kBorder;
    at += text(Type::kLabel, Tone::kNoteLabel, kInstructionLabel, left, at, inside);
    at += text(Type::kBody, Tone::kNote, words, left, at, inside);
    out_.panels_[panel].rect.height = at + kNotePadY + kBorder - y;
    return out_.panels_[panel].rect.height;
  }

  double list(std::string_view lines, double x, double y, double room) {
    double top = y;
    each_line(lines, [&](std::string_view line) {
      if (y > top) y += kBulletGap;
      out_.bullets_.push_back({x + kBulletIndent / 2.0, y + face_of(Type::kBody).line / 2.0});
      y += std::max<double>(face_of(Type::kBody).line, text(Type::kBody, Tone::kPage, line, x + kBulletIndent, y, room - kBulletIndent));
    });
    return y - top;
  }

  // One block of its own; returns its height.
  double single(size_t i, double x, double y, double room, bool is_fact) {
    const Block& part = block(i);
    bool is_sub = page_.kind == PageKind::kItemSub, is_done = page_.kind == PageKind::kDone;
    switch (part.kind) {
      case BlockKind::kInstruction: return note(part.text, x, y, room);
      case BlockKind::kHeading:
        if (is_fact) return text(Type::kTitle, Tone::kPage, part.text, x, y, room);
        return is_sub ? text(Type::kSmall, Tone::kMuted, part.text, x, y, room) : text(Type::kMain, Tone::kPage, part.text, x, y, room, Align::kCentre);
      case BlockKind::kText:
        if (is_fact) return text(Type::kSmall, Tone::kMuted, part.text, x, y, room);
        return text(Type::kBody, is_done ? Tone::kMuted : Tone::kPage, part.text, x, y, room, is_done ? Align::kCentre : Align::kLeft);
      case BlockKind::kPrice: return text(Type::kPrice, Tone::kPrice, part.text, x, y, room);
      case BlockKind::kPageNumber: return text(Type::kStrong, Tone::kPage, part.text, x, y, room);
      case BlockKind::kImage: {
        double side = thumb_side(out_.width_);
        out_.photos_.push_back({static_cast<uint32_t>(i), {}, {x, y, side, side}});
        return side;
      }
      case BlockKind::kOptionGroup: return option_group(i, x, y, room);
      case BlockKind::kList: return list(part.text, x, y, room);
      case BlockKind::kScore: {
        double height = text(Type::kBody, Tone::kMuted, kScoreLabel, x, y, room, Align::kCentre) + kGap;
        return height + text(Type::kScore, Tone::kPage, part.text, x, y + height, room, Align::kCentre);
      }
      default: return 0.0;  // buttons, search bars and product links begin sections of their own
    }
  }

  const Page& page_;
  Layout& out_;
  double inner_, y_ = 0.0;
};

void Layout::arrange(const Page& page, double css_width) {
  width_ = std::max<double>(kMinWidth, css_width);
  height_ = 0, missing_glyphs_ = 0;
  runs_.clear(), panels_.clear(), rules_.clear(), bullets_.clear(), photos_.clear(), clickables_.clear();
  Flow(page, *this).run();
}

}  // namespace vldac::webshop

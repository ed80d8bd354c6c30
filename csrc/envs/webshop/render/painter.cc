#include "envs/webshop/render/painter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "render/shapes.h"

namespace vldac::webshop {
namespace {

constexpr double kMinZoom = 0.6, kMinBody = 8.0;  // pixels of the smallest body text that shrinking leaves
constexpr std::array<double, 4> kSteps{1.0, 0.875, 0.75, 0.625};
constexpr int kMaxHeight = 16384;
constexpr size_t kMaxShapes = 8;  // sizes that a painter remembers
constexpr Color kMark{214, 0, 120};

int rounded(double value) { return static_cast<int>(std::floor(value + 0.5)); }

void fill(const Picture& picture, int left, int top, int right, int bottom, Color color) {
  left = std::max(0, left), right = std::min(picture.width, right);
  for (int y = std::max(0, top); y < std::min(picture.height, bottom); ++y) {
    uint8_t* at = picture.at(left, y);
    for (int x = left; x < right; ++x, at += 3) std::memcpy(at, color.data(), 3);
  }
}

Color mix(Color from, Color to, int coverage) { return {mixed(from[0], to[0], coverage), mixed(from[1], to[1], coverage), mixed(from[2], to[2], coverage)}; }

// The upper left quarter of a disc: coverage [side][side].
struct Corner {
  int radius = 0, side = 0;
  std::vector<uint8_t> outer, inner;  // the frame's outline, and that of the field inside it
};

std::vector<uint8_t> quarter(int side, int inset) {
  std::vector<uint8_t> coverage(static_cast<size_t>(side) * static_cast<size_t>(side), 255);
  Mask mask = circle(side, side, side - inset).mask();
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      int row = y - mask.top, column = x - mask.left;
      bool is_inside = row >= 0 && row < mask.height && column >= 0 && column < mask.width;
      coverage[static_cast<size_t>(y * side + x)] = is_inside ? mask.coverage[static_cast<size_t>(row * mask.width + column)] : 0;
    }
  return coverage;
}

// Letters of one tone on their ground, by coverage.
using InkTable = std::array<Color, 256>;

const InkTable& ink_table(Tone tone) {
  static const auto made = [] {
    std::array<InkTable, kTones.size()> tables;
    for (size_t i = 0; i < tables.size(); ++i)
      for (int coverage = 0; coverage < 256; ++coverage) tables[i][static_cast<size_t>(coverage)] = mix(kTones[i].ground, kTones[i].ink, coverage);
    return tables;
  }();
  return made[static_cast<size_t>(tone)];
}

void draw_glyph(const Picture& picture, int left, int top, const GlyphImage& image, const InkTable& ink) {
  left += image.left, top += image.top;
  int from = std::max(0, -left), until = std::min(image.width, picture.width - left);
  for (int y = std::max(0, -top); y < std::min(image.height, picture.height - top); ++y) {
    const uint8_t* coverage = image.coverage.get() + y * image.width;
    uint8_t* row = picture.at(left, top + y);
    for (int x = from; x < until; ++x)
      if (coverage[x]) std::memcpy(row + x * 3, ink[coverage[x]].data(), 3);
  }
}

}  // namespace

struct Painter::Shape {
  explicit Shape(double of_zoom) : zoom(of_zoom), border(std::max(1, rounded(kBorder * of_zoom))) {
    for (size_t i = 0; i < kTypes.size(); ++i) letters[i] = letters_of(kTypes[i].weight, kTypes[i].size * zoom);
    for (int radius : {kButtonRadius, kChipRadius}) {
      int side = std::max(1, rounded(radius * zoom));
      corners.push_back({radius, side, quarter(side, 0), quarter(side, border)});
    }
  }
  const Corner& corner(int radius) const { return radius == corners[0].radius ? corners[0] : corners[1]; }

  double zoom;
  int border;
  std::array<std::shared_ptr<const Letters>, kTypes.size()> letters;
  std::vector<Corner> corners;
};

double Painter::zoom_for(int width) { return std::max(kMinZoom, static_cast<double>(width) / kDefaultWidth); }

const Painter::Shape& Painter::shape_of(double zoom) {
  for (const auto& shape : shapes_)
    if (shape->zoom == zoom) return *shape;
  if (shapes_.size() >= kMaxShapes) shapes_.erase(shapes_.begin());
  auto made = std::make_shared<Shape>(zoom);
  shapes_.push_back(made);
  return *made;
}

const Icons& Painter::icons_at(int side) {
  for (const auto& icons : icons_)
    if (icons->side() == side) return *icons;
  if (icons_.size() >= kMaxShapes) icons_.erase(icons_.begin());
  icons_.push_back(icons_of(side));
  return *icons_.back();
}

int Painter::pixel(double css) const { return rounded(css * zoom_); }

int Painter::full_height(const Page& page, int width) {
  if (width < 1) throw std::invalid_argument("picture: expected a width of at least 1");
  zoom_ = base_zoom(width);
  layout_.arrange(page, width / zoom_);
  return std::clamp(pixel(layout_.height()), 1, kMaxHeight);
}

void Painter::choose_zoom(const Page& page, int width, int height) {
  double base = base_zoom(width);
  for (double step : kSteps) {
    double zoom = base * step;
    bool is_too_small = zoom * face_of(Type::kBody).size < kMinBody;
    if (step < 1.0 && (is_too_small || !options_.shrinks)) return;
    zoom_ = zoom;
    layout_.arrange(page, width / zoom_);
    if (pixel(layout_.height()) <= height) return;
  }
}

void Painter::draw(const Page& page, uint8_t* pixels, int width, int height, int marked) {
  if (width < 1 || height < 1) throw std::invalid_argument("picture: expected a width and a height of at least 1");
  choose_zoom(page, width, height);
  const Shape& shape = shape_of(zoom_);
  Picture picture{pixels, width, height};
  std::memset(pixels, 255, static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  is_cut_ = pixel(layout_.height()) > height;
  shown_height_ = is_cut_ ? std::max(0, height - pixel(face_of(Type::kLabel).line + 2 * kTitleGap + kBorder)) : height;
  Picture shown{pixels, width, shown_height_};
  for (const Rule& rule : layout_.rules()) {
    int top = pixel(rule.rect.y);
    fill(shown, pixel(rule.rect.x), top, pixel(rule.rect.right()), std::max(top + 1, pixel(rule.rect.bottom())), rule.color);
  }
  for (const Panel& panel : layout_.panels()) paint_panel(shown, shape, panel);
  for (const Photo& photo : layout_.photos()) paint_photo(shown, shape, page, photo);
  for (const Bullet& bullet : layout_.bullets()) {
    int side = std::max(2, pixel(4)), x = pixel(bullet.x), y = pixel(bullet.y);
    fill(shown, x - side / 2, y - side / 2, x - side / 2 + side, y - side / 2 + side, colors_of(Tone::kMuted).ink);
  }
  for (const Run& run : layout_.runs()) paint_run(shown, *shape.letters[static_cast<size_t>(run.type)], run);
  if (is_cut_) paint_cut(picture, shape);
  if (marked >= 0 && static_cast<size_t>(marked) < layout_.clickables().size()) paint_mark(picture, box(static_cast<size_t>(marked)));
}

PixelBox Painter::box(size_t clickable) const {
  const Rect& rect = layout_.clickables().at(clickable).rect;
  int left = pixel(rect.x), top = pixel(rect.y), right = pixel(rect.right()), bottom = pixel(rect.bottom());
  return {left, top, right - left, bottom - top, bottom <= shown_height_};
}

void Painter::paint_panel(const Picture& picture, const Shape& shape, const Panel& panel) const {
  const ToneColors& tone = colors_of(panel.tone);
  int left = pixel(panel.rect.x), top = pixel(panel.rect.y), right = pixel(panel.rect.right()), bottom = pixel(panel.rect.bottom());
  if (top >= picture.height) return;
  int border = shape.border;
  fill(picture, left, top, right, bottom, tone.edge);
  fill(picture, left + border, top + border, right - border, bottom - border, tone.ground);
  const Corner& corner = shape.corner(panel.radius);
  int side = std::min({corner.side, (right - left) / 2, (bottom - top) / 2});
  auto put = [&](int x, int y, Color color) {
    if (x >= 0 && x < picture.width && y >= 0 && y < picture.height) std::memcpy(picture.at(x, y), color.data(), 3);
  };
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      size_t at = static_cast<size_t>(y * corner.side + x);
      if (corner.inner[at] == 255) continue;
      Color color = mix(mix(kWhite, tone.edge, corner.outer[at]), tone.ground, corner.inner[at]);
      put(left + x, top + y, color), put(right - 1 - x, top + y, color);
      put(left + x, bottom - 1 - y, color), put(right - 1 - x, bottom - 1 - y, color);
    }
}

void Painter::paint_run(const Picture& picture, const Letters& letters, const Run& run) const {
  int baseline = pixel(run.baseline);
  if (baseline - static_cast<int>(letters.em() * 2) > picture.height) return;
  const InkTable& ink = ink_table(run.tone);
  double pen = run.x * zoom_ * Letters::kPhases;
  each_glyph(letters.weight(), run.words, [&](size_t, size_t, uint32_t code, GlyphId glyph) {
    if (code != ' ' && glyph.index != kInvisible) {
      int at = rounded(pen), phase = at & (Letters::kPhases - 1);
      draw_glyph(picture, (at - phase) / Letters::kPhases, baseline, letters.image(glyph, phase), ink);
    }
    pen += glyph.advance * letters.em() * Letters::kPhases;
    return pen < static_cast<double>(picture.width) * Letters::kPhases;
  });
}

void Painter::paint_photo(const Picture& picture, const Shape& shape, const Page& page, const Photo& photo) {
  int left = pixel(photo.rect.x), top = pixel(photo.rect.y), side = pixel(photo.rect.width);
  if (top >= picture.height || side < 1) return;
  const Block& image = page.blocks[photo.block];
  if (!options_.photos || !options_.photos->draw(picture, left, top, side, image.product)) icons_at(side).draw(picture, left, top, image, photo.title);
  const Corner& corner = shape.corner(kPictureRadius);
  int size = std::min(corner.side, side / 2);
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      int coverage = corner.outer[static_cast<size_t>(y * corner.side + x)];
      if (coverage == 255) continue;
      for (auto [at_x, at_y] : {std::pair{left + x, top + y}, {left + side - 1 - x, top + y}, {left + x, top + side - 1 - y}, {left + side - 1 - x, top + side - 1 - y}}) {
        if (at_x < 0 || at_x >= picture.width || at_y < 0 || at_y >= picture.height) continue;
        uint8_t* pixel = picture.at(at_x, at_y);
        for (size_t c = 0; c < 3; ++c) pixel[c] = mixed(255, pixel[c], coverage);
      }
    }
}

void Painter::paint_cut(const Picture& picture, const Shape& shape) {
  int64_t hidden = 0;
  for (size_t i = 0; i < layout_.clickables().size(); ++i) hidden += !box(i).is_visible;
  cut_words_.assign("\xE2\x86\x93 the page goes on below: ").append(std::to_string(hidden)).append(hidden == 1 ? " more button" : " more buttons");
  const ToneColors& tone = colors_of(Tone::kNote);
  fill(picture, 0, shown_height_, picture.width, picture.height, tone.ground);
  fill(picture, 0, shown_height_, picture.width, shown_height_ + shape.border, tone.edge);
  const TypeFace& face = face_of(Type::kLabel);
  double width = text_width(face.weight, cut_words_) * face.size;
  double baseline = shown_height_ / zoom_ + kBorder + kTitleGap + baseline_in(face.size, face.line);
  paint_run(picture, *shape.letters[static_cast<size_t>(Type::kLabel)], {cut_words_, std::max(0.0, (layout_.width() - width) / 2), baseline, Type::kLabel, Tone::kNoteLabel});
}

void Painter::paint_mark(const Picture& picture, const PixelBox& box) const {
  int thick = std::max(2, rounded(3 * zoom_)), gap = std::max(1, rounded(2 * zoom_));
  int left = box.x - gap, top = box.y - gap, right = box.x + box.width + gap, bottom = box.y + box.height + gap;
  fill(picture, left - thick, top - thick, right + thick, top, kMark);
  fill(picture, left - thick, bottom, right + thick, bottom + thick, kMark);
  fill(picture, left - thick, top, left, bottom, kMark);
  fill(picture, right, top, right + thick, bottom, kMark);
}

}  // namespace vldac::webshop

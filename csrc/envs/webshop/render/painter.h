// A page as a picture, with the box of everything that can be clicked. One painter per environment: it keeps its layout and the
// letters of the sizes that it has used. What it reads is shared by all painters.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "envs/webshop/page.h"
#include "envs/webshop/render/art.h"
#include "envs/webshop/render/layout.h"
#include "envs/webshop/render/photos.h"
#include "envs/webshop/render/typeface.h"

namespace vldac::webshop {

struct PixelBox {  // of a clickable, in pixels of the picture
  int x = 0, y = 0, width = 0, height = 0;
  bool is_visible = true;  // all of it is in the picture
};

struct PainterOptions {
  // Picture pixels per CSS pixel; 0: as the width needs it (zoom_for).
  double zoom = 0.0;
  // Pages that are taller than the picture are drawn smaller, in steps of an eighth down to 5/8 and to letters of 8 pixels, as a
  // reader would zoom out. What still does not fit is cut off, and a strip at the bottom says so.
  bool shrinks = true;
  std::shared_ptr<const PhotoSet> photos;  // where a product has none, or there is no set: drawings
};

class Painter {
 public:
  explicit Painter(PainterOptions options = {}) : options_(std::move(options)) {}

  // 1 for a width of 512; a narrow picture gets a narrow window instead of tiny letters.
  static double zoom_for(int width);

  // Height in pixels of the whole page at this width, without shrinking.
  int full_height(const Page& page, int width);

  // pixels: [height][width][3]. `marked`: the index of a clickable to draw a frame around; -1 for none. Throws
  // std::invalid_argument for a width or height below 1.
  void draw(const Page& page, uint8_t* pixels, int width, int height, int marked = -1);

  // Of the last page that was drawn.
  double zoom() const { return zoom_; }
  const Layout& layout() const { return layout_; }
  PixelBox box(size_t clickable) const;
  bool is_cut() const { return is_cut_; }

 private:
  struct Shape;  // letters, corners and icons of one zoom
  const Shape& shape_of(double zoom);
  double base_zoom(int width) const { return options_.zoom > 0.0 ? options_.zoom : zoom_for(width); }
  void choose_zoom(const Page& page, int width, int height);
  int pixel(double css) const;
  void paint_panel(const Picture& picture, const Shape& shape, const Panel& panel) const;
  void paint_run(const Picture& picture, const Letters& letters, const Run& run) const;
  void paint_photo(const Picture& picture, const Shape& shape, const Page& page, const Photo& photo);
  const Icons& icons_at(int side);
  void paint_cut(const Picture& picture, const Shape& shape);
  void paint_mark(const Picture& picture, const PixelBox& box) const;

  PainterOptions options_;
  Layout layout_;
  double zoom_ = 1.0;
  int shown_height_ = 0;
  bool is_cut_ = false;
  std::string cut_words_;
  std::vector<std::shared_ptr<const Shape>> shapes_;
  std::vector<std::shared_ptr<const Icons>> icons_;
};

}  // namespace vldac::webshop

// Where everything of a page stands, in CSS pixels from its upper left corner: block flow, wrapped text, flexible rows and one
// two-column grid, by the numbers of style.h. A Layout is reused: in the steady state nothing is allocated. It points into the
// page that it was made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "envs/webshop/page.h"
#include "envs/webshop/render/style.h"

namespace vldac::webshop {

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

struct Run {  // one line of text
  std::string_view words;
  double x, baseline;
  Type type;
  Tone tone;
};
struct Panel {  // a bordered, rounded field
  Rect rect;
  Tone tone;
  int radius;
};
struct Rule {  // a filled rectangle
  Rect rect;
  Color color;
};
struct Bullet {
  double x, y;
};
struct Photo {
  uint32_t block;
  std::string_view title;  // of the product, where one stands beside the picture
  Rect rect;
};
struct Clickable {
  uint32_t block;
  int32_t choice;  // of an option group; -1 otherwise
  Rect rect;
};

// What a click on it says; "search[...]" for the search bar.
void write_command(const Page& page, const Clickable& clickable, std::string& out);

class Layout {
 public:
  // Lays the page out for a window of `css_width` pixels.
  void arrange(const Page& page, double css_width);

  double width() const { return width_; }
  double height() const { return height_; }
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<Panel>& panels() const { return panels_; }
  const std::vector<Rule>& rules() const { return rules_; }
  const std::vector<Bullet>& bullets() const { return bullets_; }
  const std::vector<Photo>& photos() const { return photos_; }
  const std::vector<Clickable>& clickables() const { return clickables_; }  // in reading order
  int64_t missing_glyphs() const { return missing_glyphs_; }                 // code points outside the font

 private:
  friend class Flow;
  double width_ = 0, height_ = 0;
  int64_t missing_glyphs_ = 0;
  std::vector<Run> runs_;
  std::vector<Panel> panels_;
  std::vector<Rule> rules_;
  std::vector<Bullet> bullets_;
  std::vector<Photo> photos_;
  std::vector<Clickable> clickables_;
};

}  // namespace vldac::webshop

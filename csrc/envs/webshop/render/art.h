// A drawing for every product, made of nothing but its asin, its title, its category and the options that are selected: the icon goes by
// what the title names, the colours by the first colour that an option or the title names, else by a hash of the asin. The
// catalogue's own pictures are on the network; these are on every machine and always the same.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "envs/webshop/page.h"
#include "envs/webshop/render/icon_shapes.h"
#include "render/sprite.h"

namespace vldac::webshop {

// The first colour that is named in `words`, such as "navy blue stripes". False where there is none.
bool find_color(std::string_view words, Color& color);

// The icons at one size in pixels.
class Icons {
 public:
  explicit Icons(int side);
  int side() const { return side_; }
  // Draws the product of an image block with its upper left corner at (left, top), cut off at the picture's edges.
  void draw(const Picture& picture, int left, int top, const Block& image, std::string_view title) const;

 private:
  int side_;
  std::vector<Icon> icons_;
};

// The same object for the same size as long as somebody holds it.
std::shared_ptr<const Icons> icons_of(int side);

}  // namespace vldac::webshop

// Pictures of products that somebody has on disk, decoded and made small by Python (envs/webshop/images.py). Read by all threads;
// filled before it is shared.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "render/sprite.h"

namespace vldac::webshop {

class PhotoSet {
 public:
  static constexpr int kMaxSide = 512;

  // rgb: [height][width][3]. A product that is added again replaces the earlier picture. Throws std::invalid_argument.
  void add(const std::string& product, int width, int height, std::span<const uint8_t> rgb);
  size_t size() const { return photos_.size(); }
  size_t bytes() const { return bytes_; }

  // Draws the product's picture as large as it fits into a white square, its shape kept; false where there is none.
  bool draw(const Picture& picture, int left, int top, int side, const std::string& product) const;

 private:
  struct Photo {
    int width, height;
    std::vector<uint8_t> rgb;
  };
  std::unordered_map<std::string, Photo> photos_;
  size_t bytes_ = 0;
};

}  // namespace vldac::webshop

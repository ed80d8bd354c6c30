#include "envs/webshop/render/photos.h"

#include <algorithm>
#include <array>

namespace vldac::webshop {

void PhotoSet::add(const std::string& product, int width, int height, std::span<const uint8_t> rgb) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide)
    throw std::invalid_argument("photo of " + product + ": expected 1 to " + std::to_string(kMaxSide) + " pixels a side, got " + std::to_string(width) + "x" +
                                std::to_string(height));
  if (rgb.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3)
    throw std::invalid_argument("photo of " + product + ": expected width * height * 3 bytes, got " + std::to_string(rgb.size()));
  Photo& photo = photos_[product];
  bytes_ += rgb.size();
  bytes_ -= photo.rgb.size();
  photo = {width, height, {rgb.begin(), rgb.end()}};
}

bool PhotoSet::draw(const Picture& picture, int left, int top, int side, const std::string& product) const {
  auto found = photos_.find(product);
  if (found == photos_.end()) return false;
  const Photo& photo = found->second;
  int longest = std::max(photo.width, photo.height);
  int width = std::max(1, photo.width * side / longest), height = std::max(1, photo.height * side / longest);
  int x0 = (side - width) / 2, y0 = (side - height) / 2;
  for (int y = std::max(0, -top); y < std::min(side, picture.height - top); ++y) {
    for (int x = std::max(0, -left); x < std::min(side, picture.width - left); ++x) {
      uint8_t* pixel = picture.at(left + x, top + y);
      int column = x - x0, row = y - y0;
      if (column < 0 || column >= width || row < 0 || row >= height) {
        std::fill_n(pixel, 3, uint8_t{255});
        continue;
      }
      // The mean of the pixels of the photo that this one covers.
      int first_x = column * photo.width / width, last_x = std::max(first_x + 1, (column + 1) * photo.width / width);
      int first_y = row * photo.height / height, last_y = std::max(first_y + 1, (row + 1) * photo.height / height);
      std::array<int, 3> total{};
      for (int from_y = first_y; from_y < last_y; ++from_y)
        for (int from_x = first_x; from_x < last_x; ++from_x)
          for (size_t c = 0; c < 3; ++c) total[c] += photo.rgb[(static_cast<size_t>(from_y) * static_cast<size_t>(photo.width) + static_cast<size_t>(from_x)) * 3 + c];
      int count = (last_x - first_x) * (last_y - first_y);
      for (size_t c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>((total[c] + count / 2) / count);
    }
  }
  return true;
}

}  // namespace vldac::webshop

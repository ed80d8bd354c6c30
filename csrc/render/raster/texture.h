// A picture on a surface, with its smaller copies (mip levels). Immutable and shared by all environments.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vldac {

class Texture {
 public:
  // rgb: [height][width][3], the bottom row first. Throws std::invalid_argument unless sizes are 1 to 4096 and fit the bytes.
  Texture(int width, int height, std::span<const uint8_t> rgb);
  int width() const { return levels_.front().width; }
  int height() const { return levels_.front().height; }
  struct Level {
    int width, height;
    std::vector<uint32_t> texels;  // [height][width], red in the lowest byte, the highest unused
  };
  const std::vector<Level>& levels() const { return levels_; }

 private:
  std::vector<Level> levels_;
};

}  // namespace vldac

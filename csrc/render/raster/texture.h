// A picture on a surface, with its smaller copies (mip levels). Immutable and shared by all environments.
//
// Every row of a level ends with a copy of its first texel, and every level with a copy of its first row: the four neighbours that a
// bilinear filter reads are two pairs in memory, also where the texture repeats. Four texels may be read from any position.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vldac {

class Texture {
 public:
  static constexpr int kMaxSize = 4096;
  // rgb: [height][width][3], the bottom row first. Throws std::invalid_argument unless sizes are 1 to kMaxSize and fit the bytes.
  Texture(int width, int height, std::span<const uint8_t> rgb);
  int width() const { return levels_.front().width; }
  int height() const { return levels_.front().height; }
  bool is_power_of_two_x() const { return is_power_of_two_x_; }
  bool is_power_of_two_y() const { return is_power_of_two_y_; }
  // Width, height and the number of the smallest level, as floats.
  float scale_x() const { return scale_x_; }
  float scale_y() const { return scale_y_; }
  float last_level() const { return last_level_; }
  struct Level {
    int width, height;
    int stride;       // texels from one row to the next: width + 1
    uint32_t offset;  // of its first texel in texels()
  };
  // From full size down to one texel.
  const std::vector<Level>& levels() const { return levels_; }
  // Red in the lowest byte, the highest unused; the bottom row first.
  const uint32_t* texels() const { return texels_.data(); }
  size_t bytes() const { return texels_.size() * sizeof(uint32_t); }

 private:
  void shrink(const Level& from, const Level& to);
  void repeat_edges(const Level& level);

  std::vector<Level> levels_;
  std::vector<uint32_t> texels_;
  float scale_x_, scale_y_, last_level_ = 0;
  bool is_power_of_two_x_, is_power_of_two_y_;
};

}  // namespace vldac

// Pictures that are composed fast: pre-drawn opaque sprites copied row by row onto one background colour, and masks (text)
// drawn over them in integer arithmetic. Nothing here allocates while composing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "render/canvas.h"
#include "render/path.h"

namespace vldac {

// [height][width][3] bytes that belong to somebody else.
struct Picture {
  uint8_t* pixels;
  int width, height;
  uint8_t* at(int x, int y) const { return pixels + (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) * 3; }
};

// (from * (255 - coverage) + to * coverage) / 255, rounded.
inline uint8_t mixed(int from, int to, int coverage) {
  int value = from * (255 - coverage) + to * coverage + 128;
  return static_cast<uint8_t>((value + (value >> 8)) >> 8);
}

// Draw a mask in one colour over whatever is there.
inline void draw_mask(const Picture& picture, const Mask& mask, Color color) {
  for (int y = std::max(0, -mask.top); y < std::min(mask.height, picture.height - mask.top); ++y)
    for (int x = std::max(0, -mask.left); x < std::min(mask.width, picture.width - mask.left); ++x) {
      int coverage = mask.coverage[static_cast<size_t>(y) * static_cast<size_t>(mask.width) + static_cast<size_t>(x)];
      uint8_t* pixel = picture.at(mask.left + x, mask.top + y);
      for (size_t c = 0; c < 3; ++c) pixel[c] = mixed(pixel[c], color[c], coverage);
    }
}

// Draws masks in one colour over one background colour: a table of all 256 results.
class Blend {
 public:
  Blend(Color background, Color color) {
    for (int coverage = 0; coverage < 256; ++coverage)
      for (size_t c = 0; c < 3; ++c) table_[static_cast<size_t>(coverage)][c] = mixed(background[c], color[c], coverage);
  }
  // The mask moved by (left, top), cut off at the picture's edges.
  void draw(const Picture& picture, int left, int top, const Mask& mask) const {
    int x0 = left + mask.left, y0 = top + mask.top;
    int from = std::max(0, -x0), until = std::min(mask.width, picture.width - x0);
    for (int y = std::max(0, -y0); y < std::min(mask.height, picture.height - y0); ++y) {
      const uint8_t* coverage = mask.coverage.data() + static_cast<size_t>(y) * static_cast<size_t>(mask.width);
      for (int x = from; x < until; ++x)
        if (coverage[x]) std::memcpy(picture.at(x0 + x, y0 + y), table_[coverage[x]].data(), 3);
    }
  }

 private:
  std::array<Color, 256> table_;
};

struct Sprite {
  int left = 0, top = 0, width = 0, height = 0;
  std::vector<uint8_t> pixels;  // [height][width][3]

  // What `draw(pixels)` changes on a picture of one colour.
  template <class Draw>
  static Sprite captured(int width, int height, Color background, Draw&& draw) {
    std::vector<uint8_t> scratch(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
    for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = background[i % 3];
    Picture picture{scratch.data(), width, height};
    draw(picture);
    int left = width, right = 0, top = height, bottom = 0;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        if (std::memcmp(picture.at(x, y), background.data(), 3) == 0) continue;
        left = std::min(left, x);
        right = std::max(right, x + 1);
        top = std::min(top, y);
        bottom = std::max(bottom, y + 1);
      }
    Sprite sprite{left, top, std::max(0, right - left), std::max(0, bottom - top), {}};
    for (int y = top; y < bottom; ++y) sprite.pixels.insert(sprite.pixels.end(), picture.at(left, y), picture.at(left, y) + sprite.width * 3);
    return sprite;
  }
};

// A sprite moved by (left, top).
struct Placed {
  const Sprite* sprite;
  int left = 0, top = 0;
};

// A plain background row; `compose` fills a picture with it and copies the sprites over it, later ones over earlier ones. Each
// row is finished before the next, so that its memory is touched while it is in the cache.
class Background {
 public:
  Background(int width, Color color) : row_(static_cast<size_t>(width) * 3) {
    for (size_t i = 0; i < row_.size(); ++i) row_[i] = color[i % 3];
  }
  void compose(const Picture& picture, std::span<const Placed> sprites) const {
    for (int y = 0; y < picture.height; ++y) {
      uint8_t* row = picture.at(0, y);
      std::memcpy(row, row_.data(), row_.size());
      for (const auto& [sprite, left, top] : sprites) {
        int line = y - top - sprite->top, x = left + sprite->left;
        if (line < 0 || line >= sprite->height) continue;
        int from = std::max(0, -x), until = std::min(sprite->width, picture.width - x);
        if (from >= until) continue;
        const uint8_t* source = sprite->pixels.data() + (static_cast<size_t>(line) * static_cast<size_t>(sprite->width) + static_cast<size_t>(from)) * 3;
        std::memcpy(row + (x + from) * 3, source, static_cast<size_t>(until - from) * 3);
      }
    }
  }

 private:
  std::vector<uint8_t> row_;
};

// What environments of one class draw with at one size, built once and shared by all that are alive: `get` is called by every
// render and finds the same object without a lock. Art is constructed from (width, height, extra).
template <class Art>
class SharedArt {
 public:
  const Art& get(int width, int height, int64_t extra = 0) {
    Key key{width, height, extra};
    if (!art_ || key_ != key) {
      art_ = find(key);
      key_ = key;
    }
    return *art_;
  }

 private:
  struct Key {
    int width, height;
    int64_t extra;
    bool operator==(const Key&) const = default;
  };
  // Art that nobody holds any more is forgotten: the list is as long as there are sizes in use.
  static std::shared_ptr<const Art> find(const Key& key) {
    static std::mutex mutex;
    static std::vector<std::pair<Key, std::weak_ptr<const Art>>> known;
    std::lock_guard lock(mutex);
    std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
    for (const auto& [at, art] : known)
      if (auto found = art.lock(); found && at == key) return found;
    auto made = std::make_shared<const Art>(key.width, key.height, key.extra);
    known.emplace_back(key, made);
    return made;
  }
  Key key_{};
  std::shared_ptr<const Art> art_;
};

}  // namespace vldac

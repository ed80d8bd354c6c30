// Corners are rounded to 1/256 pixel, edges follow from them, and the face goes to every tile that it may show in.
#pragma once

#include <algorithm>
#include <cmath>

#include "render/raster/workspace.h"

namespace vldac::raster {

// Depths of a face in a tile are integers with this many bits after the point.
inline constexpr int kDepthBits = 14;

// A face's depth at a tile's lower left corner and its steps per eighth of a pixel; sums wrap, samples inside do not.
struct TileDepth {
  int64_t at, dx, dy;

  TileDepth(const Plane& depth, int tile_x, int tile_y)
      : at(fixed(depth(static_cast<double>(tile_x) * kTileEighths, static_cast<double>(tile_y) * kTileEighths))),
        dx(fixed(depth.dx)),
        dy(fixed(depth.dy)) {}

  // The least and the greatest that any sample of the tile can have.
  int64_t least() const { return (at + dx * (dx > 0 ? kFirstSample : kLastSample) + dy * (dy > 0 ? kFirstSample : kLastSample)) >> kDepthBits; }
  int64_t greatest() const { return (at + dx * (dx > 0 ? kLastSample : kFirstSample) + dy * (dy > 0 ? kLastSample : kFirstSample)) >> kDepthBits; }

  // At eighths (x, y) from the corner.
  int32_t at_sample(int x, int y) const {
    auto sum = static_cast<int32_t>(static_cast<uint32_t>(at) + static_cast<uint32_t>(dx) * static_cast<uint32_t>(x) +
                                    static_cast<uint32_t>(dy) * static_cast<uint32_t>(y));
    return std::clamp(sum >> kDepthBits, 0, 65535);
  }

 private:
  // Edge-on faces are steeper than integers hold, and cover nothing.
  static int64_t fixed(double value) {
    constexpr double kLimit = 1e12;
    double scaled = value * (1 << kDepthBits);
    return static_cast<int64_t>(scaled > kLimit ? kLimit : scaled < -kLimit ? -kLimit : scaled);
  }
};

struct Corner {
  int32_t x, y;
};

inline int32_t snap(double pixels) { return static_cast<int32_t>(std::floor(pixels * kSubPixel + 0.5)); }

// Its left is inside. Left edges and lower ones own the samples on them, so that neighbours share none and leave none out.
inline Edge edge_of(const Corner& from, const Corner& to) {
  int64_t rise = static_cast<int64_t>(to.y) - from.y, run = static_cast<int64_t>(to.x) - from.x;
  bool owns = rise < 0 || (rise == 0 && run >= 0);
  int64_t constant = rise * to.x - run * to.y - (owns ? 0 : 1);
  constexpr int kShift = 5;  // from 1/256 to eighths: samples lie on multiples
  static_assert(kEighths << kShift == kSubPixel);
  return {static_cast<int32_t>(-rise), static_cast<int32_t>(run), constant >> kShift};
}

inline void append(Workspace& work, Bin& bin, uint32_t face, uint32_t hit) {
  auto node = static_cast<uint32_t>(work.nodes.size());
  work.nodes.push_back({face, kNone, hit});
  (bin.head == kNone ? bin.head : work.nodes[bin.tail].next) = node;
  bin.tail = node;
}

// polygon: clipped, at least three corners. depth: at pixels.
void bin_polygon(Workspace& work, const ClipPolygon& polygon, const Plane& depth, uint32_t source);
// The same from corners on the picture, none of which equals the next one.
void bin_corners(Workspace& work, const Corner* corners, int count, const Plane& depth, uint32_t source);

}  // namespace vldac::raster

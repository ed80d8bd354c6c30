// Corners are rounded to 1/256 pixel, edges follow from them, and the face goes to every tile that it may show in.
#pragma once

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

 private:
  // Edge-on faces are steeper than integers hold, and cover nothing.
  static int64_t fixed(double value) {
    constexpr double kLimit = 1e12;
    double scaled = value * (1 << kDepthBits);
    return static_cast<int64_t>(scaled > kLimit ? kLimit : scaled < -kLimit ? -kLimit : scaled);
  }
};

// polygon: clipped, at least three corners. depth: at pixels.
void bin_polygon(Workspace& work, const ClipPolygon& polygon, const Plane& depth, uint32_t source);

}  // namespace vldac::raster

// Convex polygons are cut where they leave the depth range or go so far beside the picture that integers would not hold them.
#pragma once

#include <algorithm>

#include "render/raster/view.h"

namespace vldac::raster {

inline constexpr int kMaxCorners = 32;
// How far beside the picture a corner may lie, in pixels.
inline constexpr double kGuardBand = 4096.0;

struct ClipPolygon {
  Vec4d corners[kMaxCorners];
  int count = 0;
};

// The part of `polygon` in the region; count is 0 where nothing is left. `scratch` is overwritten. Corners must be finite.
inline void clip(ClipPolygon& polygon, ClipPolygon& scratch, int width, int height) {
  const double right = width + kGuardBand, top = height + kGuardBand;
  auto distance = [&](const Vec4d& p, int plane) {
    switch (plane) {
      case 0: return p.z;
      case 1: return kDepthRange * p.w - p.z;
      case 2: return p.x + kGuardBand * p.w;
      case 3: return right * p.w - p.x;
      case 4: return p.y + kGuardBand * p.w;
      default: return top * p.w - p.y;
    }
  };
  for (int plane = 0; plane < 6; ++plane) {
    double distances[kMaxCorners];
    bool is_cut = false;
    for (int i = 0; i < polygon.count; ++i) {
      distances[i] = distance(polygon.corners[i], plane);
      is_cut |= distances[i] < 0;
    }
    if (!is_cut) continue;
    scratch.count = 0;
    for (int i = 0; i < polygon.count; ++i) {
      int next = i + 1 < polygon.count ? i + 1 : 0;
      const Vec4d &a = polygon.corners[i], &b = polygon.corners[next];
      if (distances[i] >= 0 && scratch.count < kMaxCorners) scratch.corners[scratch.count++] = a;
      if ((distances[i] >= 0) != (distances[next] >= 0) && scratch.count < kMaxCorners) {
        double t = distances[i] / (distances[i] - distances[next]);
        scratch.corners[scratch.count++] = {a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t, a.w + (b.w - a.w) * t};
      }
    }
    std::copy_n(scratch.corners, scratch.count, polygon.corners);
    polygon.count = scratch.count;
    if (polygon.count < 3) {
      polygon.count = 0;
      return;
    }
  }
}

}  // namespace vldac::raster

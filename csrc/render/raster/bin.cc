#include "render/raster/bin.h"

#include <algorithm>

namespace vldac::raster {
namespace {

// Ends of an edge's values over a tile's samples, less its value at the corner.
struct Reach {
  int64_t least, greatest;
};

Reach reach_of(const Edge& edge) {
  int64_t a = edge.a, b = edge.b;
  return {a * (a > 0 ? kFirstSample : kLastSample) + b * (b > 0 ? kFirstSample : kLastSample),
          a * (a > 0 ? kLastSample : kFirstSample) + b * (b > 0 ? kLastSample : kFirstSample)};
}

}  // namespace

void bin_polygon(Workspace& work, const ClipPolygon& polygon, const Plane& depth, uint32_t source) {
  Corner corners[kMaxCorners];
  int count = 0;
  for (int i = 0; i < polygon.count; ++i) {
    const Vec4d& p = polygon.corners[i];
    Corner corner = {snap(p.x / p.w), snap(p.y / p.w)};
    if (count == 0 || corner.x != corners[count - 1].x || corner.y != corners[count - 1].y) corners[count++] = corner;
  }
  while (count > 1 && corners[0].x == corners[count - 1].x && corners[0].y == corners[count - 1].y) --count;
  if (count >= 3) bin_corners(work, corners, count, depth, source);
}

void bin_corners(Workspace& work, const Corner* corners, int count, const Plane& depth, uint32_t source) {
  int64_t area = 0;
  int32_t low_x = INT32_MAX, high_x = INT32_MIN, low_y = INT32_MAX, high_y = INT32_MIN;
  for (int i = 0; i < count; ++i) {
    const Corner &a = corners[i], &b = corners[i + 1 < count ? i + 1 : 0];
    area += static_cast<int64_t>(a.x) * b.y - static_cast<int64_t>(b.x) * a.y;
    low_x = std::min(low_x, a.x), high_x = std::max(high_x, a.x), low_y = std::min(low_y, a.y), high_y = std::max(high_y, a.y);
  }
  if (area <= 0 || high_x < 0 || high_y < 0 || low_x >= work.width * kSubPixel || low_y >= work.height * kSubPixel) return;

  Face face;
  face.first_edge = static_cast<uint32_t>(work.edges.size());
  face.num_edges = static_cast<uint32_t>(count);
  auto pixel = [](int32_t at, int size) { return static_cast<int16_t>(std::clamp(at >> 8, 0, size - 1)); };
  static_assert(kSubPixel == 1 << 8);
  face.x0 = pixel(low_x, work.width), face.x1 = pixel(high_x, work.width);
  face.y0 = pixel(low_y, work.height), face.y1 = pixel(high_y, work.height);
  face.source = source;
  face.depth = {depth.at + 0.5, depth.dx / kEighths, depth.dy / kEighths};
  for (int i = 0; i < count; ++i) work.edges.push_back(edge_of(corners[i], corners[i + 1 < count ? i + 1 : 0]));

  auto id = static_cast<uint32_t>(work.faces.size());
  bool is_seen = false;
  const Edge* edges = work.edges.data() + face.first_edge;
  Reach reaches[kMaxCorners];
  for (int i = 0; i < count; ++i) reaches[i] = reach_of(edges[i]);
  for (int ty = face.y0 / kTile; ty <= face.y1 / kTile; ++ty)
    for (int tx = face.x0 / kTile; tx <= face.x1 / kTile; ++tx) {
      bool is_out = false, is_covered = true;
      for (int i = 0; i < count; ++i) {
        int64_t at = edges[i].c + static_cast<int64_t>(edges[i].a) * tx * kTileEighths + static_cast<int64_t>(edges[i].b) * ty * kTileEighths;
        is_out |= at + reaches[i].greatest < 0;
        is_covered &= at + reaches[i].least >= 0;
      }
      if (is_out) continue;
      Bin& bin = work.bin(tx, ty);
      TileDepth range(face.depth, tx, ty);
      if (range.least() > bin.nearest_cover) continue;
      if (is_covered) bin.nearest_cover = static_cast<int32_t>(std::min<int64_t>(bin.nearest_cover, std::max<int64_t>(range.greatest(), 0)));
      append(work, bin, id, 0);
      is_seen = true;
    }
  if (is_seen) {
    work.faces.push_back(face);
  } else {
    work.edges.resize(face.first_edge);
  }
}

}  // namespace vldac::raster

#include "render/raster/bin.h"

#include <algorithm>
#include <cmath>

namespace vldac::raster {
namespace {

struct Corner {
  int32_t x, y;
};

int32_t snap(double pixels) { return static_cast<int32_t>(std::floor(pixels * kSubPixel + 0.5)); }

// Its left is inside. Left edges and lower ones own the samples on them, so that neighbours share none and leave none out.
Edge edge_of(const Corner& from, const Corner& to) {
  int64_t rise = static_cast<int64_t>(to.y) - from.y, run = static_cast<int64_t>(to.x) - from.x;
  bool owns = rise < 0 || (rise == 0 && run >= 0);
  int64_t constant = rise * to.x - run * to.y - (owns ? 0 : 1);
  constexpr int kShift = 5;  // from 1/256 to eighths: samples lie on multiples
  static_assert(kEighths << kShift == kSubPixel);
  return {static_cast<int32_t>(-rise), static_cast<int32_t>(run), constant >> kShift};
}

// Ends of an edge's values over a tile's samples, less its value at the corner.
struct Reach {
  int64_t least, greatest;
};

Reach reach_of(const Edge& edge) {
  int64_t a = edge.a, b = edge.b;
  return {a * (a > 0 ? kFirstSample : kLastSample) + b * (b > 0 ? kFirstSample : kLastSample),
          a * (a > 0 ? kLastSample : kFirstSample) + b * (b > 0 ? kLastSample : kFirstSample)};
}

void append(Workspace& work, Bin& bin, uint32_t face) {
  auto node = static_cast<uint32_t>(work.nodes.size());
  work.nodes.push_back({face, kNone});
  (bin.head == kNone ? bin.head : work.nodes[bin.tail].next) = node;
  bin.tail = node;
  ++bin.count;
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
  if (count < 3) return;
  int64_t area = 0;
  int32_t low_x = INT32_MAX, high_x = INT32_MIN, low_y = INT32_MAX, high_y = INT32_MIN;
  for (int i = 0; i < count; ++i) {
    const Corner &a = corners[i], &b = corners[i + 1 < count ? i + 1 : 0];
    area += static_cast<int64_t>(a.x) * b.y - static_cast<int64_t>(b.x) * a.y;
    low_x = std::min(low_x, a.x), high_x = std::max(high_x, a.x), low_y = std::min(low_y, a.y), high_y = std::max(high_y, a.y);
  }
  constexpr int kTileUnits = kTile * kSubPixel;
  if (area <= 0 || high_x < 0 || high_y < 0 || low_x >= work.tiles_x * kTileUnits || low_y >= work.tiles_y * kTileUnits) return;

  Face face;
  face.first_edge = static_cast<uint32_t>(work.edges.size());
  face.num_edges = static_cast<uint32_t>(count);
  face.tile_x0 = static_cast<uint16_t>(std::max(0, low_x) / kTileUnits), face.tile_y0 = static_cast<uint16_t>(std::max(0, low_y) / kTileUnits);
  face.tile_x1 = static_cast<uint16_t>(std::min(work.tiles_x - 1, high_x / kTileUnits));
  face.tile_y1 = static_cast<uint16_t>(std::min(work.tiles_y - 1, high_y / kTileUnits));
  face.source = source;
  face.depth = {depth.at + 0.5, depth.dx / kEighths, depth.dy / kEighths};
  for (int i = 0; i < count; ++i) work.edges.push_back(edge_of(corners[i], corners[i + 1 < count ? i + 1 : 0]));

  auto id = static_cast<uint32_t>(work.faces.size());
  bool is_seen = false;
  const Edge* edges = work.edges.data() + face.first_edge;
  Reach reaches[kMaxCorners];
  for (int i = 0; i < count; ++i) reaches[i] = reach_of(edges[i]);
  for (int ty = face.tile_y0; ty <= face.tile_y1; ++ty)
    for (int tx = face.tile_x0; tx <= face.tile_x1; ++tx) {
      bool is_out = false, is_covered = true;
      for (int i = 0; i < count; ++i) {
        int64_t at = edges[i].c + static_cast<int64_t>(edges[i].a) * tx * kTileEighths + static_cast<int64_t>(edges[i].b) * ty * kTileEighths;
        is_out |= at + reaches[i].greatest < 0;
        is_covered &= at + reaches[i].least >= 0;
      }
      if (is_out) continue;
      Bin& bin = work.bins[static_cast<size_t>(ty) * work.tiles_x + tx];
      TileDepth range(face.depth, tx, ty);
      if (range.least() > bin.nearest_cover) continue;
      if (is_covered) bin.nearest_cover = static_cast<int32_t>(std::min<int64_t>(bin.nearest_cover, std::max<int64_t>(range.greatest(), 0)));
      append(work, bin, id);
      is_seen = true;
    }
  if (is_seen) {
    work.faces.push_back(face);
  } else {
    work.edges.resize(face.first_edge);
  }
}

}  // namespace vldac::raster

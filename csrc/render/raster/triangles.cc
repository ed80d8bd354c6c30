#include "render/raster/triangles.h"

#include <algorithm>

#include "render/raster/bin.h"
#include "render/raster/planes.h"

namespace vldac::raster {
namespace {

// A triangle whose box holds more samples goes the way of larger faces.
constexpr int kMaxCandidates = 24;

// The first multiple of `step` plus `offset` that is at least `value`, and the last one that is at most it, as counts of steps.
int32_t first_step(int32_t value, int32_t offset, int32_t shift) { return (value - offset + (1 << shift) - 1) >> shift; }
int32_t last_step(int32_t value, int32_t offset, int32_t shift) { return (value - offset) >> shift; }

struct Found {
  int32_t x, y, sample;  // pixel
};

}  // namespace

void bin_triangle(Workspace& work, uint32_t triangle, const Texture* texture) {
  const PlacedMesh& placed = work.meshes.back();
  Corner corners[3];
  int32_t vertices[3];
  for (int i = 0; i < 3; ++i) {
    vertices[i] = placed.mesh->corners(i)[triangle];
    corners[i] = {work.snapped_x[placed.first_vertex + vertices[i]], work.snapped_y[placed.first_vertex + vertices[i]]};
  }
  int64_t area = static_cast<int64_t>(corners[1].x - corners[0].x) * (corners[2].y - corners[0].y) -
                 static_cast<int64_t>(corners[2].x - corners[0].x) * (corners[1].y - corners[0].y);
  if (area <= 0) return;
  int32_t low_x = std::min({corners[0].x, corners[1].x, corners[2].x}), high_x = std::max({corners[0].x, corners[1].x, corners[2].x});
  int32_t low_y = std::min({corners[0].y, corners[1].y, corners[2].y}), high_y = std::max({corners[0].y, corners[1].y, corners[2].y});
  // Rows of samples lie a quarter of a pixel apart, an eighth above the pixel's edge; in each, samples are a pixel apart.
  static_assert(kSampleY[0] == 1 && kSampleY[1] == 3 && kSampleY[2] == 5 && kSampleY[3] == 7 && kSubPixel == 256);
  int32_t first_row = std::max(first_step(low_y, 32, 6), 0), last_row = std::min(last_step(high_y, 32, 6), work.height * 4 - 1);
  int32_t columns = ((high_x - low_x) >> 8) + 1;
  auto source = static_cast<uint32_t>(work.triangles.size()) | kIsTriangle;
  auto depth_plane = [&] {
    PlaneSolver solver;
    double depths[3];
    for (int i = 0; i < 3; ++i) {
      Vec4d at = placed.at(vertices[i]);
      solver.corner(i, at);
      depths[i] = at.z;
    }
    return solver.prepare() > 0 ? solver.plane(depths) : Plane{};
  };
  auto placed_index = static_cast<uint32_t>(work.meshes.size() - 1);
  if ((last_row - first_row + 1) * columns > kMaxCandidates) {
    size_t before = work.faces.size();
    bin_corners(work, corners, 3, depth_plane(), source);
    if (work.faces.size() > before) work.triangles.push_back({placed_index, triangle, texture});
    return;
  }
  Found found[kMaxCandidates * 2];
  int count = 0;
  Edge edges[3];
  for (int i = 0; i < 3; ++i) edges[i] = edge_of(corners[i], corners[i < 2 ? i + 1 : 0]);
  for (int32_t row = first_row; row <= last_row; ++row) {
    int32_t sample = row & 3, offset = kSampleX[sample] * 32;
    int32_t first = std::max(first_step(low_x, offset, 8), 0), last = std::min(last_step(high_x, offset, 8), work.width - 1);
    for (int32_t x = first; x <= last; ++x) {
      int64_t at_x = x * kEighths + kSampleX[sample], at_y = (row >> 2) * kEighths + kSampleY[sample];
      bool is_inside = true;
      for (const Edge& edge : edges) is_inside &= edge.a * at_x + edge.b * at_y + edge.c >= 0;
      if (is_inside) found[count++] = {x, row >> 2, sample};
    }
  }
  if (count == 0) return;
  Plane plane = depth_plane();
  plane = {plane.at + 0.5, plane.dx / kEighths, plane.dy / kEighths};
  auto id = static_cast<uint32_t>(work.faces.size());
  bool is_seen = false;
  TileDepth range(plane, found[0].x / kTile, found[0].y / kTile);
  int range_x = found[0].x / kTile, range_y = found[0].y / kTile;
  for (int i = 0; i < count; ++i) {
    int tile_x = found[i].x / kTile, tile_y = found[i].y / kTile, x = found[i].x % kTile, y = found[i].y % kTile;
    if (tile_x != range_x || tile_y != range_y) range = TileDepth(plane, range_x = tile_x, range_y = tile_y);
    int32_t depth = range.at_sample(x * kEighths + kSampleX[found[i].sample], y * kEighths + kSampleY[found[i].sample]);
    Bin& bin = work.bin(tile_x, tile_y);
    if (depth > bin.nearest_cover) continue;
    append(work, bin, id, kIsHit | static_cast<uint32_t>(depth) << 8 | static_cast<uint32_t>(found[i].sample << 6 | y << 3 | x));
    is_seen = true;
  }
  if (!is_seen) return;
  work.faces.push_back({0, 0, 0, 0, 0, 0, source, plane});
  work.triangles.push_back({placed_index, triangle, texture});
}

}  // namespace vldac::raster

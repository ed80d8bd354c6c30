// A mesh's vertices on the picture, and which of its triangles may show: for one tier, included by tile_<tier>.cc after lanes.h and
// what it defines. No include guard.

#include "render/raster/tile.h"

namespace vldac::raster::VLDAC_TIER {
namespace {

// Vertices of a mesh no part of which is clipped, to 1/256 pixel.
VLDAC_FN void snap_vertices(const PlacedMesh& placed, int32_t* snapped_x, int32_t* snapped_y) {
  const Mesh& mesh = *placed.mesh;
  const float *xs = mesh.column(Mesh::kX), *ys = mesh.column(Mesh::kY), *zs = mesh.column(Mesh::kZ);
  for (size_t i = 0; i < mesh.num_vertices(); i += kLanes) {
    Float x = load<Float>(xs + i), y = load<Float>(ys + i), z = load<Float>(zs + i);
    Float across = ((placed.rows[0][0] * x + placed.rows[0][1] * y) + placed.rows[0][2] * z) + placed.rows[0][3];
    Float up = ((placed.rows[1][0] * x + placed.rows[1][1] * y) + placed.rows[1][2] * z) + placed.rows[1][3];
    Float w = ((placed.rows[3][0] * x + placed.rows[3][1] * y) + placed.rows[3][2] * z) + placed.rows[3][3];
    Float scale = static_cast<float>(kSubPixel) / w;
    store(snapped_x + i, to_int(floor_of(across * scale + 0.5f)));
    store(snapped_y + i, to_int(floor_of(up * scale + 0.5f)));
  }
}

// Whether a row of samples (see triangles.cc) has one between two places, in 1/256 pixel.
VLDAC_INLINE Int row_has_sample(Int row, Int low, Int high) {
  Int part = row & 3;
  Int offset = ((part * 4 + 3 - (part & 2)) & 7) * 32;
  static_assert(kSampleX[0] == 3 && kSampleX[1] == 7 && kSampleX[2] == 1 && kSampleX[3] == 5);
  return ((high - offset) >> 8) >= ((low - offset + 255) >> 8);
}

// Triangles `first` to `end` of a mesh that face the eye and have a sample in their box, appended to `front`.
VLDAC_FN void find_front(const PlacedMesh& placed, const int32_t* snapped_x, const int32_t* snapped_y, uint32_t first, uint32_t end,
                         std::vector<uint32_t>& front) {
  const Mesh& mesh = *placed.mesh;
  alignas(64) int32_t lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = i;
  const Float slack = floats(1e-5f), eye_x = floats(placed.eye[0]), eye_y = floats(placed.eye[1]), eye_z = floats(placed.eye[2]);
  const Int none = {};
  // First those that face the eye, then those among them that matter.
  size_t begin = front.size();
  for (uint32_t t = first; t < end; t += kLanes) {
    Float x = load<Float>(mesh.plane(0) + t) * eye_x, y = load<Float>(mesh.plane(1) + t) * eye_y, z = load<Float>(mesh.plane(2) + t) * eye_z;
    Float offset = load<Float>(mesh.plane(3) + t) * placed.eye[3];
    Float size = (max_of(x, -x) + max_of(y, -y)) + (max_of(z, -z) + max_of(offset, -offset));
    Int is_front = (((x + y) + z) + offset > -(size * slack)) & (load<Int>(lanes) + static_cast<int32_t>(t) < static_cast<int32_t>(end));
    for (uint32_t rest = sign_bits(is_front); rest; rest &= rest - 1) front.push_back(t + static_cast<uint32_t>(__builtin_ctz(rest)));
  }
  size_t count = front.size() - begin, kept = begin;
  front.resize(begin + count + kLanes, first);  // so that whole vectors may be read
  for (size_t i = 0; i < count; i += kLanes) {
    Int triangle = load<Int>(front.data() + begin + i), low_x = none, high_x = none, low_y = none, high_y = none;
    for (int corner = 0; corner < 3; ++corner) {
      Int vertex = gather(mesh.corners(corner), triangle);
      Int x = gather(snapped_x, vertex), y = gather(snapped_y, vertex);
      if (corner == 0) {
        low_x = high_x = x, low_y = high_y = y;
      } else {
        low_x = x < low_x ? x : low_x, high_x = x > high_x ? x : high_x;
        low_y = y < low_y ? y : low_y, high_y = y > high_y ? y : high_y;
      }
    }
    Int first_row = (low_y - 32 + 63) >> 6, last_row = (high_y - 32) >> 6;
    Int has = (last_row >= first_row) & ((last_row > first_row + 1) | row_has_sample(first_row, low_x, high_x) | row_has_sample(last_row, low_x, high_x));
    uint32_t bits = sign_bits(has != none);
    if (count - i < kLanes) bits &= (1u << (count - i)) - 1;
    alignas(64) uint32_t ids[kLanes];
    store(ids, triangle);
    for (uint32_t rest = bits; rest; rest &= rest - 1) front[kept++] = ids[__builtin_ctz(rest)];
  }
  front.resize(kept);
}

}  // namespace
}  // namespace vldac::raster::VLDAC_TIER

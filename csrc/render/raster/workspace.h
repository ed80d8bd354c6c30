// What one thread keeps from picture to picture: memory that grows to the largest picture and is never given back.
#pragma once

#include <cstdint>
#include <vector>

#include "render/raster/clip.h"
#include "render/raster/face.h"
#include "render/raster/scene.h"

namespace vldac::raster {

// A mesh in the scene: where it is and what light falls on it, in its own axes.
struct PlacedMesh {
  const Mesh* mesh;
  float rows[4][4];  // from its units to pixels, as View::rows
  float eye[4];      // see View::eye
  Vec3f light, ambient, diffuse;
  // Its vertices' places on the picture, in 1/256 pixel, from here on in Workspace::snapped_x and _y; only where none is clipped.
  size_t first_vertex;

  Vec4d at(int32_t vertex) const {
    float x = mesh->column(Mesh::kX)[vertex], y = mesh->column(Mesh::kY)[vertex], z = mesh->column(Mesh::kZ)[vertex];
    auto row = [&](int i) { return ((rows[i][0] * x + rows[i][1] * y) + rows[i][2] * z) + rows[i][3]; };
    return {row(0), row(1), row(2), row(3)};
  }
};

struct TriangleSource {
  uint32_t placed;  // of Workspace::meshes
  uint32_t triangle;
  const Texture* texture;
};

// A face in a tile, or one sample of it: kIsHit, depth (16 bits), sample (2), y and x in the tile (3 each).
struct BinNode {
  uint32_t face, next, hit;
};
inline constexpr uint32_t kIsHit = 0x80000000;

inline constexpr uint32_t kNone = 0xFFFFFFFF;
// In Face::source: a triangle of a mesh.
inline constexpr uint32_t kIsTriangle = 0x80000000;

struct Bin {
  uint32_t head, tail;
  int32_t nearest_cover;  // the least depth that hides everything behind it in this tile
};

struct Workspace {
  std::vector<Edge> edges;
  std::vector<Face> faces;
  std::vector<Surface> surfaces;
  std::vector<TriangleSource> triangles;
  std::vector<PlacedMesh> meshes;
  std::vector<Vec4d> corners;  // of one polygon
  std::vector<int32_t> snapped_x, snapped_y;
  std::vector<uint32_t> front;  // triangles of one mesh that may show
  std::vector<Bin> bins;
  std::vector<BinNode> nodes;
  // Of one tile: its faces in the order in which they were drawn, and samples of faces too small for more.
  std::vector<uint32_t> tile_faces;
  struct Hit {
    uint32_t local, hit;
  };
  std::vector<Hit> tile_hits;
  int width = 0, height = 0, tiles_x = 0, tiles_y = 0;
  float sky[3];  // 0..255

  void begin(int picture_width, int picture_height);
  Bin& bin(int tile_x, int tile_y) { return bins[static_cast<size_t>(tile_y) * tiles_x + tile_x]; }
  Surface surface_of(const Face& face) const;
};

}  // namespace vldac::raster

// What one thread keeps from picture to picture: memory that grows to the largest picture and is never given back.
#pragma once

#include <cstdint>
#include <vector>

#include "render/raster/clip.h"
#include "render/raster/face.h"
#include "render/raster/scene.h"

namespace vldac::raster {

// A mesh in the scene after its vertices were transformed and lit; columns begin at `first` in the workspace's vertex columns.
struct PlacedMesh {
  const Mesh* mesh;
  size_t first;
};

struct TriangleSource {
  uint32_t placed;  // of Workspace::meshes
  uint32_t triangle;
  const Texture* texture;
};

struct BinNode {
  uint32_t face, next;
};

inline constexpr uint32_t kNone = 0xFFFFFFFF;
// In Face::source: a triangle of a mesh.
inline constexpr uint32_t kIsTriangle = 0x80000000;

struct Bin {
  uint32_t head, tail;
  int32_t nearest_cover;  // the least depth that hides everything behind it in this tile
  uint32_t count;
};

struct Workspace {
  std::vector<Edge> edges;
  std::vector<Face> faces;
  std::vector<Surface> surfaces;
  std::vector<TriangleSource> triangles;
  std::vector<PlacedMesh> meshes;
  std::vector<Vec4d> corners;  // of the scene's vertices
  // Of the meshes' vertices: pixel coordinates times w, depth times w, w; colours 0..255; pixels in 1/256.
  std::vector<float> x, y, z, w, red, green, blue;
  std::vector<int32_t> snapped_x, snapped_y;
  std::vector<Bin> bins;
  std::vector<BinNode> nodes;
  std::vector<uint32_t> tile_faces;
  int width = 0, height = 0, tiles_x = 0, tiles_y = 0;
  float sky[3];  // 0..255

  void begin(int picture_width, int picture_height);
  Surface surface_of(const Face& face) const;
};

}  // namespace vldac::raster

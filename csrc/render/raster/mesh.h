// A triangle mesh in its own units, recentred: its bottom at y = 0. Immutable and shared by all environments.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "render/raster/texture.h"

namespace vldac {

// Triangles that share a texture (or have none).
struct MeshChunk {
  uint32_t first_triangle = 0, num_triangles = 0;
  std::shared_ptr<const Texture> texture;
};

class Mesh {
 public:
  // Per corner, [triangles * 3]: positions and normals [3] floats, uvs [2], colours [3] in 0..1.
  // Throws std::invalid_argument where sizes disagree, a value is not finite, or the chunks do not cover the triangles in order.
  Mesh(std::span<const float> positions, std::span<const float> normals, std::span<const float> uvs, std::span<const float> colours,
       std::vector<MeshChunk> chunks);
  size_t num_triangles() const { return num_triangles_; }
  // The largest x, y and z, which set an entity's scale and radius.
  const float* extent() const { return extent_; }
  const std::vector<MeshChunk>& chunks() const { return chunks_; }

  // Corners that agree in everything are one vertex. Columns of [kNumColumns][stride()] floats.
  enum Column { kX, kY, kZ, kNormalX, kNormalY, kNormalZ, kU, kV, kRed, kGreen, kBlue, kNumColumns };
  size_t num_vertices() const { return num_vertices_; }
  const float* column(Column column) const { return columns_.data() + column * stride_; }
  // Vertices of the triangles' first, second and third corners.
  const int32_t* corners(int corner) const { return corners_.data() + corner * triangle_stride_; }
  // The planes that triangles lie in: a point (x, y, z) is before its front where nx x + ny y + nz z + d > 0.
  const float* plane(int part) const { return planes_.data() + part * triangle_stride_; }
  // Strides are multiples of kLanes with at least one of them to spare. What is beyond the last vertex repeats it; what is beyond the
  // last triangle has no area.
  static constexpr size_t kLanes = 16;
  size_t stride() const { return stride_; }
  // The box around it.
  const float* low() const { return low_; }
  const float* high() const { return extent_; }
  size_t bytes() const { return (columns_.size() + planes_.size()) * sizeof(float) + corners_.size() * sizeof(int32_t); }

 private:
  void bound();
  void find_planes();

  size_t num_vertices_ = 0, num_triangles_ = 0, stride_ = 0, triangle_stride_ = 0;
  std::vector<float> columns_, planes_;
  std::vector<int32_t> corners_;
  std::vector<MeshChunk> chunks_;
  float low_[3], extent_[3];
};

}  // namespace vldac

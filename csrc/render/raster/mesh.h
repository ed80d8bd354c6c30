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
  size_t num_triangles() const { return corners_.size() / 3; }
  // The largest x, y and z, which set an entity's scale and radius.
  const float* extent() const { return extent_; }
  const std::vector<MeshChunk>& chunks() const { return chunks_; }

  // Corners that agree in everything are one vertex. Columns of [kNumColumns][stride()] floats; the stride is a multiple of 16, and
  // what is beyond the last vertex repeats it.
  enum Column { kX, kY, kZ, kNormalX, kNormalY, kNormalZ, kU, kV, kRed, kGreen, kBlue, kNumColumns };
  size_t num_vertices() const { return num_vertices_; }
  size_t stride() const { return stride_; }
  const float* column(Column column) const { return columns_.data() + column * stride_; }
  // Of the vertices, three for each triangle.
  std::span<const uint32_t> corners() const { return corners_; }
  // A sphere around every vertex.
  const float* center() const { return center_; }
  float radius() const { return radius_; }
  size_t bytes() const { return columns_.size() * sizeof(float) + corners_.size() * sizeof(uint32_t); }

 private:
  void bound();

  size_t num_vertices_ = 0, stride_ = 0;
  std::vector<float> columns_;
  std::vector<uint32_t> corners_;
  std::vector<MeshChunk> chunks_;
  float extent_[3];
  float center_[3];
  float radius_ = 0;
};

}  // namespace vldac

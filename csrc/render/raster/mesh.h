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
  size_t num_triangles() const { return positions_.size() / 9; }
  // The largest x, y and z, which set an entity's scale and radius.
  const float* extent() const { return extent_; }
  std::span<const float> positions() const { return positions_; }
  std::span<const float> normals() const { return normals_; }
  std::span<const float> uvs() const { return uvs_; }
  std::span<const float> colours() const { return colours_; }
  const std::vector<MeshChunk>& chunks() const { return chunks_; }

 private:
  std::vector<float> positions_, normals_, uvs_, colours_;
  std::vector<MeshChunk> chunks_;
  float extent_[3];
};

}  // namespace vldac

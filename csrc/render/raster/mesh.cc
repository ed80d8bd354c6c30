#include "render/raster/mesh.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>

namespace vldac {
namespace {

constexpr size_t kMaxTriangles = 1u << 20;

void check_column(const char* what, std::span<const float> values, size_t expected) {
  if (values.size() != expected)
    throw std::invalid_argument(std::string("mesh: expected ") + std::to_string(expected) + " numbers for " + what + ", got " +
                                std::to_string(values.size()));
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
    throw std::invalid_argument(std::string("mesh: expected finite ") + what);
}

}  // namespace

Mesh::Mesh(std::span<const float> positions, std::span<const float> normals, std::span<const float> uvs, std::span<const float> colours,
           std::vector<MeshChunk> chunks)
    : chunks_(std::move(chunks)) {
  size_t count = positions.size() / 3;
  if (count == 0 || count % 3 != 0 || count / 3 > kMaxTriangles)
    throw std::invalid_argument("mesh: expected three corners for each of 1 to " + std::to_string(kMaxTriangles) + " triangles");
  check_column("positions", positions, count * 3);
  check_column("normals", normals, count * 3);
  check_column("uvs", uvs, count * 2);
  check_column("colours", colours, count * 3);
  size_t covered = 0;
  for (const auto& chunk : chunks_) {
    if (chunk.first_triangle != covered) throw std::invalid_argument("mesh: expected chunks that follow one another from triangle 0 on");
    covered += chunk.num_triangles;
  }
  if (covered != count / 3) throw std::invalid_argument("mesh: expected chunks that cover its " + std::to_string(count / 3) + " triangles");

  num_triangles_ = count / 3;
  triangle_stride_ = (num_triangles_ / kLanes + 2) * kLanes;
  corners_.assign(triangle_stride_ * 3, 0);
  std::map<std::array<float, kNumColumns>, int32_t> seen;
  std::vector<std::array<float, kNumColumns>> vertices;
  for (size_t i = 0; i < count; ++i) {
    std::array<float, kNumColumns> vertex = {positions[i * 3], positions[i * 3 + 1], positions[i * 3 + 2], normals[i * 3],
                                             normals[i * 3 + 1], normals[i * 3 + 2], uvs[i * 2], uvs[i * 2 + 1],
                                             colours[i * 3], colours[i * 3 + 1], colours[i * 3 + 2]};
    auto [entry, is_new] = seen.try_emplace(vertex, static_cast<int32_t>(vertices.size()));
    if (is_new) vertices.push_back(vertex);
    corners_[i % 3 * triangle_stride_ + i / 3] = entry->second;
  }
  num_vertices_ = vertices.size();
  stride_ = (num_vertices_ / kLanes + 2) * kLanes;
  columns_.resize(kNumColumns * stride_);
  for (size_t column = 0; column < kNumColumns; ++column)
    for (size_t i = 0; i < stride_; ++i) columns_[column * stride_ + i] = vertices[std::min(i, num_vertices_ - 1)][column];
  bound();
  find_planes();
}

void Mesh::bound() {
  for (int axis = 0; axis < 3; ++axis) {
    const float* values = columns_.data() + axis * stride_;
    auto [low, high] = std::minmax_element(values, values + num_vertices_);
    low_[axis] = *low, extent_[axis] = *high;
  }
}

void Mesh::find_planes() {
  planes_.assign(triangle_stride_ * 4, 0.0f);
  for (size_t t = 0; t < num_triangles_; ++t) {
    double at[3][3];
    for (int i = 0; i < 3; ++i)
      for (int axis = 0; axis < 3; ++axis) at[i][axis] = columns_[axis * stride_ + corners(i)[t]];
    double normal[3], offset = 0;
    for (int axis = 0; axis < 3; ++axis) {
      int j = (axis + 1) % 3, k = (axis + 2) % 3;
      normal[axis] = (at[1][j] - at[0][j]) * (at[2][k] - at[0][k]) - (at[1][k] - at[0][k]) * (at[2][j] - at[0][j]);
      offset -= normal[axis] * at[0][axis];
      planes_[axis * triangle_stride_ + t] = static_cast<float>(normal[axis]);
    }
    planes_[3 * triangle_stride_ + t] = static_cast<float>(offset);
  }
}

}  // namespace vldac

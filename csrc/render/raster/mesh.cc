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
constexpr size_t kLanes = 16;

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

  std::map<std::array<float, kNumColumns>, uint32_t> seen;
  std::vector<std::array<float, kNumColumns>> vertices;
  for (size_t i = 0; i < count; ++i) {
    std::array<float, kNumColumns> vertex = {positions[i * 3], positions[i * 3 + 1], positions[i * 3 + 2], normals[i * 3],
                                             normals[i * 3 + 1], normals[i * 3 + 2], uvs[i * 2], uvs[i * 2 + 1],
                                             colours[i * 3], colours[i * 3 + 1], colours[i * 3 + 2]};
    auto [entry, is_new] = seen.try_emplace(vertex, static_cast<uint32_t>(vertices.size()));
    if (is_new) vertices.push_back(vertex);
    corners_.push_back(entry->second);
  }
  num_vertices_ = vertices.size();
  stride_ = (num_vertices_ + kLanes - 1) / kLanes * kLanes;
  columns_.resize(kNumColumns * stride_);
  for (size_t column = 0; column < kNumColumns; ++column)
    for (size_t i = 0; i < stride_; ++i) columns_[column * stride_ + i] = vertices[std::min(i, num_vertices_ - 1)][column];
  bound();
}

void Mesh::bound() {
  for (int axis = 0; axis < 3; ++axis) {
    const float* values = columns_.data() + axis * stride_;
    auto [low, high] = std::minmax_element(values, values + num_vertices_);
    extent_[axis] = *high;
    center_[axis] = (*low + *high) / 2;
  }
  double largest = 0;
  for (size_t i = 0; i < num_vertices_; ++i) {
    double square = 0;
    for (int axis = 0; axis < 3; ++axis) {
      double distance = static_cast<double>(columns_[axis * stride_ + i]) - center_[axis];
      square += distance * distance;
    }
    largest = std::max(largest, square);
  }
  radius_ = static_cast<float>(std::sqrt(largest) * 1.0001);
}

}  // namespace vldac

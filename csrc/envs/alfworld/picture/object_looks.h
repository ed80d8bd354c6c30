// What objects look like: a shape and two colours for each of the 108 classes of ALFRED and their sliced forms. No two classes share
// all three; docs/alfworld_pictures.md prints the table.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "render/raster/mesh.h"
#include "render/raster/scene.h"

namespace vldac::alfworld {

struct ObjectLook {
  std::string_view type;   // lower case
  std::string_view shape;  // a name of object_shapes.cc
  Vec3f first, second;     // colours in 0..1
  float size;              // share of the place that it is laid in
};

std::span<const ObjectLook> object_looks();
// Into object_looks(). A type that is not in the table takes the look of one that is, chosen by its letters: it is drawn, always
// alike, but not told apart from that one.
size_t find_object_look(std::string_view type);

// Meshes of all looks, each inside the unit cube: its bottom's middle at the origin, its front to +z. Built once per process, never
// freed.
class ObjectMeshes {
 public:
  // is_blank: all white.
  static const ObjectMeshes& of(bool is_blank);
  const Mesh& whole(size_t look) const { return *meshes_[look][0]; }
  const Mesh& sliced(size_t look) const { return *meshes_[look][1]; }
  const Mesh& lit(size_t look) const { return *meshes_[look][2]; }
  enum Mark { kHotMark, kColdMark, kCleanMark, kHand, kPlate, kRing, kPan, kNumMarks };
  const Mesh& mark(Mark mark) const { return *marks_[mark]; }

 private:
  explicit ObjectMeshes(bool is_blank);
  std::vector<std::array<std::shared_ptr<const Mesh>, 3>> meshes_;
  std::array<std::shared_ptr<const Mesh>, kNumMarks> marks_;
};

}  // namespace vldac::alfworld

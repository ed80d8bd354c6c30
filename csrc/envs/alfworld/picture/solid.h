// Builds small coloured meshes from boxes, round columns and balls.
#pragma once

#include <memory>
#include <vector>

#include "render/raster/mesh.h"
#include "render/raster/scene.h"

namespace vldac::alfworld {

enum class Along : uint8_t { kX, kY, kZ };

class Solid {
 public:
  // is_blank: everything is white, for pictures in which a thing has one flat colour.
  explicit Solid(bool is_blank = false) : is_blank_(is_blank) {}

  Solid& box(Vec3f low, Vec3f high, Vec3f colour);
  // A frustum with eight sides around an axis: its middle line begins at `from` and is `length` long; radii at both ends.
  Solid& column(Along axis, Vec3f from, float length, float first_radius, float last_radius, Vec3f colour);
  Solid& ball(Vec3f middle, Vec3f radii, Vec3f colour);
  Solid& triangle(const Vec3f& a, const Vec3f& b, const Vec3f& c, Vec3f colour);  // counter-clockwise from its front
  // Normals have length 1. Throws std::invalid_argument where there is nothing in it.
  std::shared_ptr<const Mesh> mesh() const;

 private:
  struct Corner {
    Vec3f at, normal;
  };
  void face(const Corner& a, const Corner& b, const Corner& c, Vec3f colour);
  void quad(const Corner& a, const Corner& b, const Corner& c, const Corner& d, Vec3f colour);

  bool is_blank_;
  std::vector<float> positions_, normals_, colours_;
};

}  // namespace vldac::alfworld

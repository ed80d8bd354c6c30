// A scene being filled: boxes and meshes of models, each in its own axes, in the colours of things or in one flat colour per thing.
// View space: the eye at x = z = 0, x to the right, y up from the floor, the view to -z; metres.
#pragma once

#include <cmath>

#include "render/raster/scene.h"

namespace vldac::alfworld {

// Where a model's axes lie: its x to the right, y up, z from its back to its front, turned by quarters about the vertical. With
// none its front is towards the viewer.
struct Frame {
  Vec3d origin{};
  double scale = 1;
  int quarters = 0;

  Vec3d at(double x, double y, double z) const {
    double c = cosine(), s = sine();
    return {origin[0] + scale * (x * c + z * s), origin[1] + scale * y, origin[2] + scale * (z * c - x * s)};
  }
  double cosine() const { return quarters % 2 ? 0 : quarters == 0 ? 1 : -1; }
  double sine() const { return quarters % 2 == 0 ? 0 : quarters == 1 ? 1 : -1; }
  double heading() const { return quarters * M_PI / 2; }
};

class Stage {
 public:
  // flat: the colour of each thing by its number, where pictures show which thing is where; null: things as they look.
  Stage(Scene& scene, const Vec3f* flat) : scene_(scene), flat_(flat) {}
  bool is_flat() const { return flat_ != nullptr; }
  // What is added from now on belongs to this thing; kNothing: to none.
  static constexpr size_t kNothing = static_cast<size_t>(-1);
  void begin(size_t thing) { thing_ = thing; }
  Vec3f colour(const Vec3f& own) const { return !flat_ ? own : thing_ == kNothing ? Vec3f{0.5f, 0.5f, 0.5f} : flat_[thing_]; }

  void box(const Frame& frame, Vec3d low, Vec3d high, const Vec3f& own) {
    Vec3d size{(high[0] - low[0]) * frame.scale, (high[1] - low[1]) * frame.scale, (high[2] - low[2]) * frame.scale};
    if (frame.quarters % 2) std::swap(size[0], size[2]);
    add({.position = frame.at((low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2), .size = size, .colour = colour(own)});
  }
  // A door: from its hinge's lower end, opened by so many degrees from +x towards the front.
  void door(const Frame& frame, Vec3d hinge, double width, double height, double thickness, double degrees, const Vec3f& own) {
    double turn = degrees * M_PI / 180, c = std::cos(turn), s = std::sin(turn);
    add({.position = frame.at(hinge[0] + c * width / 2, hinge[1], hinge[2] + s * width / 2),
         .heading = frame.heading() - turn,
         .size = {width * frame.scale, height * frame.scale, thickness * frame.scale},
         .colour = colour(own)});
  }
  void mesh(const Frame& frame, const Mesh& mesh, Vec3d at, double scale, const Vec3f& tint = {1, 1, 1}) {
    add({.mesh = &mesh, .position = frame.at(at[0], at[1], at[2]), .heading = frame.heading(), .scale = scale * frame.scale, .colour = colour(tint), .keeps_normals = true});
  }
  void polygon(const Texture* texture, const Vec3f& normal, const Vec3f& own, std::initializer_list<SceneVertex> corners) {
    scene_.polygons.push_back({static_cast<uint32_t>(scene_.vertices.size()), static_cast<uint32_t>(corners.size()), flat_ ? nullptr : texture, normal, colour(own)});
    scene_.vertices.insert(scene_.vertices.end(), corners.begin(), corners.end());
  }

 private:
  void add(SceneItem item) { scene_.items.push_back(item); }

  Scene& scene_;
  const Vec3f* flat_;
  size_t thing_ = kNothing;
};

}  // namespace vldac::alfworld

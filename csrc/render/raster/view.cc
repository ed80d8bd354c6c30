#include "render/raster/view.h"

#include <cmath>

namespace vldac::raster {
namespace {

// The top view's depth goes from 100 m above the ground to 100 m below.
constexpr double kTopRange = 100.0;

double dot(const Vec3d& a, const Vec3d& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vec3d unit(const Vec3d& v) {
  double length = std::sqrt(dot(v, v));
  return {v[0] / length, v[1] / length, v[2] / length};
}

Vec3d cross(const Vec3d& a, const Vec3d& b) { return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]}; }

// Rows in -w..w become pixels and depths.
View to_pixels(const double (&clip)[4][4], const Vec4d& eye, int width, int height) {
  View view;
  view.eye = eye;
  for (int i = 0; i < 4; ++i) {
    view.rows[0][i] = (clip[0][i] + clip[3][i]) * 0.5 * width;
    view.rows[1][i] = (clip[1][i] + clip[3][i]) * 0.5 * height;
    view.rows[2][i] = (clip[2][i] + clip[3][i]) * 0.5 * kDepthRange;
    view.rows[3][i] = clip[3][i];
  }
  return view;
}

}  // namespace

View perspective_view(const Camera& camera, int width, int height) {
  Vec3d forward = unit(camera.forward), side = unit(cross(forward, {0, 1, 0})), up = cross(side, forward);
  double scale = 1.0 / std::tan(camera.fov_y * M_PI / 360.0), aspect = static_cast<double>(width) / height;
  double range = camera.far - camera.near;
  double clip[4][4];
  for (int i = 0; i < 3; ++i) {
    clip[0][i] = scale / aspect * side[i];
    clip[1][i] = scale * up[i];
    clip[2][i] = (camera.far + camera.near) / range * forward[i];
    clip[3][i] = forward[i];
  }
  for (auto& row : clip) row[3] = -(row[0] * camera.eye[0] + row[1] * camera.eye[1] + row[2] * camera.eye[2]);
  clip[2][3] -= 2.0 * camera.far * camera.near / range;
  return to_pixels(clip, {camera.eye[0], camera.eye[1], camera.eye[2], 1.0}, width, height);
}

View top_view(const TopCamera& camera, int width, int height) {
  double across = camera.max_x - camera.min_x, down = camera.max_z - camera.min_z;
  double clip[4][4] = {{2.0 / across, 0, 0, -(camera.max_x + camera.min_x) / across},
                       {0, 0, -2.0 / down, (camera.max_z + camera.min_z) / down},
                       {0, -1.0 / kTopRange, 0, 0},
                       {0, 0, 0, 1}};
  return to_pixels(clip, {0, 1, 0, 0}, width, height);
}

bool is_finite(const View& view) {
  for (const auto& row : view.rows)
    for (double value : row)
      if (!std::isfinite(value)) return false;
  return true;
}

}  // namespace vldac::raster

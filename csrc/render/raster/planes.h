// Attributes of a triangle as linear functions on the picture. An attribute over w is linear there; three corners, also such as lie
// behind the eye, give it.
#pragma once

#include "render/raster/face.h"
#include "render/raster/view.h"

namespace vldac::raster {

class PlaneSolver {
 public:
  void corner(int i, const Vec4d& at) { x_[i] = at.x, y_[i] = at.y, w_[i] = at.w; }
  // Returns twice the triangle's area on the picture times the three w: positive where its front is seen.
  double prepare() {
    for (int i = 0; i < 3; ++i) {
      int j = (i + 1) % 3, k = (i + 2) % 3;
      a_[i] = y_[j] * w_[k] - y_[k] * w_[j];
      b_[i] = w_[j] * x_[k] - w_[k] * x_[j];
      c_[i] = x_[j] * y_[k] - x_[k] * y_[j];
    }
    determinant_ = x_[0] * a_[0] + y_[0] * b_[0] + w_[0] * c_[0];
    return determinant_;
  }
  // Of the attribute over w.
  Plane plane(const double (&values)[3]) const {
    double scale = 1.0 / determinant_;
    return {(values[0] * c_[0] + values[1] * c_[1] + values[2] * c_[2]) * scale,
            (values[0] * a_[0] + values[1] * a_[1] + values[2] * a_[2]) * scale,
            (values[0] * b_[0] + values[1] * b_[1] + values[2] * b_[2]) * scale};
  }

 private:
  double x_[3] = {}, y_[3] = {}, w_[3] = {}, a_[3] = {}, b_[3] = {}, c_[3] = {}, determinant_ = 0;
};

}  // namespace vldac::raster

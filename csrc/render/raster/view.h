// From the world to pixels: a matrix whose rows give x, y (pixels, y upwards from the picture's bottom), depth (0 to 65535) and w, all
// four times w. A point is in front of the near plane where depth >= 0, and before the far one where depth <= 65535 w.
#pragma once

#include "render/raster/scene.h"

namespace vldac::raster {

inline constexpr double kDepthRange = 65535.0;

struct Vec4d {
  double x, y, z, w;
};

struct View {
  double rows[4][4];
  // Where all lines of sight begin; w is 0 where they are parallel, and the rest points against them.
  Vec4d eye;

  // Of a world position.
  Vec4d at(double x, double y, double z) const {
    auto row = [&](int i) { return rows[i][0] * x + rows[i][1] * y + rows[i][2] * z + rows[i][3]; };
    return {row(0), row(1), row(2), row(3)};
  }
};

View perspective_view(const Camera& camera, int width, int height);
View top_view(const TopCamera& camera, int width, int height);
// Everything in it is a number: a view of a camera that lies somewhere and looks somewhere.
bool is_finite(const View& view);

}  // namespace vldac::raster

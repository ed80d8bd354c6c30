// Outlines of simple shapes: circles, rounded rectangles and the four suits.
#pragma once

#include "render/path.h"

namespace vldac {

inline Path circle(double x, double y, double radius) {
  // Eight curves; their points and control points lie on the circle and on its tangents at 22.5 degrees.
  constexpr double kDiagonal = 0.70710678118654752, kTangent = 0.41421356237309505;
  Path path;
  path.move({x + radius, y});
  auto curve = [&](double control_x, double control_y, double to_x, double to_y) {
    path.curve({x + radius * control_x, y + radius * control_y}, {x + radius * to_x, y + radius * to_y});
  };
  curve(1, kTangent, kDiagonal, kDiagonal);
  curve(kTangent, 1, 0, 1);
  curve(-kTangent, 1, -kDiagonal, kDiagonal);
  curve(-1, kTangent, -1, 0);
  curve(-1, -kTangent, -kDiagonal, -kDiagonal);
  curve(-kTangent, -1, 0, -1);
  curve(kTangent, -1, kDiagonal, -kDiagonal);
  curve(1, -kTangent, 1, 0);
  return path;
}

inline Path rounded_rectangle(double left, double top, double right, double bottom, double radius) {
  Path path;
  path.move({left + radius, top});
  path.line({right - radius, top});
  path.curve({right, top}, {right, top + radius});
  path.line({right, bottom - radius});
  path.curve({right, bottom}, {right - radius, bottom});
  path.line({left + radius, bottom});
  path.curve({left, bottom}, {left, bottom - radius});
  path.line({left, top + radius});
  path.curve({left, top}, {left + radius, top});
  return path;
}

inline Path diamond() {
  Path path;
  path.move({0, -0.5});
  path.curve({0.16, -0.2}, {0.4, 0});
  path.curve({0.16, 0.2}, {0, 0.5});
  path.curve({-0.16, 0.2}, {-0.4, 0});
  path.curve({-0.16, -0.2}, {0, -0.5});
  return path;
}

inline Path heart() {
  Path path;
  path.move({0, 0.5});
  path.curve({-0.14, 0.28}, {-0.36, 0.06});
  path.curve({-0.5, -0.08}, {-0.5, -0.22});
  path.curve({-0.5, -0.46}, {-0.26, -0.46});
  path.curve({-0.06, -0.46}, {0, -0.22});
  path.curve({0.06, -0.46}, {0.26, -0.46});
  path.curve({0.5, -0.46}, {0.5, -0.22});
  path.curve({0.5, -0.08}, {0.36, 0.06});
  path.curve({0.14, 0.28}, {0, 0.5});
  return path;
}

inline Path stalk() {
  Path path;
  path.move({-0.03, 0.1});
  path.line({0.03, 0.1});
  path.curve({0.04, 0.42}, {0.2, 0.5});
  path.line({-0.2, 0.5});
  path.curve({-0.04, 0.42}, {-0.03, 0.1});
  return path;
}

inline Path spade() {
  Path path;
  path.move({0, -0.5});
  path.curve({0.14, -0.3}, {0.34, -0.1});
  path.curve({0.48, 0.04}, {0.48, 0.15});
  path.curve({0.48, 0.36}, {0.26, 0.36});
  path.curve({0.08, 0.36}, {0, 0.18});
  path.curve({-0.08, 0.36}, {-0.26, 0.36});
  path.curve({-0.48, 0.36}, {-0.48, 0.15});
  path.curve({-0.48, 0.04}, {-0.34, -0.1});
  path.curve({-0.14, -0.3}, {0, -0.5});
  path.append(stalk());
  return path;
}

inline Path club() {
  Path path = circle(0, -0.26, 0.23);
  path.append(circle(-0.26, 0.1, 0.23));
  path.append(circle(0.26, 0.1, 0.23));
  path.append(circle(0, 0, 0.12));
  path.append(stalk());
  return path;
}

}  // namespace vldac

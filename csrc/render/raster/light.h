// One directional light and an ambient one, on a matt surface; colours above 1 are cut. Normals are taken as they come.
#pragma once

#include <algorithm>

#include "render/raster/scene.h"

namespace vldac::raster {

// A channel of a lit colour, 0..255. cosine: of normal and light, not yet cut at 0.
inline float lit_channel(float colour, float ambient, float diffuse, float cosine) {
  float value = colour * (ambient + diffuse * std::max(cosine, 0.0f));
  return 255.0f * std::min(std::max(value, 0.0f), 1.0f);
}

inline float dot(const Vec3f& a, const Vec3f& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

}  // namespace vldac::raster

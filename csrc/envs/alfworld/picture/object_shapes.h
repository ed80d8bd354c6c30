// The shapes of objects, by name, in two colours.
#pragma once

#include <string_view>

#include "envs/alfworld/picture/solid.h"

namespace vldac::alfworld {

// Adds the shape to `solid`, inside the unit cube, its front to +z. Throws std::logic_error for a name that is no shape.
void add_shape(Solid& solid, std::string_view shape, const Vec3f& first, const Vec3f& second);

}  // namespace vldac::alfworld

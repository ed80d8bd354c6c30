// Triangles of a mesh that faces the eye: most cover no sample or a few, and those are found one by one.
#pragma once

#include "render/raster/workspace.h"

namespace vldac::raster {

// Triangle `triangle` of work.meshes.back(), whose corners are snapped.
void bin_triangle(Workspace& work, uint32_t triangle, const Texture* texture);

}  // namespace vldac::raster

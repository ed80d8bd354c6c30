// A scene becomes faces, and faces go into the bins of the tiles that they touch.
#pragma once

#include "render/raster/workspace.h"

namespace vldac::raster {

void set_up(Workspace& work, const Scene& scene, const View& view);

}  // namespace vldac::raster

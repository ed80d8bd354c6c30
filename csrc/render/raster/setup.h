// A scene becomes faces, and faces go into the bins of the tiles that they touch.
#pragma once

#include "render/raster/tile.h"

namespace vldac::raster {

void set_up(Workspace& work, const Scene& scene, const View& view, const TileFunctions& functions);

}  // namespace vldac::raster

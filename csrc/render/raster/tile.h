// One tile: which face each sample shows, and the pixels' colours. A function per tier, all of the same bytes.
#pragma once

#include "ops/isa.h"
#include "render/raster/workspace.h"

namespace vldac::raster {

// rgb: the whole picture, its top row first.
using DrawTile = void (*)(Workspace& work, int tile_x, int tile_y, uint8_t* rgb);
// The depth (0 to 65535) of the pixels' first samples, [height][width], the top row first.
using ResolveDepth = void (*)(Workspace& work, int tile_x, int tile_y, uint16_t* depth);

// Both of mesh_kernel.h.
using SnapVertices = void (*)(const PlacedMesh& placed, int32_t* snapped_x, int32_t* snapped_y);
using FindFront = void (*)(const PlacedMesh& placed, const int32_t* snapped_x, const int32_t* snapped_y, uint32_t first, uint32_t end,
                           std::vector<uint32_t>& front);

struct TileFunctions {
  DrawTile draw;
  ResolveDepth depth;
  SnapVertices snap_vertices;
  FindFront find_front;
};

TileFunctions tile_functions(Isa isa);

namespace generic { extern const TileFunctions kTileFunctions; }
#ifdef VLDAC_X86
namespace sse41 { extern const TileFunctions kTileFunctions; }
namespace avx2 { extern const TileFunctions kTileFunctions; }
namespace avx512 { extern const TileFunctions kTileFunctions; }
#endif

}  // namespace vldac::raster

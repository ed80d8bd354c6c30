// A face is what reaches the tiles: a convex polygon on the picture with its edges, its depth and where its surface is described.
//
// Positions on the picture are counted in eighths of a pixel where samples lie (kSamples), and corners are rounded to 1/256 pixel.
#pragma once

#include <cstdint>

#include "render/raster/texture.h"

namespace vldac::raster {

inline constexpr int kTile = 8;                    // pixels a side
inline constexpr int kTilePixels = kTile * kTile;
inline constexpr int kSamplesPerPixel = 4;
inline constexpr int kSubPixel = 256;              // corner positions
inline constexpr int kEighths = 8;                 // sample positions
inline constexpr int kTileEighths = kTile * kEighths;
// Where a pixel's samples lie, in eighths from its lower left corner.
inline constexpr int kSampleX[kSamplesPerPixel] = {3, 7, 1, 5};
inline constexpr int kSampleY[kSamplesPerPixel] = {1, 3, 5, 7};
// The outermost samples of a tile.
inline constexpr int kFirstSample = 1, kLastSample = kTileEighths - 1;

// A sample at eighths (x, y) is inside where a x + b y + c >= 0.
struct Edge {
  int32_t a, b;
  int64_t c;
};

// value = at + dx x + dy y, at pixels (x, y) from the picture's lower left corner.
struct Plane {
  double at, dx, dy;
  double operator()(double x, double y) const { return at + dx * x + dy * y; }
};

// What a face looks like: a flat colour, or one interpolated, times a texture or not. Planes hold the attribute over w.
struct Surface {
  const Texture* texture;
  bool is_smooth;      // red, green and blue are planes
  float colour[3];     // 0..255
  Plane inverse_w, u, v;
  Plane red, green, blue;
};

// A surface's planes with a tile's lower left corner as origin.
struct LocalPlane {
  float at, dx, dy;
};

struct LocalSurface {
  const Texture* texture;
  bool is_smooth;
  float colour[3];
  LocalPlane inverse_w, u, v, red, green, blue;
};

struct Face {
  uint32_t first_edge, num_edges;
  int16_t x0, y0, x1, y1;  // pixels that it may touch, inclusive
  uint32_t source;         // of its surface: see Workspace::surface_of
  Plane depth;                                  // 0 to 65535, half a unit added, at eighths (x, y)
};

}  // namespace vldac::raster

// What a picture of a 3-D world shows: flat polygons (rooms, frames), boxes and meshes, one directional light, and a camera.
// Lengths are metres, y points up, a heading a faces (cos a, 0, -sin a). Plain data: the world owns it, the rasteriser reads it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "render/raster/mesh.h"
#include "render/raster/texture.h"

namespace vldac {

using Vec3f = std::array<float, 3>;
using Vec3d = std::array<double, 3>;

struct SceneVertex {
  float x, y, z;
  float u, v;  // in texture widths and heights, v upwards
};

// Convex and planar, counter-clockwise seen from its front; its back is not drawn.
struct ScenePolygon {
  uint32_t first = 0, count = 0;     // into Scene::vertices
  const Texture* texture = nullptr;  // null: plain colour
  Vec3f normal{};
  Vec3f colour{1, 1, 1};
};

// A box or a mesh, turned by `heading` (radians) about the vertical, its bottom at position.
struct SceneItem {
  const Mesh* mesh = nullptr;  // null: a box of `size` and `colour`
  Vec3d position{};
  double heading = 0.0;
  double scale = 1.0;  // of a mesh
  Vec3d size{};        // of a box
  Vec3f colour{1, 1, 1};  // a mesh's own colours are multiplied by it
  // A fixed pipeline's normals grow as a mesh shrinks, and what they are lit by with them; with this they stay as the mesh has them.
  bool keeps_normals = false;
};

struct Scene {
  Vec3f sky{};
  Vec3f light{};  // towards the light, of length 1
  Vec3f ambient{}, diffuse{};  // ambient: all light without direction, a global one included
  std::vector<SceneVertex> vertices;
  std::vector<ScenePolygon> polygons;
  std::vector<SceneItem> items;  // drawn after the polygons, in order; order decides between equal depths
};

struct Camera {
  Vec3d eye{};
  Vec3d forward{1, 0, 0};
  double fov_y = 60.0;  // degrees
  double near = 0.04, far = 100.0;
};

// Seen from above: x to the right, z downwards, ceilings not drawn. The extents already have the picture's aspect.
struct TopCamera {
  double min_x = 0, max_x = 0, min_z = 0, max_z = 0;
};

}  // namespace vldac

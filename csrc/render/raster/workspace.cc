#include "render/raster/workspace.h"

#include "render/raster/planes.h"

namespace vldac::raster {

void Workspace::begin(int picture_width, int picture_height) {
  width = picture_width, height = picture_height;
  tiles_x = (width + kTile - 1) / kTile, tiles_y = (height + kTile - 1) / kTile;
  edges.clear(), faces.clear(), surfaces.clear(), triangles.clear(), meshes.clear(), nodes.clear();
  bins.assign(static_cast<size_t>(tiles_x) * tiles_y, {kNone, kNone, INT32_MAX, 0});
}

Surface Workspace::surface_of(const Face& face) const {
  if (!(face.source & kIsTriangle)) return surfaces[face.source];
  const TriangleSource& source = triangles[face.source & ~kIsTriangle];
  const PlacedMesh& placed = meshes[source.placed];
  const Mesh& mesh = *placed.mesh;
  const uint32_t* corners = mesh.corners().data() + static_cast<size_t>(source.triangle) * 3;
  PlaneSolver solver;
  size_t at[3];
  double one[3] = {1, 1, 1};
  for (int i = 0; i < 3; ++i) {
    at[i] = placed.first + corners[i];
    solver.corner(i, {x[at[i]], y[at[i]], z[at[i]], w[at[i]]});
  }
  solver.prepare();
  Surface surface{};
  surface.texture = source.texture;
  surface.is_smooth = true;
  surface.inverse_w = solver.plane(one);
  auto lit = [&](const std::vector<float>& column) {
    double values[3] = {column[at[0]], column[at[1]], column[at[2]]};
    return solver.plane(values);
  };
  surface.red = lit(red), surface.green = lit(green), surface.blue = lit(blue);
  if (source.texture) {
    auto own = [&](Mesh::Column column) {
      const float* values = mesh.column(column);
      double three[3] = {values[corners[0]], values[corners[1]], values[corners[2]]};
      return solver.plane(three);
    };
    surface.u = own(Mesh::kU), surface.v = own(Mesh::kV);
  }
  return surface;
}

}  // namespace vldac::raster

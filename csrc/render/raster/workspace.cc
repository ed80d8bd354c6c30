#include "render/raster/workspace.h"

#include "render/raster/light.h"
#include "render/raster/planes.h"

namespace vldac::raster {

void Workspace::begin(int picture_width, int picture_height) {
  width = picture_width, height = picture_height;
  tiles_x = (width + kTile - 1) / kTile, tiles_y = (height + kTile - 1) / kTile;
  edges.clear(), faces.clear(), surfaces.clear(), triangles.clear(), meshes.clear(), nodes.clear(), snapped_x.clear(), snapped_y.clear();
  bins.assign(static_cast<size_t>(tiles_x) * tiles_y, {kNone, kNone, INT32_MAX});
}

Surface Workspace::surface_of(const Face& face) const {
  if (!(face.source & kIsTriangle)) return surfaces[face.source];
  const TriangleSource& source = triangles[face.source & ~kIsTriangle];
  const PlacedMesh& placed = meshes[source.placed];
  const Mesh& mesh = *placed.mesh;
  PlaneSolver solver;
  int32_t vertices[3];
  double lit[3][3];
  for (int i = 0; i < 3; ++i) {
    int32_t vertex = vertices[i] = mesh.corners(i)[source.triangle];
    solver.corner(i, placed.at(vertex));
    float cosine = mesh.column(Mesh::kNormalX)[vertex] * placed.light[0] + mesh.column(Mesh::kNormalY)[vertex] * placed.light[1] +
                   mesh.column(Mesh::kNormalZ)[vertex] * placed.light[2];
    for (int c = 0; c < 3; ++c) {
      float colour = mesh.column(static_cast<Mesh::Column>(Mesh::kRed + c))[vertex];
      lit[c][i] = lit_channel(colour, placed.ambient[c], placed.diffuse[c], cosine);
    }
  }
  solver.prepare();
  Surface surface{};
  surface.texture = source.texture;
  surface.is_smooth = true;
  surface.inverse_w = solver.plane({1, 1, 1});
  surface.red = solver.plane(lit[0]), surface.green = solver.plane(lit[1]), surface.blue = solver.plane(lit[2]);
  if (source.texture) {
    const float *u = mesh.column(Mesh::kU), *v = mesh.column(Mesh::kV);
    surface.u = solver.plane({u[vertices[0]], u[vertices[1]], u[vertices[2]]});
    surface.v = solver.plane({v[vertices[0]], v[vertices[1]], v[vertices[2]]});
  }
  return surface;
}

}  // namespace vldac::raster

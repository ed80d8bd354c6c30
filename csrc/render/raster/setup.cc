#include "render/raster/setup.h"

#include <cmath>

#include "render/raster/bin.h"
#include "render/raster/light.h"
#include "render/raster/planes.h"
#include "render/raster/triangles.h"

namespace vldac::raster {
namespace {

class Setup {
 public:
  Setup(Workspace& work, const Scene& scene, const View& view, const TileFunctions& functions)
      : work_(work), scene_(scene), view_(view), functions_(functions) {}

  void run() {
    for (const auto& polygon : scene_.polygons) add_polygon(polygon);
    for (const auto& item : scene_.items) {
      if (item.mesh) {
        add_mesh(item);
      } else {
        add_box(item);
      }
    }
  }

 private:
  // Beyond one side of the picture, behind the eye, too far off, or nowhere at all.
  bool is_outside(const Vec4d* corners, int count) const {
    double width = work_.width, height = work_.height;
    unsigned all = 63;
    for (int i = 0; i < count; ++i) {
      const Vec4d& p = corners[i];
      constexpr double kFarthest = 1e15;  // products of three stay numbers
      if (!(std::abs(p.x) + std::abs(p.y) + std::abs(p.z) + std::abs(p.w) < kFarthest)) return true;
      unsigned out = (p.x < 0) | (p.x > width * p.w) << 1 | (p.y < 0) << 2 | (p.y > height * p.w) << 3 | (p.z < 0) << 4 |
                     (p.z > kDepthRange * p.w) << 5;
      all &= out;
    }
    return all != 0;
  }

  // Surely: what is nearly edge-on is decided on the picture.
  bool is_turned_away(const Vec3f& normal, const SceneVertex& at) const {
    const Vec4d& eye = view_.eye;
    double x = eye.x - at.x * eye.w, y = eye.y - at.y * eye.w, z = eye.z - at.z * eye.w;
    return normal[0] * x + normal[1] * y + normal[2] * z < -1e-3 * (std::abs(x) + std::abs(y) + std::abs(z));
  }

  // Nothing of what these corners enclose can be seen: all tiles that it may touch are covered by something nearer.
  bool is_hidden(const Vec4d* corners, int count) {
    double low_x = 1e9, high_x = -1e9, low_y = 1e9, high_y = -1e9, nearest = kDepthRange;
    for (int i = 0; i < count; ++i) {
      const Vec4d& p = corners[i];
      if (p.z < 0) return false;
      double x = p.x / p.w, y = p.y / p.w;
      low_x = std::min(low_x, x), high_x = std::max(high_x, x), low_y = std::min(low_y, y), high_y = std::max(high_y, y);
      nearest = std::min(nearest, p.z / p.w);
    }
    auto tile = [](double at, int tiles) { return static_cast<int>(std::clamp(at / kTile, 0.0, tiles - 1.0)); };
    int x0 = tile(low_x - 1, work_.tiles_x), x1 = tile(high_x + 1, work_.tiles_x), y0 = tile(low_y - 1, work_.tiles_y), y1 = tile(high_y + 1, work_.tiles_y);
    for (int y = y0; y <= y1; ++y)
      for (int x = x0; x <= x1; ++x)
        if (nearest - 2 <= work_.bin(x, y).nearest_cover) return false;
    return true;
  }

  // Inside the depth range and the guard band: nothing needs to be clipped.
  bool is_whole(const Vec4d* corners, int count) const {
    double right = work_.width + kGuardBand, top = work_.height + kGuardBand;
    for (int i = 0; i < count; ++i) {
      const Vec4d& p = corners[i];
      if (p.z < 0 || p.z > kDepthRange * p.w || p.x < -kGuardBand * p.w || p.x > right * p.w || p.y < -kGuardBand * p.w || p.y > top * p.w) return false;
    }
    return true;
  }

  void light(const Vec3f& normal, const Vec3f& colour, float (&lit)[3]) const {
    float cosine = dot(normal, scene_.light);
    for (int i = 0; i < 3; ++i) lit[i] = lit_channel(colour[i], scene_.ambient[i], scene_.diffuse[i], cosine);
  }

  // The corners whose triangle with the first one is largest, which describes a planar polygon best.
  static int best_triangle(const Vec4d* corners, int count, PlaneSolver& solver) {
    int best = 0;
    double largest = 0;
    for (int i = 1; i + 1 < count; ++i) {
      PlaneSolver candidate;
      candidate.corner(0, corners[0]), candidate.corner(1, corners[i]), candidate.corner(2, corners[i + 1]);
      double area = candidate.prepare();
      if (area > largest) largest = area, best = i, solver = candidate;
    }
    return best;
  }

  void add_polygon(const ScenePolygon& polygon) {
    if (polygon.count < 3) return;
    const SceneVertex* vertices = scene_.vertices.data() + polygon.first;
    if (is_turned_away(polygon.normal, vertices[0])) return;
    work_.corners.clear();
    for (uint32_t i = 0; i < polygon.count; ++i) work_.corners.push_back(view_.at(vertices[i].x, vertices[i].y, vertices[i].z));
    const Vec4d* corners = work_.corners.data();
    auto count = static_cast<int>(polygon.count);
    if (is_outside(corners, count)) return;
    PlaneSolver solver;
    int second = best_triangle(corners, count, solver);
    if (second == 0) return;  // its back, its edge, or no area
    Surface surface{};
    surface.texture = polygon.texture;
    light(polygon.normal, polygon.colour, surface.colour);
    const SceneVertex *a = vertices, *b = vertices + second, *c = vertices + second + 1;
    if (polygon.texture) {
      surface.inverse_w = solver.plane({1, 1, 1});
      surface.u = solver.plane({a->u, b->u, c->u});
      surface.v = solver.plane({a->v, b->v, c->v});
    }
    Plane depth = solver.plane({corners[0].z, corners[second].z, corners[second + 1].z});
    auto source = static_cast<uint32_t>(work_.surfaces.size());
    work_.surfaces.push_back(surface);
    // Parts of a polygon of many corners share its surface.
    constexpr int kPart = kMaxCorners / 2;
    for (int first = 1; first + 1 < count; first += kPart - 2) {
      polygon_.count = 0;
      polygon_.corners[polygon_.count++] = corners[0];
      for (int i = first; i < std::min(count, first + kPart - 1); ++i) polygon_.corners[polygon_.count++] = corners[i];
      add_face(source, depth);
    }
  }

  // From polygon_.
  void add_face(uint32_t source, const Plane& depth) {
    clip(polygon_, scratch_, work_.width, work_.height);
    if (polygon_.count >= 3) bin_polygon(work_, polygon_, depth, source);
  }

  void add_box(const SceneItem& item) {
    double half_x = item.size[0] / 2, high = item.size[1], half_z = item.size[2] / 2;
    double c = std::cos(item.heading), s = std::sin(item.heading);
    Vec4d corners[8];
    for (int i = 0; i < 8; ++i) {
      double x = i & 1 ? half_x : -half_x, y = i & 2 ? high : 0.0, z = i & 4 ? half_z : -half_z;
      corners[i] = view_.at(item.position[0] + x * c + z * s, item.position[1] + y, item.position[2] - x * s + z * c);
    }
    if (is_outside(corners, 8) || is_hidden(corners, 8)) return;
    struct Side {
      int corner[4];
      float x, y, z;
    };
    static constexpr Side kSides[6] = {{{7, 6, 4, 5}, 0, 0, 1},  {{2, 3, 1, 0}, 0, 0, -1}, {{6, 2, 0, 4}, -1, 0, 0},
                                       {{3, 7, 5, 1}, 1, 0, 0}, {{7, 3, 2, 6}, 0, 1, 0},  {{1, 5, 4, 0}, 0, -1, 0}};
    auto cosine = static_cast<float>(c), sine = static_cast<float>(s);
    for (const Side& side : kSides) {
      polygon_.count = 4;
      for (int i = 0; i < 4; ++i) polygon_.corners[i] = corners[side.corner[i]];
      PlaneSolver solver;
      int second = best_triangle(polygon_.corners, 4, solver);
      if (second == 0) continue;
      Surface surface{};
      light({side.x * cosine + side.z * sine, side.y, side.z * cosine - side.x * sine}, item.colour, surface.colour);
      const Vec4d* p = polygon_.corners;
      Plane depth = solver.plane({p[0].z, p[second].z, p[second + 1].z});
      auto source = static_cast<uint32_t>(work_.surfaces.size());
      work_.surfaces.push_back(surface);
      add_face(source, depth);
    }
  }

  void add_mesh(const SceneItem& item) {
    const Mesh& mesh = *item.mesh;
    if (!(item.scale > 0) || !std::isfinite(item.scale) || !std::isfinite(item.heading)) return;
    work_.meshes.push_back(place(item));
    PlacedMesh& placed = work_.meshes.back();
    Vec4d box[8];
    for (int i = 0; i < 8; ++i) {
      auto side = [&](int axis) { return (i >> axis & 1) ? mesh.high()[axis] : mesh.low()[axis]; };
      auto row = [&](int r) {
        return static_cast<double>(placed.rows[r][0]) * side(0) + static_cast<double>(placed.rows[r][1]) * side(1) +
               static_cast<double>(placed.rows[r][2]) * side(2) + placed.rows[r][3];
      };
      box[i] = {row(0), row(1), row(2), row(3)};
    }
    if (is_outside(box, 8) || is_hidden(box, 8)) return;
    if (is_whole(box, 8)) {
      placed.first_vertex = work_.snapped_x.size();
      work_.snapped_x.resize(placed.first_vertex + mesh.stride());
      work_.snapped_y.resize(placed.first_vertex + mesh.stride());
      int32_t *x = work_.snapped_x.data() + placed.first_vertex, *y = work_.snapped_y.data() + placed.first_vertex;
      functions_.snap_vertices(placed, x, y);
      for (const auto& chunk : mesh.chunks()) {
        work_.front.clear();
        functions_.find_front(placed, x, y, chunk.first_triangle, chunk.first_triangle + chunk.num_triangles, work_.front);
        for (uint32_t triangle : work_.front) bin_triangle(work_, triangle, chunk.texture.get());
      }
    } else {
      add_clipped(placed);
    }
  }

  // Every triangle by itself.
  void add_clipped(const PlacedMesh& placed) {
    for (const auto& chunk : placed.mesh->chunks())
      for (uint32_t t = chunk.first_triangle; t < chunk.first_triangle + chunk.num_triangles; ++t) {
        PlaneSolver solver;
        polygon_.count = 3;
        for (int i = 0; i < 3; ++i) {
          polygon_.corners[i] = placed.at(placed.mesh->corners(i)[t]);
          solver.corner(i, polygon_.corners[i]);
        }
        if (!(solver.prepare() > 0) || is_outside(polygon_.corners, 3)) continue;
        const Vec4d* p = polygon_.corners;
        Plane depth = solver.plane({p[0].z, p[1].z, p[2].z});
        auto source = static_cast<uint32_t>(work_.triangles.size()) | kIsTriangle;
        work_.triangles.push_back({static_cast<uint32_t>(work_.meshes.size() - 1), t, chunk.texture.get()});
        add_face(source, depth);
      }
  }

  PlacedMesh place(const SceneItem& item) const {
    PlacedMesh placed;
    placed.mesh = item.mesh;
    for (int i = 0; i < 3; ++i) placed.ambient[i] = scene_.ambient[i] * item.colour[i], placed.diffuse[i] = scene_.diffuse[i] * item.colour[i];
    placed.first_vertex = 0;
    const Vec3d& at = item.position;
    double cosine = std::cos(item.heading), sine = std::sin(item.heading);
    for (int i = 0; i < 4; ++i) {
      const double* row = view_.rows[i];
      placed.rows[i][0] = static_cast<float>((row[0] * cosine - row[2] * sine) * item.scale);
      placed.rows[i][1] = static_cast<float>(row[1] * item.scale);
      placed.rows[i][2] = static_cast<float>((row[0] * sine + row[2] * cosine) * item.scale);
      placed.rows[i][3] = static_cast<float>(row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3]);
    }
    // Directions in the mesh's own axes, lengths there: what the light does to a normal grows with 1 / scale, as in a fixed pipeline
    // that does not normalise.
    double scale = 1.0 / item.scale;
    auto turned = [&](double x, double y, double z) { return Vec3d{(x * cosine - z * sine) * scale, y * scale, (x * sine + z * cosine) * scale}; };
    Vec3d light = turned(scene_.light[0], scene_.light[1], scene_.light[2]);
    const Vec4d& eye = view_.eye;
    Vec3d from = turned(eye.x - at[0] * eye.w, eye.y - at[1] * eye.w, eye.z - at[2] * eye.w);
    double length = item.keeps_normals ? item.scale : 1.0;
    for (int i = 0; i < 3; ++i) placed.light[i] = static_cast<float>(light[i] * length), placed.eye[i] = static_cast<float>(from[i]);
    placed.eye[3] = static_cast<float>(eye.w);
    return placed;
  }

  Workspace& work_;
  const Scene& scene_;
  const View& view_;
  const TileFunctions& functions_;
  ClipPolygon polygon_, scratch_;
};

}  // namespace

void set_up(Workspace& work, const Scene& scene, const View& view, const TileFunctions& functions) { Setup(work, scene, view, functions).run(); }

}  // namespace vldac::raster

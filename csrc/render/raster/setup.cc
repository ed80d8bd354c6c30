#include "render/raster/setup.h"

#include <cmath>

#include "render/raster/bin.h"
#include "render/raster/light.h"
#include "render/raster/planes.h"

namespace vldac::raster {
namespace {

class Setup {
 public:
  Setup(Workspace& work, const Scene& scene, const View& view) : work_(work), scene_(scene), view_(view) {}

  void run() {
    work_.corners.clear();
    for (const auto& vertex : scene_.vertices) work_.corners.push_back(view_.at(vertex.x, vertex.y, vertex.z));
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
  // Beyond one side of the picture, behind the eye or too far off.
  bool is_outside(const Vec4d* corners, int count) const {
    double width = work_.width, height = work_.height;
    unsigned all = 63;
    for (int i = 0; i < count; ++i) {
      const Vec4d& p = corners[i];
      unsigned out = (p.x < 0) | (p.x > width * p.w) << 1 | (p.y < 0) << 2 | (p.y > height * p.w) << 3 | (p.z < 0) << 4 |
                     (p.z > kDepthRange * p.w) << 5;
      all &= out;
    }
    return all != 0;
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
    auto count = static_cast<int>(polygon.count);
    if (count < 3) return;
    const Vec4d* corners = work_.corners.data() + polygon.first;
    if (is_outside(corners, count)) return;
    PlaneSolver solver;
    int second = best_triangle(corners, count, solver);
    if (second == 0) return;  // its back, its edge, or no area
    Surface surface{};
    surface.texture = polygon.texture;
    light(polygon.normal, polygon.colour, surface.colour);
    const SceneVertex* vertices = scene_.vertices.data() + polygon.first;
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
    if (is_outside(corners, 8)) return;
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
    double c = std::cos(item.heading) * item.scale, s = std::sin(item.heading) * item.scale;
    if (!std::isfinite(c + s) || item.scale == 0) return;
    // Rows of the matrix from the mesh to the picture.
    float rows[4][4];
    for (int i = 0; i < 4; ++i) {
      const double* row = view_.rows[i];
      rows[i][0] = static_cast<float>(row[0] * c - row[2] * s);
      rows[i][1] = static_cast<float>(row[1] * item.scale);
      rows[i][2] = static_cast<float>(row[0] * s + row[2] * c);
      rows[i][3] = static_cast<float>(row[0] * item.position[0] + row[1] * item.position[1] + row[2] * item.position[2] + row[3]);
    }
    size_t first = work_.x.size(), count = mesh.num_vertices();
    (void)first;
    size_t base = placed_vertices_;
    placed_vertices_ += mesh.stride();
    for (auto* column : {&work_.x, &work_.y, &work_.z, &work_.w, &work_.red, &work_.green, &work_.blue})
      if (column->size() < placed_vertices_) column->resize(placed_vertices_);
    // The light in the mesh's own axes; lengths of normals scale with 1 / scale, as GL has it without normalisation.
    auto inverse = 1.0 / item.scale;
    double ch = std::cos(item.heading) * inverse, sh = std::sin(item.heading) * inverse;
    float light_x = static_cast<float>(scene_.light[0] * ch - scene_.light[2] * sh);
    float light_y = static_cast<float>(scene_.light[1] * inverse);
    float light_z = static_cast<float>(scene_.light[0] * sh + scene_.light[2] * ch);
    const float *px = mesh.column(Mesh::kX), *py = mesh.column(Mesh::kY), *pz = mesh.column(Mesh::kZ);
    const float *nx = mesh.column(Mesh::kNormalX), *ny = mesh.column(Mesh::kNormalY), *nz = mesh.column(Mesh::kNormalZ);
    const float *cr = mesh.column(Mesh::kRed), *cg = mesh.column(Mesh::kGreen), *cb = mesh.column(Mesh::kBlue);
    for (size_t i = 0; i < count; ++i) {
      auto row = [&](int r) { return rows[r][0] * px[i] + rows[r][1] * py[i] + rows[r][2] * pz[i] + rows[r][3]; };
      work_.x[base + i] = row(0), work_.y[base + i] = row(1), work_.z[base + i] = row(2), work_.w[base + i] = row(3);
      float cosine = nx[i] * light_x + ny[i] * light_y + nz[i] * light_z;
      work_.red[base + i] = lit_channel(cr[i], scene_.ambient[0], scene_.diffuse[0], cosine);
      work_.green[base + i] = lit_channel(cg[i], scene_.ambient[1], scene_.diffuse[1], cosine);
      work_.blue[base + i] = lit_channel(cb[i], scene_.ambient[2], scene_.diffuse[2], cosine);
    }
    auto placed = static_cast<uint32_t>(work_.meshes.size());
    work_.meshes.push_back({&mesh, base});
    for (const auto& chunk : mesh.chunks())
      for (uint32_t t = chunk.first_triangle; t < chunk.first_triangle + chunk.num_triangles; ++t) {
        const uint32_t* corner = mesh.corners().data() + static_cast<size_t>(t) * 3;
        polygon_.count = 3;
        PlaneSolver solver;
        for (int i = 0; i < 3; ++i) {
          size_t at = base + corner[i];
          polygon_.corners[i] = {work_.x[at], work_.y[at], work_.z[at], work_.w[at]};
          solver.corner(i, polygon_.corners[i]);
        }
        if (!(solver.prepare() > 0) || is_outside(polygon_.corners, 3)) continue;
        const Vec4d* p = polygon_.corners;
        Plane depth = solver.plane({p[0].z, p[1].z, p[2].z});
        auto source = static_cast<uint32_t>(work_.triangles.size()) | kIsTriangle;
        work_.triangles.push_back({placed, t, chunk.texture.get()});
        add_face(source, depth);
      }
  }

  Workspace& work_;
  const Scene& scene_;
  const View& view_;
  size_t placed_vertices_ = 0;
  ClipPolygon polygon_, scratch_;
};

}  // namespace

void set_up(Workspace& work, const Scene& scene, const View& view) { Setup(work, scene, view).run(); }

}  // namespace vldac::raster

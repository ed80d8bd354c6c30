#include "envs/alfworld/picture/solid.h"

#include <array>
#include <cmath>

namespace vldac::alfworld {
namespace {

constexpr int kSides = 8;
constexpr float kDiagonal = 0.70710678f;
// Cosines of multiples of 45 degrees: constants, so that shapes do not depend on a library's cosine.
constexpr std::array<float, kSides> kCosines = {1, kDiagonal, 0, -kDiagonal, -1, -kDiagonal, 0, kDiagonal};
float cosine(int i) { return kCosines[static_cast<size_t>(i % kSides)]; }
float sine(int i) { return kCosines[static_cast<size_t>((i + kSides - 2) % kSides)]; }

Vec3f unit(const Vec3f& v) {
  float length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  return length > 0 ? Vec3f{v[0] / length, v[1] / length, v[2] / length} : Vec3f{0, 1, 0};
}

// From (across, along, other) of a column's axis to x, y, z, keeping the sense of rotation.
Vec3f turned(Along axis, float across, float along, float other) {
  if (axis == Along::kY) return {across, along, other};
  if (axis == Along::kX) return {along, other, across};
  return {other, across, along};
}

}  // namespace

void Solid::face(const Corner& a, const Corner& b, const Corner& c, Vec3f colour) {
  if (is_blank_) colour = {1, 1, 1};
  for (const Corner* corner : {&a, &b, &c}) {
    positions_.insert(positions_.end(), corner->at.begin(), corner->at.end());
    normals_.insert(normals_.end(), corner->normal.begin(), corner->normal.end());
    colours_.insert(colours_.end(), colour.begin(), colour.end());
  }
}

void Solid::quad(const Corner& a, const Corner& b, const Corner& c, const Corner& d, Vec3f colour) {
  face(a, b, c, colour);
  face(a, c, d, colour);
}

Solid& Solid::triangle(const Vec3f& a, const Vec3f& b, const Vec3f& c, Vec3f colour) {
  Vec3f u{b[0] - a[0], b[1] - a[1], b[2] - a[2]}, v{c[0] - a[0], c[1] - a[1], c[2] - a[2]};
  Vec3f normal = unit({u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]});
  face({a, normal}, {b, normal}, {c, normal}, colour);
  return *this;
}

Solid& Solid::box(Vec3f low, Vec3f high, Vec3f colour) {
  auto corner = [&](int i) { return Vec3f{i & 1 ? high[0] : low[0], i & 2 ? high[1] : low[1], i & 4 ? high[2] : low[2]}; };
  struct Side {
    int corner[4];
    Vec3f normal;
  };
  static constexpr Side kBoxSides[6] = {{{7, 6, 4, 5}, {0, 0, 1}},  {{2, 3, 1, 0}, {0, 0, -1}}, {{6, 2, 0, 4}, {-1, 0, 0}},
                                        {{3, 7, 5, 1}, {1, 0, 0}}, {{7, 3, 2, 6}, {0, 1, 0}},  {{1, 5, 4, 0}, {0, -1, 0}}};
  for (const Side& side : kBoxSides)
    quad({corner(side.corner[0]), side.normal}, {corner(side.corner[1]), side.normal}, {corner(side.corner[2]), side.normal},
         {corner(side.corner[3]), side.normal}, colour);
  return *this;
}

Solid& Solid::column(Along axis, Vec3f from, float length, float first_radius, float last_radius, Vec3f colour) {
  auto place = [&](float across, float along, float other) {
    Vec3f at = turned(axis, across, along, other);
    return Vec3f{from[0] + at[0], from[1] + at[1], from[2] + at[2]};
  };
  float slope = (first_radius - last_radius) / length;
  auto corner = [&](int i, bool is_last) {
    float radius = is_last ? last_radius : first_radius;
    return Corner{place(cosine(i) * radius, is_last ? length : 0, sine(i) * radius), unit(turned(axis, cosine(i), slope, sine(i)))};
  };
  auto cap = [&](int i, bool is_last) {
    float radius = is_last ? last_radius : first_radius;
    return Corner{place(cosine(i) * radius, is_last ? length : 0, sine(i) * radius), turned(axis, 0, is_last ? 1.0f : -1.0f, 0)};
  };
  for (int i = 0; i < kSides; ++i) {
    if (first_radius > 0) face(corner(i, false), corner(i, true), corner(i + 1, false), colour);
    if (last_radius > 0) face(corner(i + 1, false), corner(i, true), corner(i + 1, true), colour);
  }
  for (int i = 1; i + 1 < kSides; ++i) {
    if (first_radius > 0) face(cap(0, false), cap(i, false), cap(i + 1, false), colour);
    if (last_radius > 0) face(cap(0, true), cap(i + 1, true), cap(i, true), colour);
  }
  return *this;
}

Solid& Solid::ball(Vec3f middle, Vec3f radii, Vec3f colour) {
  constexpr int kBands = kSides / 2;
  auto corner = [&](int i, int band) {
    // From the bottom up: latitudes -90, -45, 0, 45 and 90 degrees.
    float up = sine(band + kSides - 2), around = cosine(band + kSides - 2);
    Vec3f at{around * cosine(i), up, around * sine(i)};
    return Corner{{middle[0] + at[0] * radii[0], middle[1] + at[1] * radii[1], middle[2] + at[2] * radii[2]},
                  unit({at[0] / radii[0], at[1] / radii[1], at[2] / radii[2]})};
  };
  for (int i = 0; i < kSides; ++i)
    for (int band = 0; band < kBands; ++band) {
      if (band > 0) face(corner(i, band), corner(i, band + 1), corner(i + 1, band), colour);
      if (band < kBands - 1) face(corner(i + 1, band), corner(i, band + 1), corner(i + 1, band + 1), colour);
    }
  return *this;
}

std::shared_ptr<const Mesh> Solid::mesh() const {
  std::vector<float> uvs(positions_.size() / 3 * 2, 0.0f);
  auto triangles = static_cast<uint32_t>(positions_.size() / 9);
  return std::make_shared<const Mesh>(positions_, normals_, uvs, colours_, std::vector<MeshChunk>{{0, triangles, nullptr}});
}

}  // namespace vldac::alfworld

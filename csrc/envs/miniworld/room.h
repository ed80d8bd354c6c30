// A room: a convex outline, counter-clockwise seen from above, and openings in its walls.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>

#include "envs/miniworld/materials.h"

namespace vldac::miniworld {

struct RoomStyle {
  Surface wall = Surface::kConcrete, floor = Surface::kFloorTiles, ceiling = Surface::kConcreteTiles;
  bool has_ceiling = true;
  double wall_height = 2.74;
};

// An opening, in metres along its wall and up.
struct Portal {
  double start = 0.0, end = 0.0, min_y = 0.0, max_y = 0.0;
};

// Where an opening is: an interval of x or of z; up to max_y, or to the ceiling.
struct Opening {
  double min_x = kNone, max_x = kNone, min_z = kNone, max_z = kNone, max_y = kNone;
  static constexpr double kNone = std::numeric_limits<double>::infinity();
};

class Room {
 public:
  static constexpr size_t kMaxWalls = 4, kMaxPortals = 4;
  Room(std::span<const Vec3> outline, const RoomStyle& style);

  // The part of a wall from `start` to `end`. Throws std::invalid_argument where it is not inside the wall.
  void add_portal(size_t wall, double start, double end, double max_y);
  // By x or z; returns its start and end.
  std::array<double, 2> add_portal(size_t wall, const Opening& opening);
  bool contains(Vec3 point) const;

  size_t num_walls() const { return num_walls_; }
  Vec3 corner(size_t i) const { return outline_[i % num_walls_]; }
  Vec3 edge_direction(size_t wall) const { return edge_directions_[wall]; }
  Vec3 edge_normal(size_t wall) const { return edge_normals_[wall]; }  // inwards
  std::span<const Portal> portals(size_t wall) const { return {portals_[wall].data(), num_portals_[wall]}; }
  double area() const { return (max_x - min_x) * (max_z - min_z); }

  RoomStyle style;
  double min_x = 0.0, max_x = 0.0, min_z = 0.0, max_z = 0.0;
  // Variants of the textures, drawn when the static data is made.
  int8_t wall_variant = 0, floor_variant = 0, ceiling_variant = 0;

 private:
  size_t num_walls_;
  std::array<Vec3, kMaxWalls> outline_, edge_directions_, edge_normals_;
  std::array<std::array<Portal, kMaxPortals>, kMaxWalls> portals_;
  std::array<uint8_t, kMaxWalls> num_portals_{};
};

}  // namespace vldac::miniworld

#include "envs/miniworld/room.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace vldac::miniworld {

Room::Room(std::span<const Vec3> outline, const RoomStyle& room_style) : style(room_style), num_walls_(outline.size()) {
  if (outline.size() < 3 || outline.size() > kMaxWalls) throw std::logic_error("room: expected 3 or 4 corners");
  std::copy(outline.begin(), outline.end(), outline_.begin());
  min_x = max_x = outline[0].x;
  min_z = max_z = outline[0].z;
  for (Vec3 corner : outline) {
    min_x = std::min(min_x, corner.x);
    max_x = std::max(max_x, corner.x);
    min_z = std::min(min_z, corner.z);
    max_z = std::max(max_z, corner.z);
  }
  for (size_t i = 0; i < num_walls_; ++i) {
    Vec3 edge = corner(i + 1) - outline_[i];
    edge_directions_[i] = edge / row_norm(edge);
    Vec3 normal{edge_directions_[i].z, 0.0, -edge_directions_[i].x};
    edge_normals_[i] = normal / row_norm(normal);
  }
}

void Room::add_portal(size_t wall, double start, double end, double max_y) {
  double length = norm(corner(wall + 1) - corner(wall));
  if (!(end > start) || start < 0 || end > length || !(max_y > 0))
    throw std::invalid_argument("opening in a wall of " + std::to_string(length) + " m: expected 0 <= start < end <= length, got " +
                                std::to_string(start) + " to " + std::to_string(end));
  uint8_t& count = num_portals_[wall];
  if (count == kMaxPortals) throw std::logic_error("room: too many openings in one wall");
  auto& portals = portals_[wall];
  size_t at = count++;
  for (; at > 0 && portals[at - 1].start > start; --at) portals[at] = portals[at - 1];
  portals[at] = {start, end, 0.0, max_y};
}

std::array<double, 2> Room::add_portal(size_t wall, const Opening& opening) {
  Vec3 from = corner(wall), edge = corner(wall + 1) - from;
  Vec3 direction = edge / norm(edge);
  bool is_x = opening.min_x != Opening::kNone;
  double start = is_x ? (opening.min_x - from.x) / direction.x : (opening.min_z - from.z) / direction.z;
  double end = is_x ? (opening.max_x - from.x) / direction.x : (opening.max_z - from.z) / direction.z;
  if (end < start) std::swap(start, end);
  add_portal(wall, start, end, opening.max_y == Opening::kNone ? style.wall_height : opening.max_y);
  return {start, end};
}

bool Room::contains(Vec3 point) const {
  for (size_t i = 0; i < num_walls_; ++i)
    if (!(row_dot(edge_normals_[i], point - outline_[i]) > 0)) return false;
  return true;
}

}  // namespace vldac::miniworld

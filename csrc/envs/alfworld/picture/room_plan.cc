#include "envs/alfworld/picture/room_plan.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "envs/alfworld/picture/labels.h"

namespace vldac::alfworld {
namespace {

constexpr int kSide = 64;

std::unique_ptr<const Texture> made(const Vec3f& base, auto&& shade) {
  std::vector<uint8_t> rgb;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x)
      for (int c = 0; c < 3; ++c) rgb.push_back(static_cast<uint8_t>(std::clamp(static_cast<int>(base[static_cast<size_t>(c)] * 255) + shade(x, y), 0, 255)));
  return std::make_unique<const Texture>(kSide, kSide, rgb);
}

// Whole numbers that look like chance.
int speckle(int x, int y, int range) {
  auto word = static_cast<uint32_t>(x) * 0x9E3779B1u ^ static_cast<uint32_t>(y) * 0x85EBCA77u;
  word = (word ^ word >> 15) * 0x2C1B3C6Du;
  return static_cast<int>((word >> 13) % static_cast<uint32_t>(2 * range + 1)) - range;
}

const Texture* texture_of(RoomKind kind, const Vec3f& floor) {
  // A repeat is a metre: two tiles of half a metre, planks, a carpet, four small tiles.
  switch (kind) {
    case RoomKind::kKitchen: {
      static const auto* tiles = made(floor, [](int x, int y) { return x % 32 == 0 || y % 32 == 0 ? -50 : ((x / 32 + y / 32) % 2 ? 8 : -14) + speckle(x, y, 2); }).release();
      return tiles;
    }
    case RoomKind::kLivingRoom: {
      static const auto* planks = made(floor, [](int x, int y) {
                                    int plank = y / 16, shift = plank * 23 % kSide;
                                    return y % 16 == 0 || (x + shift) % kSide == 0 ? -45 : speckle(plank, 7, 12) + speckle(x / 8, y, 3);
                                  }).release();
      return planks;
    }
    case RoomKind::kBedroom: {
      static const auto* carpet = made(floor, [](int x, int y) { return speckle(x, y, 9); }).release();
      return carpet;
    }
    default: {
      static const auto* tiles = made(floor, [](int x, int y) { return x % 16 == 0 || y % 16 == 0 ? 28 : speckle(x / 16, y / 16, 6); }).release();
      return tiles;
    }
  }
}

RoomStyle style_of(RoomKind kind) {
  RoomStyle style;
  switch (kind) {
    case RoomKind::kKitchen: style = {{0.9f, 0.87f, 0.78f}, {0.7f, 0.66f, 0.58f}, {0.78f, 0.74f, 0.68f}, nullptr}; break;
    case RoomKind::kLivingRoom: style = {{0.8f, 0.86f, 0.82f}, {0.95f, 0.95f, 0.93f}, {0.66f, 0.49f, 0.33f}, nullptr}; break;
    case RoomKind::kBedroom: style = {{0.83f, 0.83f, 0.92f}, {0.95f, 0.95f, 0.96f}, {0.66f, 0.62f, 0.6f}, nullptr}; break;
    default: style = {{0.84f, 0.92f, 0.94f}, {0.62f, 0.75f, 0.8f}, {0.62f, 0.72f, 0.77f}, nullptr}; break;
  }
  style.tiles = texture_of(kind, style.floor);
  return style;
}

RoomKind kind_of(const Room& room) {
  auto has = [&](std::string_view type) { return std::ranges::any_of(room.receptacles, [&](const Receptacle& one) { return one.type == type; }); };
  if (has("fridge") || has("stoveburner") || has("microwave")) return RoomKind::kKitchen;
  if (has("toilet") || has("bathtubbasin")) return RoomKind::kBathroom;
  if (has("bed")) return RoomKind::kBedroom;
  return RoomKind::kLivingRoom;
}

}  // namespace

RoomPlan::RoomPlan(std::shared_ptr<const Room> room) : room_(std::move(room)), kind_(kind_of(*room_)) {
  for (const Receptacle& one : room_->receptacles) {
    const ReceptacleLook& look = find_receptacle_look(one.type);
    double y = one.position[1];
    double base = look.anchor == ReceptacleLook::kFloor ? 0 : std::max(0.0, y - look.anchor * look.size.height);
    bool is_known = one.location < room_->locations.size() && room_->locations[one.location].is_known;
    pieces_.push_back({&look, look.size, base, is_known ? room_->locations[one.location].yaw : 0, is_known});
    numbers_.push_back(number_texture(one.number));
  }
  for (const Object& one : room_->objects) looks_.push_back(find_object_look(one.type));
  find_walls();
  make_room_for_neighbours();
}

const RoomStyle& RoomPlan::style() const {
  static const auto* styles = new std::array<RoomStyle, 4>{style_of(RoomKind::kKitchen), style_of(RoomKind::kLivingRoom),
                                                          style_of(RoomKind::kBedroom), style_of(RoomKind::kBathroom)};
  return (*styles)[static_cast<size_t>(kind_)];
}

// The rectangle around everywhere that somebody can stand and everything that can be faced.
void RoomPlan::find_walls() {
  constexpr double kMargin = 0.3, kLeast = 2.5;
  double low_x = 1e9, high_x = -1e9, low_z = 1e9, high_z = -1e9;
  auto take = [&](double x, double z) {
    low_x = std::min(low_x, x), high_x = std::max(high_x, x), low_z = std::min(low_z, z), high_z = std::max(high_z, z);
  };
  for (const Pose& pose : room_->locations)
    if (pose.is_known) take(pose.x, pose.z);
  for (size_t i = 0; i < pieces_.size(); ++i)
    if (pieces_[i].is_known) take(room_->receptacles[i].position[0], room_->receptacles[i].position[2]);
  if (low_x > high_x) take(0, 0);
  auto widen = [&](double& low, double& high) {
    double more = std::max(0.0, kLeast - (high - low)) / 2;
    low -= kMargin + more, high += kMargin + more;
  };
  widen(low_x, high_x), widen(low_z, high_z);
  min_x_ = low_x, max_x_ = high_x, min_z_ = low_z, max_z_ = high_z;
}

// Cabinets side by side and drawers one over the other do not overlap.
void RoomPlan::make_room_for_neighbours() {
  constexpr double kShare = 0.96, kLeastWidth = 0.2, kLeastHeight = 0.12;
  for (size_t i = 0; i < pieces_.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      Piece &a = pieces_[i], &b = pieces_[j];
      if (a.yaw != b.yaw || a.look != b.look || !a.is_known || !b.is_known) continue;
      const auto &p = room_->receptacles[i].position, &q = room_->receptacles[j].position;
      double dx = std::abs(p[0] - q[0]), dz = std::abs(p[2] - q[2]), dy = std::abs(static_cast<double>(p[1]) - q[1]);
      double side = a.yaw % 180 == 0 ? dx : dz, along = a.yaw % 180 == 0 ? dz : dx;
      if (along > 0.5) continue;
      double wide = std::min(a.size.width, b.size.width), high = std::min(a.size.height, b.size.height);
      if (side >= wide || dy >= high) continue;
      // Whichever way they are farther apart, against what they take that way, is the way that they share.
      if (side / wide >= dy / high) {
        a.size.width = std::min(a.size.width, std::max(kLeastWidth, side * kShare));
        b.size.width = std::min(b.size.width, std::max(kLeastWidth, side * kShare));
      } else {
        a.size.height = std::min(a.size.height, std::max(kLeastHeight, dy * kShare));
        b.size.height = std::min(b.size.height, std::max(kLeastHeight, dy * kShare));
      }
    }
  for (size_t i = 0; i < pieces_.size(); ++i) {
    Piece& piece = pieces_[i];
    if (piece.look->anchor != ReceptacleLook::kFloor)
      piece.base = std::max(0.0, room_->receptacles[i].position[1] - piece.look->anchor * piece.size.height);
  }
}

}  // namespace vldac::alfworld

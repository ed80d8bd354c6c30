// What a painter works out once per room: where its walls are, what stands where and how large it is drawn.
#pragma once

#include <memory>
#include <vector>

#include "envs/alfworld/picture/receptacle_looks.h"
#include "envs/alfworld/room.h"

namespace vldac::alfworld {

enum class RoomKind : uint8_t { kKitchen, kLivingRoom, kBedroom, kBathroom };

struct RoomStyle {
  Vec3f wall, skirting;
  Vec3f floor;           // its middle colour
  const Texture* tiles;  // one repeat is a metre wide
};

class RoomPlan {
 public:
  struct Piece {
    const ReceptacleLook* look;
    Size size;      // shrunk where neighbours leave less room than the look takes
    double base;    // height of its bottom above the floor
    int yaw;        // degrees: the way an agent looks that faces it
    bool is_known;  // somebody can stand before it
  };

  explicit RoomPlan(std::shared_ptr<const Room> room);
  const Room& room() const { return *room_; }
  const Piece& piece(size_t receptacle) const { return pieces_[receptacle]; }
  size_t look_of(size_t object) const { return looks_[object]; }
  const Texture* number_of(size_t receptacle) const { return numbers_[receptacle]; }
  double min_x() const { return min_x_; }
  double max_x() const { return max_x_; }
  double min_z() const { return min_z_; }
  double max_z() const { return max_z_; }
  RoomKind kind() const { return kind_; }
  const RoomStyle& style() const;

  // The receptacles at this location, as the text lists what the agent faces.
  bool is_faced(size_t receptacle, const RoomState& state) const {
    return state.location != kNone && room_->receptacles[receptacle].location == state.location;
  }
  // What is in it can be seen.
  bool shows_contents(size_t receptacle, const RoomState& state) const {
    return !room_->receptacles[receptacle].is_openable || state.is_open[receptacle];
  }

 private:
  void find_walls();
  void make_room_for_neighbours();

  std::shared_ptr<const Room> room_;
  std::vector<Piece> pieces_;
  std::vector<size_t> looks_;
  std::vector<const Texture*> numbers_;
  double min_x_ = 0, max_x_ = 0, min_z_ = 0, max_z_ = 0;
  RoomKind kind_ = RoomKind::kLivingRoom;
};

// Quarter turns to the right from one direction to another, both in degrees.
inline int quarters_between(int from, int to) { return (((to - from + 45) % 360 + 360) % 360) / 90; }

}  // namespace vldac::alfworld

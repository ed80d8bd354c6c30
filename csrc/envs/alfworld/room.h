// A household in small integers: what never changes in a game (Room), and what does (RoomState). The fast path plays on them, the
// expert plans on them, and pictures are drawn from them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace vldac::alfworld {

constexpr uint16_t kNone = 0xFFFF;

// Where an agent can stand, as a location's id says it: loc|x|z|turn|pitch in cells of 0.25 m, quarter turns, degrees downwards.
struct Pose {
  float x = 0, z = 0;  // metres
  int yaw = 0;         // degrees: 0 looks along +z, 90 along +x, as in AI2-THOR
  int pitch = 0;       // degrees below the horizon
  bool is_known = false;
};

struct Receptacle {
  std::string type;  // lower case: "countertop"
  std::string name;  // "countertop 1"
  int number = 0;
  std::array<float, 3> position{};  // metres; of ids without coordinates 0
  uint16_t location = kNone;        // into Room::locations
  bool is_openable = false;
};

struct Object {
  std::string type;  // lower case: "mug"
  std::string name;  // "mug 1"
  int number = 0;
  std::array<float, 3> position{};  // where its id says that it was
  bool is_pickupable = false, is_cleanable = false, is_heatable = false, is_coolable = false, is_toggleable = false, is_sliceable = false;
  bool is_receptacle = false;  // holds other objects, such as a plate; the text never says what
};

struct Room {
  std::vector<Pose> locations;
  std::vector<Receptacle> receptacles;  // by sorted id, the order in which texts list them
  std::vector<Object> objects;          // by sorted id
  uint16_t start = kNone;               // into locations
};

enum ObjectState : uint8_t { kClean = 1, kHot = 2, kCool = 4, kOn = 8, kToggled = 16, kSliced = 32 };

struct RoomState {
  uint16_t location = kNone;  // into Room::locations
  uint16_t held = kNone;      // into Room::objects
  std::vector<uint16_t> receptacle_of;  // per object, into Room::receptacles; kNone: held, or in none
  std::vector<uint8_t> object_state;    // per object, bits of ObjectState
  std::vector<uint8_t> is_open;         // per receptacle
};

}  // namespace vldac::alfworld

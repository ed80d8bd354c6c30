// The goal of a game: which of the six tasks it is, of what types of things, and how much of it is done.
#pragma once

#include <string>

#include "envs/alfworld/room.h"

namespace vldac::alfworld {

// The numbers are upstream's.
enum class TaskKind : uint8_t { kOther = 0, kPick = 1, kLook = 2, kClean = 3, kHeat = 4, kCool = 5, kPickTwo = 6 };

// Upstream's name, such as "pick_and_place_simple"; "other" for a goal that is none of the six.
const char* name_of(TaskKind kind);

struct Task {
  TaskKind kind = TaskKind::kOther;
  bool is_sliced = false;                   // the object must be sliced, too
  std::string object, receptacle, lamp;     // types in lower case; empty where the task has none
  std::vector<uint16_t> targets;            // objects of that type (heatable ones for kHeat, and so on), into Room::objects
  std::vector<uint16_t> places;             // receptacles of that type
  std::vector<uint16_t> lamps;              // toggleable objects of that type
};

struct Conditions {
  int met = 0, all = 0;  // all is 0 for kOther
};

// The goal conditions that are true now, counted as ALFRED does: pick 1 (in place), two 2 (most targets in one place), look 2 (held; lamp
// used and beside), the treated ones 3 (in place; treated; one object both).
Conditions conditions_of(const Task& task, const Room& room, const RoomState& state);

}  // namespace vldac::alfworld

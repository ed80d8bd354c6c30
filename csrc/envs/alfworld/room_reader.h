// What a problem's facts say of a household.
#pragma once

#include <string>
#include <vector>

#include "envs/alfworld/normal.h"
#include "envs/alfworld/pddl.h"
#include "envs/alfworld/room.h"
#include "envs/alfworld/task.h"

namespace vldac::alfworld {

// Per object of the problem: what texts call it. Numbers run downwards in the order of the ids ("cabinet 2, cabinet 1"); an id without
// coordinates is its own name with a space behind it; a thing that no fact names keeps its id.
std::vector<std::string> names_of(const pddl::Problem& problem);

// Where a problem's objects are in a Room; kNone elsewhere.
struct RoomIndex {
  std::vector<uint16_t> location, receptacle, object;  // per object of the problem
  std::vector<uint32_t> locations, receptacles, objects;  // and back
};

void read_room(const World& world, const pddl::Domain& domain, const pddl::Problem& problem, const std::vector<std::string>& names,
               Room& room, RoomState& start, RoomIndex& index);

// The goal's task; kOther where it is none of the six.
Task read_task(const World& world, const pddl::Domain& domain, const pddl::Problem& problem, const RoomIndex& index, const Room& room);

// The constants that an action's precondition names as the last argument of a predicate: the types of sinks for cleaning.
std::vector<std::string> constants_of(const pddl::Domain& domain, std::string_view action, std::string_view predicate);

}  // namespace vldac::alfworld

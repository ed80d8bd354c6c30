#include "envs/alfworld/task.h"

#include <algorithm>

namespace vldac::alfworld {

const char* name_of(TaskKind kind) {
  constexpr const char* kNames[] = {"other",
                                    "pick_and_place_simple",
                                    "look_at_obj_in_light",
                                    "pick_clean_then_place_in_recep",
                                    "pick_heat_then_place_in_recep",
                                    "pick_cool_then_place_in_recep",
                                    "pick_two_obj_and_place"};
  return kNames[static_cast<size_t>(kind)];
}

Conditions conditions_of(const Task& task, const Room& room, const RoomState& state) {
  auto has = [&](uint16_t object, uint8_t bits) { return (state.object_state[object] & bits) == bits; };
  uint8_t sliced = task.is_sliced ? kSliced : 0;
  uint8_t treated = task.kind == TaskKind::kClean ? kClean : task.kind == TaskKind::kHeat ? kHot : task.kind == TaskKind::kCool ? kCool : 0;
  auto num_in_place = [&](uint8_t bits) {  // most in one place
    int most = 0;
    for (uint16_t place : task.places) {
      int count = 0;
      for (uint16_t target : task.targets) count += state.contents.test(place, target) && has(target, bits);
      most = std::max(most, count);
    }
    return most;
  };
  switch (task.kind) {
    case TaskKind::kPick:
      return {std::min(num_in_place(sliced), 1), 1};
    case TaskKind::kPickTwo:
      return {std::min(num_in_place(sliced), 2), 2};
    case TaskKind::kClean:
    case TaskKind::kHeat:
    case TaskKind::kCool: {
      bool is_treated = std::any_of(task.targets.begin(), task.targets.end(), [&](uint16_t o) { return has(o, treated); });
      return {(num_in_place(sliced) > 0) + is_treated + (num_in_place(static_cast<uint8_t>(treated | sliced)) > 0), 3};
    }
    case TaskKind::kLook: {
      bool is_held = std::find(task.targets.begin(), task.targets.end(), state.held) != task.targets.end();
      bool is_lit = false;
      for (size_t place = 0; place < room.receptacles.size(); ++place)
        if (room.receptacles[place].location == state.location)
          for (uint16_t lamp : task.lamps) is_lit = is_lit || (has(lamp, kToggled) && state.contents.test(place, lamp));
      return {is_held + is_lit, 2};
    }
    default:
      return {0, 0};
  }
}

}  // namespace vldac::alfworld

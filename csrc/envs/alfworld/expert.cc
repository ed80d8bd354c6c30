#include "envs/alfworld/expert.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace vldac::alfworld {
namespace {

enum class Verb : uint8_t { kNone, kGo, kOpen, kTake, kPut, kClean, kHeat, kCool, kUse };

struct Command {
  Verb verb = Verb::kNone;
  uint16_t object = kNone, receptacle = kNone;
};

// A plan that is being played out: where the agent is by then, what it has opened, how many commands that took and the first of them.
struct Walk {
  static constexpr size_t kMaxOpened = 6;
  uint16_t location = kNone, held = kNone;
  uint16_t taken_from = kNone;  // where what is held was
  int length = 0;
  Command first;
  std::array<uint16_t, kMaxOpened> opened{};
  size_t num_opened = 0;

  void add(Verb verb, uint16_t object, uint16_t receptacle) {
    if (length++ == 0) first = {verb, object, receptacle};
  }
};

class Planner {
 public:
  Planner(const Room& room, const RoomState& state, const Task& task) : room_(room), state_(state), task_(task) {}

  // The shortest plan; its length is kNever if there is none.
  Walk plan() {
    best_.length = kNever;
    Walk start;
    start.location = state_.location;
    start.held = state_.held;
    switch (task_.is_sliced ? TaskKind::kOther : task_.kind) {
      case TaskKind::kPick:
      case TaskKind::kClean:
      case TaskKind::kHeat:
      case TaskKind::kCool: place_one(start); break;
      case TaskKind::kPickTwo: place_two(start); break;
      case TaskKind::kLook: look(start); break;
      case TaskKind::kOther: break;
    }
    return best_;
  }

  static constexpr int kNever = 1 << 20;

 private:
  // An object of the type, treated, in a receptacle of the type.
  void place_one(const Walk& start) {
    for (uint16_t object : task_.targets)
      for (uint16_t place : task_.places)
        if (is_treated(object) && state_.contents.test(place, object)) return finish(start);
    for (uint16_t object : task_.targets) {
      const bool can_be_there = std::any_of(task_.places.begin(), task_.places.end(), [&](uint16_t place) {
        return takes(place, object) || state_.contents.test(place, object);
      });
      if (!can_be_there) continue;
      hold(start, object, [&](const Walk& held) {
        treat(held, object, [&](const Walk& treated) {
          // Of an object in two receptacles only one is emptied by taking it.
          for (uint16_t place : task_.places)
            if (place != treated.taken_from && state_.contents.test(place, object)) finish(treated);
          for (uint16_t place : task_.places) put(treated, object, place, [&](const Walk& end) { finish(end); });
        });
      });
    }
  }

  // Two objects of the type in one receptacle of the type.
  void place_two(const Walk& start) {
    for (uint16_t place : task_.places) {
      const auto is_there = [&](uint16_t object) { return state_.contents.test(place, object); };
      const auto there = std::count_if(task_.targets.begin(), task_.targets.end(), is_there);
      if (there >= 2) return finish(start);
      for (uint16_t first : task_.targets) {
        if (is_there(first)) continue;
        bring(start, first, place, [&](const Walk& one) {
          if (there == 1) return finish(one);
          for (uint16_t second : task_.targets)
            if (second != first && !is_there(second)) bring(one, second, place, [&](const Walk& two) { finish(two); });
        });
      }
    }
  }

  // An object of the type in the hand, beside a receptacle with a lamp that has been used.
  void look(const Walk& start) {
    for (uint16_t object : task_.targets)
      hold(start, object, [&](const Walk& held) {
        for (uint16_t lamp : task_.lamps)
          for (uint16_t r = 0; r < room_.receptacles.size(); ++r) {
            if (!state_.contents.test(r, lamp)) continue;
            Walk end = held;
            if (!go(end, r)) continue;
            if (!(state_.object_state[lamp] & kToggled)) end.add(Verb::kUse, lamp, r);
            finish(end);
          }
      });
  }

  template <class Then>
  void bring(const Walk& walk, uint16_t object, uint16_t place, Then&& then) {
    if (takes(place, object)) hold(walk, object, [&](const Walk& held) { put(held, object, place, then); });
  }

  // Has `object` in the hand, out of any receptacle that it is in, having put away what was in the hand.
  template <class Then>
  void hold(const Walk& walk, uint16_t object, Then&& then) {
    if (is_over(walk)) return;
    if (walk.held == object) return then(walk);
    if (!room_.objects[object].is_pickupable) return;
    free_hand(walk, [&](const Walk& empty) {
      for (uint16_t r = 0; r < room_.receptacles.size(); ++r) {
        if (!state_.contents.test(r, object)) continue;
        Walk taken = empty;
        if (!reach_into(taken, r)) continue;
        taken.add(Verb::kTake, object, r);
        taken.held = object;
        taken.taken_from = r;
        then(taken);
      }
    });
  }

  // Leaves what is in the hand where it is least trouble: here if there is a place, else anywhere.
  template <class Then>
  void free_hand(const Walk& walk, Then&& then) {
    if (walk.held == kNone) return then(walk);
    for (uint16_t r = 0; r < room_.receptacles.size(); ++r) {
      const Receptacle& receptacle = room_.receptacles[r];
      if (receptacle.location == walk.location && is_accessible(walk, r) && takes(r, walk.held))
        return put(walk, walk.held, r, then);
    }
    for (uint16_t r = 0; r < room_.receptacles.size(); ++r)
      if (takes(r, walk.held)) put(walk, walk.held, r, then);
  }

  // Cleans, heats or cools what is held, where the task wants that and it is not done.
  template <class Then>
  void treat(const Walk& walk, uint16_t object, Then&& then) {
    if (is_treated(object)) return then(walk);
    for (uint16_t r = 0; r < room_.receptacles.size(); ++r) {
      const Receptacle& receptacle = room_.receptacles[r];
      const bool is_right = task_.kind == TaskKind::kClean  ? receptacle.is_sink
                            : task_.kind == TaskKind::kHeat ? receptacle.is_microwave
                                                            : receptacle.is_fridge;
      if (!is_right) continue;
      Walk treated = walk;
      if (!go(treated, r)) continue;
      treated.add(task_.kind == TaskKind::kClean ? Verb::kClean : task_.kind == TaskKind::kHeat ? Verb::kHeat : Verb::kCool, object, r);
      then(treated);
    }
  }

  template <class Then>
  void put(const Walk& walk, uint16_t object, uint16_t r, Then&& then) {
    if (is_over(walk) || !takes(r, object)) return;
    Walk end = walk;
    if (!reach_into(end, r)) return;
    end.add(Verb::kPut, object, r);
    end.held = kNone;
    then(end);
  }

  bool go(Walk& walk, uint16_t r) const {
    const uint16_t location = room_.receptacles[r].location;
    if (location == kNone) return false;
    if (location != walk.location) walk.add(Verb::kGo, kNone, r);
    walk.location = location;
    return true;
  }

  bool reach_into(Walk& walk, uint16_t r) const {
    if (!go(walk, r)) return false;
    if (is_accessible(walk, r)) return true;
    if (walk.num_opened == Walk::kMaxOpened) return false;
    walk.add(Verb::kOpen, kNone, r);
    walk.opened[walk.num_opened++] = r;
    return true;
  }

  bool is_accessible(const Walk& walk, uint16_t r) const {
    const auto end = walk.opened.begin() + walk.num_opened;
    return !room_.receptacles[r].is_openable || state_.is_open[r] || std::find(walk.opened.begin(), end, r) != end;
  }

  bool takes(uint16_t r, uint16_t object) const { return room_.receptacles[r].location != kNone && room_.fits.test(r, object); }

  bool is_treated(uint16_t object) const {
    const uint8_t wanted = task_.kind == TaskKind::kClean  ? kClean
                           : task_.kind == TaskKind::kHeat ? kHot
                           : task_.kind == TaskKind::kCool ? kCool
                                                           : 0;
    return (state_.object_state[object] & wanted) == wanted;
  }

  bool is_over(const Walk& walk) const { return walk.length >= best_.length; }
  void finish(const Walk& walk) {
    if (!is_over(walk)) best_ = walk;
  }

  const Room& room_;
  const RoomState& state_;
  const Task& task_;
  Walk best_;
};

const Symbol* find(std::span<const Symbol* const> commands, std::string_view text) {
  const auto at = std::lower_bound(commands.begin(), commands.end(), text, [](const Symbol* command, std::string_view wanted) {
    return std::string_view(command->text) < wanted;
  });
  return at != commands.end() && (*at)->text == text ? *at : nullptr;
}

}  // namespace

const Symbol* next_command(const Player& player) {
  thread_local std::string text;
  const Room& room = player.room();
  const Command command = Planner(room, player.state(), player.game().task()).plan().first;
  const std::string_view object = command.object == kNone ? std::string_view() : room.objects[command.object].name;
  const std::string_view receptacle = command.receptacle == kNone ? std::string_view() : room.receptacles[command.receptacle].name;
  const auto say = [&](std::initializer_list<std::string_view> parts) {
    text.clear();
    for (std::string_view part : parts) text += part;
    return find(player.commands(), text);
  };
  switch (command.verb) {
    case Verb::kNone: return nullptr;
    case Verb::kGo: return say({"go to ", receptacle});
    case Verb::kOpen: return say({"open ", receptacle});
    case Verb::kTake: return say({"take ", object, " from ", receptacle});
    case Verb::kPut: {
      const Symbol* newer = say({"move ", object, " to ", receptacle});
      return newer ? newer : say({"put ", object, " in/on ", receptacle});
    }
    case Verb::kClean: return say({"clean ", object, " with ", receptacle});
    case Verb::kHeat: return say({"heat ", object, " with ", receptacle});
    case Verb::kCool: return say({"cool ", object, " with ", receptacle});
    case Verb::kUse: return say({"use ", object});
  }
  return nullptr;
}

int plan_length(const Player& player) {
  const int length = Planner(player.room(), player.state(), player.game().task()).plan().length;
  return length == Planner::kNever ? -1 : length;
}

}  // namespace vldac::alfworld

// Pictures of a household: from the agent's eyes, as a plan, or both with words. docs/alfworld_pictures.md says what is on them.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "envs/alfworld/room.h"

namespace vldac::alfworld {

enum class Mode : uint8_t { kEgo, kSchematic, kPanel };

// "ego", "schematic" or "panel"; nothing for other names.
std::optional<Mode> mode_of(std::string_view name);

class RoomPlan;

// Draws one room in any of its states. Immutable: any number of threads may draw at once. Working memory belongs to the thread; in the
// steady state nothing is allocated.
class RoomPainter {
 public:
  static constexpr int kLeastSide = 28, kMostSide = 4096;

  explicit RoomPainter(std::shared_ptr<const Room> room);
  const Room& room() const;
  // pixels: [height][width][3], the top row first. has_decals: numbers are written on receptacles and objects.
  // Throws std::invalid_argument for a side outside kLeastSide to kMostSide, or a state that is not one of the room.
  void draw(const RoomState& state, Mode mode, uint8_t* pixels, int width, int height, bool has_decals = true) const;
  // What the egocentric picture shows where: [height][width] numbers of things, receptacles first, then objects; -1 where a pixel shows
  // none of them, or several. Drawn as the picture is, each thing in a colour of its own.
  void things(const RoomState& state, int32_t* numbers, int width, int height, bool has_decals = true) const;

 private:
  void check(const RoomState& state, int width, int height) const;

  std::shared_ptr<const RoomPlan> plan_;
};

}  // namespace vldac::alfworld

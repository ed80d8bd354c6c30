#include "envs/miniworld/ids.h"

#include "envs/miniworld/four_rooms.h"
#include "envs/miniworld/hallway.h"
#include "envs/miniworld/one_room.h"

namespace vldac::miniworld {

std::vector<EnvEntry> entries() {
  return {
      FourRooms::entry("MiniWorld-FourRooms-v0"),
      Hallway::entry("MiniWorld-Hallway-v0"),
      OneRoom::entry("MiniWorld-OneRoom-v0", 10, 180),
      OneRoom::entry("MiniWorld-OneRoomS6-v0", 6, 100),
      OneRoom::entry("MiniWorld-OneRoomS6Fast-v0", 6, 50, true),
  };
}

}  // namespace vldac::miniworld

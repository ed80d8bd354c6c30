#include "envs/miniworld/ids.h"

#include "envs/miniworld/collect_health.h"
#include "envs/miniworld/four_rooms.h"
#include "envs/miniworld/hallway.h"
#include "envs/miniworld/maze.h"
#include "envs/miniworld/one_room.h"
#include "envs/miniworld/pickup_objects.h"
#include "envs/miniworld/put_next.h"
#include "envs/miniworld/room_objects.h"
#include "envs/miniworld/sidewalk.h"
#include "envs/miniworld/sign.h"
#include "envs/miniworld/t_maze.h"
#include "envs/miniworld/three_rooms.h"
#include "envs/miniworld/wall_gap.h"
#include "envs/miniworld/y_maze.h"

namespace vldac::miniworld {

std::vector<EnvEntry> entries() {
  return {
      CollectHealth::entry("MiniWorld-CollectHealth-v0"),
      FourRooms::entry("MiniWorld-FourRooms-v0"),
      Hallway::entry("MiniWorld-Hallway-v0"),
      Maze::entry("MiniWorld-Maze-v0", 8),
      Maze::entry("MiniWorld-MazeS2-v0", 2),
      Maze::entry("MiniWorld-MazeS3-v0", 3),
      Maze::entry("MiniWorld-MazeS3Fast-v0", 3, 300, true),
      OneRoom::entry("MiniWorld-OneRoom-v0", 10, 180),
      OneRoom::entry("MiniWorld-OneRoomS6-v0", 6, 100),
      OneRoom::entry("MiniWorld-OneRoomS6Fast-v0", 6, 50, true),
      PickupObjects::entry("MiniWorld-PickupObjects-v0"),
      PutNext::entry("MiniWorld-PutNext-v0"),
      RoomObjects::entry("MiniWorld-RoomObjects-v0"),
      Sidewalk::entry("MiniWorld-Sidewalk-v0"),
      Sign::entry("MiniWorld-Sign-v0"),
      TMaze::entry("MiniWorld-TMaze-v0", false, -6),
      TMaze::entry("MiniWorld-TMazeLeft-v0", true, -6),
      TMaze::entry("MiniWorld-TMazeRight-v0", true, 6),
      ThreeRooms::entry("MiniWorld-ThreeRooms-v0"),
      WallGap::entry("MiniWorld-WallGap-v0"),
      YMaze::entry("MiniWorld-YMaze-v0", false, -7),
      YMaze::entry("MiniWorld-YMazeLeft-v0", true, -7),
      YMaze::entry("MiniWorld-YMazeRight-v0", true, 7),
  };
}

}  // namespace vldac::miniworld

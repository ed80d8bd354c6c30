// What receptacles look like: a model, its size and two colours for each of the 37 types, and where on a model its contents lie.
#pragma once

#include <span>
#include <string_view>

#include "envs/alfworld/picture/object_looks.h"
#include "envs/alfworld/picture/stage.h"

namespace vldac::alfworld {

enum class Body : uint8_t {
  kArmchair, kBath, kBed, kBox, kCabinet, kCart, kCoffeeMachine, kCounter, kDesk, kDish, kDrawer, kDresser, kFridge, kBin, kHamper, kMicrowave,
  kOttoman, kSafe, kShelf, kSink, kSofa, kBurner, kTable, kStand, kToaster, kToilet, kBar, kPaperHanger, kHook
};

struct Size {
  double width, height, depth;  // metres
};

struct ReceptacleLook {
  std::string_view type;  // lower case
  std::string_view code;  // on plans
  Body body;
  Size size;
  // Where the position of its id lies in the model's height, 0 to 1; kFloor: the model stands on the floor, whatever the id says.
  double anchor;
  Vec3f main, trim;

  static constexpr double kFloor = -1;
};

std::span<const ReceptacleLook> receptacle_looks();
// A type that is not in the table looks like a side table.
const ReceptacleLook& find_receptacle_look(std::string_view type);

// How contents lie: on a surface seen from above, on boards one over the other seen from the front, or hanging from a bar.
enum class Laying : uint8_t { kTop, kBoards, kHanging };

// Where, in the model's axes. Boards: objects stand at z1, between y0 and y1. Hanging: from y1, at z1.
struct Region {
  Laying laying;
  double x0, x1, y0, y1, z0, z1;
};

// What must be in view: a box, and where the number's plate is.
struct Focus {
  double width, y0, y1, z0, z1;
  Vec3d plate;
};

Region region_of(const ReceptacleLook& look, const Size& size, bool is_open);
Focus focus_of(const ReceptacleLook& look, const Size& size, bool is_open);
// The model, its bottom's middle at the frame's origin, with as many boards as `levels` where it has boards.
void draw_receptacle(Stage& stage, const Frame& frame, const ReceptacleLook& look, const Size& size, bool is_open, int levels, const ObjectMeshes& meshes);

}  // namespace vldac::alfworld

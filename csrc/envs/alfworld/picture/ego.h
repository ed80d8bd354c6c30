// The view from the agent's eyes, as a scene.
//
// The room lies as its ids say. What the agent faces, and what it holds, is drawn as if at its place but pulled towards the eye, so
// that nothing can hide it; the eye is moved (never turned to the side) so that what is faced fills the picture. Several receptacles at
// one place are shown side by side, in the order in which they hang: left to right, then from above. Contents lie in places of their own.
#pragma once

#include <vector>

#include "envs/alfworld/picture/labels.h"
#include "envs/alfworld/picture/room_plan.h"
#include "envs/alfworld/picture/slots.h"

namespace vldac::alfworld {

// Memory that is used again and again: it grows to the largest room and is then allocated no more.
struct EgoScene {
  struct Plate {
    LabelArt::Kind kind;
    int number;
    size_t thing;  // receptacles first, then objects
    double x, y;   // pixels of its middle, y downwards
    double most;   // pixels that the thing is wide: a plate that would cover it is left out
  };
  Scene scene;
  Camera camera;
  std::vector<Plate> plates;
  // Working memory.
  std::vector<uint16_t> faced, contents;
  std::vector<uint32_t> first_content;  // per receptacle, into contents; one more at the end
  struct Far {
    double depth;
    uint16_t receptacle;
  };
  std::vector<Far> far;
};

// flat: a colour for each thing, receptacles first, then objects, and nothing else shown; null: the picture.
// ego: what is in it is forgotten.
void build_ego(const RoomPlan& plan, const RoomState& state, bool has_decals, int width, int height, const Vec3f* flat, EgoScene& ego);

}  // namespace vldac::alfworld

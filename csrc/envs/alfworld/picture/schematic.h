// The plan: the room from above, +z upwards. Every receptacle is a box near its place, none over another; boxes are closed (filled), open (a
// leaf stands out at the corner) or without a door (light). Visible contents are dots in two colours, the agent is an arrow.
#pragma once

#include "envs/alfworld/picture/captions.h"

namespace vldac::alfworld {

// has_decals: names and numbers are written in the boxes.
void draw_schematic(const RoomPlan& plan, const RoomState& state, bool has_decals, const Picture& picture, const LabelArt& labels, Words& words);

}  // namespace vldac::alfworld

// What the agent faces, sees there and holds, in words, over as many lines as there is room for.
#pragma once

#include "envs/alfworld/picture/labels.h"
#include "envs/alfworld/picture/room_plan.h"
#include "envs/alfworld/picture/words.h"

namespace vldac::alfworld {

// Fills the box with a page and writes on it. words: working memory.
void draw_captions(const RoomPlan& plan, const RoomState& state, const Picture& picture, const LabelArt::Box& box, const LabelArt& labels, Words& words);

}  // namespace vldac::alfworld

// The scripted expert: it sees the whole household, hidden things too, and knows the shortest way to the goal. For warm starts, as the
// ceiling of success, and to accept generated games.
//
// It keeps nothing between calls: every command is planned from the state as it is, so it goes on after any commands of others. A plan
// is a way through a few decisions (which object, out of which receptacle, which sink, which place, where to leave what is in the hand);
// all of them are played out, some thousands at most, and the shortest wins, the first in the room's order among equals. Playing its
// first command makes the shortest plan shorter, so it always ends. Safe to call from any number of threads for different players; no
// allocation after a thread's first calls.
#pragma once

#include "core/symbols.h"
#include "envs/alfworld/player.h"

namespace vldac::alfworld {

// One of player.commands(). Null when the goal holds, when no plan reaches it (a lamp outside all receptacles), for goals that are none of
// the six or need a slice, and where the game does not offer the command that the plan begins with.
const Symbol* next_command(const Player& player);

// Commands until the goal holds: 0 when it does, -1 when no plan reaches it.
int plan_length(const Player& player);

}  // namespace vldac::alfworld

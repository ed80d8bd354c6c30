// The generic layer: plays whatever domain and grammar a game carries. Slower than the fast path, and its measure.
#pragma once

#include <memory>

#include "envs/alfworld/player.h"

namespace vldac::alfworld {

// Throws GameError.
std::unique_ptr<Player> play_rules(std::shared_ptr<const Game> game);

}  // namespace vldac::alfworld

#include "envs/alfworld/player.h"

#include <stdexcept>

#include "envs/alfworld/house.h"
#include "envs/alfworld/interpreter.h"

namespace vldac::alfworld {

std::unique_ptr<Player> play(std::shared_ptr<const Game> game, Layer layer) {
  if (game->house() && layer != Layer::kGeneric) return play_house(std::move(game));
  if (layer != Layer::kFast) return play_rules(std::move(game));
  throw std::invalid_argument(game->name() + ": expected a game of a known form for the fast layer, but " + game->why_not_fast());
}

}  // namespace vldac::alfworld

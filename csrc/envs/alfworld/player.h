// Playing one game: the fast path on Room and RoomState (house.h), or the interpreter of its own rules and grammar (interpreter.h).
// Both say the same, word for word. A player is used by one thread at a time; a Game is shared by any number of players.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/symbols.h"
#include "envs/alfworld/game.h"

namespace vldac::alfworld {

class Player {
 public:
  explicit Player(std::shared_ptr<const Game> game) : game_(std::move(game)) {}
  virtual ~Player() = default;
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  // The state at the game's start. text() is then the whole opening, the task in it.
  virtual void reset() = 0;
  // Whether the command was admissible, white space around it apart. One that is not leaves everything as it is; text() is then
  // "Nothing happens.".
  virtual bool step(std::string_view command) = 0;
  virtual const RoomState& state() const = 0;
  virtual bool is_fast() const = 0;
  // What load() goes on from, text included. load() throws std::invalid_argument for bytes that no save() of this game wrote, and then
  // changes nothing.
  virtual void save(Bytes& out) const = 0;
  virtual void load(Bytes& in) = 0;

  std::string_view text() const { return text_; }
  // Admissible now: sorted by bytes, each once. Valid until the next step.
  std::span<const Symbol* const> commands() const { return commands_; }
  // 1 while the goal holds, not once and for all.
  int score() const { return won_ ? 1 : 0; }
  bool won() const { return won_; }
  bool done() const { return won_; }
  Conditions conditions() const { return conditions_of(game_->task(), game_->room(), state()); }
  const Room& room() const { return game_->room(); }
  const Game& game() const { return *game_; }

 protected:
  std::shared_ptr<const Game> game_;
  std::string text_;
  std::vector<const Symbol*> commands_;
  bool won_ = false;
};

enum class Layer : uint8_t { kAuto, kFast, kGeneric };

// Reset already. kFast throws std::invalid_argument, saying why, where the game is not of a known form (Game::why_not_fast).
std::unique_ptr<Player> play(std::shared_ptr<const Game> game, Layer layer = Layer::kAuto);

}  // namespace vldac::alfworld

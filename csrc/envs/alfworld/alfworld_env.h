// ALFWorld-v0: one household game an episode, from a panel (library.h), played by the engine (player.h).
//
// An episode ends when the goal holds. Rewards:
// - success: 1 for the step that wins.
// - rl4vlm: 50 for winning, plus the share of goal conditions that hold, at every step, less 1 for a command that is not admissible
//   (RL4VLM, arXiv 2405.10292).
// - vldac: the same with 1 for winning (VL-DAC's helper). Both pay for waiting where a condition holds.
// - increase: 1 for winning, plus what the share of goal conditions has risen above its highest so far in the episode, less 1 for a
//   command that is not admissible: nothing is paid twice.
// Goal conditions are counted as AI2-THOR's environment does (task.h), from the text's state.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/env.h"
#include "envs/alfworld/expert.h"
#include "envs/alfworld/library.h"
#include "envs/alfworld/picture/room_painter.h"
#include "envs/alfworld/player.h"

namespace vldac::alfworld {

enum class Reward : uint8_t { kSuccess, kRl4vlm, kVldac, kIncrease };
enum class Order : uint8_t { kRandom, kSeed };

class AlfworldEnv final : public Env {
 public:
  static EnvSpec spec();
  explicit AlfworldEnv(const Options& options);

  void reset(Context& context) override;
  StepResult step_command(std::string_view command, Context& context) override;
  bool success() const override { return player_ && player_->won(); }
  std::string_view text() const override { return is_opening_ || !player_ ? std::string_view(opening_) : player_->text(); }
  std::span<const Symbol* const> commands() const override {
    return player_ ? player_->commands() : std::span<const Symbol* const>();
  }
  const Symbol* oracle_command() const override;
  void facts(Facts& out) const override;
  void render(uint8_t* pixels, int width, int height) const override;
  void save(Bytes& out) const override;
  void load(Bytes& in) override;

 private:
  void begin(size_t index, std::shared_ptr<const Game> game, int64_t goal);
  double share() const;

  std::shared_ptr<Panel> panel_;
  Layer layer_;
  Reward reward_;
  Order order_;
  std::optional<Mode> picture_;
  bool has_decals_;
  double human_goals_;
  // Of the episode.
  size_t index_ = 0;
  int64_t goal_ = -1;  // into the game's human goals; -1: its own
  double best_share_ = 0.0;
  uint8_t is_opening_ = 1;
  std::string opening_, task_;
  std::shared_ptr<const Game> game_;
  std::unique_ptr<Player> player_;
  mutable std::unique_ptr<const RoomPainter> painter_;  // made at the first picture
};

}  // namespace vldac::alfworld

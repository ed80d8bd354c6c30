// WebShop-v0: one purchase an episode, in a shop that was opened before (shelf.h), on its pages (session.h).
//
// The episode ends with the purchase, whose reward (reward.h) is the episode's; success is a reward of exactly 1, and the literature's
// score is 100 x the mean reward. Commands are search[words] where there is a search bar, and click[name]; anything else does nothing.
//
// compat keeps upstream's pages, names and randomness: with goals drawn at random from all of them, environment i of seed s plays the
// goals that upstream's process draws, from the (s + i)th on, the first never and the last twice as often.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/env.h"
#include "core/symbols.h"
#include "envs/webshop/expert.h"
#include "envs/webshop/mersenne.h"
#include "envs/webshop/render/painter.h"
#include "envs/webshop/session.h"
#include "envs/webshop/shelf.h"

namespace vldac::webshop {

class WebshopEnv final : public Env {
 public:
  static EnvSpec spec();
  explicit WebshopEnv(const Options& options);

  void reset(Context& context) override;
  StepResult step_command(std::string_view command, Context& context) override;
  bool success() const override { return session_.is_done() && session_.parts().reward == 1.0; }
  std::string_view text() const override { return text_; }
  std::string_view words() const override { return session_.goal().instruction; }
  std::span<const Symbol* const> commands() const override { return commands_; }
  const Symbol* oracle_command() const override;
  void facts(Facts& out) const override;
  void render(uint8_t* pixels, int width, int height) const override;
  bool locate(std::string_view command, int width, int height, PixelRect& rect) const override;
  void save(Bytes& out) const override;
  void load(Bytes& in) override;

 private:
  enum class Wording : uint8_t { kText, kRich, kHtml };
  enum class Order : uint8_t { kRandom, kSeed };
  enum class Pay : uint8_t { kScore, kSuccess };

  size_t draw(Context& context);
  void read_page();

  int64_t number_;
  std::shared_ptr<const OpenShop> open_;
  Split split_;
  Order order_;
  Wording wording_;
  Pay pay_;
  bool has_pictures_;
  int64_t only_goal_;
  Session session_;
  Expert expert_;
  // Of compat's own stream of goals: how far it was drawn from where it stands after the goals are made.
  std::optional<Mersenne> random_;
  uint64_t drawn_ = 0;
  // What follows from the page.
  std::string text_, command_;
  std::vector<const Symbol*> commands_;
  mutable OwnSymbols symbols_;
  mutable std::string scratch_;
  mutable Painter painter_;
};

}  // namespace vldac::webshop

// Blackjack with an infinite deck. Actions: 0 stand, 1 hit. A hit over 21 loses (-1, ends); to stand ends: the dealer draws to
// 17, and the reward is the sign of the comparison. Draws come in Gymnasium's order from the environment's own stream, those
// of the dealer's suit and face at the end of a reset included, which no observation shows: the same seed gives the same cards.
//
// Blackjack-symbolic-v0: rules and observation of Gymnasium's Blackjack-v1: (points, dealer's card, usable ace), int32 [3].
// Options: natural (a natural that wins pays 1.5), sab (Sutton and Barto: a natural wins unless the dealer has one, too).
#pragma once

#include "core/env.h"
#include "envs/blackjack_strategy.h"
#include "envs/cards.h"

namespace vldac {

// The longest hand that a player can hold: 21 aces and the card that busts.
struct BlackjackHand {
  static constexpr size_t kMaxCards = 22;
  std::array<Card, kMaxCards> cards{};
  int8_t count = 0;
  int16_t sum = 0;  // aces as 1
  bool has_ace = false;

  void clear() { *this = BlackjackHand{}; }
  void add(Card card) {
    cards.at(static_cast<size_t>(count++)) = card;
    sum = static_cast<int16_t>(sum + card.value());
    has_ace = has_ace || card.rank == 1;
  }
  int total() const { return blackjack::total(sum, has_ace); }
  bool has_usable_ace() const { return total() != sum; }
  bool is_bust() const { return sum > blackjack::kLimit; }
  bool is_natural() const { return count == 2 && total() == blackjack::kLimit; }
  int score() const { return is_bust() ? 0 : total(); }
};

class BlackjackGame : public Env {
 public:
  BlackjackGame(const Options& options, bool has_faces)
      : has_faces_(has_faces),
        pays_natural_(options.at("natural") != 0.0),
        is_sab_(options.at("sab") != 0.0),
        wants_wins_(options.at("win_oracle") != 0.0) {}

  void reset(Context& context) override {
    for (auto* hand : {&dealer_, &player_}) {
      hand->clear();
      hand->add(draw(context.rng));
      hand->add(draw(context.rng));
    }
    context.rng.integers(0, 4);
    if (dealer_.cards[0].value() == 10) context.rng.integers(0, 3);
    is_over_ = has_won_ = false;
  }

  StepResult step(int64_t action, Context& context) override {
    if (action != 0 && action != 1) throw std::invalid_argument("Blackjack: expected action 0 or 1");
    if (is_over_) throw std::logic_error("Blackjack: the game is over");
    if (action == 1) {
      player_.add(draw(context.rng));
      is_over_ = player_.is_bust();
      return {is_over_ ? -1.0 : 0.0, is_over_, false};
    }
    while (dealer_.total() < blackjack::kDealerStands) dealer_.add(draw(context.rng));
    int difference = player_.score() - dealer_.score();
    double reward = difference > 0 ? 1.0 : difference < 0 ? -1.0 : 0.0;
    if (is_natural(player_)) {
      if (is_sab_ && !is_natural(dealer_)) reward = 1.0;
      if (!is_sab_ && pays_natural_ && reward == 1.0) reward = 1.5;
    }
    is_over_ = true;
    has_won_ = reward > 0.0;
    return {reward, true, false};
  }

  bool success() const override { return has_won_; }

  // The best action for the return, or for the share of wins (option win_oracle).
  int64_t oracle_action() const override {
    if (is_over_) return 0;
    const auto& strategy = wants_wins_ ? blackjack::win_strategy() : blackjack::return_strategy();
    return strategy.should_hit(player_.sum, player_.has_ace, dealer_.cards[0].value()) ? 1 : 0;
  }

  void save(Bytes& out) const override {
    for (const auto* hand : {&dealer_, &player_}) {
      out.put(hand->count);
      for (int i = 0; i < hand->count; ++i) out.put(hand->cards[static_cast<size_t>(i)]);
    }
    out.put(static_cast<uint8_t>(is_over_));
    out.put(static_cast<uint8_t>(has_won_));
  }
  void load(Bytes& in) override {
    for (auto* hand : {&dealer_, &player_}) {
      hand->clear();
      int count = in.get_within<int8_t>(2, BlackjackHand::kMaxCards);
      for (int i = 0; i < count; ++i) {
        auto rank = in.get_within<int8_t>(1, has_faces_ ? 13 : 10);
        hand->add({rank, static_cast<Suit>(in.get_within<int8_t>(0, 3))});
      }
    }
    is_over_ = in.get_within<uint8_t>(0, 1) == 1;
    has_won_ = in.get_within<uint8_t>(0, 1) == 1;
    if (!is_over_ && (player_.is_bust() || dealer_.count != 2 || has_won_))
      throw std::invalid_argument("environment state is altered");
  }

 protected:
  static std::vector<Option> options() {
    return {{"natural", 0.0, "a natural that wins pays 1.5"},
            {"sab", 0.0, "Sutton and Barto: a natural wins unless the dealer has one, too; overrides natural"},
            {"win_oracle", 0.0, "the expert maximises the share of wins instead of the return"}};
  }
  virtual bool is_natural(const BlackjackHand& hand) const { return hand.is_natural(); }

  BlackjackHand dealer_, player_;

 private:
  // One card of the infinite deck 1..9 and four tens; with faces also its suit and, for a ten, which face.
  Card draw(Pcg64& rng) const {
    static constexpr Suit kSuits[] = {Suit::kClubs, Suit::kDiamonds, Suit::kHearts, Suit::kSpades};
    Card card;
    card.rank = static_cast<int8_t>(std::min<int64_t>(rng.integers(0, 13) + 1, 10));
    if (!has_faces_) return card;
    card.suit = kSuits[rng.integers(0, 4)];
    if (card.rank == 10) card.rank = static_cast<int8_t>(11 + rng.integers(0, 3));
    return card;
  }

  bool has_faces_, pays_natural_, is_sab_, wants_wins_;
  bool is_over_ = false, has_won_ = false;
};

class BlackjackSymbolic final : public BlackjackGame {
 public:
  static EnvSpec spec() {
    EnvSpec spec{.id = "Blackjack-symbolic-v0", .action_names = {"stand", "hit"}, .max_episode_steps = 0};
    spec.options = options();
    spec.options[1].initial = 1.0;  // as Gymnasium registers Blackjack-v1
    spec.observation = {ObsKind::kInt32, 3, {32, 11, 2}};
    spec.is_listed = false;
    return spec;
  }
  explicit BlackjackSymbolic(const Options& options) : BlackjackGame(options, false) {}

  void facts(Facts& out) const override {
    out.number("points", player_.total());
    out.number("dealer", dealer_.cards[0].value());
    out.number("usable_ace", player_.has_usable_ace());
  }
  void measure(void* values) const override {
    auto* out = static_cast<int32_t*>(values);
    out[0] = player_.total();
    out[1] = dealer_.cards[0].value();
    out[2] = player_.has_usable_ace();
  }
};

}  // namespace vldac

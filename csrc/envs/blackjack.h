// Blackjack with an infinite deck. Actions: 0 stand, 1 hit. A hit over 21 loses (-1, ends); to stand ends: the dealer draws to
// 17, and the reward is the sign of the comparison. Draws come in Gymnasium's order from the environment's own stream, those
// of the dealer's suit and face at the end of a reset included, which no observation shows: the same seed gives the same cards.
//
// gym_cards/Blackjack-v0 (RL4VLM gym_cards): the picture shows the player's cards and the dealer's first one, the second is never
// turned. Suits and faces are drawn with each card. Upstream's options natural and sab never fire (it compares cards with
// numbers), the fifth card of a hand is drawn outside of the picture and later ones are cut off: so with compat. By default the
// options work, and hands of more than four cards overlap.
//
// Blackjack-symbolic-v0: rules and observation of Gymnasium's Blackjack-v1: (points, dealer's card, usable ace), int32 [3].
// Options: natural (a natural that wins pays 1.5), sab (Sutton and Barto: a natural wins unless the dealer has one, too).
#pragma once

#include "core/env.h"
#include "envs/blackjack_strategy.h"
#include "render/card_art.h"
#include "render/glyphs.h"
#include "render/stage.h"

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
  std::span<const Card> dealt() const { return {cards.data(), static_cast<size_t>(count)}; }
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

class BlackjackArt {
 public:
  BlackjackArt(int width, int height, int64_t)
      : stage_{width, height}, background_(width, kTable), deck_(card_width(), card_height(), kTable) {
    if (stage_.is_small()) return;
    GlyphSet text(Weight::kBold, 16.0 * stage_.scale());
    Blend white(kTable, {255, 255, 255});
    for (size_t i = 0; i < 2; ++i)
      labels_[i] = Sprite::captured(width, height, kTable, [&](const Picture& picture) {
        text.draw(picture, int64_t{64} * stage_.x(5), stage_.y(i == 0 ? 5 : 130), white, i == 0 ? "Dealer" : "Player");
      });
  }

  void draw(const Picture& picture, Card dealer, std::span<const Card> player, bool is_compat) const {
    std::array<Placed, BlackjackHand::kMaxCards + 4> sprites;
    size_t count = 0;
    for (const Sprite& label : labels_) sprites[count++] = {&label};
    int top = stage_.is_small() ? static_cast<int>(stage_.height * 0.04) : stage_.y(25);
    sprites[count++] = {&deck_.front(dealer), left_of(0, 1, false).x, top};
    int back = stage_.is_small() ? left_of(1, 2, false).x : stage_.x(78);
    sprites[count++] = {&deck_.back(), back, top};
    for (size_t i = 0; i < player.size(); ++i) {
      Place place = left_of(i, player.size(), is_compat);
      sprites[count++] = {&deck_.front(player[i]), place.x, place.y};
    }
    background_.compose(picture, {sprites.data(), count});
  }

 private:
  struct Place {
    int x, y;
  };
  int card_width() const { return stage_.is_small() ? static_cast<int>(stage_.width * 0.23) : stage_.length(70); }
  int card_height() const { return stage_.is_small() ? static_cast<int>(stage_.height * 0.43) : stage_.length(98); }
  // Where the player's card i of n is. Upstream starts a second row behind the fifth card, which is already outside.
  Place left_of(size_t i, size_t n, bool is_compat) const {
    auto at = static_cast<double>(i), last = static_cast<double>(std::max<size_t>(n, 2) - 1);
    if (stage_.is_small()) {
      double step = std::min(stage_.width * 0.245, (stage_.width * 0.965 - card_width()) / last);
      return {static_cast<int>(stage_.width * 0.02 + at * step), static_cast<int>(stage_.height * 0.53)};
    }
    if (is_compat) return i < 5 ? Place{stage_.x(5 + 74 * at), stage_.y(150)} : Place{stage_.x(5 + 74 * (at - 5)), stage_.y(252)};
    return {stage_.x(5 + at * std::min(74.0, 222.0 / last)), stage_.y(150)};
  }

  Stage stage_;
  Background background_;
  Deck deck_;
  std::array<Sprite, 2> labels_;
};

class Blackjack final : public BlackjackGame {
 public:
  static EnvSpec spec() {
    EnvSpec spec{.id = "gym_cards/Blackjack-v0", .action_names = {"stand", "hit"}, .fields = {"dealer", "player"}};
    spec.options = options();
    spec.options.push_back({"compat", 0.0, "natural and sab never fire; the fifth card is outside of the picture, as upstream"});
    spec.is_bounded = true;
    return spec;
  }
  explicit Blackjack(const Options& options) : BlackjackGame(options, true), is_compat_(options.at("compat") != 0.0) {}

  // dealer, player: names of the cards on the picture; points: the player's. player_hand and dealer_hand name the suits, too;
  // dealer_hand has the hidden cards.
  void facts(Facts& out) const override {
    FixedText<BlackjackHand::kMaxCards * 3> player;
    for (const Card& card : player_.dealt()) {
      player += player.size() ? " " : "";
      player += rank_name(card.rank);
    }
    out.text("dealer", rank_name(dealer_.cards[0].rank));
    out.text("player", player);
    out.number("points", player_.total());
    out.number("usable_ace", player_.has_usable_ace());
    out.text("player_hand", hand(player_));
    out.text("dealer_hand", hand(dealer_));
  }
  void render(uint8_t* pixels, int width, int height) const override {
    art_.get(width, height).draw({pixels, width, height}, dealer_.cards[0], player_.dealt(), is_compat_);
  }

 private:
  using Names = FixedText<BlackjackHand::kMaxCards * 4>;
  static Names hand(const BlackjackHand& cards) {
    Names names;
    for (const Card& card : cards.dealt()) {
      names += names.size() ? " " : "";
      names += rank_name(card.rank);
      names += suit_letter(card.suit);
    }
    return names;
  }
  bool is_natural(const BlackjackHand& cards) const override { return !is_compat_ && cards.is_natural(); }
  bool is_compat_;
  mutable SharedArt<BlackjackArt> art_;
};

class BlackjackSymbolic final : public BlackjackGame {
 public:
  static EnvSpec spec() {
    EnvSpec spec{.id = "Blackjack-symbolic-v0", .action_names = {"stand", "hit"}, .max_episode_steps = 0};
    spec.options = options();
    spec.options[1].initial = 1.0;  // as Gymnasium registers Blackjack-v1
    spec.observation = {ObsKind::kInt32, 3, {32, 11, 2}};
    spec.is_bounded = true;
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

// gym_cards/EZPoints-v0 (RL4VLM gym_cards): write a formula from two cards that equals 12.
// First rank 2..13 (faces count 10); if the value divides 12 well (1, 2, 3, 4, 6) the second is 12 / value or 12 - value with equal
// odds, else 12 - value; order swapped with odds 1/2. Actions 0-9 the numbers 1-10, 10 '+', 11 '*', 12 '='. A number that is
// not left: a blank is appended, reward -1, the episode goes on. '=': +10 if the formula equals the target and both cards were
// used, else -1; ends. More than 5 items before an action: truncates with -1.
//
// The value is exact: adjacent numbers do not concatenate, "**" and signs are errors. With compat it is what Python's eval makes
// of the joined items, as upstream scores ("+2+10" is then right, too), and the draws come in upstream's order.
#pragma once

#include "core/env.h"
#include "envs/formula_facts.h"
#include "envs/formula_search.h"
#include "envs/python_value.h"
#include "render/card_art.h"
#include "render/glyphs.h"
#include "render/stage.h"

namespace vldac {

class EzPointsArt {
 public:
  EzPointsArt(int width, int height, int64_t)
      : stage_{width, height},
        background_(width, kTable),
        text_(Weight::kRegular, 20.0 * (stage_.is_small() ? 1.0 : stage_.scale())),
        white_(kTable, kWhite) {
    if (stage_.is_small()) {
      for (int slot = 0; slot < 2; ++slot)
        for (int rank = 1; rank <= 13; ++rank)
          for (bool is_red : {false, true})
            small_cards_.push_back(Sprite::captured(
                width, height, kTable, [&](const Picture& picture) { draw_small_card(picture, slot, rank, is_red); }));
      return;
    }
    deck_.emplace(stage_.length(135), stage_.length(189), kTable);
    label_ = Sprite::captured(width, height, kTable, [&](const Picture& picture) {
      text_.draw(picture, int64_t{64} * stage_.x(10), stage_.y(258), white_, kLabel);
    });
    formula_left_ = int64_t{64} * stage_.x(10) + text_.advance(kLabel);
  }

  template <class Words>
  void draw(const Picture& picture, const std::array<Card, 2>& cards, const Words& formula) const {
    Placed sprites[3];
    for (size_t slot = 0; slot < 2; ++slot) {
      if (stage_.is_small())
        sprites[slot] = {&small_cards_[(slot * 13 + static_cast<size_t>(cards[slot].rank - 1)) * 2 + cards[slot].is_red()]};
      else
        sprites[slot] = {&deck_->front(cards[slot]), stage_.x(slot == 0 ? 5 : 153), stage_.y(55)};
    }
    sprites[2] = {&label_};
    background_.compose(picture, sprites);
    if (stage_.is_small()) draw_small_formula(picture, formula.text(""));
    else text_.draw(picture, formula_left_, stage_.y(258), white_, formula.text(" "));
  }

 private:
  static constexpr Color kWhite{255, 255, 255};
  static constexpr const char* kLabel = "Formula: ";

  static void draw_small_card(const Picture& picture, int slot, int rank, bool is_red) {
    Canvas canvas(picture.pixels, picture.width, picture.height);
    double width = picture.width, height = picture.height;
    double left = width * (slot == 0 ? 0.04 : 0.52), top = height * 0.08;
    double right = left + width * 0.44, bottom = height * 0.68;
    canvas.rectangle(left, top, right, bottom, {250, 250, 245});
    Color ink = is_red ? Color{190, 20, 30} : Color{10, 10, 10};
    canvas.rectangle(left + width * 0.04, bottom - height * 0.10, right - width * 0.04, bottom - height * 0.05, ink);
    // "10" is the one name of two characters: narrower, so that it stays on its card.
    auto name = rank_name(rank);
    double size = std::min(height * 0.36, width * (name.size() > 1 ? 0.28 : 0.40));
    canvas.text(left + width * 0.03, top + height * 0.02, size, ink, name);
  }
  static void draw_small_formula(const Picture& picture, std::string_view formula) {
    double width = picture.width, height = picture.height;
    FixedText<64> words;
    words += "=";
    words += formula;
    Canvas(picture.pixels, picture.width, picture.height)
        .text_until(width * 0.97, width * 0.03, height * 0.73, std::min(height * 0.22, width * 0.17), kWhite, words);
  }

  Stage stage_;
  Background background_;
  GlyphSet text_;
  Blend white_;
  std::vector<Sprite> small_cards_;  // slot, rank, is red
  std::optional<Deck> deck_;
  Sprite label_;
  int64_t formula_left_ = 0;
};

class EzPoints final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "gym_cards/EZPoints-v0",
            .action_names = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "*", "="},
            .fields = {"cards", "formula"},
            .options = {{"target_points", 12, "what the formula must equal, 2 to 999; the deals are those for 12"},
                        {"compat", 0, "score as upstream does, by Python's eval of the joined items"}},
            .is_bounded = true};
  }
  explicit EzPoints(const Options& options)
      : target_(static_cast<int64_t>(options.at("target_points"))), is_compat_(options.at("compat") != 0.0) {
    if (target_ < 2 || target_ > 999 || static_cast<double>(target_) != options.at("target_points"))
      throw std::invalid_argument("EZPoints: expected target_points in 2..999");
  }

  void reset(Context& context) override {
    Pcg64& rng = context.rng;
    cards_[0].rank = static_cast<int8_t>(rng.integers(2, 14));
    if (is_compat_) cards_[0].suit = upstream_suit(rng);
    int value = cards_[0].value();
    bool is_factor = value <= 4 || value == 6;
    cards_[1].rank = static_cast<int8_t>(is_factor && rng.uniform() <= 0.5 ? 12 / value : 12 - value);
    if (!is_compat_) cards_[0].suit = static_cast<Suit>(rng.integers(0, 4));
    cards_[1].suit = is_compat_ ? upstream_suit(rng) : static_cast<Suit>(rng.integers(0, 4));
    if (rng.uniform() <= 0.5) std::swap(cards_[0], cards_[1]);
    formula_.clear();
    has_won_ = false;
  }

  StepResult step(int64_t action, Context&) override {
    if (action < 0 || action > kEquals) throw std::invalid_argument("EZPoints: expected an action in 0..12");
    if (formula_.size() > kMaxItems) return {-1.0, false, true};
    if (action == kEquals) {
      has_won_ = is_right();
      return {has_won_ ? 10.0 : -1.0, true, false};
    }
    Item item = action < 10 ? static_cast<Item>(action + 1) : action == 10 ? '+' : '*';
    bool is_legal = !is_number(item) || (cards_[0].value() == item) + (cards_[1].value() == item) > formula_.count(item);
    formula_.add(is_legal ? item : kBlank);
    return {is_legal ? 0.0 : -1.0, false, false};
  }

  bool success() const override { return has_won_; }

  // The next item of a formula that is right, or '=' where it is complete or cannot be completed.
  int64_t oracle_action() const override {
    FormulaSearch::Completion rest;
    FormulaSearch search(target_, "+*", false, kMaxItems);
    int numbers[2] = {cards_[0].value(), cards_[1].value()};
    if (!search.complete(formula_.items(), numbers, rest) || rest.length == 0) return kEquals;
    Item next = rest.items[0];
    return is_number(next) ? next - 1 : next == '+' ? 10 : 11;
  }

  void facts(Facts& out) const override {
    tell_hand(out, cards_, formula_.text(""), target_);
  }

  void render(uint8_t* pixels, int width, int height) const override {
    art_.get(width, height).draw({pixels, width, height}, cards_, formula_);
  }

  void save(Bytes& out) const override {
    for (const Card& card : cards_) out.put(card);
    formula_.save(out);
    out.put(static_cast<uint8_t>(has_won_));
  }
  void load(Bytes& in) override {
    for (Card& card : cards_) {
      card.rank = in.get_within<int8_t>(1, 13);
      card.suit = static_cast<Suit>(in.get_within<int8_t>(0, 3));
    }
    formula_.load(in, 10, "+*");
    has_won_ = in.get_within<uint8_t>(0, 1) == 1;
  }

 private:
  static constexpr int64_t kEquals = 12;
  static constexpr size_t kMaxItems = 5;  // a formula of more can only be truncated

  static Suit upstream_suit(Pcg64& rng) {
    constexpr Suit kSuits[] = {Suit::kHearts, Suit::kSpades, Suit::kDiamonds, Suit::kClubs};
    return kSuits[rng.integers(0, 4)];
  }
  bool is_right() const {
    if (formula_.numbers() != 2) return false;
    if (is_compat_) return equals(python_value(formula_.items()), target_);
    auto value = exact_value(formula_.items());
    return value && value->numerator == target_ && value->denominator == 1;
  }

  int64_t target_;
  bool is_compat_, has_won_ = false;
  std::array<Card, 2> cards_{Card{2, Suit::kSpades}, Card{10, Suit::kSpades}};
  Formula<kMaxItems + 1> formula_;
  mutable SharedArt<EzPointsArt> art_;
};

}  // namespace vldac

// gym_cards/Points24-v0 (RL4VLM gym_cards): write a formula from four cards that equals 24.
// Four ranks uniform on 1..13, then four suits; J, Q and K count 10, or with treat_face_cards_as_10 off 11, 12 and 13. Actions:
// the numbers 1-10 (1-13), then + - * / ( ) =. A number that is not left: a blank is appended, reward -1, the episode goes on;
// operators and brackets are never checked. '=': +10 if the formula equals the target and all four cards were used, else -1;
// ends. More than 20 items before an action: truncates with -1. 73.1 % of the deals can be solved.
//
// The value is exact: adjacent numbers do not concatenate, "**", "//" and signs are errors, 8/(3-8/3) is 24. With compat it is
// what Python's eval makes of the joined items, as upstream scores, and a long formula runs out of the picture.
#pragma once

#include "core/env.h"
#include "envs/formula_facts.h"
#include "envs/formula_search.h"
#include "envs/python_value.h"
#include "render/card_art.h"
#include "render/glyphs.h"
#include "render/stage.h"

namespace vldac {

class Points24Art {
 public:
  Points24Art(int width, int height, int64_t)
      : stage_{width, height},
        background_(width, kTable),
        deck_(card_width(), card_height(), kTable),
        text_(stage_.is_small() ? Weight::kBold : Weight::kRegular, stage_.is_small() ? small_em() : 16.0 * stage_.scale()),
        white_(kTable, kWhite) {
    if (stage_.is_small()) return;
    label_ = Sprite::captured(width, height, kTable, [&](const Picture& picture) {
      text_.draw(picture, int64_t{64} * stage_.x(10), stage_.y(210), white_, "Formula:");
    });
  }

  void draw(const Picture& picture, const std::array<Card, 4>& cards, std::span<const Item> formula, bool is_cut_off) const {
    Placed sprites[5];
    for (size_t i = 0; i < 4; ++i) sprites[i] = {&deck_.front(cards[i]), card_left(i), card_top()};
    sprites[4] = {&label_};
    background_.compose(picture, sprites);
    if (stage_.is_small()) draw_grid(picture, formula);
    else draw_lines(picture, formula, is_cut_off);
  }

 private:
  static constexpr Color kWhite{255, 255, 255};
  static constexpr int kColumns = 9, kRows = 3;  // of the small picture's formula; 25 characters are the most there can be

  int card_width() const { return stage_.is_small() ? static_cast<int>(stage_.width * 0.225) : stage_.length(67); }
  int card_height() const { return stage_.is_small() ? static_cast<int>(stage_.height * 0.43) : stage_.length(93); }
  int card_left(size_t i) const {
    if (stage_.is_small()) return static_cast<int>(stage_.width * (0.025 + 0.2425 * static_cast<double>(i)));
    constexpr double kLeft[] = {5, 78, 152, 226};
    return stage_.x(kLeft[i]);
  }
  int card_top() const { return stage_.is_small() ? static_cast<int>(stage_.height * 0.03) : stage_.y(103); }
  double cell_width() const { return stage_.width * 0.96 / kColumns; }
  double cell_height() const { return stage_.height * 0.16; }
  double small_em() const { return std::min(cell_width() / 0.70, cell_height() / 1.1); }

  // One character a cell, no blanks between items; an item is not split over two rows.
  void draw_grid(const Picture& picture, std::span<const Item> formula) const {
    int column = 0, row = 0;
    for (Item item : formula) {
      FixedText<4> words;
      Formula<1>::append(words, item, " ");
      if (column + static_cast<int>(words.size()) > kColumns) {
        column = 0;
        ++row;
      }
      for (char character : std::string_view(words)) {
        std::string_view one(&character, 1);
        double left = stage_.width * 0.02 + cell_width() * column++;
        int64_t margin = (static_cast<int64_t>(cell_width() * 64.0) - text_.advance(one)) / 2;
        text_.draw(picture, static_cast<int64_t>(left * 64.0) + margin, static_cast<int>(stage_.height * 0.50 + cell_height() * row), white_, one);
      }
    }
  }
  // Items joined by blanks. What does not fit goes on in the next line, unless it is cut off as upstream cuts it.
  void draw_lines(const Picture& picture, std::span<const Item> formula, bool is_cut_off) const {
    int64_t start = int64_t{64} * stage_.x(10), end = int64_t{64} * stage_.x(292), left = start;
    double top = 240;
    for (Item item : formula) {
      FixedText<4> words;
      Formula<1>::append(words, item, " ");
      if (!is_cut_off && left > start && left + text_.advance(words) > end) {
        left = start;
        top += 20;
      }
      left = text_.draw(picture, left, stage_.y(top), white_, words) + text_.advance(" ");
    }
  }

  Stage stage_;
  Background background_;
  Deck deck_;
  GlyphSet text_;
  Blend white_;
  Sprite label_;
};

class Points24 final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "gym_cards/Points24-v0",
            .action_names = actions(10),
            .fields = {"cards", "formula"},
            .options = {{"treat_face_cards_as_10", 1, "off: J, Q and K count 11, 12 and 13, which then are actions, too"},
                        {"target_points", 24, "what the formula must equal, 2 to 999"},
                        {"solvable_only", 0, "draw anew until the cards can make the target"},
                        {"compat", 0, "score as upstream does, by Python's eval of the joined items"}},
            .is_bounded = true,
            .actions_with = [](const Options& options) { return actions(options.at("treat_face_cards_as_10") != 0.0 ? 10 : 13); }};
  }
  explicit Points24(const Options& options)
      : largest_(options.at("treat_face_cards_as_10") != 0.0 ? 10 : 13),
        target_(static_cast<int64_t>(options.at("target_points"))),
        is_solvable_only_(options.at("solvable_only") != 0.0),
        is_compat_(options.at("compat") != 0.0),
        search_(target_, "+-*/", true, kMaxItems) {
    if (target_ < 2 || target_ > 999 || static_cast<double>(target_) != options.at("target_points"))
      throw std::invalid_argument("Points24: expected target_points in 2..999");
    if (is_solvable_only_ && !has_solvable_deal())
      throw std::invalid_argument("Points24: no four cards make " + std::to_string(target_) + ", so solvable_only has nothing to draw");
  }

  void reset(Context& context) override {
    constexpr Suit kSuits[] = {Suit::kHearts, Suit::kSpades, Suit::kDiamonds, Suit::kClubs};
    do {
      context.check();
      for (Card& card : cards_) card.rank = static_cast<int8_t>(context.rng.integers(1, 14));
      for (Card& card : cards_) card.suit = kSuits[context.rng.integers(0, 4)];
    } while (is_solvable_only_ && !search_.is_solvable(numbers()));
    formula_.clear();
    is_over_ = has_won_ = false;
    known_ = {};
  }

  StepResult step(int64_t action, Context&) override {
    if (action < 0 || action > largest_ + 6) throw std::invalid_argument("Points24: expected an action in 0.." + std::to_string(largest_ + 6));
    if (formula_.size() > kMaxItems) {
      is_over_ = true;
      return {-1.0, false, true};
    }
    if (action == largest_ + 6) {
      is_over_ = true;
      has_won_ = is_right();
      return {has_won_ ? 10.0 : -1.0, true, false};
    }
    Item item = action < largest_ ? static_cast<Item>(action + 1) : static_cast<Item>(kSymbols[static_cast<size_t>(action - largest_)]);
    int have = 0;
    for (int number : numbers()) have += number == item;
    bool is_legal = !is_number(item) || have > formula_.count(item);
    formula_.add(is_legal ? item : kBlank);
    return {is_legal ? 0.0 : -1.0, false, false};
  }

  bool success() const override { return has_won_; }

  // The next item of a formula that is right, or '=' where it is complete or cannot be completed.
  int64_t oracle_action() const override {
    const auto& rest = completion();
    if (!rest.exists || rest.items.length == 0) return largest_ + 6;
    Item next = rest.items.items[0];
    return is_number(next) ? next - 1 : largest_ + static_cast<int64_t>(kSymbols.find(static_cast<char>(next)));
  }

  // is_solvable: whether these cards can make the target at all. can_solve: whether the formula so far can be completed (over:
  // whether it was right). solution: one formula for these cards, found from the empty one; all by the rules without compat.
  void facts(Facts& out) const override {
    tell_hand(out, cards_, formula_.text(""), target_);
    out.text("faces", largest_ == 10 ? "J, Q and K count 10" : "J counts 11, Q 12 and K 13");
    out.number("largest", largest_);
    FixedText<64> solution;
    const auto& whole = solved();
    for (size_t i = 0; whole.exists && i < whole.items.length; ++i) {
      solution += i ? " " : "";
      Formula<1>::append(solution, whole.items.items[i], "");
    }
    out.number("is_solvable", whole.exists);
    out.number("can_solve", is_over_ ? has_won_ : completion().exists);
    out.text("solution", solution);
  }

  void render(uint8_t* pixels, int width, int height) const override {
    art_.get(width, height).draw({pixels, width, height}, cards_, formula_.items(), is_compat_);
  }

  void save(Bytes& out) const override {
    for (const Card& card : cards_) out.put(card);
    formula_.save(out);
    out.put(static_cast<uint8_t>(is_over_));
    out.put(static_cast<uint8_t>(has_won_));
  }
  void load(Bytes& in) override {
    for (Card& card : cards_) {
      card.rank = in.get_within<int8_t>(1, 13);
      card.suit = static_cast<Suit>(in.get_within<int8_t>(0, 3));
    }
    formula_.load(in, static_cast<Item>(largest_), kSymbols);
    is_over_ = in.get_within<uint8_t>(0, 1) == 1;
    has_won_ = in.get_within<uint8_t>(0, 1) == 1;
    known_ = {};
  }

  static std::vector<std::string> actions(int largest) {
    std::vector<std::string> names;
    for (int number = 1; number <= largest; ++number) names.push_back(std::to_string(number));
    for (char symbol : kSymbols) names.emplace_back(1, symbol);
    names.emplace_back("=");
    return names;
  }

 private:
  static constexpr std::string_view kSymbols = "+-*/()";
  static constexpr size_t kMaxItems = 20;  // a formula of more can only be truncated

  std::array<int, 4> numbers() const {
    std::array<int, 4> result;
    for (size_t i = 0; i < 4; ++i) result[i] = std::min<int>(cards_[i].rank, static_cast<int>(largest_));
    return result;
  }
  bool is_right() const {
    if (formula_.numbers() != 4) return false;
    if (is_compat_) return equals(python_value(formula_.items()), target_);
    auto value = exact_value(formula_.items());
    return value && value->numerator == target_ && value->denominator == 1;
  }
  bool has_solvable_deal() const {
    std::array<int, 4> hand;
    for (hand[0] = 1; hand[0] <= largest_; ++hand[0])
      for (hand[1] = hand[0]; hand[1] <= largest_; ++hand[1])
        for (hand[2] = hand[1]; hand[2] <= largest_; ++hand[2])
          for (hand[3] = hand[2]; hand[3] <= largest_; ++hand[3])
            if (search_.is_solvable(hand)) return true;
    return false;
  }

  // Searches are made when they are asked for, and once for every deal and formula.
  struct Answer {
    bool is_known = false, exists = false;
    size_t at_size = 0;
    FormulaSearch::Completion items;
  };
  const Answer& search(Answer& answer, std::span<const Item> prefix) const {
    if (answer.is_known && answer.at_size == prefix.size()) return answer;
    answer.exists = search_.complete(prefix, numbers(), answer.items);
    answer.is_known = true;
    answer.at_size = prefix.size();
    return answer;
  }
  const Answer& solved() const { return search(known_.whole, {}); }
  const Answer& completion() const { return formula_.size() == 0 ? solved() : search(known_.rest, formula_.items()); }

  int64_t largest_, target_;
  bool is_solvable_only_, is_compat_;
  FormulaSearch search_;
  bool is_over_ = false, has_won_ = false;
  std::array<Card, 4> cards_{};
  Formula<kMaxItems + 1> formula_;
  struct Known {
    Answer whole, rest;
  };
  mutable Known known_;
  mutable SharedArt<Points24Art> art_;
};

}  // namespace vldac

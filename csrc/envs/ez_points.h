// gym_cards/EZPoints-v0 (RL4VLM gym_cards): write a formula from two cards that equals 12.
// First rank 2..13 (faces count 10); if the value divides 12 well (1, 2, 3, 4, 6) the second is 12 / value or 12 - value with equal
// odds, else 12 - value; order swapped with odds 1/2. Actions 0-9 the numbers 1-10, 10 '+', 11 '*', 12 '='. A number that is
// not left: a blank is appended, reward -1, the episode goes on. '=': +10 if the formula equals 12 and both cards were used,
// else -1; ends. More than 5 items before an action: truncates with -1.
// The evaluator is a bounded parser of numbers, '+' and '*'. Unlike upstream, which joins the items and evaluates the string,
// adjacent numbers do not concatenate and '**' is an error; both score -1 there as well for every two-card formula but "1 2".
#pragma once

#include <optional>

#include "core/env.h"
#include "render/canvas.h"

namespace vldac {

class EzPoints final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "gym_cards/EZPoints-v0",
            .action_names = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "*", "="},
            .fields = {"cards", "formula"}, .is_bounded = true};
  }
  explicit EzPoints(const Options&) {}

  void reset(Context& context) override {
    Pcg64& rng = context.rng;
    int64_t rank = rng.integers(2, 14);
    int64_t value = std::min<int64_t>(rank, 10);
    bool is_factor = value <= 4 || value == 6;
    int64_t partner = is_factor && rng.uniform() <= 0.5 ? 12 / value : 12 - value;
    ranks_[0] = rank;
    ranks_[1] = partner;
    for (auto& suit : suits_) suit = rng.integers(0, 4);
    if (rng.uniform() <= 0.5) {
      std::swap(ranks_[0], ranks_[1]);
      std::swap(suits_[0], suits_[1]);
    }
    count_ = 0;
  }

  StepResult step(int64_t action, Context&) override {
    if (action < 0 || action > 12) throw std::invalid_argument("EZPoints: expected an action in 0..12");
    if (count_ > 5) return {-1.0, false, true};
    if (action == 12) return {success_now() ? 10.0 : -1.0, true, false};
    bool is_number = action < 10;
    bool is_legal = !is_number || is_available(action + 1);
    items_[count_++] = is_legal ? static_cast<int8_t>(action) : kBlank;
    return {is_legal ? 0.0 : -1.0, false, false};
  }

  bool success() const override { return success_now(); }

  // The next symbol of "a op b =", or '=' where the formula can no longer be completed.
  int64_t oracle_action() const override {
    int64_t a = value(0), b = value(1);
    int8_t plan[3] = {static_cast<int8_t>(a - 1), static_cast<int8_t>(a + b == 12 ? 10 : 11), static_cast<int8_t>(b - 1)};
    bool is_swapped = count_ > 0 && items_[0] != plan[0];
    if (is_swapped) std::swap(plan[0], plan[2]);
    for (int i = 0; i < count_ && i < 3; ++i)
      if (items_[i] != plan[i]) return 12;
    return count_ < 3 ? plan[count_] : 12;
  }

  void facts(Facts& out) const override {
    FixedText<8> cards;
    cards += name(0);
    cards += ' ';
    cards += name(1);
    out.text("cards", cards);
    out.text("formula", formula());
  }

  void render(uint8_t* pixels, int width, int height) const override {
    Canvas canvas(pixels, width, height);
    canvas.fill({0x35, 0x65, 0x4d});
    for (int card = 0; card < 2; ++card) {
      double left = width * (card == 0 ? 0.04 : 0.52), top = height * 0.08;
      double right = left + width * 0.44, bottom = height * 0.68;
      canvas.rectangle(left, top, right, bottom, {250, 250, 245});
      Color ink = suits_[card] % 2 ? Color{190, 20, 30} : Color{10, 10, 10};
      canvas.rectangle(left + width * 0.04, bottom - height * 0.10, right - width * 0.04, bottom - height * 0.05, ink);
      // "10" is the one name of two characters: narrower, so that it stays on its card.
      double size = std::min(height * 0.36, width * (name(card).size() > 1 ? 0.28 : 0.40));
      canvas.text(left + width * 0.03, top + height * 0.02, size, ink, name(card));
    }
    bool is_small = width < 200;
    double size = is_small ? std::min(height * 0.22, width * 0.17) : height * 0.08;
    FixedText<40> words;
    words += is_small ? "=" : "Formula: ";
    words += std::string_view(formula());
    canvas.text_until(width * 0.97, width * 0.03, height * 0.73, size, {255, 255, 255}, words);
  }

  void save(Bytes& out) const override {
    out.put(ranks_);
    out.put(suits_);
    out.put(items_);
    out.put(count_);
  }
  void load(Bytes& in) override {
    for (auto& rank : ranks_) rank = in.get_within<int64_t>(1, 13);
    for (auto& suit : suits_) suit = in.get_within<int64_t>(0, 3);
    for (auto& item : items_) item = in.get_within<int8_t>(kBlank, 11);
    count_ = in.get_within<int64_t>(0, 6);
  }

 private:
  static constexpr int8_t kBlank = -1;

  int64_t value(int card) const { return std::min<int64_t>(ranks_[card], 10); }
  std::string_view name(int card) const {
    switch (ranks_[card]) {
      case 1: return "A";
      case 11: return "J";
      case 12: return "Q";
      case 13: return "K";
      case 10: return "10";
      default: return std::string_view("0123456789").substr(static_cast<size_t>(ranks_[card]), 1);
    }
  }
  bool is_available(int64_t number) const {
    int64_t have = (value(0) == number) + (value(1) == number);
    for (int i = 0; i < count_; ++i) have -= items_[i] == number - 1;
    return have > 0;
  }
  using Formula = FixedText<24>;
  Formula formula() const {
    Formula text;
    for (int i = 0; i < count_; ++i) {
      if (i) text += ' ';
      if (items_[i] == 10) text += '+';
      else if (items_[i] == 11) text += '*';
      else if (items_[i] != kBlank) text += int64_t{items_[i]} + 1;
    }
    return text;
  }
  // Sum of products over numbers and operators in turn; nothing else has a value.
  std::optional<int64_t> evaluate() const {
    int64_t sum = 0, product = 1;
    bool wants_number = true;
    for (int i = 0; i < count_; ++i) {
      if (items_[i] == kBlank) continue;
      if ((items_[i] < 10) != wants_number) return std::nullopt;
      if (items_[i] < 10) product *= items_[i] + 1;
      if (items_[i] == 10) {
        sum += product;
        product = 1;
      }
      wants_number = !wants_number;
    }
    if (wants_number) return std::nullopt;
    return sum + product;
  }
  bool success_now() const {
    int numbers = 0;
    for (int i = 0; i < count_; ++i) numbers += items_[i] >= 0 && items_[i] < 10;
    return numbers == 2 && evaluate() == 12;
  }

  std::array<int64_t, 2> ranks_{2, 10}, suits_{0, 0};
  std::array<int8_t, 8> items_{};
  int64_t count_ = 0;
};

}  // namespace vldac

#include "envs/formula_search.h"

#include <cmath>

namespace vldac {
namespace {

constexpr double kSame = 1e-8;

bool is_same(double x, double y) { return std::abs(x - y) < kSame; }

bool can_make(const std::array<double, FormulaSearch::kMaxCards>& values, size_t count, double target, std::string_view operators) {
  if (count == 1) return is_same(values[0], target);
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j < i; ++j) {
      std::array<double, FormulaSearch::kMaxCards> rest{};
      size_t kept = 0;
      for (size_t k = 0; k < count; ++k)
        if (k != i && k != j) rest[kept++] = values[k];
      auto with = [&](double value) {
        rest[kept] = value;
        return can_make(rest, kept + 1, target, operators);
      };
      double x = values[i], y = values[j];
      for (char op : operators) {
        if (op == '+' && with(x + y)) return true;
        if (op == '-' && (with(x - y) || with(y - x))) return true;
        if (op == '*' && with(x * y)) return true;
        if (op == '/' && !is_same(y, 0) && with(x / y)) return true;
        if (op == '/' && !is_same(x, 0) && with(y / x)) return true;
      }
    }
  return false;
}

}  // namespace

bool FormulaSearch::is_solvable(std::span<const int> numbers) const {
  if (numbers.empty() || numbers.size() > kMaxCards) return false;
  std::array<double, kMaxCards> values{};
  for (size_t i = 0; i < numbers.size(); ++i) values[i] = numbers[i];
  return can_make(values, numbers.size(), target_, operators_);
}

// A depth-first walk over the items that may follow. Per open bracket: the sum so far, the operator that joins the product so far
// to it, and the operator that waits for the product's next factor. The walk opens brackets only around sums that are a factor
// or divisor: all others can be written without.
struct FormulaSearch::Walk {
  struct Level {
    double sum = 0.0, product = 0.0;
    char adds = '+', multiplies = 0;
    bool is_sum = false, has_operand = false;
    bool is_given = true;  // opened by the prefix: may be closed whatever it holds
    double value() const { return adds == '+' ? sum + product : sum - product; }
  };
  const FormulaSearch& search;
  std::array<int, kMaxCards> left{};
  size_t num_left = 0;
  std::array<Level, kMaxFormulaItems + 1> levels{};
  size_t depth = 0;  // open brackets
  bool wants_operand = true;
  bool must_multiply = false;  // behind a bracket that would else be superfluous
  size_t used = 0;  // items, those of the prefix and blanks included
  Completion* out = nullptr;

  Level& level() { return levels[depth]; }

  // False for a division by zero.
  bool push_operand(double value) {
    Level& now = level();
    if (now.multiplies == '/') {
      if (is_same(value, 0)) return false;
      now.product /= value;
    } else {
      now.product = now.multiplies == '*' ? now.product * value : value;
    }
    now.multiplies = 0;
    now.has_operand = true;
    wants_operand = must_multiply = false;
    return true;
  }
  void push_operator(char op) {
    Level& now = level();
    if (op == '*' || op == '/') {
      now.multiplies = op;
    } else {
      now.sum = now.value();
      now.is_sum = true;
      now.adds = op;
      now.product = 0.0;
    }
    wants_operand = true;
  }
  void open(bool is_given) {
    levels[++depth] = Level{};
    level().is_given = is_given;
  }
  bool close() {
    double value = level().value();
    bool is_given = level().is_given;
    --depth;
    bool is_alone = level().multiplies == 0;
    if (!push_operand(value)) return false;
    must_multiply = !is_given && is_alone;
    return true;
  }
  // Cards that are needed to make a sum of what stands in every open bracket of the walk.
  size_t num_needed() const {
    size_t needed = wants_operand;
    for (size_t d = 1; d <= depth; ++d) needed += !levels[d].is_given && !levels[d].is_sum;
    return needed;
  }
  bool take_card(int number) {
    for (size_t i = 0; i < num_left; ++i)
      if (left[i] == number) {
        for (size_t k = i + 1; k < num_left; ++k) left[k - 1] = left[k];
        --num_left;
        return true;
      }
    return false;
  }

  bool replay(std::span<const Item> prefix) {
    for (Item item : prefix) {
      ++used;
      if (item == kBlank) continue;
      if (is_number(item) || item == '(') {
        if (!wants_operand) return false;
        if (item == '(') open(true);
        else if (!take_card(item) || !push_operand(item)) return false;
      } else if (wants_operand || (item == ')' && depth == 0)) {
        return false;
      } else if (item == ')') {
        if (!close()) return false;
      } else {
        push_operator(static_cast<char>(item));
      }
    }
    return true;
  }

  // What one item can change. Levels above the present one are never needed again.
  struct Undo {
    Level level, outer;
    std::array<int, kMaxCards> left;
    size_t num_left, depth, used, length;
    bool wants_operand, must_multiply;
  };
  Undo remembered() const {
    return {levels[depth], depth > 0 ? levels[depth - 1] : Level{}, left, num_left, depth, used, out->length, wants_operand, must_multiply};
  }
  void restore(const Undo& undo) {
    depth = undo.depth;
    levels[depth] = undo.level;
    if (depth > 0) levels[depth - 1] = undo.outer;
    left = undo.left;
    num_left = undo.num_left;
    used = undo.used;
    out->length = undo.length;
    wants_operand = undo.wants_operand;
    must_multiply = undo.must_multiply;
  }
  // Go on behind an item that has been pushed, unless it could not be.
  bool follow(bool is_pushed, Item item, const Undo& undo) {
    if (is_pushed) {
      out->items[out->length++] = item;
      ++used;
      if (walk()) return true;
    }
    restore(undo);
    return false;
  }

  bool walk() {
    size_t needed = depth + 2 * num_left - (wants_operand && num_left > 0 ? 1 : 0);
    if (used + needed > search.max_items_) return false;
    if (!wants_operand && num_left == 0 && depth == 0) return !must_multiply && is_same(level().value(), search.target_);
    if (num_needed() > num_left) return false;
    const Undo undo = remembered();
    if (wants_operand) {
      for (size_t i = 0; i < undo.num_left; ++i) {
        int number = undo.left[i];
        bool is_tried = false;
        for (size_t k = 0; k < i; ++k) is_tried = is_tried || undo.left[k] == number;
        if (!is_tried && follow(take_card(number) && push_operand(number), static_cast<Item>(number), undo)) return true;
      }
      if (!search.has_brackets_) return false;
      open(false);
      return follow(true, '(', undo);
    }
    if (depth > 0 && !must_multiply && (level().is_given || level().is_sum) && follow(close(), ')', undo)) return true;
    if (num_left == 0) return false;
    for (char op : search.operators_) {
      if (must_multiply && (op == '+' || op == '-')) continue;
      push_operator(op);
      if (follow(true, static_cast<Item>(op), undo)) return true;
    }
    return false;
  }
};

bool FormulaSearch::complete(std::span<const Item> prefix, std::span<const int> numbers, Completion& out) const {
  out.length = 0;
  if (prefix.size() > max_items_ || max_items_ > kMaxFormulaItems || !is_solvable(numbers)) return false;
  Walk walk{*this};
  for (int number : numbers) walk.left[walk.num_left++] = number;
  walk.out = &out;
  return walk.replay(prefix) && walk.walk();
}

}  // namespace vldac

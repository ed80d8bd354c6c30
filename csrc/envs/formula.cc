#include "envs/formula.h"

#include <array>

namespace vldac {
namespace {

using Int = __int128;
// Products of two numerators or denominators stay inside 128 bits. With numbers of at most 13 no formula within the size limit
// gets there; the check costs little and needs no proof.
constexpr Int kLargest = Int{1} << 62;

Int magnitude(Int value) { return value < 0 ? -value : value; }

std::optional<Rational> reduced(Int numerator, Int denominator) {
  if (denominator == 0) return std::nullopt;
  Int a = magnitude(numerator), b = magnitude(denominator);
  while (b != 0) {
    Int rest = a % b;
    a = b;
    b = rest;
  }
  if (denominator < 0) a = -a;
  Rational value{numerator / a, denominator / a};
  if (magnitude(value.numerator) > kLargest || value.denominator > kLargest) return std::nullopt;
  return value;
}

std::optional<Rational> apply(char op, const Rational& x, const Rational& y) {
  switch (op) {
    case '+': return reduced(x.numerator * y.denominator + y.numerator * x.denominator, x.denominator * y.denominator);
    case '-': return reduced(x.numerator * y.denominator - y.numerator * x.denominator, x.denominator * y.denominator);
    case '*': return reduced(x.numerator * y.numerator, x.denominator * y.denominator);
    default: return reduced(x.numerator * y.denominator, x.denominator * y.numerator);
  }
}

int strength(char op) { return op == '(' ? 0 : op == '+' || op == '-' ? 1 : 2; }

// Two stacks of fixed size, no recursion (E. W. Dijkstra's shunting yard).
class Evaluator {
 public:
  bool push_number(int number) {
    if (!wants_value_) return false;
    wants_value_ = false;
    values_[num_values_++] = {number, 1};
    return true;
  }
  bool push_symbol(char symbol) {
    if (symbol == '(') {
      if (!wants_value_) return false;
      ops_[num_ops_++] = symbol;
      return true;
    }
    if (wants_value_) return false;
    if (symbol == ')') {
      if (!reduce(1)) return false;
      if (num_ops_ == 0) return false;
      --num_ops_;  // its opening bracket
      return true;
    }
    if (!reduce(strength(symbol))) return false;
    ops_[num_ops_++] = symbol;
    wants_value_ = true;
    return true;
  }
  std::optional<Rational> finish() {
    if (wants_value_ || !reduce(1) || num_ops_ != 0) return std::nullopt;
    return values_[0];
  }

 private:
  // Apply operators at least as strong, from the right, down to an opening bracket.
  bool reduce(int at_least) {
    while (num_ops_ > 0 && strength(ops_[num_ops_ - 1]) >= at_least) {
      auto value = apply(ops_[--num_ops_], values_[num_values_ - 2], values_[num_values_ - 1]);
      if (!value) return false;
      values_[--num_values_ - 1] = *value;
    }
    return true;
  }
  std::array<Rational, kMaxFormulaItems + 1> values_;
  std::array<char, kMaxFormulaItems + 1> ops_;
  size_t num_values_ = 0, num_ops_ = 0;
  bool wants_value_ = true;
};

}  // namespace

std::optional<Rational> exact_value(std::span<const Item> items) {
  if (items.size() > kMaxFormulaItems) return std::nullopt;
  Evaluator evaluator;
  for (Item item : items) {
    if (item == kBlank) continue;
    if (!(is_number(item) ? evaluator.push_number(item) : evaluator.push_symbol(static_cast<char>(item)))) return std::nullopt;
  }
  return evaluator.finish();
}

}  // namespace vldac

// Search for formulas that use every card once and equal a target, by the rules of `exact_value`.
//
// It counts in doubles, exactly enough: a value made of at most four numbers up to 13 is a fraction with a denominator below
// 10^4, so two different ones, or one and a whole number, lie more than 10^-8 apart; rounding errs by less than 10^-9.
#pragma once

#include <array>

#include "envs/formula.h"

namespace vldac {

class FormulaSearch {
 public:
  static constexpr size_t kMaxCards = 4;
  // At most `max_items` items in all; without brackets only the operators that are named in `operators` are tried.
  FormulaSearch(int64_t target, std::string_view operators, bool has_brackets, size_t max_items)
      : target_(static_cast<double>(target)), operators_(operators), has_brackets_(has_brackets), max_items_(max_items) {}

  // Whether any formula of these numbers equals the target: every pair is replaced by every result of an operator, in turn.
  bool is_solvable(std::span<const int> numbers) const;

  // Items that complete `prefix` to a formula of all `numbers` that equals the target, the first found in a fixed order;
  // `length` 0: the prefix is complete and right. False where there are none. `prefix` may hold blanks.
  struct Completion {
    std::array<Item, kMaxFormulaItems> items;
    size_t length = 0;
  };
  bool complete(std::span<const Item> prefix, std::span<const int> numbers, Completion& out) const;

 private:
  struct Walk;
  double target_;
  std::string_view operators_;
  bool has_brackets_;
  size_t max_items_;
};

}  // namespace vldac

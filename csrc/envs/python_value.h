// What Python's eval makes of a formula's items joined without blanks between them: upstream's way to score. Adjacent numbers
// concatenate ("1", "10" is 110), "**" and "//" arise from doubled operators, signs chain, blanks from invalid actions split
// tokens, "/" is division in doubles. A bounded parser: nothing is evaluated by anything else, depth and size have caps.
//
// Equal to eval for every formula of at most four numbers, with these bounds, all of which count as "no value":
// integers beyond 2^125 (they can't come back to a small number with the cards that are left), power towers that Python would
// compute for minutes or not at all, complex numbers (a negative number to a broken power) and the empty tuple "()".
#pragma once

#include <optional>
#include <span>
#include <variant>

#include "envs/formula.h"

namespace vldac {

using PythonValue = std::variant<__int128, double>;

std::optional<PythonValue> python_value(std::span<const Item> items);

// Python's `value == number`.
bool equals(const std::optional<PythonValue>& value, int64_t number);

}  // namespace vldac

#include "envs/python_value.h"

#include <array>
#include <cmath>

namespace vldac {
namespace {

using Int = __int128;
using Unsigned = unsigned __int128;
constexpr Int kLargest = Int{1} << 125;  // the sum of two fits
constexpr size_t kMaxCharacters = 2 * kMaxFormulaItems;
constexpr int kMaxNesting = static_cast<int>(kMaxCharacters);

// An integer, a double, or an integer beyond 2^125 of which the sign is known. Everything else has no value, and neither has
// what is computed from it.
struct Value {
  enum class Kind { kInt, kFloat, kHuge } kind;
  Int integer = 0;
  double real = 0.0;
  bool is_negative = false;
};
using Maybe = std::optional<Value>;

Maybe of_int(Int value) { return Value{Value::Kind::kInt, value, 0.0, value < 0}; }
Maybe of_float(double value) { return Value{Value::Kind::kFloat, 0, value, false}; }
Maybe of_huge(bool is_negative) { return Value{Value::Kind::kHuge, 0, 0.0, is_negative}; }
bool is_float(const Value& x) { return x.kind == Value::Kind::kFloat; }
bool is_huge(const Value& x) { return x.kind == Value::Kind::kHuge; }
bool is_zero(const Value& x) { return x.kind == Value::Kind::kInt && x.integer == 0; }
bool is_odd(Int value) { return (value & 1) != 0; }

// Rounded to the nearest double, ties to even, as Python converts.
double real(const Value& x) { return is_float(x) ? x.real : static_cast<double>(x.integer); }

Maybe bounded(Int value) { return value > kLargest || value < -kLargest ? of_huge(value < 0) : of_int(value); }

Maybe negated(const Value& x) {
  if (is_huge(x)) return of_huge(!x.is_negative);
  return is_float(x) ? of_float(-x.real) : of_int(-x.integer);
}

Maybe add(const Value& x, const Value& y) {
  if (is_huge(x) || is_huge(y)) {
    if (is_float(x) || is_float(y)) return std::nullopt;
    if (is_huge(x) && is_huge(y) && x.is_negative != y.is_negative) return std::nullopt;
    return of_huge(is_huge(x) ? x.is_negative : y.is_negative);
  }
  if (is_float(x) || is_float(y)) return of_float(real(x) + real(y));
  return bounded(x.integer + y.integer);
}

Maybe multiply(const Value& x, const Value& y) {
  if (is_huge(x) || is_huge(y)) {
    if (is_float(x) || is_float(y)) return std::nullopt;
    if (is_zero(x) || is_zero(y)) return of_int(0);
    return of_huge(x.is_negative != y.is_negative);
  }
  if (is_float(x) || is_float(y)) return of_float(real(x) * real(y));
  Int product;
  if (__builtin_mul_overflow(x.integer, y.integer, &product)) return of_huge(x.is_negative != y.is_negative);
  return bounded(product);
}

// The quotient of two integers, rounded once to the nearest double, ties to even.
double true_quotient(Int x, Int y) {
  bool is_negative = (x < 0) != (y < 0);
  Unsigned a = static_cast<Unsigned>(x < 0 ? -x : x), b = static_cast<Unsigned>(y < 0 ? -y : y);
  if (a == 0) return is_negative ? -0.0 : 0.0;
  auto bits = [](Unsigned value) {
    int count = 0;
    for (; value; value >>= 1) ++count;
    return count;
  };
  // 55 or more bits of the quotient and whether anything is left: enough to round to 53.
  int shift = 55 - (bits(a) - bits(b));
  Unsigned quotient = a / b, rest = a % b;
  for (int i = 0; i < shift; ++i) {
    quotient <<= 1;
    rest <<= 1;
    if (rest >= b) {
      rest -= b;
      quotient |= 1;
    }
  }
  int exponent = shift > 0 ? -shift : 0;
  bool has_rest = rest != 0;
  while (bits(quotient) > 53) {
    int excess = bits(quotient) - 53;
    Unsigned low = quotient & ((Unsigned{1} << excess) - 1), half = Unsigned{1} << (excess - 1);
    quotient >>= excess;
    exponent += excess;
    if (low > half || (low == half && (has_rest || is_odd(static_cast<Int>(quotient))))) ++quotient;
    has_rest = false;  // after rounding; a carry to 54 bits is a power of two and shifts out a zero
  }
  double magnitude = std::ldexp(static_cast<double>(static_cast<uint64_t>(quotient)), exponent);
  return is_negative ? -magnitude : magnitude;
}

Maybe divide(const Value& x, const Value& y) {
  if (is_huge(x) || is_huge(y)) return std::nullopt;
  if (is_float(x) || is_float(y)) {
    if (real(y) == 0.0) return std::nullopt;
    return of_float(real(x) / real(y));
  }
  if (y.integer == 0) return std::nullopt;
  return of_float(true_quotient(x.integer, y.integer));
}

Maybe floor_divide(const Value& x, const Value& y) {
  if (is_huge(y) && x.kind == Value::Kind::kInt) return of_int(is_zero(x) || x.is_negative == y.is_negative ? 0 : -1);
  if (is_huge(x) || is_huge(y)) return std::nullopt;
  if (!is_float(x) && !is_float(y)) {
    if (y.integer == 0) return std::nullopt;
    Int quotient = x.integer / y.integer;
    bool is_below = x.integer % y.integer != 0 && (x.integer < 0) != (y.integer < 0);
    return of_int(quotient - is_below);
  }
  double a = real(x), b = real(y);
  if (b == 0.0) return std::nullopt;
  double rest = std::fmod(a, b), quotient = (a - rest) / b;  // as CPython's float_divmod
  if (rest != 0.0 && (b < 0.0) != (rest < 0.0)) quotient -= 1.0;
  if (quotient == 0.0) return of_float(std::copysign(0.0, a / b));
  double whole = std::floor(quotient);
  return of_float(quotient - whole > 0.5 ? whole + 1.0 : whole);
}

Maybe float_power(double x, double y) {
  if (y == 0.0) return of_float(1.0);
  if (x == 0.0 && y < 0.0) return std::nullopt;
  if (x < 0.0 && std::floor(y) != y) return std::nullopt;  // complex
  double result = std::pow(x, y);
  if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) return std::nullopt;  // OverflowError
  return of_float(result);
}

Maybe power(const Value& x, const Value& y) {
  if (is_huge(x)) {
    if (is_zero(y)) return of_int(1);
    if (y.kind != Value::Kind::kInt || y.is_negative) return std::nullopt;
    return of_huge(x.is_negative && is_odd(y.integer));
  }
  if (is_float(x) || is_float(y)) return is_huge(y) ? std::nullopt : float_power(real(x), real(y));
  if (y.is_negative) {
    if (!is_huge(y)) return float_power(real(x), real(y));
    return x.integer == 1 ? of_float(1.0) : std::nullopt;
  }
  if (x.integer == 0) return of_int(is_zero(y) ? 1 : 0);
  if (x.integer == 1) return of_int(1);
  if (is_huge(y)) return std::nullopt;  // a tower
  if (x.integer == -1) return of_int(is_odd(y.integer) ? -1 : 1);
  if (y.integer > 126) return of_huge(x.is_negative && is_odd(y.integer));
  Maybe result = of_int(1);
  for (Int i = 0; i < y.integer; ++i) result = multiply(*result, x);
  return result;
}

// Python's grammar for the characters that can arise; each function leaves `at_` behind what it read. Calls ("2(3)") and the
// empty tuple have no value, like ungrammatical text.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Maybe all() {
    Maybe value = sum(0);
    skip_blanks();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  // The operator at this place: '+', '-', '*', '/', 'p' for "**", 'f' for "//", '(' , ')', or 0. A doubled one is always meant.
  char peek() {
    skip_blanks();
    if (at_ >= text_.size()) return 0;
    char c = text_[at_];
    bool is_double = at_ + 1 < text_.size() && text_[at_ + 1] == c;
    if (c == '*' && is_double) return 'p';
    if (c == '/' && is_double) return 'f';
    return c >= '0' && c <= '9' ? '0' : c;
  }
  char take() {
    char op = peek();
    at_ += op == 'p' || op == 'f' ? 2 : 1;
    return op;
  }
  Maybe sum(int depth) {
    Maybe left = product(depth);
    while (left && (peek() == '+' || peek() == '-')) {
      char op = take();
      Maybe right = product(depth);
      if (right && op == '-') right = negated(*right);
      left = right ? add(*left, *right) : std::nullopt;
    }
    return left;
  }
  Maybe product(int depth) {
    Maybe left = factor(depth);
    while (left && (peek() == '*' || peek() == '/' || peek() == 'f')) {
      char op = take();
      Maybe right = factor(depth);
      if (!right) return std::nullopt;
      left = op == '*' ? multiply(*left, *right) : op == '/' ? divide(*left, *right) : floor_divide(*left, *right);
    }
    return left;
  }
  Maybe factor(int depth) {
    if (depth > kMaxNesting) return std::nullopt;
    if (peek() == '+') {
      take();
      return factor(depth + 1);
    }
    if (peek() == '-') {
      take();
      Maybe value = factor(depth + 1);
      return value ? negated(*value) : std::nullopt;
    }
    Maybe base = atom(depth);
    if (!base || peek() != 'p') return base;
    take();
    Maybe exponent = factor(depth + 1);
    return exponent ? power(*base, *exponent) : std::nullopt;
  }
  Maybe atom(int depth) {
    Maybe value;
    if (peek() == '(') {
      take();
      value = sum(depth + 1);
      if (!value || peek() != ')') return std::nullopt;
      take();
    } else if (peek() == '0') {
      Int number = 0;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
        if (number > kLargest / 16) return std::nullopt;
        number = number * 10 + (text_[at_++] - '0');
      }
      value = of_int(number);
    }
    return peek() == '(' || peek() == '0' ? std::nullopt : value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<PythonValue> python_value(std::span<const Item> items) {
  if (items.size() > kMaxFormulaItems) return std::nullopt;
  FixedText<kMaxCharacters> text;
  for (Item item : items) {
    if (is_number(item)) text += int64_t{item};
    else text += static_cast<char>(item);
  }
  Maybe value = Parser(text).all();
  if (!value || is_huge(*value)) return std::nullopt;
  return is_float(*value) ? PythonValue(value->real) : PythonValue(value->integer);
}

bool equals(const std::optional<PythonValue>& value, int64_t number) {
  if (!value) return false;
  if (const double* real = std::get_if<double>(&*value)) return *real == static_cast<double>(number);
  return std::get<Int>(*value) == number;
}

}  // namespace vldac

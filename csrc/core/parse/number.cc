#include <charconv>
#include <cmath>

#include "core/parse/readers.h"

namespace vldac::parse {

bool whole_number(std::string_view text, int64_t& value) {
  constexpr size_t kMaxCharacters = 64;
  if (text.empty() || text.size() > kMaxCharacters) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return true;
  double number = 0.0;
  auto [last, range] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (last != text.data() + text.size()) return false;
  if (range == std::errc::result_out_of_range) {
    // Too small for a double, which reads as zero, or too large.
    size_t exponent = text.find_first_of("eE");
    if (exponent == std::string_view::npos || text[exponent + 1] != '-') return false;
    number = 0.0;
  } else if (range != std::errc() || !(std::fabs(number) < 1e15) || number != std::floor(number)) {
    return false;
  }
  value = static_cast<int64_t>(number);
  return true;
}

}  // namespace vldac::parse

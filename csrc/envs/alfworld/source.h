// Where in a game file something is wrong.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace vldac::alfworld {

// What: "NAME: PART LINE:COLUMN: expected ..., got ...". PART is "file", "domain", "problem" or "grammar"; lines and columns (of bytes)
// count from 1 within that part's text.
class GameError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// One part's text, for the errors of those who read it.
struct Source {
  std::string_view name, part, text;
  [[noreturn]] void fail(size_t offset, const std::string& message) const;
};

// As it can be shown in an error: cut where it is long, one line.
std::string shown(std::string_view text);

}  // namespace vldac::alfworld

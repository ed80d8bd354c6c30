#include "envs/alfworld/source.h"

#include <algorithm>

namespace vldac::alfworld {

void Source::fail(size_t offset, const std::string& message) const {
  offset = std::min(offset, text.size());
  std::string_view before = text.substr(0, offset);
  size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  size_t newline = before.rfind('\n');
  size_t column = newline == std::string_view::npos ? offset + 1 : offset - newline;
  throw GameError(std::string(name) + ": " + std::string(part) + " " + std::to_string(line) + ":" + std::to_string(column) + ": " + message);
}

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 40;
  std::string result = "'";
  for (char c : text.substr(0, kLongest)) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      result += '?';
    else
      result += c;
  }
  return result + (text.size() > kLongest ? "...'" : "'");
}

}  // namespace vldac::alfworld

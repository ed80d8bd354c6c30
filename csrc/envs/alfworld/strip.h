// White space around a command, as Python's str.strip() sees it in ASCII.
#pragma once

#include <string_view>

namespace vldac::alfworld {

inline std::string_view stripped(std::string_view text) {
  auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f'); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace vldac::alfworld

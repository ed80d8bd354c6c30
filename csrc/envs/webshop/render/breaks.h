// Where a line of text may end: at blanks, and between the pairs of signs between which Chromium 156 breaks ASCII text (taken by
// trying all pairs in the browser). Outside ASCII: after the dashes and before the long one.
#pragma once

#include <string_view>

namespace vldac::webshop {

inline bool is_in(uint32_t code, std::string_view set) { return code < 0x80 && set.find(static_cast<char>(code)) != std::string_view::npos; }
inline bool is_letter(uint32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }

// May a line end between `left` and `right`, neither of them a blank? `before` is what stands before `left` (0 at a word's start).
inline bool may_break(uint32_t before, uint32_t left, uint32_t right) {
  if (left == 0x2013 || left == 0x2014) return !is_in(right, "!),./:;?]}") && right != left;
  if (right == 0x2014) return true;
  if (left == '-') {
    if (is_digit(right)) return is_letter(before) || is_digit(before);
    return right < 0x80 && !is_in(right, "!$),./:;?]}");
  }
  if (left == '?') return right < 0x80 && !is_in(right, "!\"'),./:;?]}");
  return is_in(right, "(<[{") && is_in(left, "!\"#%&)*+,.:;=>\\]|}~");
}

}  // namespace vldac::webshop

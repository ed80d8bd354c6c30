// UTF-8, and what Python's str does with it: lower(), strip(), repr(). Upstream is Python, and its rewards depend on these. Texts are
// checked once where they enter (first_bad_utf8); everything else takes them as valid and never reads past their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/utf8.h"

namespace vldac::webshop {

using vldac::append_code_point;
using vldac::first_bad_utf8;

// The code point at `at`, which moves behind it. Of invalid bytes: one byte, U+FFFD.
uint32_t next_code_point(std::string_view text, size_t& at);
size_t num_code_points(std::string_view text);
// At most `max_bytes` from the start, cut between two characters.
std::string_view cut_utf8(std::string_view text, size_t max_bytes);

bool is_alnum(uint32_t code);
bool is_printable(uint32_t code);
bool is_space(uint32_t code);

// str.lower(). A capital sigma at the end of a word is found by a rule that knows Latin, Greek and Cyrillic letters.
void append_lower(std::string& out, std::string_view text);
std::string lower(std::string_view text);
// str.strip().
std::string_view strip(std::string_view text);
// repr() of a str.
void append_repr(std::string& out, std::string_view text);
// repr() of a float.
void append_float(std::string& out, double value);

}  // namespace vldac::webshop

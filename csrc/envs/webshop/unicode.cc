#include "envs/webshop/unicode.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "envs/webshop/unicode_data.h"

namespace vldac::webshop {
namespace {

template <size_t N>
bool is_within(const CodeRange (&ranges)[N], uint32_t code) {
  const CodeRange* range = std::lower_bound(std::begin(ranges), std::end(ranges), code, [](const CodeRange& r, uint32_t c) { return r.last < c; });
  return range != std::end(ranges) && code >= range->first;
}

uint32_t lower_code(uint32_t code) {
  if (code < 128) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  const LowerRange* range =
      std::lower_bound(std::begin(kLowerRanges), std::end(kLowerRanges), code, [](const LowerRange& r, uint32_t c) { return r.last < c; });
  if (range == std::end(kLowerRanges) || code < range->first || (code - range->first) % static_cast<uint32_t>(range->stride)) return code;
  return static_cast<uint32_t>(static_cast<int32_t>(code) + range->delta);
}

bool is_cased(uint32_t code) { return code < 0x530 && is_alnum(code) && !(code >= '0' && code <= '9'); }
bool is_ignored_by_case(uint32_t code) {
  return code == '\'' || code == '.' || code == ':' || code == 0xb7 || code == 0xad || code == 0x2019 || (code >= 0x300 && code < 0x370);
}

// Whether the sigma that ends at `after` is the last letter of its word; `before`: it has a letter before it.
bool is_final_sigma(std::string_view text, size_t sigma, size_t after) {
  bool has_letter_before = false;
  for (size_t at = 0; at < sigma;) {
    uint32_t code = next_code_point(text, at);
    if (!is_ignored_by_case(code)) has_letter_before = is_cased(code);
  }
  if (!has_letter_before) return false;
  while (after < text.size()) {
    uint32_t code = next_code_point(text, after);
    if (!is_ignored_by_case(code)) return !is_cased(code);
  }
  return true;
}

}  // namespace

uint32_t next_code_point(std::string_view text, size_t& at) {
  auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return ++at, first;
  size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
  if (more == 0 || at + more >= text.size()) return ++at, 0xfffd;
  uint32_t code = first & (0x3fu >> more);
  for (size_t i = 1; i <= more; ++i) code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fu);
  at += more + 1;
  return code;
}

size_t num_code_points(std::string_view text) {
  size_t count = 0;
  for (char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return count;
}

std::string_view cut_utf8(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  while (max_bytes && (static_cast<unsigned char>(text[max_bytes]) & 0xc0) == 0x80) --max_bytes;
  return text.substr(0, max_bytes);
}

bool is_alnum(uint32_t code) {
  if (code < 128) return (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z');
  return is_within(kAlnumRanges, code);
}

bool is_printable(uint32_t code) {
  if (code < 127) return code >= 32;
  return !is_within(kUnprintableRanges, code);
}

bool is_space(uint32_t code) {
  if (code < 128) return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

void append_lower(std::string& out, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x80) {
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      ++at;
      continue;
    }
    size_t start = at;
    uint32_t code = next_code_point(text, at);
    if (code == 0x130) {
      out += "i\xcc\x87";
    } else if (code == 0x3a3) {
      append_code_point(out, is_final_sigma(text, start, at) ? 0x3c2 : 0x3c3);
    } else {
      append_code_point(out, lower_code(code));
    }
  }
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  append_lower(out, text);
  return out;
}

std::string_view strip(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t at = begin;
    if (!is_space(next_code_point(text, at))) break;
    begin = at;
  }
  size_t end = text.size();
  while (end > begin) {
    size_t at = end - 1;
    while (at > begin && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
    size_t after = at;
    if (!is_space(next_code_point(text, after))) break;
    end = at;
  }
  return text.substr(begin, end - begin);
}

void append_repr(std::string& out, std::string_view text) {
  static const char kHex[] = "0123456789abcdef";
  bool is_double = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  char quote = is_double ? '"' : '\'';
  out += quote;
  for (size_t at = 0; at < text.size();) {
    size_t start = at;
    uint32_t code = next_code_point(text, at);
    if (code == static_cast<uint32_t>(quote) || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code == '\n' || code == '\r' || code == '\t') {
      out += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    } else if (is_printable(code)) {
      out.append(text.substr(start, at - start));
    } else {
      int digits = code < 0x100 ? 2 : code < 0x10000 ? 4 : 8;
      out += code < 0x100 ? "\\x" : code < 0x10000 ? "\\u" : "\\U";
      for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[code >> shift & 15];
    }
  }
  out += quote;
}

void append_float(std::string& out, double value) {
  char digits[64];
  size_t start = out.size();
  double magnitude = value < 0 ? -value : value;
  bool is_plain = value == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  auto end = std::to_chars(digits, digits + sizeof digits, value, is_plain ? std::chars_format::fixed : std::chars_format::scientific).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
  if (is_plain && out.find('.', start) == std::string::npos) out += ".0";
}

}  // namespace vldac::webshop

#include "core/parse/scan.h"

#include "core/utf8.h"

namespace vldac::parse {

bool is_utf8(std::string_view text) { return first_bad_utf8(text) == std::string_view::npos; }

void Word::push(char c) {
  if (size_ == 0 && is_space(c)) {
    begins_with_space_ = true;
  } else if (size_ < kMaxBytes) {
    bytes_[size_++] = c;
  } else if (!is_space(c)) {
    is_whole_ = false;
  }
}

void Word::push_code_point(uint32_t code) {
  encode_utf8(code, [this](char byte) { push(byte); });
}

std::string_view Word::view() const { return trimmed({bytes_.data(), size_}); }

int64_t hexadecimal(std::string_view text, size_t at, size_t digits) {
  if (digits > text.size() || at > text.size() - digits) return -1;
  int64_t value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    char c = lower(text[i]);
    if (!is_digit(c) && !(c >= 'a' && c <= 'f')) return -1;
    value = value * 16 + (is_digit(c) ? c - '0' : c - 'a' + 10);
  }
  return value;
}

void decode_json(std::string_view inner, Word& word) {
  constexpr std::string_view kShort = "bfnrt", kMeaning = "\b\f\n\r\t";
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] != '\\' || i + 1 == inner.size()) {
      word.push(inner[i]);
      continue;
    }
    char escape = inner[++i];
    int64_t code = escape == 'u' ? hexadecimal(inner, i + 1, 4) : -1;
    if (code >= 0) {
      i += 4;
      bool is_high = code >= 0xD800 && code < 0xDC00 && inner.substr(i + 1, 2) == "\\u";
      int64_t low = is_high ? hexadecimal(inner, i + 3, 4) : -1;
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        i += 6;
      }
      word.push_code_point(static_cast<uint32_t>(code));
    } else if (size_t known = kShort.find(escape); known != std::string_view::npos) {
      word.push(kMeaning[known]);
    } else {
      word.push(escape);
    }
  }
}

}  // namespace vldac::parse

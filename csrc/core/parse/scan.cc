#include "core/parse/scan.h"

#include <cstring>

namespace vldac::parse {
namespace {

// Length of the UTF-8 sequence at the front, 0 if it is none (overlong forms, surrogates and values past U+10FFFF are none).
size_t sequence_length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto is_tail = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
    return is_tail(1) && is_tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
    return is_tail(1) && is_tail(2) && is_tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080ULL) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    size_t length = sequence_length(text.substr(at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

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
  auto byte = [this](uint32_t value) { push(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3F));
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
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

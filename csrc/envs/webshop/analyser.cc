#include "envs/webshop/analyser.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr size_t kMaxWord = 255;  // characters; Lucene cuts longer ones into pieces

enum class Kind : uint8_t { kOther, kLetter, kDigit, kLine, kKatakana, kAlone, kExtend, kMidLetter, kMidNumber, kMidBoth };

Kind kind_of_far(uint32_t code) {
  switch (code) {
    case 0xb7: case 0x387: case 0x5f4: case 0x2027: case 0xfe13: case 0xfe55: case 0xff1a: return Kind::kMidLetter;
    case 0x2018: case 0x2019: case 0x2024: case 0xfe52: case 0xff07: case 0xff0e: return Kind::kMidBoth;
    case 0x37e: case 0x589: case 0x60c: case 0x60d: case 0x66c: case 0x7f8: case 0x2044: case 0xfe10: case 0xfe14: case 0xfe50:
    case 0xfe54: case 0xff0c: case 0xff1b: return Kind::kMidNumber;
    default: break;
  }
  if ((code >= 0x300 && code < 0x370) || code == 0xad || code == 0x200c || code == 0x200d || code == 0xfe0f) return Kind::kExtend;
  if ((code >= 0x3040 && code < 0x30a0) || (code >= 0x3400 && code < 0x4dc0) || (code >= 0x4e00 && code < 0xa000) || (code >= 0x20000 && code < 0x2fa20))
    return is_alnum(code) ? Kind::kAlone : Kind::kOther;
  if (code >= 0x30a0 && code < 0x3100) return is_alnum(code) ? Kind::kKatakana : Kind::kOther;
  // Numbers that are no digits (superscripts, fractions, circled ones) are alphanumeric to Python, but no part of a word.
  bool is_figure = code == 0xb2 || code == 0xb3 || code == 0xb9 || (code >= 0xbc && code <= 0xbe) || (code >= 0x2070 && code <= 0x2079 && code != 0x2071) ||
                   (code >= 0x2080 && code <= 0x2089) || (code >= 0x2150 && code < 0x2160) || (code >= 0x2460 && code < 0x249c) ||
                   (code >= 0x2776 && code < 0x2794);
  return is_alnum(code) && !is_figure ? Kind::kLetter : Kind::kOther;
}

Kind kind_of(uint32_t code) {
  if (code >= 128) return kind_of_far(code);
  if ((code | 32) >= 'a' && (code | 32) <= 'z') return Kind::kLetter;
  if (code >= '0' && code <= '9') return Kind::kDigit;
  switch (code) {
    case '_': return Kind::kLine;
    case ':': return Kind::kMidLetter;
    case ',': case ';': return Kind::kMidNumber;
    case '.': case '\'': return Kind::kMidBoth;
    default: return Kind::kOther;
  }
}

bool is_word(Kind kind) { return kind == Kind::kLetter || kind == Kind::kDigit || kind == Kind::kLine || kind == Kind::kKatakana; }

// Whether no boundary lies between two word characters.
bool goes_on(Kind last, Kind next) {
  if (last == Kind::kLine || next == Kind::kLine) return is_word(last) && is_word(next);
  if (last == Kind::kKatakana || next == Kind::kKatakana) return last == next;
  return is_word(last) && is_word(next);
}

// The end of the word whose first character, of `kind`, ends at `after`; `holds_more`: it is not of underscores alone.
size_t end_of_word(std::string_view text, size_t after, Kind kind, bool& holds_more) {
  size_t end = after, size = 1;
  holds_more = kind != Kind::kLine;
  if (kind == Kind::kAlone) {
    while (end < text.size()) {
      size_t at = end;
      if (kind_of(next_code_point(text, at)) != Kind::kExtend) break;
      end = at;
    }
    return end;
  }
  while (end < text.size() && size < kMaxWord) {
    size_t at = end;
    Kind next = kind_of(next_code_point(text, at));
    if (next == Kind::kExtend) {
      end = at, ++size;
      continue;
    }
    if (is_word(next)) {
      if (!goes_on(kind, next)) break;
      kind = next, end = at, ++size;
      holds_more |= kind != Kind::kLine;
      continue;
    }
    bool joins_letters = kind == Kind::kLetter && (next == Kind::kMidLetter || next == Kind::kMidBoth);
    bool joins_digits = kind == Kind::kDigit && (next == Kind::kMidNumber || next == Kind::kMidBoth);
    if (!joins_letters && !joins_digits) break;
    while (at < text.size()) {
      size_t behind = at;
      Kind following = kind_of(next_code_point(text, behind));
      if (following != Kind::kExtend) {
        if (following != (joins_letters ? Kind::kLetter : Kind::kDigit)) return end;
        end = behind, size += 2;
        break;
      }
      at = behind;
    }
    if (end != at && at >= text.size()) return end;
  }
  return end;
}

void drop_possessive(std::string& word) {
  if (word.size() < 2 || (word.back() | 32) != 's') return;
  std::string_view before(word.data(), word.size() - 1);
  for (std::string_view quote : {"'", "\xe2\x80\x99", "\xef\xbc\x87"})
    if (before.ends_with(quote)) {
      word.resize(before.size() - quote.size());
      return;
    }
}

}  // namespace

bool is_stop_word(std::string_view word) {
  static constexpr std::string_view kWords[] = {"a",  "an",   "and", "are",  "as",    "at",   "be",    "but",   "by",   "for",  "if",
                                                "in", "into", "is",  "it",   "no",    "not",  "of",    "on",    "or",   "such", "that",
                                                "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with"};
  return word.size() <= 5 && std::binary_search(std::begin(kWords), std::end(kWords), word);
}

bool Analyser::next(std::string_view text, size_t& at) {
  while (at < text.size()) {
    size_t start = at;
    Kind kind = kind_of(next_code_point(text, at));
    if (!is_word(kind) && kind != Kind::kAlone) continue;
    bool holds_more = false;
    at = end_of_word(text, at, kind, holds_more);
    if (!holds_more) continue;
    term_.clear();
    append_lower(term_, text.substr(start, at - start));
    drop_possessive(term_);
    if (term_.empty() || is_stop_word(term_)) continue;
    stem(term_);
    return true;
  }
  return false;
}

}  // namespace vldac::webshop

#include "core/parse/python_tokens.h"

namespace vldac::parse {
namespace {

constexpr bool is_line_end(char c) { return c == '\n' || c == '\r'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }
constexpr size_t kMaxDecimalDigits = 4300;  // Python's default limit for integers

}  // namespace

bool PythonTokens::lines(bool is_behind) {
  if (!is_behind) in_.skip_while([](char c) { return c == ' ' || c == '\t'; });
  bool is_own_line = !is_behind, is_indented = false;
  while (!in_.is_done()) {
    char c = in_.text[in_.at];
    if (c == '#') {
      in_.skip_while([](char d) { return !is_line_end(d); });
      is_indented = false;
    } else if (is_line_end(c)) {
      line_end();
      is_own_line = true;
      is_indented = false;
    } else if (is_blank(c)) {
      in_.take(c);
      is_indented = is_own_line && c != '\f';
    } else if (c == '\\') {
      in_.take(c);
      if (in_.is_done() || !is_line_end(in_.text[in_.at])) return false;
      line_end();
      if (in_.is_done()) return false;
    } else {
      break;
    }
  }
  return !is_indented;
}

void PythonTokens::line_end() {
  if (in_.take('\r')) {
    in_.take('\n');
  } else {
    in_.take('\n');
  }
}

bool PythonTokens::filler() {
  while (!in_.is_done()) {
    in_.skip_while([](char c) { return is_blank(c) || is_line_end(c); });
    if (in_.is_at('#')) {
      in_.skip_while([](char c) { return !is_line_end(c); });
    } else if (in_.is_at('\\')) {
      in_.take('\\');
      if (in_.is_done() || !is_line_end(in_.text[in_.at])) return false;
      line_end();
    } else {
      break;
    }
  }
  return true;
}

bool PythonTokens::is_string_next() const {
  size_t at = in_.at, letters = 0;
  while (letters < 2 && at + letters < in_.text.size() && is_letter(in_.text[at + letters])) ++letters;
  return at + letters < in_.text.size() && (in_.text[at + letters] == '"' || in_.text[at + letters] == '\'');
}

bool PythonTokens::keyword(std::string_view word) {
  size_t at = in_.at;
  if (in_.take(word) && (in_.is_done() || !is_word(in_.text[in_.at]))) return true;
  in_.at = at;
  return false;
}

bool PythonTokens::strings(bool is_inside, Word* word, bool& is_bytes) {
  if (!one_string(word, is_bytes)) return false;
  while (true) {
    size_t at = in_.at;
    if (is_inside && !filler()) return false;
    if (!is_inside) in_.skip_while(is_blank);
    if (in_.is_done() || !is_string_next()) {
      in_.at = at;
      return true;
    }
    bool is_next_bytes = false;
    if (!one_string(word, is_next_bytes) || is_next_bytes != is_bytes) return false;
  }
}

bool PythonTokens::take_prefix(bool& is_raw, bool& is_bytes) {
  size_t start = in_.at;
  bool is_unicode = false;
  is_raw = is_bytes = false;
  while (is_letter(in_.text[in_.at])) {
    char prefix = lower(in_.text[in_.at++]);
    bool& flag = prefix == 'r' ? is_raw : prefix == 'b' ? is_bytes : is_unicode;
    if ((prefix != 'r' && prefix != 'b' && prefix != 'u') || flag) return false;
    flag = true;
  }
  return !is_unicode || in_.at - start == 1;
}

bool PythonTokens::one_string(Word* word, bool& is_bytes) {
  bool is_raw;
  if (!take_prefix(is_raw, is_bytes)) return false;
  char quote = in_.text[in_.at];
  const char three[] = {quote, quote, quote};
  std::string_view end(three, in_.text.substr(in_.at, 3) == std::string_view(three, 3) ? 3 : 1);
  in_.take(end);
  auto goes_on = [&](char c) {
    return c != quote && c != '\\' && !is_line_end(c) && (!is_bytes || static_cast<unsigned char>(c) < 0x80);
  };
  while (true) {
    size_t from = in_.at;
    in_.skip_while(goes_on);
    if (word)
      for (char c : in_.text.substr(from, in_.at - from)) word->push(c);
    if (in_.is_done()) return false;
    if (in_.take(end)) return true;
    char c = in_.text[in_.at];
    if (c == quote) {  // of a string in triple quotes
      in_.take(c);
      if (word) word->push(c);
    } else if (is_line_end(c)) {
      if (end.size() == 1) return false;
      line_end();
      if (word) word->push('\n');
    } else if (c != '\\' || !(is_raw ? raw_pair(word, is_bytes) : escape(word, is_bytes))) {
      return false;  // bytes are ASCII
    }
  }
}

// In a raw string a backslash stays, and so does what follows it, be it a quote.
bool PythonTokens::raw_pair(Word* word, bool is_bytes) {
  in_.take('\\');
  if (word) word->push('\\');
  if (in_.is_done()) return false;
  char c = in_.text[in_.at];
  if (is_bytes && static_cast<unsigned char>(c) >= 0x80) return false;
  if (is_line_end(c)) {
    line_end();
    c = '\n';
  } else {
    in_.take(c);
  }
  if (word) word->push(c);
  return true;
}

// A backslash and what belongs to it.
bool PythonTokens::escape(Word* word, bool is_bytes) {
  constexpr std::string_view kShort = "\\'\"abfnrtv", kMeaning = "\\'\"\a\b\f\n\r\t\v";
  auto put = [word](int64_t code) {
    if (word) word->push_code_point(static_cast<uint32_t>(code));
  };
  in_.take('\\');
  if (in_.is_done()) return false;
  char c = in_.text[in_.at];
  if (is_line_end(c)) {
    line_end();
    return true;
  }
  if (size_t known = kShort.find(c); known != std::string_view::npos) {
    in_.take(c);
    put(kMeaning[known]);
    return true;
  }
  if (c >= '0' && c <= '7') {
    int64_t code = 0;
    for (int i = 0; i < 3 && !in_.is_done() && in_.text[in_.at] >= '0' && in_.text[in_.at] <= '7'; ++i)
      code = code * 8 + (in_.text[in_.at++] - '0');
    put(code);
    return true;
  }
  size_t size = c == 'x' ? 2 : is_bytes ? 0 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (size > 0) {
    int64_t code = hexadecimal(in_.text, in_.at + 1, size);
    if (code < 0 || code > 0x10FFFF) return false;
    in_.at += 1 + size;
    put(code);
    return true;
  }
  if (c == 'N' && !is_bytes) return false;
  if (word) word->push('\\');  // no escape: both characters stay
  return true;
}

bool PythonTokens::digits() {
  size_t start = in_.at;
  auto goes_on = [&](char c) { return is_digit(c) || (c == '_' && in_.at > start && in_.text[in_.at - 1] != '_'); };
  while (!in_.is_done() && goes_on(in_.text[in_.at])) ++in_.at;
  if (in_.at > start && in_.text[in_.at - 1] == '_') --in_.at;
  in_.work += in_.at - start;
  return in_.at > start;
}

// 0x, 0o, 0b and digits of that base, single underscores before any of them.
bool PythonTokens::based_integer(char base) {
  auto is_in_base = [base](char c) {
    return base == 'x' ? is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') : c >= '0' && c < (base == 'o' ? '8' : '2');
  };
  size_t start = in_.at += 2;
  while (!in_.is_done()) {
    size_t next = in_.at + in_.is_at('_');
    if (next >= in_.text.size() || !is_in_base(in_.text[next])) break;
    in_.at = next + 1;
  }
  in_.work += in_.at - start;
  return in_.at > start && (in_.is_done() || !is_word(in_.text[in_.at]));
}

bool PythonTokens::number(Literal& literal) {
  literal.start = in_.at;
  literal.kind = LiteralKind::kInteger;
  if (in_.is_done()) return false;
  char base = in_.is_at('0') && in_.at + 1 < in_.text.size() ? lower(in_.text[in_.at + 1]) : ' ';
  if (base == 'x' || base == 'o' || base == 'b') {
    bool is_number = based_integer(base);
    literal.end = in_.at;
    return is_number;
  }
  bool has_whole = digits();
  size_t whole_end = in_.at;
  if (in_.take('.')) {
    literal.kind = LiteralKind::kFloat;
    if (!digits() && !has_whole) return false;
  } else if (!has_whole) {
    return false;
  }
  if (!in_.is_done() && lower(in_.text[in_.at]) == 'e') {
    in_.take(in_.text[in_.at]);
    literal.kind = LiteralKind::kFloat;
    if (!in_.take('+')) in_.take('-');
    if (!digits()) return false;
  }
  literal.end = in_.at;
  bool is_imaginary = in_.take('j') || in_.take('J');
  if (!in_.is_done() && is_word(in_.text[in_.at])) return false;
  if (is_imaginary) literal.kind = LiteralKind::kOther;
  if (literal.kind != LiteralKind::kInteger) return true;
  size_t count = 0;
  bool is_zero = true;
  for (char c : in_.text.substr(literal.start, whole_end - literal.start)) {
    count += is_digit(c);
    is_zero = is_zero && (c == '0' || c == '_');
  }
  in_.work += whole_end - literal.start;
  return count <= kMaxDecimalDigits && (is_zero || in_.text[literal.start] != '0');
}

void PythonTokens::decode(const Literal& literal, Word& word) {
  size_t at = in_.at;
  in_.at = literal.start;
  bool is_bytes;
  strings(true, &word, is_bytes);
  in_.at = at;
}

}  // namespace vldac::parse

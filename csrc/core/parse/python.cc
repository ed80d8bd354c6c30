// Python literals without evaluation, as Python's grammar has them: dicts, sets, lists, tuples, parentheses; strings with prefixes,
// triple quotes, escapes and concatenation; integers in four bases, floats; True, False, None; comments and line ends. A text that
// Python would refuse (a list as a key, a tab before the literal's line, 4,301 digits) is refused here.
#include <array>
#include <charconv>

#include "core/parse/readers.h"

namespace vldac::parse {
namespace {

enum class Kind : uint8_t { kString, kBytes, kInteger, kFloat, kTrue, kFalse, kNone, kDict, kOther };

struct Literal {
  Kind kind = Kind::kOther;
  bool is_hashable = true;
  bool is_negative = false;
  size_t start = 0, end = 0;  // of a string or a number without its sign
};

constexpr bool is_line_end(char c) { return c == '\n' || c == '\r'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }
constexpr size_t kMaxDecimalDigits = 4300;  // Python's default limit for integers

class PythonReader {
 public:
  explicit PythonReader(Cursor& in) : in_(in) {}

  // The literal; `action` is the value of its last "action" key if it is a dict, `has_action` says whether there is one.
  bool read(Literal& whole, Literal& action, bool& has_action);
  // Decode the string or strings of a literal inside brackets.
  void decode(const Literal& literal, Word& word) {
    in_.at = literal.start;
    bool is_bytes;
    strings(&word, is_bytes);
  }

 private:
  enum class In : uint8_t { kList, kParentheses, kTuple, kBraces, kSet, kKey, kValue };
  struct Frame {
    In in = In::kList;
    bool is_hashable = true;
    bool is_root = false;    // the dict that the whole text is
    bool is_action = false;  // the value that comes next is its action
  };

  bool lines(bool is_behind);
  bool filler();
  void line_end();
  bool open(char c);
  bool close(char c, Literal& closed);
  bool join(Literal& value, bool& is_closed);
  bool atom(Literal& value);
  bool strings(Word* word, bool& is_bytes);
  bool one_string(Word* word, bool& is_bytes);
  bool escape(Word* word, bool is_bytes);
  bool is_string_next() const;
  bool number(Literal& value);
  bool digits();
  bool keyword(std::string_view word);
  Frame& top() { return frames_[depth_ - 1]; }

  Cursor& in_;
  std::array<Frame, kMaxDepth> frames_;
  int depth_ = 0;
  Literal action_;
  bool has_action_ = false;
};

// Blanks, comments, line ends and joined lines outside brackets. False if the cursor is then indented on a line of its own, which
// Python refuses: before the literal on every line (it strips the first one's blanks), behind it on every line but the first.
bool PythonReader::lines(bool is_behind) {
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

void PythonReader::line_end() {
  if (in_.take('\r')) {
    in_.take('\n');
  } else {
    in_.take('\n');
  }
}

// Blanks, comments and line ends; inside brackets, where a line may also be joined by a backslash. False for a stray backslash.
bool PythonReader::filler() {
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

bool PythonReader::open(char c) {
  if (depth_ == kMaxDepth) return false;
  bool is_root = c == '{';
  for (int i = 0; i < depth_; ++i) is_root = is_root && frames_[static_cast<size_t>(i)].in == In::kParentheses;
  in_.take(c);
  frames_[static_cast<size_t>(depth_++)] = {c == '[' ? In::kList : c == '(' ? In::kParentheses : In::kBraces, true, is_root, false};
  return true;
}

// The closing bracket of an empty container, or behind a comma.
bool PythonReader::close(char c, Literal& closed) {
  if (depth_ == 0) return false;
  Frame& frame = top();
  bool is_braces = frame.in == In::kBraces || frame.in == In::kSet || frame.in == In::kKey;
  char expected = frame.in == In::kList ? ']' : is_braces ? '}' : ')';
  if (c != expected || frame.in == In::kValue) return false;
  in_.take(c);
  bool is_tuple = frame.in == In::kParentheses || frame.in == In::kTuple;
  bool is_dict = frame.in == In::kBraces || frame.in == In::kKey;
  closed = Literal{is_dict ? Kind::kDict : Kind::kOther, is_tuple && frame.is_hashable, false, 0, 0};
  --depth_;
  return true;
}

// A value is there: what follows it says what it is in its container. is_closed: `value` has become the container itself.
bool PythonReader::join(Literal& value, bool& is_closed) {
  Frame& frame = top();
  is_closed = false;
  if (in_.is_done()) return false;
  char c = in_.text[in_.at];
  bool is_dict_value = frame.in == In::kValue;
  bool needs_hash = frame.in == In::kBraces || frame.in == In::kSet || frame.in == In::kKey;
  if (needs_hash && !value.is_hashable) return false;
  if (c == ':') {
    if (frame.in != In::kBraces && frame.in != In::kKey) return false;
    in_.take(c);
    frame.in = In::kValue;
    frame.is_action = false;
    if (frame.is_root && value.kind == Kind::kString) {
      size_t at = in_.at;
      Word word;
      decode(value, word);
      in_.at = at;
      frame.is_action = word.is_whole() && !word.has_outer_space() && word.view() == "action";
    }
    return true;
  }
  if (frame.in == In::kKey) return false;
  if (is_dict_value && frame.is_action) {
    action_ = value;
    has_action_ = true;
  }
  if (c == ',') {
    in_.take(c);
    if (frame.in == In::kParentheses) frame.in = In::kTuple;
    if (frame.in == In::kBraces) frame.in = In::kSet;
    if (frame.in == In::kValue) frame.in = In::kKey;
    frame.is_hashable = frame.is_hashable && value.is_hashable;
    return true;
  }
  is_closed = true;
  if (frame.in == In::kParentheses && c == ')') {  // parentheses around one value are nothing
    in_.take(c);
    --depth_;
    return true;
  }
  frame.is_hashable = frame.is_hashable && value.is_hashable;
  if (frame.in == In::kBraces) frame.in = In::kSet;
  if (frame.in == In::kValue) frame.in = In::kKey;
  return close(c, value);
}

bool PythonReader::read(Literal& whole, Literal& action, bool& has_action) {
  if (!lines(false) || in_.is_done()) return false;
  while (true) {
    bool is_there = false;
    if (depth_ > 0 && !filler()) return false;
    if (in_.is_done()) return false;
    char c = in_.text[in_.at];
    if (c == '{' || c == '[' || c == '(') {
      if (!open(c)) return false;
    } else if (c == '}' || c == ']' || c == ')') {
      if (!close(c, whole)) return false;
      is_there = true;
    } else {
      if (!atom(whole)) return false;
      is_there = true;
    }
    while (is_there) {
      if (depth_ == 0) {
        if (!lines(true)) return false;
        action = action_;
        has_action = has_action_;
        return in_.is_done();
      }
      if (!filler() || !join(whole, is_there)) return false;
    }
  }
}

bool PythonReader::is_string_next() const {
  size_t at = in_.at, letters = 0;
  while (letters < 2 && at + letters < in_.text.size() && is_letter(in_.text[at + letters])) ++letters;
  return at + letters < in_.text.size() && (in_.text[at + letters] == '"' || in_.text[at + letters] == '\'');
}

bool PythonReader::atom(Literal& value) {
  value = Literal{};
  char c = in_.text[in_.at];
  if (is_string_next()) {
    bool is_bytes = false;
    value.start = in_.at;
    if (!strings(nullptr, is_bytes)) return false;
    value.kind = is_bytes ? Kind::kBytes : Kind::kString;
    return true;
  }
  if (is_letter(c)) {
    value.kind = keyword("True") ? Kind::kTrue : keyword("False") ? Kind::kFalse : keyword("None") ? Kind::kNone : Kind::kOther;
    return value.kind != Kind::kOther;
  }
  if (in_.take("...")) return true;
  if (c == '+' || c == '-') {
    in_.take(c);
    value.is_negative = c == '-';
    if (depth_ > 0 && !filler()) return false;
  }
  return number(value);
}

bool PythonReader::keyword(std::string_view word) {
  size_t at = in_.at;
  if (in_.take(word) && (in_.is_done() || !is_word(in_.text[in_.at]))) return true;
  in_.at = at;
  return false;
}

// Strings side by side are one string; inside brackets also over several lines.
bool PythonReader::strings(Word* word, bool& is_bytes) {
  bool is_inside = depth_ > 0 || word;
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

bool PythonReader::one_string(Word* word, bool& is_bytes) {
  size_t start = in_.at;
  bool is_raw = false, is_unicode = false;
  is_bytes = false;
  while (is_letter(in_.text[in_.at])) {
    char prefix = lower(in_.text[in_.at++]);
    bool& flag = prefix == 'r' ? is_raw : prefix == 'b' ? is_bytes : is_unicode;
    if ((prefix != 'r' && prefix != 'b' && prefix != 'u') || flag) return false;
    flag = true;
  }
  if (is_unicode && in_.at - start > 1) return false;
  char quote = in_.text[in_.at];
  bool is_triple = in_.text.substr(in_.at, 3) == std::string_view(std::array<char, 3>{quote, quote, quote}.data(), 3);
  in_.at += is_triple ? 3 : 1;
  auto goes_on = [&](char c) { return c != quote && c != '\\' && !is_line_end(c) && (!is_bytes || static_cast<unsigned char>(c) < 0x80); };
  while (true) {
    size_t from = in_.at;
    in_.skip_while(goes_on);
    if (word)
      for (char c : in_.text.substr(from, in_.at - from)) word->push(c);
    if (in_.is_done()) return false;
    char c = in_.text[in_.at];
    if (c == quote) {
      if (!is_triple) {
        in_.take(c);
        return true;
      }
      if (in_.text.substr(in_.at, 3) == std::string_view(std::array<char, 3>{quote, quote, quote}.data(), 3)) {
        in_.at += 3;
        return true;
      }
      in_.take(c);
      if (word) word->push(c);
    } else if (is_line_end(c)) {
      if (!is_triple) return false;
      line_end();
      if (word) word->push('\n');
    } else if (c != '\\') {
      return false;  // bytes are ASCII
    } else if (!is_raw) {
      if (!escape(word, is_bytes)) return false;
    } else {
      in_.take(c);
      if (word) word->push(c);
      if (in_.is_done()) return false;
      c = in_.text[in_.at];
      if (is_bytes && static_cast<unsigned char>(c) >= 0x80) return false;
      if (is_line_end(c)) {
        line_end();
        c = '\n';
      } else {
        in_.take(c);
      }
      if (word) word->push(c);
    }
  }
}

// A backslash and what belongs to it.
bool PythonReader::escape(Word* word, bool is_bytes) {
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

bool PythonReader::digits() {
  size_t start = in_.at;
  while (!in_.is_done() && (is_digit(in_.text[in_.at]) || (in_.text[in_.at] == '_' && in_.at > start && in_.text[in_.at - 1] != '_'))) ++in_.at;
  if (in_.at > start && in_.text[in_.at - 1] == '_') --in_.at;
  in_.work += in_.at - start;
  return in_.at > start;
}

bool PythonReader::number(Literal& value) {
  value.start = in_.at;
  value.kind = Kind::kInteger;
  if (in_.is_done()) return false;
  if (in_.text[in_.at] == '0' && in_.at + 1 < in_.text.size()) {
    char base = lower(in_.text[in_.at + 1]);
    if (base == 'x' || base == 'o' || base == 'b') {
      in_.at += 2;
      size_t count = 0;
      auto is_in_base = [base](char c) {
        return base == 'x' ? is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') : c >= '0' && c < (base == 'o' ? '8' : '2');
      };
      while (true) {
        size_t at = in_.at;
        in_.take('_');
        if (in_.is_done() || !is_in_base(in_.text[in_.at])) {
          in_.at = at;
          break;
        }
        ++in_.at;
        ++count;
      }
      in_.work += count;
      value.end = in_.at;
      return count > 0 && (in_.is_done() || !is_word(in_.text[in_.at]));
    }
  }
  bool has_whole = digits();
  size_t whole_end = in_.at;
  if (in_.take('.')) {
    value.kind = Kind::kFloat;
    if (!digits() && !has_whole) return false;
  } else if (!has_whole) {
    return false;
  }
  if (!in_.is_done() && lower(in_.text[in_.at]) == 'e') {
    in_.take(in_.text[in_.at]);
    value.kind = Kind::kFloat;
    if (!in_.take('+')) in_.take('-');
    if (!digits()) return false;
  }
  value.end = in_.at;
  bool is_imaginary = in_.take('j') || in_.take('J');
  if (!in_.is_done() && is_word(in_.text[in_.at])) return false;
  if (is_imaginary) value.kind = Kind::kOther;
  if (value.kind != Kind::kInteger) return true;
  size_t count = 0;
  bool is_zero = true;
  for (char c : in_.text.substr(value.start, whole_end - value.start)) {
    count += is_digit(c);
    is_zero = is_zero && (c == '0' || c == '_');
  }
  in_.work += whole_end - value.start;
  return count <= kMaxDecimalDigits && (is_zero || in_.text[value.start] != '0');
}

// The value of an integer or float that is whole.
bool value_of(std::string_view text, const Literal& literal, int64_t& value) {
  std::string_view raw = text.substr(literal.start, literal.end - literal.start);
  std::array<char, 64> kept;
  size_t size = 0;
  for (char c : raw) {
    if (c == '_') continue;
    if (size == kept.size()) return false;
    kept[size++] = lower(c);
  }
  std::string_view digits(kept.data(), size);
  int base = digits.starts_with("0x") ? 16 : digits.starts_with("0o") ? 8 : digits.starts_with("0b") ? 2 : 10;
  if (base != 10) {
    auto [end, error] = std::from_chars(digits.data() + 2, digits.data() + size, value, base);
    if (error != std::errc()) return false;
  } else if (literal.kind == Kind::kInteger) {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + size, value);
    if (error != std::errc()) return false;
  } else if (!whole_number(digits, value)) {
    return false;
  }
  if (literal.is_negative) value = -value;
  return true;
}

// What Python's int() makes of a string of ASCII: white space around, a sign, digits with single underscores between them.
bool int_of(std::string_view text, int64_t& value) {
  auto is_python_space = [](char c) { return is_space(c) || c == '\v' || c == '\f'; };
  while (!text.empty() && is_python_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_python_space(text.back())) text.remove_suffix(1);
  bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  constexpr int64_t kLimit = 1'000'000'000;
  value = 0;
  char before = '_';
  for (char c : text) {
    if (!is_digit(c) && (c != '_' || before == '_')) return false;
    if (is_digit(c)) value = value < kLimit ? value * 10 + (c - '0') : kLimit;
    before = c;
  }
  if (before == '_') return false;
  if (is_negative) value = -value;
  return true;
}

int64_t action_of(Cursor& in, PythonReader& reader, const Literal& literal, const ActionNames& names) {
  int64_t value;
  bool is_number = literal.kind == Kind::kInteger || literal.kind == Kind::kFloat;
  if (literal.kind == Kind::kString) {
    Word word;
    reader.decode(literal, word);
    if (!word.is_whole()) return ActionNames::kNone;
    if (names.accepts_index()) return int_of(word.view(), value) ? names.index(value) : ActionNames::kNone;
    return word.has_outer_space() ? ActionNames::kNone : names.exact(word.view());
  }
  if (names.accepts_index()) {
    if (literal.kind == Kind::kTrue || literal.kind == Kind::kFalse) return names.index(literal.kind == Kind::kTrue);
    return is_number && value_of(in.text, literal, value) ? names.index(value) : ActionNames::kNone;
  }
  // Upstream compares str(value) of integers with the names; True is an integer there.
  if (literal.kind == Kind::kTrue) return names.exact("True");
  if (literal.kind == Kind::kFalse) return names.exact("False");
  return literal.kind == Kind::kInteger && value_of(in.text, literal, value) ? names.number(value) : ActionNames::kNone;
}

}  // namespace

bool read_python(Cursor& in, const ActionNames& names, int64_t& action) {
  in.work += 2 * in.text.size();
  if (!is_utf8(in.text) || in.text.find('\0') != std::string_view::npos) return false;
  PythonReader reader(in);
  Literal whole, value;
  bool has_action = false;
  if (!reader.read(whole, value, has_action)) return false;
  action = whole.kind == Kind::kDict && has_action ? action_of(in, reader, value, names) : kAbsent;
  return true;
}

}  // namespace vldac::parse

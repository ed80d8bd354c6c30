// Python literals without evaluation, as Python's grammar has them: dicts, sets, lists, tuples, parentheses; strings with prefixes,
// triple quotes, escapes and concatenation; integers in four bases, floats; True, False, None; comments and line ends. A text that
// Python would refuse (a list as a key, a tab before the literal's line, 4,301 digits) is refused here.
#include <array>
#include <charconv>

#include "core/parse/python_tokens.h"
#include "core/parse/readers.h"

namespace vldac::parse {
namespace {

using Kind = LiteralKind;

class PythonReader {
 public:
  explicit PythonReader(Cursor& in) : in_(in), tokens_(in) {}

  // The literal; `action` is the value of its last "action" key if it is a dict, `has_action` says whether there is one.
  bool read(Literal& whole, Literal& action, bool& has_action);

 private:
  enum class In : uint8_t { kList, kParentheses, kTuple, kBraces, kSet, kKey, kValue };
  struct Frame {
    In in = In::kList;
    bool is_hashable = true;
    bool is_root = false;    // the dict that the whole text is
    bool is_action = false;  // the value that comes next is its action
  };

  bool open(char c);
  bool close(char c, Literal& closed);
  bool join(Literal& value, bool& is_closed);
  bool atom(Literal& value);
  bool is_action_key(const Literal& key);
  Frame& top() { return frames_[static_cast<size_t>(depth_ - 1)]; }

  Cursor& in_;
  PythonTokens tokens_;
  std::array<Frame, kMaxDepth> frames_;
  int depth_ = 0;
  Literal action_;
  bool has_action_ = false;
};

bool PythonReader::open(char c) {
  if (depth_ == kMaxDepth) return false;
  bool is_root = c == '{';
  for (int i = 0; i < depth_; ++i) is_root = is_root && frames_[static_cast<size_t>(i)].in == In::kParentheses;
  in_.take(c);
  In in = c == '[' ? In::kList : c == '(' ? In::kParentheses : In::kBraces;
  frames_[static_cast<size_t>(depth_++)] = {in, true, is_root, false};
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

bool PythonReader::is_action_key(const Literal& key) {
  if (key.kind != Kind::kString) return false;
  Word word;
  tokens_.decode(key, word);
  return word.is_whole() && !word.has_outer_space() && word.view() == "action";
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
    frame.is_action = frame.is_root && is_action_key(value);
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
  if (!tokens_.lines(false) || in_.is_done()) return false;
  while (true) {
    bool is_there = false;
    if (depth_ > 0 && !tokens_.filler()) return false;
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
        if (!tokens_.lines(true)) return false;
        action = action_;
        has_action = has_action_;
        return in_.is_done();
      }
      if (!tokens_.filler() || !join(whole, is_there)) return false;
    }
  }
}

bool PythonReader::atom(Literal& value) {
  value = Literal{};
  char c = in_.text[in_.at];
  if (tokens_.is_string_next()) {
    bool is_bytes = false;
    value.start = in_.at;
    if (!tokens_.strings(depth_ > 0, nullptr, is_bytes)) return false;
    value.kind = is_bytes ? Kind::kBytes : Kind::kString;
    return true;
  }
  if (is_letter(c)) {
    value.kind = tokens_.keyword("True")    ? Kind::kTrue
                 : tokens_.keyword("False") ? Kind::kFalse
                 : tokens_.keyword("None")  ? Kind::kNone
                                            : Kind::kOther;
    return value.kind != Kind::kOther;
  }
  if (in_.take("...")) return true;
  if (c == '+' || c == '-') {
    in_.take(c);
    value.is_negative = c == '-';
    if (depth_ > 0 && !tokens_.filler()) return false;
  }
  return tokens_.number(value);
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

int64_t action_of(Cursor& in, const Literal& literal, Listener& names) {
  int64_t value;
  bool is_number = literal.kind == Kind::kInteger || literal.kind == Kind::kFloat;
  if (literal.kind == Kind::kString) {
    Word word;
    PythonTokens(in).decode(literal, word);
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

bool read_python(Cursor& in, Listener& names, int64_t& action) {
  in.work += 2 * in.text.size();
  if (!is_utf8(in.text) || in.text.find('\0') != std::string_view::npos) return false;
  PythonReader reader(in);
  Literal whole, value;
  bool has_action = false;
  if (!reader.read(whole, value, has_action)) return false;
  action = whole.kind == Kind::kDict && has_action ? action_of(in, value, names) : kAbsent;
  return true;
}

}  // namespace vldac::parse

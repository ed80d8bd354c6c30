// Responses that are almost an object. First the last object in the text that has an "action": a scan that knows strings, keys and
// nesting, forgives what is damaged, and takes an object that the end of the text cuts off. Without one, the last `action:`.
#include "core/parse/readers.h"

namespace vldac::parse {
namespace {

constexpr std::string_view kAction = "action";

struct Candidate {
  enum class Kind : uint8_t { kAbsent, kQuoted, kCutOff, kBare } kind = Kind::kAbsent;
  std::string_view raw;
  bool is_there() const { return kind != Kind::kAbsent; }
};

bool is_quote(char c) { return c == '"' || c == '\''; }

// Made as a number is, so that "2.5" is no list of 2 and 5.
bool is_numeric(std::string_view text) {
  size_t start = text.starts_with('-');
  if (text.size() == start || !is_digit(text[start])) return false;
  return text.find_first_not_of("0123456789.eE+-", start) == std::string_view::npos;
}

bool is_action_word(std::string_view text) {
  if (text.size() != kAction.size()) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (lower(text[i]) != kAction[i]) return false;
  return true;
}

// Behind "action" and the colon. A quoted value ends at the first quote that is not escaped, a bare one where an object, list or
// line goes on. Absent for a container and for nothing.
Candidate value_at(Cursor& in) {
  in.skip_space();
  if (in.is_done() || in.is_at('{') || in.is_at('[')) return {};
  size_t start = in.at;
  if (!is_quote(in.text[start])) {
    int open = 0;  // brackets of the value's own: click[< prev]
    in.skip_while([&open](char c) {
      open += c == '[';
      if (c == ']' && open > 0) return open-- > 0;
      return c != '}' && c != '\n' && (open > 0 || (c != ',' && c != ']'));
    });
    std::string_view raw = trimmed(in.text.substr(start, in.at - start));
    return raw.empty() ? Candidate{} : Candidate{Candidate::Kind::kBare, raw};
  }
  char quote = in.text[in.at++];
  while (true) {
    in.skip_while([quote](char c) { return c != quote && c != '\\'; });
    if (in.is_done()) return {Candidate::Kind::kCutOff, in.text.substr(start + 1)};
    if (in.take(quote)) return {Candidate::Kind::kQuoted, in.text.substr(start + 1, in.at - start - 2)};
    in.at += in.at + 1 < in.text.size() ? 2 : 1;
  }
}

class ObjectScan {
 public:
  explicit ObjectScan(Cursor& in) : in_(in) {}

  Candidate last() {
    Candidate best;
    while (true) {
      in_.skip_while([](char c) { return c != '{'; });
      if (in_.is_done()) return best;
      Candidate found = object();
      if (is_too_deep_) return {};
      if (found.is_there()) best = found;
    }
  }

 private:
  // The last "action" at the top of the object at the cursor, else the last one further inside. Ends behind the object.
  Candidate object() {
    Candidate top, nested;
    depth_ = 0;
    do {
      char c = in_.text[in_.at];
      if (is_space(c)) {
        in_.skip_space();
        continue;
      }
      bool may_begin = may_begin_, may_be_key = may_be_key_;
      may_begin_ = may_be_key_ = false;
      if (is_quote(c) && may_begin) {
        std::string_view word = string();
        if (may_be_key && is_action_word(trimmed(word)) && take_colon()) note(depth_ == 1 ? top : nested);
      } else if (is_letter(c) && may_be_key) {
        size_t start = in_.at;
        in_.skip_while(is_word);
        if (is_action_word(in_.text.substr(start, in_.at - start)) && take_colon()) note(depth_ == 1 ? top : nested);
      } else {
        punctuation(c);
      }
    } while (depth_ > 0 && !in_.is_done());
    return top.is_there() ? top : nested;
  }

  void note(Candidate& place) {
    Candidate found = value_at(in_);
    if (found.is_there()) place = found;
    may_begin_ = !found.is_there();
  }

  bool take_colon() {
    in_.skip_space();
    return in_.take(':');
  }

  bool is_object() const { return depth_ > 0 && (objects_ >> (depth_ - 1) & 1); }

  void punctuation(char c) {
    ++in_.at;
    ++in_.work;
    if (c == '{' || c == '[') {
      if (depth_ == kMaxDepth) {
        is_too_deep_ = true;
        in_.at = in_.text.size();
        return;
      }
      uint64_t bit = uint64_t{1} << depth_++;
      objects_ = c == '{' ? objects_ | bit : objects_ & ~bit;
    } else if (c == '}') {
      while (!is_object()) --depth_;  // the outermost container is an object
      --depth_;
    } else if (c == ']' && !is_object()) {
      --depth_;
    }
    may_begin_ = c == '{' || c == '[' || c == ',' || c == ':';
    may_be_key_ = (c == '{' || c == ',') && is_object();
  }

  // A string ends at the first matching quote behind which something can go on, so that "he said "hi" to me" and 'I don't know'
  // stay whole. Reads to the end of the text if there is none.
  std::string_view string() {
    size_t start = in_.at;
    char quote = in_.text[in_.at++];
    while (true) {
      in_.skip_while([quote](char c) { return c != quote && c != '\\'; });
      if (in_.is_done()) return {};
      if (!in_.take(quote)) {
        in_.at += in_.at + 1 < in_.text.size() ? 2 : 1;
        continue;
      }
      size_t end = in_.at - 1;
      in_.skip_space();
      bool goes_on = in_.is_done() || std::string_view(",:}]").find(in_.text[in_.at]) != std::string_view::npos;
      if (goes_on) return in_.text.substr(start + 1, end - start - 1);
    }
  }

  Cursor& in_;
  uint64_t objects_ = 0;  // bit d: the container at depth d + 1 is an object
  int depth_ = 0;
  bool may_begin_ = false, may_be_key_ = false;  // a string may begin here; a key may stand here
  bool is_too_deep_ = false;
};

// Is the word at `at` "action" by itself, quoted or not, and followed by a colon? If so `in` is behind the colon.
bool is_labelled(Cursor& in, size_t at) {
  std::string_view text = in.text;
  char before = at > 0 ? text[at - 1] : ' ';
  in.at = at + kAction.size();
  if (is_quote(before)) {
    if (!in.take(before)) return false;
  } else if (is_word(before)) {
    return false;
  }
  in.skip_while([](char c) { return c == '*'; });  // **Action**: in Markdown
  in.skip_space();
  return in.take(':');
}

Candidate last_label(Cursor& in) {
  if (in.text.size() < kAction.size()) return {};
  for (size_t at = in.text.size() - kAction.size() + 1; at-- > 0;) {
    ++in.work;
    if (lower(in.text[at]) == 'a' && is_action_word(in.text.substr(at, kAction.size())) && is_labelled(in, at))
      return value_at(in);
  }
  return {};
}

}  // namespace

int64_t loose_action(const Value& value, Listener& names) {
  if (value.kind == ValueKind::kNumber) {
    int64_t number;
    return whole_number(value.raw, number) ? names.number(number) : ActionNames::kNone;
  }
  if (value.kind != ValueKind::kString) return ActionNames::kNone;
  Word word;
  decode_json(value.raw, word);
  return word.is_whole() ? names.loose(word.view()) : ActionNames::kNone;
}

int64_t read_tolerant(Cursor& in, Listener& names) {
  Candidate found = ObjectScan(in).last();
  if (!found.is_there()) found = last_label(in);
  in.work += found.raw.size();
  switch (found.kind) {
    case Candidate::Kind::kAbsent: return kAbsent;
    case Candidate::Kind::kQuoted: return loose_action({ValueKind::kString, found.raw}, names);
    case Candidate::Kind::kCutOff: {
      Word word;
      decode_json(found.raw, word);
      return word.is_whole() ? names.unfinished(word.view()) : ActionNames::kNone;
    }
    case Candidate::Kind::kBare: break;
  }
  return is_numeric(found.raw) ? loose_action({ValueKind::kNumber, found.raw}, names) : names.loose(found.raw);
}

}  // namespace vldac::parse

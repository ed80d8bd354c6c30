// RFC 8259, whole: strings and their escapes, numbers, literals, nesting, UTF-8. Of keys that repeat the last one counts.
#include "core/parse/readers.h"

namespace vldac::parse {
namespace {

// Bytes that go on a string: all but its end, the escape and control characters (UTF-8 is checked once for the whole text).
constexpr bool goes_on_string(char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; }

class JsonReader {
 public:
  explicit JsonReader(Cursor& in) : in_(in) {}

  bool read(Value& action) {
    enum { kKey, kValue, kAfter } state = kValue;
    bool is_action = false;
    in_.skip_space();
    while (true) {
      if (state == kKey) {
        if (!key(is_action)) return false;
        state = kValue;
      } else if (state == kValue) {
        Value value{ValueKind::kOther, {}};
        bool is_container = in_.is_at('{') || in_.is_at('[');
        if (is_container ? !open() : !scalar(value)) return false;
        if (is_action) action = value;
        is_action = false;
        state = !is_container || take_close() ? kAfter : is_object() ? kKey : kValue;
      } else {
        in_.skip_space();
        if (depth_ == 0) return in_.is_done();
        if (take_close()) continue;
        if (!in_.take(',')) return false;
        in_.skip_space();
        state = is_object() ? kKey : kValue;
      }
    }
  }

 private:
  bool is_object() const { return objects_ >> (depth_ - 1) & 1; }

  bool open() {
    if (depth_ == kMaxDepth) return false;
    uint64_t bit = uint64_t{1} << depth_++;
    objects_ = in_.is_at('{') ? objects_ | bit : objects_ & ~bit;
    ++in_.at;
    in_.skip_space();
    return true;
  }

  bool take_close() {
    if (!in_.take(is_object() ? '}' : ']')) return false;
    --depth_;
    return true;
  }

  bool key(bool& is_action) {
    std::string_view raw;
    if (!in_.is_at('"') || !string(raw)) return false;
    is_action = depth_ == 1 && names_action(raw);
    in_.skip_space();
    if (!in_.take(':')) return false;
    in_.skip_space();
    return true;
  }

  bool names_action(std::string_view raw) {
    if (raw.find('\\') == std::string_view::npos) return raw == "action";
    Word word;
    decode_json(raw, word);
    in_.work += raw.size();
    return word.is_whole() && !word.has_outer_space() && word.view() == "action";
  }

  bool scalar(Value& value) {
    if (in_.is_at('"')) {
      value.kind = ValueKind::kString;
      return string(value.raw);
    }
    size_t start = in_.at;
    if (in_.is_at('-') || (!in_.is_done() && is_digit(in_.text[in_.at]))) {
      if (!number()) return false;
      value = {ValueKind::kNumber, in_.text.substr(start, in_.at - start)};
      return true;
    }
    return in_.take("true") || in_.take("false") || in_.take("null");
  }

  bool string(std::string_view& raw) {
    size_t start = ++in_.at;
    while (true) {
      in_.skip_while(goes_on_string);
      if (in_.is_at('"')) break;
      if (!in_.take('\\') || in_.is_done()) return false;
      char escape = in_.text[in_.at++];
      if (escape == 'u') {
        if (hexadecimal(in_.text, in_.at, 4) < 0) return false;
        in_.at += 4;
      } else if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
        return false;
      }
    }
    raw = in_.text.substr(start, in_.at++ - start);
    return true;
  }

  bool digits() {
    size_t start = in_.at;
    in_.skip_while(is_digit);
    return in_.at > start;
  }

  bool number() {
    in_.take('-');
    if (!in_.take('0') && !digits()) return false;
    if (in_.take('.') && !digits()) return false;
    if (in_.take('e') || in_.take('E')) {
      if (!in_.take('+')) in_.take('-');
      return digits();
    }
    return true;
  }

  Cursor& in_;
  uint64_t objects_ = 0;  // bit d: the container at depth d + 1 is an object
  int depth_ = 0;
};

}  // namespace

bool read_json(Cursor& in, Value& action) {
  action = {};
  in.work += in.text.size();
  return is_utf8(in.text) && JsonReader(in).read(action);
}

}  // namespace vldac::parse

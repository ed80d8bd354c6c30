#include "envs/alfworld/json.h"

#include "core/utf8.h"

namespace vldac::alfworld {
namespace {

constexpr int kDeepest = 64;
constexpr size_t kMostValues = 200000;

class Reader {
 public:
  Reader(const Source& source, size_t begin, size_t end, bool skips_hash_lines)
      : source_(source), text_(source.text.substr(0, end)), at_(begin), begin_(begin), skips_hash_lines_(skips_hash_lines) {}

  Json whole() {
    Json value = read(0);
    skip();
    if (at_ != text_.size()) fail("expected the end, got " + shown(text_.substr(at_, 10)));
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { source_.fail(at_, message); }
  [[noreturn]] void fail_expecting(const char* what) const {
    fail(std::string("expected ") + what + ", got " + (at_ < text_.size() ? shown(text_.substr(at_, 10)) : "the end"));
  }

  void skip() {
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '#' && skips_hash_lines_ && is_first_of_line()) {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
        return;
      }
    }
  }
  bool is_first_of_line() const {
    for (size_t i = at_; i > begin_; --i) {
      char c = text_[i - 1];
      if (c == '\n') return true;
      if (c != ' ' && c != '\t' && c != '\r') return false;
    }
    return true;
  }

  bool take(char expected) {
    if (at_ >= text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  Json read(int depth) {
    skip();
    if (depth > kDeepest) fail("expected at most 64 levels of brackets, got more");
    if (++num_values_ > kMostValues) fail("expected at most 200000 values, got more");
    Json value;
    value.offset = at_;
    if (at_ >= text_.size()) fail_expecting("a JSON value");
    char c = text_[at_];
    if (c == '"') {
      value.kind = Json::Kind::kString;
      value.text = string();
    } else if (c == '[') {
      ++at_;
      value.kind = Json::Kind::kArray;
      skip();
      if (take(']')) return value;
      while (true) {
        value.items.push_back(read(depth + 1));
        skip();
        if (take(']')) return value;
        if (!take(',')) fail_expecting("',' or ']'");
      }
    } else if (c == '{') {
      ++at_;
      value.kind = Json::Kind::kObject;
      skip();
      if (take('}')) return value;
      while (true) {
        skip();
        if (at_ >= text_.size() || text_[at_] != '"') fail_expecting("a name in quotes");
        std::string name = string();
        skip();
        if (!take(':')) fail_expecting("':'");
        Json member = read(depth + 1);
        value.members.push_back({std::move(name), std::move(member)});
        skip();
        if (take('}')) return value;
        if (!take(',')) fail_expecting("',' or '}'");
      }
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      value.kind = Json::Kind::kNumber;
      value.text = number();
    } else if (word("true")) {
      value.kind = Json::Kind::kTrue;
    } else if (word("false")) {
      value.kind = Json::Kind::kFalse;
    } else if (word("null")) {
      value.kind = Json::Kind::kNull;
    } else {
      fail_expecting("a JSON value");
    }
    return value;
  }

  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  bool digits() {
    size_t first = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > first;
  }

  std::string number() {
    size_t first = at_;
    take('-');
    bool leads_with_zero = at_ < text_.size() && text_[at_] == '0';
    size_t whole = at_;
    if (!digits()) fail_expecting("a digit");
    if (leads_with_zero && at_ - whole > 1) fail("expected no leading zero in a number");
    if (take('.') && !digits()) fail_expecting("a digit");
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (!take('+')) take('-');
      if (!digits()) fail_expecting("a digit");
    }
    return std::string(text_.substr(first, at_ - first));
  }

  uint32_t hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      char c = at_ < text_.size() ? text_[at_] : '\0';
      uint32_t digit = 0;
      if (c >= '0' && c <= '9') digit = static_cast<uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A' + 10);
      else fail_expecting("a hexadecimal digit");
      value = value << 4 | digit;
    }
    return value;
  }

  void escape(std::string& out) {
    char c = at_ < text_.size() ? text_[at_] : '\0';
    ++at_;
    switch (c) {
      case '"': out += '"'; return;
      case '\\': out += '\\'; return;
      case '/': out += '/'; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': break;
      default: --at_; fail_expecting("an escape such as \\n");
    }
    uint32_t code = hex4();
    if (code >= 0xDC00 && code < 0xE000) fail("expected a character, got half a surrogate pair");
    if (code >= 0xD800 && code < 0xDC00) {
      if (!word("\\u")) fail_expecting("the second half of a surrogate pair");
      uint32_t low = hex4();
      if (low < 0xDC00 || low >= 0xE000) fail("expected the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_code_point(out, code);
  }

  std::string string() {
    ++at_;  // the quote
    std::string value;
    while (true) {
      if (at_ >= text_.size()) fail_expecting("the end of a string");
      char c = text_[at_];
      if (c == '"') return ++at_, value;
      if (c == '\\') {
        ++at_;
        escape(value);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        fail("expected the end of a string, got a control character");
      } else {
        size_t size = utf8_length(text_.substr(at_));
        if (size == 0) fail("expected UTF-8");
        value.append(text_.substr(at_, size));
        at_ += size;
      }
    }
  }

  const Source& source_;
  std::string_view text_;
  size_t at_, begin_, num_values_ = 0;
  bool skips_hash_lines_;
};

}  // namespace

const Json* Json::find(std::string_view key) const {
  for (size_t i = members.size(); i > 0; --i)
    if (members[i - 1].name == key) return &members[i - 1].value;
  return nullptr;
}

const char* name_of(Json::Kind kind) {
  constexpr const char* kNames[] = {"null", "false", "true", "a number", "a string", "an array", "an object"};
  return kNames[static_cast<size_t>(kind)];
}

Json parse_json(const Source& source, bool skips_hash_lines) { return parse_json(source, 0, source.text.size(), skips_hash_lines); }

Json parse_json(const Source& source, size_t begin, size_t end, bool skips_hash_lines) {
  return Reader(source, begin, end, skips_hash_lines).whole();
}

}  // namespace vldac::alfworld

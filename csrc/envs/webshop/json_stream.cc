#include "envs/webshop/json_stream.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {

JsonStream::JsonStream(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rb")) {
  if (!file_) throw FileError(path, 0, std::string("cannot be opened: ") + std::strerror(errno));
  buffer_.resize(kBufferBytes);
}

bool JsonStream::refill() {
  start_of_buffer_ += size_;
  at_ = 0;
  size_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
  if (size_ == 0 && std::ferror(file_.get())) fail(std::string("cannot be read: ") + std::strerror(errno));
  return size_ > 0;
}

void JsonStream::skip_space() {
  while (true) {
    int c = peek_byte();
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
    ++at_;
  }
}

JsonKind JsonStream::peek() {
  skip_space();
  switch (peek_byte()) {
    case -1: fail("the file ends where a value was expected (is it cut off?)");
    case '"': return JsonKind::kString;
    case '{': return JsonKind::kObject;
    case '[': return JsonKind::kArray;
    case 't': return JsonKind::kTrue;
    case 'f': return JsonKind::kFalse;
    case 'n': return JsonKind::kNull;
    default: return JsonKind::kNumber;
  }
}

void JsonStream::open(char bracket) {
  skip_space();
  if (peek_byte() != bracket) fail(std::string("expected '") + bracket + "'");
  ++at_;
  if (++depth_ > kMaxDepth) fail("nested more than " + std::to_string(kMaxDepth) + " deep");
}

bool JsonStream::closes(char bracket) {
  skip_space();
  if (peek_byte() != bracket) return false;
  ++at_;
  return true;
}

bool JsonStream::goes_on(char bracket) {
  skip_space();
  int c = peek_byte();
  if (c == ',') {
    ++at_;
    return true;
  }
  if (c != bracket) fail(std::string(c == -1 ? "the file ends" : "found something else") + " where ',' or '" + bracket + "' was expected");
  ++at_;
  return false;
}

std::string JsonStream::take_key() {
  std::string key;
  if (!spare_keys_.empty()) {
    key = std::move(spare_keys_.back());
    spare_keys_.pop_back();
  }
  read_string(key);
  skip_space();
  if (peek_byte() != ':') fail("expected ':' after a key");
  ++at_;
  return key;
}

uint32_t JsonStream::read_hex4() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    int c = peek_byte();
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (c == -1 || digit < 0) fail("expected four hexadecimal digits after \\u");
    value = value << 4 | static_cast<uint32_t>(digit);
    ++at_;
  }
  return value;
}

void JsonStream::read_escape(std::string& out) {
  int c = peek_byte();
  ++at_;
  switch (c) {
    case '"': case '\\': case '/': out += static_cast<char>(c); return;
    case 'b': out += '\b'; return;
    case 'f': out += '\f'; return;
    case 'n': out += '\n'; return;
    case 'r': out += '\r'; return;
    case 't': out += '\t'; return;
    case 'u': break;
    default: --at_; fail("unknown escape in a string");
  }
  uint32_t code = read_hex4();
  while (code >= 0xd800 && code < 0xdc00 && peek_byte() == '\\') {
    // A high surrogate wants a low one; another escape may follow instead.
    ++at_;
    if (peek_byte() != 'u') {
      append_code_point(out, 0xfffd);
      return read_escape(out);
    }
    ++at_;
    uint32_t low = read_hex4();
    if (low >= 0xdc00 && low < 0xe000) {
      append_code_point(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
      return;
    }
    append_code_point(out, 0xfffd);
    code = low;
  }
  append_code_point(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
}

void JsonStream::read_string(std::string& out) {
  skip_space();
  if (peek_byte() != '"') fail("expected a string");
  ++at_;
  out.clear();
  uint64_t start = position();
  while (true) {
    if (peek_byte() == -1) fail("the file ends within a string");
    size_t from = at_;
    while (at_ < size_ && buffer_[at_] != '"' && buffer_[at_] != '\\' && static_cast<unsigned char>(buffer_[at_]) >= 0x20) ++at_;
    out.append(buffer_, from, at_ - from);
    if (out.size() > kMaxStringBytes) fail("a string of more than " + std::to_string(kMaxStringBytes) + " bytes");
    if (at_ == size_) continue;
    char c = buffer_[at_];
    if (c == '"') break;
    if (c != '\\') fail("a control character in a string");
    ++at_;
    read_escape(out);
  }
  ++at_;
  if (first_bad_utf8(out) != std::string_view::npos) throw FileError(path_, start, "a string that is not UTF-8");
}

void JsonStream::take_word(std::string_view word) {
  for (char c : word) {
    if (peek_byte() != static_cast<unsigned char>(c)) fail("expected " + std::string(word));
    ++at_;
  }
}

double JsonStream::read_number() {
  skip_space();
  number_.clear();
  while (true) {
    int c = peek_byte();
    if (c == -1 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.')) break;
    number_ += static_cast<char>(c);
    ++at_;
    if (number_.size() > 400) fail("a number of more than 400 characters");
  }
  if (number_ == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (number_ == "Infinity") return std::numeric_limits<double>::infinity();
  if (number_ == "-Infinity") return -std::numeric_limits<double>::infinity();
  double value = 0;
  auto [end, error] = std::from_chars(number_.data(), number_.data() + number_.size(), value);
  bool is_digit = !number_.empty() && (number_[0] == '-' || (number_[0] >= '0' && number_[0] <= '9'));
  if (!is_digit || end != number_.data() + number_.size() || error == std::errc::invalid_argument) fail("expected a value");
  return value;
}

void JsonStream::skip() {
  switch (peek()) {
    case JsonKind::kString: read_string(skipped_); return;
    case JsonKind::kNumber: read_number(); return;
    case JsonKind::kTrue: take_word("true"); return;
    case JsonKind::kFalse: take_word("false"); return;
    case JsonKind::kNull: take_word("null"); return;
    case JsonKind::kArray: each_element([this] { skip(); }); return;
    case JsonKind::kObject: each_member([this](std::string_view) { skip(); }); return;
  }
}

void JsonStream::expect_end() {
  skip_space();
  if (peek_byte() != -1) fail("something follows the end of the data");
}

}  // namespace vldac::webshop

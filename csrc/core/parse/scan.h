// What the readers of responses share: a cursor over untrusted bytes, UTF-8, and a short string's decoded content on the
// stack.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vldac::parse {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
// What may go on a word; bytes of other scripts do.
constexpr bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// A position in a text. `work` counts the bytes that were looked at, rereads included: every loop adds what it read, so that
// tests can state linear time without a clock.
struct Cursor {
  std::string_view text;
  size_t at = 0;
  size_t work = 0;

  bool is_done() const { return at >= text.size(); }
  bool is_at(char c) const { return at < text.size() && text[at] == c; }
  bool take(char c) {
    if (!is_at(c)) return false;
    ++at;
    ++work;
    return true;
  }
  bool take(std::string_view word) {
    work += word.size();
    if (text.substr(at, word.size()) != word) return false;
    at += word.size();
    return true;
  }
  template <class Predicate>
  void skip_while(Predicate goes_on) {
    size_t start = at;
    while (at < text.size() && goes_on(text[at])) ++at;
    work += at - start + 1;
  }
  void skip_space() { skip_while(is_space); }
};

bool is_utf8(std::string_view text);

// The first bytes of a string's content without the white space around it. Longer content names no action: `is_whole` is false.
class Word {
 public:
  static constexpr size_t kMaxBytes = 1024;
  void push(char c);
  void push_code_point(uint32_t code);
  std::string_view view() const;
  bool is_whole() const { return is_whole_; }
  bool has_outer_space() const { return begins_with_space_ || view().size() < size_; }

 private:
  std::array<char, kMaxBytes> bytes_;
  size_t size_ = 0;
  bool is_whole_ = true, begins_with_space_ = false;
};

// The number that so many hexadecimal digits at `at` make, or -1.
int64_t hexadecimal(std::string_view text, size_t at, size_t digits);

// Decode the inside of a JSON string. An escape that JSON does not know stands for its second character.
void decode_json(std::string_view inner, Word& word);

}  // namespace vldac::parse

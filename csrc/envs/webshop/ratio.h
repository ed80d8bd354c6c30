// How alike two phrases are: fuzz.token_set_ratio of thefuzz 0.19.0 without python-Levenshtein, digit for digit (its cleaning of the
// phrases, difflib's SequenceMatcher with its automatic junk, integers rounded half to even). A phrase is cleaned once and compared
// often; where an upper bound already says "not above", the matcher is not run. One Ratio belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vldac::webshop {

// A phrase as the ratio sees it: its distinct tokens, sorted.
class Phrase {
 public:
  void assign(std::string_view text);
  bool is_empty() const { return tokens_.empty(); }

 private:
  friend class Ratio;
  struct Token {
    uint32_t start, size;
  };
  std::u32string letters_;             // cleaned, lower case
  std::vector<Token> tokens_;
  uint32_t joined_size_ = 0;           // of the tokens with a space between them
  std::array<uint16_t, 64> counts_{};  // of the letters of that join, by code modulo 64

  std::u32string_view token(size_t index) const { return std::u32string_view(letters_).substr(tokens_[index].start, tokens_[index].size); }
};

class Ratio {
 public:
  // 0..100. The order matters: difflib's matcher is not symmetric.
  int operator()(const Phrase& first, const Phrase& second) { return score(first, second, -1); }
  int operator()(std::string_view first, std::string_view second);
  // Whether the ratio is above `limit`: the same decision, with less work.
  bool is_above(const Phrase& first, const Phrase& second, int limit) { return score(first, second, limit) > limit; }

 private:
  // The ratio, or a number that is at most `limit` where the ratio is.
  int score(const Phrase& first, const Phrase& second, int limit);
  int ratio_of(std::u32string_view a, std::u32string_view b);
  size_t num_matches(std::u32string_view a, std::u32string_view b);

  struct Span {
    uint32_t a_low, a_high, b_low, b_high;
  };
  Span longest_match(std::u32string_view a, std::u32string_view b, const Span& within);
  void index_letters(std::u32string_view b);

  Phrase first_, second_;
  std::u32string shared_, one_, two_;
  std::vector<Span> queue_;
  // Where each letter of b is: a row of positions per letter; row_of_a_[i] is the row of the letter a[i].
  std::vector<uint32_t> order_, row_of_b_, row_start_, row_end_, row_of_a_;
  std::vector<char32_t> row_letter_;
  std::vector<uint32_t> run_, next_run_;
};

}  // namespace vldac::webshop

#include "envs/webshop/ratio.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

// difflib's ratio, times 100, rounded as Python rounds.
int percent(size_t matches, size_t length) {
  return static_cast<int>(std::nearbyint(100.0 * (2.0 * static_cast<double>(matches) / static_cast<double>(length))));
}

// Letters that stand for more than 1 % of 200 or more are "popular": difflib does not start a match on them.
constexpr size_t kJunkSize = 200;

}  // namespace

void Phrase::assign(std::string_view text) {
  letters_.clear();
  tokens_.clear();
  counts_.fill(0);
  // "ASCII only" takes U+0080..U+00FF out and leaves the rest; what is no letter, digit or underscore becomes a space.
  for (size_t at = 0; at < text.size();) {
    uint32_t code = next_code_point(text, at);
    if (code >= 128 && code < 256) continue;
    if (code < 128) {
      bool is_word = is_alnum(code) || code == '_';
      letters_ += static_cast<char32_t>(!is_word ? ' ' : code >= 'A' && code <= 'Z' ? code + 32 : code);
    } else {
      letters_ += static_cast<char32_t>(is_alnum(code) ? code : ' ');
    }
  }
  if (std::any_of(letters_.begin(), letters_.end(), [](char32_t c) { return c >= 128; })) {
    std::string plain, lowered;
    for (char32_t c : letters_) append_code_point(plain, c);
    append_lower(lowered, plain);
    letters_.clear();
    for (size_t at = 0; at < lowered.size();) letters_ += static_cast<char32_t>(next_code_point(lowered, at));
  }
  for (uint32_t at = 0; at < letters_.size();) {
    if (letters_[at] == ' ') {
      ++at;
      continue;
    }
    uint32_t start = at;
    while (at < letters_.size() && letters_[at] != ' ') ++at;
    tokens_.push_back({start, at - start});
  }
  auto view = [this](const Token& token) { return std::u32string_view(letters_).substr(token.start, token.size); };
  std::sort(tokens_.begin(), tokens_.end(), [&](const Token& x, const Token& y) { return view(x) < view(y); });
  tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), [&](const Token& x, const Token& y) { return view(x) == view(y); }), tokens_.end());
  joined_size_ = tokens_.empty() ? 0 : static_cast<uint32_t>(tokens_.size()) - 1;
  counts_[' '] = static_cast<uint16_t>(std::min<uint32_t>(joined_size_, UINT16_MAX));
  for (const Token& token : tokens_) {
    joined_size_ += token.size;
    for (char32_t c : view(token))
      if (counts_[c % 64] < UINT16_MAX) ++counts_[c % 64];
  }
}

int Ratio::operator()(std::string_view first, std::string_view second) {
  first_.assign(first);
  second_.assign(second);
  return (*this)(first_, second_);
}

int Ratio::score(const Phrase& first, const Phrase& second, int limit) {
  if (first.is_empty() || second.is_empty()) return 0;
  // Tokens of both, of the first alone, of the second alone.
  size_t shared_size = 0, num_shared = 0;
  size_t i = 0, j = 0;
  while (i < first.tokens_.size() && j < second.tokens_.size()) {
    int order = first.token(i).compare(second.token(j));
    if (order == 0) {
      shared_size += first.tokens_[i].size + (num_shared ? 1 : 0);
      ++num_shared;
    }
    i += order <= 0;
    j += order >= 0;
  }
  if (num_shared && (num_shared == first.tokens_.size() || num_shared == second.tokens_.size())) return 100;
  size_t size1 = first.joined_size_, size2 = second.joined_size_;
  bool is_short = size1 < kJunkSize && size2 < kJunkSize;
  int best = 0;
  if (is_short) {
    // The shared tokens open both joins, so that they match whole.
    if (num_shared) best = std::max(percent(shared_size, shared_size + size1), percent(shared_size, shared_size + size2));
    if (limit >= 0 && best > limit) return best;
    size_t bound = 0;
    for (size_t k = 0; k < first.counts_.size(); ++k) bound += std::min(first.counts_[k], second.counts_[k]);
    int at_most = percent(bound, size1 + size2);
    if (at_most <= best || (limit >= 0 && at_most <= limit)) return best;
  }
  auto append = [](std::u32string& out, std::u32string_view token) {
    if (!out.empty()) out += U' ';
    out += token;
  };
  shared_.clear();
  for (size_t x = 0, y = 0; x < first.tokens_.size() && y < second.tokens_.size();) {
    int order = first.token(x).compare(second.token(y));
    if (order == 0) append(shared_, first.token(x));
    x += order <= 0;
    y += order >= 0;
  }
  auto join = [&](std::u32string& out, const Phrase& all, const Phrase& other) {
    out = shared_;
    size_t y = 0;
    for (size_t x = 0; x < all.tokens_.size(); ++x) {
      while (y < other.tokens_.size() && other.token(y) < all.token(x)) ++y;
      if (y == other.tokens_.size() || other.token(y) != all.token(x)) append(out, all.token(x));
    }
  };
  join(one_, first, second);
  join(two_, second, first);
  if (!is_short) {
    best = std::max(best, ratio_of(shared_, one_));
    best = std::max(best, ratio_of(shared_, two_));
  }
  return std::max(best, ratio_of(one_, two_));
}

int Ratio::ratio_of(std::u32string_view a, std::u32string_view b) {
  if (a == b) return 100;
  if (a.empty() || b.empty()) return 0;
  return percent(num_matches(a, b), a.size() + b.size());
}

void Ratio::index_letters(std::u32string_view b) {
  order_.resize(b.size());
  std::iota(order_.begin(), order_.end(), 0u);
  std::sort(order_.begin(), order_.end(), [&](uint32_t x, uint32_t y) { return b[x] != b[y] ? b[x] < b[y] : x < y; });
  row_start_.clear();
  row_end_.clear();
  row_letter_.clear();
  for (uint32_t at = 0; at < order_.size();) {
    uint32_t start = at;
    char32_t letter = b[order_[at]];
    while (at < order_.size() && b[order_[at]] == letter) ++at;
    bool is_popular = b.size() >= kJunkSize && at - start > b.size() / 100 + 1;
    if (is_popular) continue;
    row_letter_.push_back(letter);
    row_start_.push_back(start);
    row_end_.push_back(at);
  }
}

size_t Ratio::num_matches(std::u32string_view a, std::u32string_view b) {
  index_letters(b);
  row_of_a_.resize(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    auto row = std::lower_bound(row_letter_.begin(), row_letter_.end(), a[i]);
    bool is_there = row != row_letter_.end() && *row == a[i];
    row_of_a_[i] = is_there ? static_cast<uint32_t>(row - row_letter_.begin()) : UINT32_MAX;
  }
  run_.assign(b.size() + 1, 0);
  next_run_.assign(b.size() + 1, 0);
  size_t matches = 0;
  queue_.clear();
  queue_.push_back({0, static_cast<uint32_t>(a.size()), 0, static_cast<uint32_t>(b.size())});
  while (!queue_.empty()) {
    Span within = queue_.back();
    queue_.pop_back();
    Span found = longest_match(a, b, within);
    if (found.a_high == found.a_low) continue;
    matches += found.a_high - found.a_low;
    if (within.a_low < found.a_low && within.b_low < found.b_low) queue_.push_back({within.a_low, found.a_low, within.b_low, found.b_low});
    if (found.a_high < within.a_high && found.b_high < within.b_high)
      queue_.push_back({found.a_high, within.a_high, found.b_high, within.b_high});
  }
  return matches;
}

// The longest run that a and b share within the span, the first in a, then in b, of equally long ones; as difflib finds it: runs of
// letters that are not popular, grown on both sides over any.
Ratio::Span Ratio::longest_match(std::u32string_view a, std::u32string_view b, const Span& within) {
  uint32_t best_a = within.a_low, best_b = within.b_low, best = 0;
  auto for_positions = [&](uint32_t i, auto&& visit) {
    uint32_t row = row_of_a_[i];
    if (row == UINT32_MAX) return;
    for (uint32_t at = row_start_[row]; at < row_end_[row]; ++at) {
      uint32_t j = order_[at];
      if (j < within.b_low) continue;
      if (j >= within.b_high) break;
      visit(j);
    }
  };
  for (uint32_t i = within.a_low; i < within.a_high; ++i) {
    // run_[j + 1]: the length of the run that ends at a[i - 1] and b[j].
    for_positions(i, [&](uint32_t j) {
      uint32_t length = next_run_[j + 1] = (j > within.b_low ? run_[j] : 0) + 1;
      if (length > best) best_a = i + 1 - length, best_b = j + 1 - length, best = length;
    });
    if (i > within.a_low) for_positions(i - 1, [&](uint32_t j) { run_[j + 1] = 0; });
    std::swap(run_, next_run_);
  }
  if (within.a_high > within.a_low) for_positions(within.a_high - 1, [&](uint32_t j) { run_[j + 1] = 0; });
  while (best_a > within.a_low && best_b > within.b_low && a[best_a - 1] == b[best_b - 1]) --best_a, --best_b, ++best;
  while (best_a + best < within.a_high && best_b + best < within.b_high && a[best_a + best] == b[best_b + best]) ++best;
  return {best_a, best_a + best, best_b, best_b + best};
}

}  // namespace vldac::webshop

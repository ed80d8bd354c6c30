#include <algorithm>
#include <bit>
#include <cmath>

#include "envs/webshop/index.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr double kOne = 1099511627776.0;    // 2^40: scores in fixed point
constexpr double kPromises = 2147483648.0;  // 2^31: what all terms together promise at most
constexpr double kSlack = 1.0001;           // above every rounding
constexpr int kLevelBits = 7;
constexpr uint32_t kLevels = 1 << kLevelBits;

float lossy_share(float weight, float count, float inverse_norm) { return weight - weight / (1.0f + count * inverse_norm); }

bool is_better(const Hit& x, const Hit& y) { return x.score != y.score ? x.score > y.score : x.doc < y.doc; }

}  // namespace

double Search::key(int64_t sum) const {
  return is_lossy_ ? static_cast<double>(static_cast<float>(static_cast<double>(sum) / kOne)) : static_cast<double>(sum);
}

uint32_t Search::needed(size_t count) const {
  return best_.size() < count ? 0 : static_cast<uint32_t>((is_lossy_ ? threshold_ : threshold_ / kOne) * unit_);
}

int64_t Search::least_sum(uint32_t needed, uint32_t rest) const {
  return needed <= rest ? 1 : std::max<int64_t>(1, static_cast<int64_t>((needed - rest) / unit_ * kOne / kSlack));
}

template <bool kLossy>
int64_t Search::share(const Index& index, const Term& term, uint32_t count, uint32_t place) const {
  if constexpr (!kLossy) return static_cast<int64_t>(term.scale * index.fraction(count, index.lengths_[place]) + 0.5);
  float inverse_norm = lossy_norms_[index.length_bytes_[place]];
  float score = lossy_share(static_cast<float>(term.weight), static_cast<float>(count), inverse_norm);
  return static_cast<int64_t>(static_cast<double>(score) * kOne + 0.5);
}

void Search::read(const Index& index, std::string_view query) {
  std::string_view text = cut_utf8(query, kMaxQueryBytes);
  was_cut_ = text.size() < query.size();
  terms_.clear();
  for (size_t at = 0; analyser_.next(text, at);) {
    int64_t number = index.find(analyser_.term());
    if (number < 0) continue;
    auto known = std::find_if(terms_.begin(), terms_.end(), [&](const Term& term) { return term.number == number; });
    if (known != terms_.end()) {
      ++known->times;
      continue;
    }
    Term term;
    term.number = static_cast<uint32_t>(number);
    term.entries = index.entries(term.number);
    terms_.push_back(term);
  }
  if (!is_lossy_) return;
  float mean = static_cast<float>(index.average_length_);
  for (size_t i = 0; i < lossy_norms_.size(); ++i)
    lossy_norms_[i] = 1.0f / (0.9f * ((1.0f - 0.4f) + 0.4f * static_cast<float>(byte_to_length(static_cast<uint8_t>(i))) / mean));
}

void Search::weigh(const Index& index) {
  auto num_docs = static_cast<double>(index.num_with_words_);
  double reach = 0;
  for (Term& term : terms_) {
    auto found = static_cast<double>(term.entries.num_postings);
    term.weight = std::max(0.0, std::log(1 + (num_docs - found + 0.5) / (found + 0.5)));
    if (is_lossy_) term.weight = static_cast<float>(term.times) * static_cast<float>(term.weight);
    else term.weight *= term.times;
    term.scale = term.weight * kOne;
    term.bound = (term.weight * static_cast<double>(index.bounds_[term.number]) + kShares / kOne) * kSlack;
    reach += term.bound;
  }
  unit_ = kPromises / reach;
  for (Term& term : terms_) term.step = static_cast<uint32_t>(term.bound * unit_ / kShares) + 1;
  auto is_before = [](const Term& x, const Term& y) { return x.step != y.step ? x.step > y.step : x.number < y.number; };
  std::sort(terms_.begin(), terms_.end(), is_before);
}

void Search::promise(const Index& index) {
  promises_.assign(index.num_windows_, 0);
  uint32_t* promises = promises_.data();
  size_t num_windows = promises_.size();
  for (const Term& term : terms_) {
    const uint32_t* windows = term.entries.windows.data();
    const uint8_t* shares = term.entries.shares.data();
    for (size_t at = 0, size = term.entries.windows.size(); at < size; ++at)
      if (windows[at] < num_windows) promises[windows[at]] += term.step * shares[at];
  }
}

// By counting, in kLevels equal steps; windows of a level stay in their order, which memory likes.
void Search::arrange() {
  uint32_t most = 0;
  for (uint32_t promised : promises_) most = std::max(most, promised);
  int shift = std::max(0, static_cast<int>(std::bit_width(most)) - kLevelBits);
  std::array<uint32_t, kLevels + 1> heads{};
  for (uint32_t promised : promises_) ++heads[kLevels - (promised >> shift)];
  for (uint32_t i = 1; i <= kLevels; ++i) heads[i] += heads[i - 1];
  order_.resize(promises_.size());
  for (uint32_t window = 0; window < promises_.size(); ++window) order_[heads[kLevels - 1 - (promises_[window] >> shift)]++] = window;
}

void Search::offer(uint32_t product, int64_t sum, size_t count) {
  Hit hit{product, key(sum)};
  if (best_.size() == count) {
    if (!is_better(hit, best_.front())) return;
    std::pop_heap(best_.begin(), best_.end(), is_better);
    best_.pop_back();
  }
  best_.push_back(hit);
  std::push_heap(best_.begin(), best_.end(), is_better);
  if (best_.size() == count) threshold_ = best_.front().score;
}

// The first entry at or behind a window: mostly a little behind the last one that was looked for.
size_t Search::seek(Term& term, uint32_t window) {
  const std::span<const uint32_t> windows = term.entries.windows;
  size_t low = term.at < windows.size() && windows[term.at] <= window ? term.at : 0, step = 1;
  while (low + step < windows.size() && windows[low + step] < window) low += step, step *= 2;
  auto begin = windows.begin() + static_cast<std::ptrdiff_t>(low);
  auto end = windows.begin() + static_cast<std::ptrdiff_t>(std::min(low + step + 1, windows.size()));
  return term.at = static_cast<size_t>(std::lower_bound(begin, end, window) - windows.begin());
}

template <bool kLossy>
void Search::add_to_all(const Index& index, const Term& term, uint64_t posting, uint64_t end, uint32_t first, uint32_t size) {
  for (; posting < end; ++posting) {
    uint32_t place = index.postings_[posting] >> 8;
    if (place < size) sums_[place] += share<kLossy>(index, term, index.count_of(posting), first + place);
  }
}

// As above, for the places of alive_ alone.
template <bool kLossy>
void Search::add_to_alive(const Index& index, const Term& term, uint64_t posting, uint64_t end, uint32_t first) {
  for (uint8_t place : std::span(alive_).first(num_alive_)) {
    while (posting < end && index.postings_[posting] >> 8 < place) ++posting;
    if (posting == end) return;
    if (index.postings_[posting] >> 8 == place) sums_[place] += share<kLossy>(index, term, index.count_of(posting), first + place);
  }
}

template <bool kLossy>
void Search::visit(const Index& index, uint32_t window, size_t count) {
  uint32_t first = window * kWindow, size = std::min(kWindow, index.num_docs() - first);
  uint32_t rest = promises_[window], wanted = needed(count);  // rest: what the terms to come can add
  sums_.fill(0);
  bool is_open = true;  // whether a product that has none of the terms so far could still be among the best
  auto close = [&] {
    is_open = false;
    int64_t least = least_sum(wanted, rest);
    size_t kept = 0;
    for (uint32_t place = 0; place < size; ++place) {  // without a branch: which ones is hard to foresee
      alive_[kept] = static_cast<uint8_t>(place);
      kept += sums_[place] >= least;
    }
    num_alive_ = kept;
  };
  for (Term& term : terms_) {
    if (is_open && rest < wanted) close();
    if (!is_open && num_alive_ == 0) return;
    size_t at = seek(term, window);
    if (at == term.entries.windows.size() || term.entries.windows[at] != window) continue;
    auto [posting, end] = term.entries.range(at);
    rest -= term.step * term.entries.shares[at];
    if (is_open) {
      add_to_all<kLossy>(index, term, posting, end, first, size);
      continue;
    }
    add_to_alive<kLossy>(index, term, posting, end, first);
    int64_t least = least_sum(wanted, rest);
    size_t kept = 0;
    for (uint8_t place : std::span(alive_).first(num_alive_)) {
      alive_[kept] = place;
      kept += sums_[place] >= least;
    }
    num_alive_ = kept;
  }
  if (is_open) close();
  for (uint8_t place : std::span(alive_).first(num_alive_)) offer(index.products_[first + place], sums_[place], count);
}

std::span<const Hit> Search::run(const Index& index, std::string_view query, size_t count) {
  best_.clear();
  threshold_ = 0;
  read(index, query);
  if (count == 0 || terms_.empty()) return best_;
  weigh(index);
  promise(index);
  arrange();
  for (uint32_t window : order_) {
    if (promises_[window] == 0) break;
    if (promises_[window] < needed(count)) continue;  // a later one of the same level may promise more
    if (is_lossy_) visit<true>(index, window, count);
    else visit<false>(index, window, count);
  }
  std::sort(best_.begin(), best_.end(), is_better);
  if (!is_lossy_)
    for (Hit& hit : best_) hit.score /= kOne;
  return best_;
}

std::span<const Hit> Search::look_up(const Index& index, Key key, std::string_view text, size_t count) {
  best_.clear();
  was_cut_ = false;
  key_.assign({'\x01', static_cast<char>(key)});
  key_ += text;
  int64_t term = index.find(key_);
  if (term < 0 || count == 0) return best_;
  index.each_posting(static_cast<uint32_t>(term), [&](uint64_t, uint32_t place) { offer(index.products_[place], 0, count); });
  std::sort(best_.begin(), best_.end(), is_better);
  return best_;
}

}  // namespace vldac::webshop

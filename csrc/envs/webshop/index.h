// Full-text search: an inverted index over the products' texts, ranked by BM25 (k1 0.9, b 0.4, as Anserini's default), equal scores in
// the order of the products. Exact document lengths by default; lossy lengths repeat Lucene's, which keeps them in one byte and adds
// in float32.
// The index has an order of its own, in which products of a kind lie side by side, in windows of kWindow places. Of every window it
// knows what each term can add to a product there at most. Search adds these bounds up, then visits windows, the most promising first,
// until the rest cannot reach the best k. It leaves nothing out: sums are in fixed point, so that the order of addition does not matter.
// Where products are all of one kind and without attributes the bounds are loose, and a search takes about ten times as long.
// An Index is read by any number of threads; a Search belongs to one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "envs/webshop/analyser.h"
#include "envs/webshop/store.h"

namespace vldac::webshop {

inline constexpr double kBm25K1 = 0.9, kBm25B = 0.4;
inline constexpr uint32_t kWindow = 128;      // products; at most 256: a posting's place there has eight bits
inline constexpr uint32_t kLargeCount = 255;  // a posting's count has eight bits, too; larger ones are kept apart
inline constexpr uint32_t kShares = 255;      // steps of a term's bound in a window

// Tables of exact look-ups, beside the words: products of an attribute, a category, a query.
enum class Key : char { kAttribute = 'a', kCategory = 'c', kQuery = 'q' };

class Index {
 public:
  explicit Index(const Store& store);
  // The number of a term, or -1.
  int64_t find(std::string_view term) const;
  // Products that have a term, and how often, in the index's order.
  struct Posting {
    uint32_t product, count, length;
  };
  void read(uint32_t term, std::vector<Posting>& out) const;
  uint32_t num_docs() const { return static_cast<uint32_t>(lengths_.size()); }

 private:
  friend class Search;
  struct Entries {  // windows that have a term
    std::span<const uint32_t> windows, firsts;
    std::span<const uint8_t> shares;
    uint64_t first_posting = 0, num_postings = 0;
    // The postings of entry `at`, whatever a damaged file says.
    std::pair<uint64_t, uint64_t> range(size_t at) const {
      uint64_t end = at + 1 < firsts.size() ? firsts[at + 1] : num_postings;
      end = end < num_postings ? end : num_postings;
      return {first_posting + (firsts[at] < end ? firsts[at] : end), first_posting + end};
    }
  };
  Entries entries(uint32_t term) const;
  uint32_t count_of(uint64_t posting) const {
    uint32_t count = postings_[posting] & 255u;
    return count < kLargeCount ? count : large_count(posting);
  }
  uint32_t large_count(uint64_t posting) const;
  template <class Visit>
  void each_posting(uint32_t term, Visit&& visit) const {  // (posting, place)
    Entries all = entries(term);
    for (size_t at = 0; at < all.windows.size(); ++at) {
      auto [posting, end] = all.range(at);
      for (; posting < end; ++posting) {
        uint64_t place = uint64_t{all.windows[at]} * kWindow + (postings_[posting] >> 8);
        if (place < lengths_.size()) visit(posting, static_cast<uint32_t>(place));
      }
    }
  }

  std::string_view text_;
  std::span<const uint64_t> term_offsets_, posting_offsets_, entry_offsets_, large_counts_;
  std::span<const uint32_t> slots_, windows_, firsts_, lengths_, products_;
  std::span<const uint16_t> postings_;
  std::span<const uint8_t> shares_;
  std::span<const float> bounds_;
  uint32_t num_windows_ = 0;
  double average_length_ = 1;
  uint64_t num_with_words_ = 0;
  std::vector<uint8_t> length_bytes_;
  // count / (count + norm) for the usual counts and lengths, as fraction() computes it: a division less per posting.
  static constexpr uint32_t kTableCounts = 4, kTableLengths = 512;
  double compute_fraction(uint32_t count, uint32_t length) const { return count / (count + norm_fixed_ + norm_slope_ * length); }
  double fraction(uint32_t count, uint32_t length) const {
    if (count - 1 < kTableCounts && length < kTableLengths) return table_[(count - 1) * kTableLengths + length];
    return compute_fraction(count, length);
  }
  double norm_fixed_ = 0, norm_slope_ = 0;
  std::vector<double> table_;
};

struct Hit {
  uint32_t doc;
  double score;
};

class Search {
 public:
  static constexpr size_t kMaxQueryBytes = 2048;

  explicit Search(bool is_lossy = false) : is_lossy_(is_lossy) {}
  // The best `count` products, best first. Queries longer than kMaxQueryBytes are cut there: was_cut() says so.
  std::span<const Hit> run(const Index& index, std::string_view query, size_t count);
  // The first `count` products of a key, in their order.
  std::span<const Hit> look_up(const Index& index, Key key, std::string_view text, size_t count);
  bool was_cut() const { return was_cut_; }

 private:
  struct Term {
    Index::Entries entries;
    double weight = 0, scale = 0;  // idf x how often the query says it; the same in fixed point
    double bound = 0;              // what it adds to a product's score at most
    uint32_t step = 0;             // what a share of its bound adds to a window's promise
    uint32_t number = 0;
    uint32_t times = 1;
    size_t at = 0;  // the entry that was looked for last
  };
  static size_t seek(Term& term, uint32_t window);
  void read(const Index& index, std::string_view query);
  void weigh(const Index& index);
  void promise(const Index& index);
  void arrange();
  // The promise that it takes to be among the best, 0 as long as everything is.
  uint32_t needed(size_t count) const;
  // Sums below this do not get to what is needed with what the rest can add.
  int64_t least_sum(uint32_t needed, uint32_t rest) const;
  template <bool kLossy>
  void visit(const Index& index, uint32_t window, size_t count);
  template <bool kLossy>
  void add_to_all(const Index& index, const Term& term, uint64_t posting, uint64_t end, uint32_t first, uint32_t size);
  template <bool kLossy>
  void add_to_alive(const Index& index, const Term& term, uint64_t posting, uint64_t end, uint32_t first);
  template <bool kLossy>
  int64_t share(const Index& index, const Term& term, uint32_t count, uint32_t place) const;
  void offer(uint32_t product, int64_t sum, size_t count);
  // What scores are compared by: Lucene's are float32.
  double key(int64_t sum) const;

  bool is_lossy_, was_cut_ = false;
  Analyser analyser_;
  std::vector<Term> terms_;         // those that can add the most first
  double unit_ = 0;                 // promises are scores x unit_, rounded up
  std::vector<uint32_t> promises_;  // [windows]: what a product there can reach
  std::vector<uint32_t> order_;     // windows, the most promising level first
  std::array<int64_t, kWindow> sums_{};
  std::array<uint8_t, kWindow> alive_{};  // places of the window at hand that can still get among the best
  size_t num_alive_ = 0;
  std::vector<Hit> best_;  // a heap, the worst on top
  double threshold_ = 0;   // the worst one's score
  std::array<float, 256> lossy_norms_{};
  std::string key_;
};

// Lucene's one-byte length and back: exact below 40, then four significant bits.
uint8_t length_to_byte(uint32_t length);
uint32_t byte_to_length(uint8_t byte);
inline double norm_of(double length, double average) { return kBm25K1 * (1 - kBm25B + kBm25B * length / average); }

}  // namespace vldac::webshop

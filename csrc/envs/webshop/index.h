// Full-text search: an inverted index over the products' texts, ranked by BM25 (k1 0.9, b 0.4, as Anserini's default), equal scores in
// the order of the products. Exact document lengths by default; lossy lengths repeat Lucene's, which keeps them in one byte and adds
// in float32. Search visits windows of products and leaves out those that cannot reach the best k (MaxScore), exactly: sums are in
// fixed point, so that the order of addition does not matter.
// An Index is read by any number of threads; a Search belongs to one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "envs/webshop/analyser.h"
#include "envs/webshop/store.h"

namespace vldac::webshop {

inline constexpr double kBm25K1 = 0.9, kBm25B = 0.4;

// Tables of exact look-ups, beside the words: products of an attribute, a category, a query.
enum class Key : char { kAttribute = 'a', kCategory = 'c', kQuery = 'q' };

// Words to numbers, by open addressing; the same arrays are written to the store.
class TermTable {
 public:
  TermTable();
  uint32_t add(std::string_view term);
  size_t size() const { return offsets_.size() - 1; }
  void write(StoreWriter& out) const;

 private:
  void grow();
  std::string text_;
  std::vector<uint64_t> offsets_{0}, hashes_;
  std::vector<uint32_t> slots_;
};

// Products in their order; then write().
class IndexBuilder {
 public:
  void add(std::string_view text, std::string_view category, std::string_view query, std::span<const std::string> attributes);
  void write(StoreWriter& out) const;
  size_t num_terms() const { return terms_.size(); }
  uint64_t num_postings() const { return num_postings_; }

 private:
  static constexpr size_t kChunk = 1 << 20;
  struct Chunk {
    std::vector<uint32_t> terms;
    std::vector<uint16_t> counts;
  };
  void count(uint32_t term);
  Analyser analyser_;
  TermTable terms_;
  std::vector<uint32_t> last_doc_, slot_;  // [terms]: the last product with it (+ 1), and where its count is
  std::vector<uint32_t> doc_terms_;
  std::vector<uint32_t> doc_counts_;
  std::vector<Chunk> chunks_;
  std::vector<uint32_t> lengths_, num_terms_of_doc_;
  uint64_t num_postings_ = 0;
  std::string key_;
};

class Index {
 public:
  explicit Index(const Store& store);
  // The number of a term, or -1.
  int64_t find(std::string_view term) const;
  struct Postings {
    std::span<const uint32_t> docs;
    std::span<const uint16_t> counts;
  };
  Postings postings(uint32_t term) const;
  uint32_t num_docs() const { return static_cast<uint32_t>(lengths_.size()); }

 private:
  friend class Search;
  std::string_view text_;
  std::span<const uint64_t> term_offsets_, posting_offsets_;
  std::span<const uint32_t> slots_, docs_, lengths_;
  std::span<const uint16_t> counts_;
  std::span<const float> bounds_;  // [terms][2]: exact, lossy lengths
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
    Index::Postings postings;
    size_t at = 0;
    double weight = 0;    // idf x how often the query says it
    int64_t bound = 0;    // of one product's share
    uint32_t number = 0;
    uint32_t times = 1;
  };
  int64_t share(const Index& index, const Term& term, size_t at) const;
  void read(const Index& index, std::string_view query);
  void visit(const Index& index, uint32_t begin, uint32_t end, size_t count);
  void offer(uint32_t doc, int64_t sum, size_t count);
  // What scores are compared by: Lucene's are float32.
  double key(int64_t sum) const;
  bool is_hopeless(int64_t sum, size_t count) const { return best_.size() == count && key(sum) <= threshold_; }
  // Sums up to this are hopeless, whatever their rounding.
  int64_t hopeless_sum(size_t count) const;

  bool is_lossy_, was_cut_ = false;
  Analyser analyser_;
  std::vector<Term> terms_;
  std::vector<int64_t> reach_;  // [terms + 1]: what the first i terms can add together
  size_t num_weak_ = 0;         // terms that cannot bring a product among the best by themselves
  std::vector<int64_t> sums_;
  std::vector<Hit> best_;  // a heap, the worst on top
  double threshold_ = 0;
  std::array<float, 256> lossy_norms_{};
  std::string key_;
};

// Lucene's one-byte length and back: exact below 40, then four significant bits.
uint8_t length_to_byte(uint32_t length);
uint32_t byte_to_length(uint8_t byte);

}  // namespace vldac::webshop

// Builds the search index of a catalogue (index.h) from its products' texts. Everything is held in memory until write(): about six
// bytes for each different word of each product.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "envs/webshop/analyser.h"
#include "envs/webshop/index.h"
#include "envs/webshop/store.h"

namespace vldac::webshop {

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
  struct Doc {
    uint64_t first = 0;  // chunk x kChunk + place within it
    uint32_t num_terms = 0, num_keys = 0;  // keys are the last of its terms
    uint32_t length = 0;
  };
  void count(uint32_t term);
  void count_key(Key kind, std::string_view value);
  std::span<const uint32_t> keys(const Doc& doc) const;
  std::vector<uint32_t> arrange() const;  // the product of each place
  template <class Visit>
  void each_posting(std::span<const uint32_t> products, Visit&& visit) const;

  Analyser analyser_;
  TermTable terms_;
  std::vector<uint32_t> last_doc_, slot_;  // [terms]: the last product with it (+ 1), and where its count is
  std::vector<uint32_t> doc_terms_;
  std::vector<uint32_t> doc_counts_;
  std::vector<Chunk> chunks_;
  std::vector<Doc> docs_;
  uint64_t num_postings_ = 0;
  std::string key_;
};

}  // namespace vldac::webshop

#include "envs/webshop/index_builder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vldac::webshop {
namespace {

size_t free_slot(std::span<const uint32_t> slots, uint64_t hash) {
  size_t slot = hash & (slots.size() - 1);
  while (slots[slot]) slot = (slot + 1) & (slots.size() - 1);
  return slot;
}

}  // namespace

TermTable::TermTable() : slots_(1 << 12) {}

void TermTable::grow() {
  slots_.assign(slots_.size() * 2, 0);
  for (uint32_t term = 0; term < hashes_.size(); ++term) slots_[free_slot(slots_, hashes_[term])] = term + 1;
}

uint32_t TermTable::add(std::string_view term) {
  uint64_t hash = hash_text(term);
  size_t slot = hash & (slots_.size() - 1);
  for (; slots_[slot]; slot = (slot + 1) & (slots_.size() - 1)) {
    uint32_t known = slots_[slot] - 1;
    if (hashes_[known] == hash && std::string_view(text_).substr(offsets_[known], offsets_[known + 1] - offsets_[known]) == term) return known;
  }
  auto number = static_cast<uint32_t>(hashes_.size());
  slots_[slot] = number + 1;
  hashes_.push_back(hash);
  text_ += term;
  offsets_.push_back(text_.size());
  if (hashes_.size() * 2 > slots_.size()) grow();
  return number;
}

void TermTable::write(StoreWriter& out) const {
  out.begin(Section::kTermText);
  out.write(text_);
  out.end();
  out.put(Section::kTermOffsets, std::span<const uint64_t>(offsets_));
  out.put(Section::kTermSlots, std::span<const uint32_t>(slots_));
}

void IndexBuilder::count(uint32_t term) {
  if (term >= last_doc_.size()) last_doc_.resize(term + 1), slot_.resize(term + 1);
  auto doc = static_cast<uint32_t>(docs_.size());
  if (last_doc_[term] != doc + 1) {
    last_doc_[term] = doc + 1;
    slot_[term] = static_cast<uint32_t>(doc_terms_.size());
    doc_terms_.push_back(term);
    doc_counts_.push_back(0);
  }
  ++doc_counts_[slot_[term]];
}

void IndexBuilder::count_key(Key kind, std::string_view value) {
  key_.assign({'\x01', static_cast<char>(kind)});
  key_ += value;
  count(terms_.add(key_));
}

void IndexBuilder::add(std::string_view text, std::string_view category, std::string_view query, std::span<const std::string> attributes) {
  doc_terms_.clear();
  doc_counts_.clear();
  Doc doc;
  for (size_t at = 0; analyser_.next(text, at); ++doc.length) count(terms_.add(analyser_.term()));
  auto num_words = static_cast<uint32_t>(doc_terms_.size());
  count_key(Key::kCategory, category);
  count_key(Key::kQuery, query);
  for (const std::string& attribute : attributes) count_key(Key::kAttribute, attribute);
  if (chunks_.empty() || chunks_.back().terms.size() + doc_terms_.size() > kChunk) {
    chunks_.emplace_back();
    chunks_.back().terms.reserve(kChunk);
    chunks_.back().counts.reserve(kChunk);
  }
  doc.first = (chunks_.size() - 1) * kChunk + chunks_.back().terms.size();
  doc.num_terms = static_cast<uint32_t>(doc_terms_.size());
  doc.num_keys = doc.num_terms - num_words;
  for (size_t i = 0; i < doc_terms_.size(); ++i) {
    chunks_.back().terms.push_back(doc_terms_[i]);
    chunks_.back().counts.push_back(static_cast<uint16_t>(std::min<uint32_t>(doc_counts_[i], UINT16_MAX)));
  }
  num_postings_ += doc_terms_.size();
  docs_.push_back(doc);
}

// Products of one category, query and list of attributes side by side, the short ones first: what a query asks for is then in few
// windows, and the bounds there are tight.
std::vector<uint32_t> IndexBuilder::arrange() const {
  std::vector<uint32_t> products(docs_.size());
  std::iota(products.begin(), products.end(), 0u);
  std::sort(products.begin(), products.end(), [&](uint32_t x, uint32_t y) {
    std::span<const uint32_t> one = keys(docs_[x]), two = keys(docs_[y]);
    auto order = std::lexicographical_compare_three_way(one.begin(), one.end(), two.begin(), two.end());
    if (order != 0) return order < 0;
    return docs_[x].length != docs_[y].length ? docs_[x].length < docs_[y].length : x < y;
  });
  return products;
}

std::span<const uint32_t> IndexBuilder::keys(const Doc& doc) const {
  const Chunk& chunk = chunks_[doc.first / kChunk];
  return std::span<const uint32_t>(chunk.terms).subspan(doc.first % kChunk, doc.num_terms).last(doc.num_keys);
}

// Every (place, term, count), place by place.
template <class Visit>
void IndexBuilder::each_posting(std::span<const uint32_t> products, Visit&& visit) const {
  for (uint32_t place = 0; place < products.size(); ++place) {
    const Doc& doc = docs_[products[place]];
    const Chunk& chunk = chunks_[doc.first / kChunk];
    size_t first = doc.first % kChunk;
    for (size_t at = first; at < first + doc.num_terms; ++at) visit(place, chunk.terms[at], chunk.counts[at]);
  }
}

void IndexBuilder::write(StoreWriter& out) const {
  terms_.write(out);
  std::vector<uint32_t> products = arrange(), lengths;
  uint64_t total = 0, num_with_words = 0;
  for (uint32_t product : products) {
    lengths.push_back(docs_[product].length);
    total += lengths.back(), num_with_words += lengths.back() > 0;
  }
  double average = num_with_words ? static_cast<double>(total) / static_cast<double>(num_with_words) : 1;
  std::vector<float> norms;  // with lossy lengths, which are never the greater ones: their bounds hold for both
  for (uint32_t length : lengths) norms.push_back(static_cast<float>(norm_of(byte_to_length(length_to_byte(length)), average)));

  struct Place {
    uint64_t posting = 0, entry = 0;  // counted first, then where the next one goes
    uint32_t window = UINT32_MAX;
    float bound = 0;
  };
  std::vector<Place> terms(terms_.size());
  each_posting(products, [&](uint32_t place, uint32_t number, uint16_t count) {
    Place& term = terms[number];
    ++term.posting;
    term.entry += term.window != place / kWindow;
    term.window = place / kWindow;
    term.bound = std::max(term.bound, static_cast<float>(count) / (static_cast<float>(count) + norms[place]));
  });
  std::vector<uint64_t> posting_offsets{0}, entry_offsets{0};
  std::vector<float> bounds;
  for (Place& term : terms) {
    posting_offsets.push_back(posting_offsets.back() + term.posting);
    entry_offsets.push_back(entry_offsets.back() + term.entry);
    bounds.push_back(term.bound * 1.000001f);  // above every rounding
    term = {.posting = posting_offsets.end()[-2], .entry = entry_offsets.end()[-2], .bound = kShares / term.bound};
  }
  std::vector<uint16_t> postings(num_postings_);
  std::vector<uint64_t> large;
  std::vector<uint32_t> windows(entry_offsets.back()), firsts(entry_offsets.back());
  std::vector<uint8_t> shares(entry_offsets.back());
  each_posting(products, [&](uint32_t place, uint32_t number, uint16_t count) {
    Place& term = terms[number];
    uint64_t posting = term.posting++;
    if (count >= kLargeCount) large.push_back(posting << 16 | count);
    postings[posting] = static_cast<uint16_t>((place % kWindow) << 8 | std::min<uint32_t>(count, kLargeCount));
    if (term.window != place / kWindow) {
      term.window = place / kWindow;
      windows[term.entry] = term.window;
      firsts[term.entry++] = static_cast<uint32_t>(posting - posting_offsets[number]);
    }
    float share = std::ceil(static_cast<float>(count) / (static_cast<float>(count) + norms[place]) * term.bound + 0.001f);  // as above
    uint8_t& known = shares[term.entry - 1];
    known = std::max(known, static_cast<uint8_t>(std::min<float>(share, kShares)));
  });
  std::sort(large.begin(), large.end());
  out.put(Section::kPostingOffsets, std::span<const uint64_t>(posting_offsets));
  out.put(Section::kPostings, std::span<const uint16_t>(postings));
  out.put(Section::kLargeCounts, std::span<const uint64_t>(large));
  out.put(Section::kEntryOffsets, std::span<const uint64_t>(entry_offsets));
  out.put(Section::kEntryWindows, std::span<const uint32_t>(windows));
  out.put(Section::kEntryFirsts, std::span<const uint32_t>(firsts));
  out.put(Section::kEntryShares, std::span<const uint8_t>(shares));
  out.put(Section::kDocLengths, std::span<const uint32_t>(lengths));
  out.put(Section::kDocProducts, std::span<const uint32_t>(products));
  out.put(Section::kTermBounds, std::span<const float>(bounds));
}

}  // namespace vldac::webshop

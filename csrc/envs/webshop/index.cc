#include "envs/webshop/index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr double kOne = 1099511627776.0;  // 2^40: scores in fixed point
constexpr uint32_t kWindow = 4096;

size_t free_slot(std::span<const uint32_t> slots, uint64_t hash) {
  size_t slot = hash & (slots.size() - 1);
  while (slots[slot]) slot = (slot + 1) & (slots.size() - 1);
  return slot;
}

double norm_of(double length, double average) { return kBm25K1 * (1 - kBm25B + kBm25B * length / average); }

float lossy_share(float weight, float count, float inverse_norm) { return weight - weight / (1.0f + count * inverse_norm); }

}  // namespace

uint8_t length_to_byte(uint32_t length) {
  if (length < 24) return static_cast<uint8_t>(length);
  uint32_t value = length - 24;
  int bits = std::bit_width(value);
  if (bits < 4) return static_cast<uint8_t>(24 + value);
  int shift = bits - 4;
  return static_cast<uint8_t>(24 + ((value >> shift & 7) | static_cast<uint32_t>(shift + 1) << 3));
}

uint32_t byte_to_length(uint8_t byte) {
  if (byte < 24) return byte;
  uint32_t code = byte - 24u, low = code & 7, shift = code >> 3;
  return 24 + (shift == 0 ? low : (low | 8) << (shift - 1));
}

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
  auto doc = static_cast<uint32_t>(lengths_.size());
  if (last_doc_[term] != doc + 1) {
    last_doc_[term] = doc + 1;
    slot_[term] = static_cast<uint32_t>(doc_terms_.size());
    doc_terms_.push_back(term);
    doc_counts_.push_back(0);
  }
  ++doc_counts_[slot_[term]];
}

void IndexBuilder::add(std::string_view text, std::string_view category, std::string_view query, std::span<const std::string> attributes) {
  doc_terms_.clear();
  doc_counts_.clear();
  uint32_t length = 0;
  for (size_t at = 0; analyser_.next(text, at); ++length) count(terms_.add(analyser_.term()));
  auto add_key = [&](Key kind, std::string_view value) {
    key_.assign({'\x01', static_cast<char>(kind)});
    key_ += value;
    count(terms_.add(key_));
  };
  add_key(Key::kCategory, category);
  add_key(Key::kQuery, query);
  for (const std::string& attribute : attributes) add_key(Key::kAttribute, attribute);
  if (chunks_.empty() || chunks_.back().terms.size() + doc_terms_.size() > kChunk) {
    chunks_.emplace_back();
    chunks_.back().terms.reserve(kChunk);
    chunks_.back().counts.reserve(kChunk);
  }
  for (size_t i = 0; i < doc_terms_.size(); ++i) {
    chunks_.back().terms.push_back(doc_terms_[i]);
    chunks_.back().counts.push_back(static_cast<uint16_t>(std::min<uint32_t>(doc_counts_[i], UINT16_MAX)));
  }
  num_postings_ += doc_terms_.size();
  num_terms_of_doc_.push_back(static_cast<uint32_t>(doc_terms_.size()));
  lengths_.push_back(length);
}

void IndexBuilder::write(StoreWriter& out) const {
  terms_.write(out);
  std::vector<uint64_t> offsets(terms_.size() + 1);
  for (const Chunk& chunk : chunks_)
    for (uint32_t term : chunk.terms) ++offsets[term + 1];
  for (size_t i = 1; i < offsets.size(); ++i) offsets[i] += offsets[i - 1];
  uint64_t total = 0, num_with_words = 0;
  for (uint32_t length : lengths_) total += length, num_with_words += length > 0;
  double average = num_with_words ? static_cast<double>(total) / static_cast<double>(num_with_words) : 1;
  std::vector<uint64_t> next(offsets.begin(), offsets.end() - 1);
  std::vector<uint32_t> docs(num_postings_);
  std::vector<uint16_t> counts(num_postings_);
  std::vector<float> bounds(terms_.size() * 2);
  size_t chunk = 0, at = 0;
  for (uint32_t doc = 0; doc < lengths_.size(); ++doc) {
    double exact = norm_of(lengths_[doc], average), lossy = norm_of(byte_to_length(length_to_byte(lengths_[doc])), average);
    for (uint32_t left = num_terms_of_doc_[doc]; left; --left) {
      if (at == chunks_[chunk].terms.size()) ++chunk, at = 0;
      uint32_t term = chunks_[chunk].terms[at];
      uint16_t times = chunks_[chunk].counts[at++];
      docs[next[term]] = doc;
      counts[next[term]++] = times;
      bounds[2 * term] = std::max(bounds[2 * term], static_cast<float>(times / (times + exact)));
      bounds[2 * term + 1] = std::max(bounds[2 * term + 1], static_cast<float>(times / (times + lossy)));
    }
  }
  for (float& bound : bounds) bound *= 1.000001f;  // above every rounding
  out.put(Section::kPostingOffsets, std::span<const uint64_t>(offsets));
  out.put(Section::kPostingDocs, std::span<const uint32_t>(docs));
  out.put(Section::kPostingCounts, std::span<const uint16_t>(counts));
  out.put(Section::kDocLengths, std::span<const uint32_t>(lengths_));
  out.put(Section::kTermBounds, std::span<const float>(bounds));
}

Index::Index(const Store& store)
    : text_(store.bytes(Section::kTermText)),
      term_offsets_(store.values<uint64_t>(Section::kTermOffsets)),
      posting_offsets_(store.values<uint64_t>(Section::kPostingOffsets)),
      slots_(store.values<uint32_t>(Section::kTermSlots)),
      docs_(store.values<uint32_t>(Section::kPostingDocs)),
      lengths_(store.values<uint32_t>(Section::kDocLengths)),
      counts_(store.values<uint16_t>(Section::kPostingCounts)),
      bounds_(store.values<float>(Section::kTermBounds)) {
  size_t num_terms = term_offsets_.empty() ? 0 : term_offsets_.size() - 1;
  bool is_sound = !term_offsets_.empty() && posting_offsets_.size() == num_terms + 1 && bounds_.size() == 2 * num_terms &&
                  std::has_single_bit(slots_.size()) && slots_.size() > num_terms && docs_.size() == counts_.size() &&
                  std::is_sorted(term_offsets_.begin(), term_offsets_.end()) && term_offsets_.back() == text_.size() &&
                  std::is_sorted(posting_offsets_.begin(), posting_offsets_.end()) && posting_offsets_.back() == docs_.size();
  if (!is_sound) throw StoreError(store.path() + " is altered: its index does not add up");
  uint64_t total = 0;
  length_bytes_.reserve(lengths_.size());
  for (uint32_t length : lengths_) {
    total += length;
    num_with_words_ += length > 0;
    length_bytes_.push_back(length_to_byte(length));
  }
  if (num_with_words_) average_length_ = static_cast<double>(total) / static_cast<double>(num_with_words_);
  norm_fixed_ = kBm25K1 * (1 - kBm25B);
  norm_slope_ = kBm25K1 * kBm25B / average_length_;
  table_.reserve(kTableCounts * kTableLengths);
  for (uint32_t count = 1; count <= kTableCounts; ++count)
    for (uint32_t length = 0; length < kTableLengths; ++length) table_.push_back(compute_fraction(count, length));
}

int64_t Index::find(std::string_view term) const {
  size_t num_terms = term_offsets_.size() - 1;
  for (size_t slot = hash_text(term) & (slots_.size() - 1); slots_[slot]; slot = (slot + 1) & (slots_.size() - 1)) {
    uint32_t known = slots_[slot] - 1;
    if (known >= num_terms) throw StoreError("the index of the store is altered");
    if (text_.substr(term_offsets_[known], term_offsets_[known + 1] - term_offsets_[known]) == term) return known;
  }
  return -1;
}

Index::Postings Index::postings(uint32_t term) const {
  size_t first = posting_offsets_[term], count = posting_offsets_[term + 1] - first;
  return {docs_.subspan(first, count), counts_.subspan(first, count)};
}

double Search::key(int64_t sum) const {
  double score = static_cast<double>(sum) / kOne;
  return is_lossy_ ? static_cast<double>(static_cast<float>(score)) : static_cast<double>(sum);
}

int64_t Search::share(const Index& index, const Term& term, size_t at) const {
  uint32_t doc = term.postings.docs[at];
  uint32_t count = term.postings.counts[at];
  if (!is_lossy_) return static_cast<int64_t>(term.weight * kOne * index.fraction(count, index.lengths_[doc]) + 0.5);
  auto score = static_cast<double>(lossy_share(static_cast<float>(term.weight), static_cast<float>(count), lossy_norms_[index.length_bytes_[doc]]));
  return static_cast<int64_t>(score * kOne + 0.5);
}

int64_t Search::hopeless_sum(size_t count) const {
  if (best_.size() < count) return 0;
  return static_cast<int64_t>(is_lossy_ ? threshold_ * kOne : threshold_);
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
    term.postings = index.postings(term.number);
    terms_.push_back(term);
  }
  double num_docs = static_cast<double>(index.num_with_words_), average = index.average_length_;
  if (is_lossy_) {
    float mean = static_cast<float>(average);
    for (size_t i = 0; i < lossy_norms_.size(); ++i)
      lossy_norms_[i] = 1.0f / (0.9f * ((1.0f - 0.4f) + 0.4f * static_cast<float>(byte_to_length(static_cast<uint8_t>(i))) / mean));
  }
  for (Term& term : terms_) {
    auto found = static_cast<double>(term.postings.docs.size());
    term.weight = std::log(1 + (num_docs - found + 0.5) / (found + 0.5));
    if (is_lossy_) term.weight = static_cast<float>(term.times) * static_cast<float>(term.weight);
    else term.weight *= term.times;
    term.bound = static_cast<int64_t>(term.weight * static_cast<double>(index.bounds_[2 * term.number + is_lossy_]) * kOne + 2);
  }
  std::sort(terms_.begin(), terms_.end(), [](const Term& x, const Term& y) { return x.bound != y.bound ? x.bound < y.bound : x.number < y.number; });
  reach_.assign(1, 0);
  for (const Term& term : terms_) reach_.push_back(reach_.back() + term.bound);
}

void Search::offer(uint32_t doc, int64_t sum, size_t count) {
  auto is_better = [](const Hit& x, const Hit& y) { return x.score != y.score ? x.score > y.score : x.doc < y.doc; };
  double score = key(sum);
  if (best_.size() == count) {
    if (score <= threshold_) return;  // among equals the first product stays
    std::pop_heap(best_.begin(), best_.end(), is_better);
    best_.pop_back();
  }
  best_.push_back({doc, score});
  std::push_heap(best_.begin(), best_.end(), is_better);
  if (best_.size() == count) threshold_ = best_.front().score;
}

void Search::visit(const Index& index, uint32_t begin, uint32_t end, size_t count) {
  std::fill(sums_.begin(), sums_.begin() + (end - begin), 0);
  bool is_any = false;
  for (size_t i = num_weak_; i < terms_.size(); ++i) {
    Term& term = terms_[i];
    size_t at = term.at, size = term.postings.docs.size();
    const uint32_t* docs = term.postings.docs.data();
    for (; at < size && docs[at] < end; ++at) {
      if (docs[at] < begin) continue;  // an altered store
      sums_[docs[at] - begin] += share(index, term, at);
      is_any = true;
    }
    term.at = at;
  }
  if (!is_any) return;
  int64_t limit = std::max<int64_t>(0, hopeless_sum(count) - reach_[num_weak_]);
  for (uint32_t doc = begin; doc < end; ++doc) {
    int64_t sum = sums_[doc - begin];
    if (sum <= limit) continue;
    limit = std::max<int64_t>(0, hopeless_sum(count) - reach_[num_weak_]);
    if (is_hopeless(sum + reach_[num_weak_], count)) continue;
    for (size_t i = num_weak_; i-- > 0;) {
      if (is_hopeless(sum + reach_[i + 1], count)) break;
      Term& term = terms_[i];
      std::span<const uint32_t> docs = term.postings.docs;
      size_t step = 1, low = term.at;
      while (low + step < docs.size() && docs[low + step] < doc) low += step, step *= 2;
      term.at = static_cast<size_t>(std::lower_bound(docs.begin() + static_cast<std::ptrdiff_t>(low),
                                                     docs.begin() + static_cast<std::ptrdiff_t>(std::min(low + step + 1, docs.size())), doc) -
                                    docs.begin());
      if (term.at < docs.size() && docs[term.at] == doc) sum += share(index, term, term.at);
    }
    offer(doc, sum, count);
  }
}

std::span<const Hit> Search::run(const Index& index, std::string_view query, size_t count) {
  best_.clear();
  threshold_ = 0;
  num_weak_ = 0;
  read(index, query);
  if (count == 0 || terms_.empty()) return best_;
  uint32_t num_docs = index.num_docs();
  sums_.resize(std::min(kWindow, num_docs));
  for (uint32_t begin = 0; begin < num_docs; begin += kWindow) {
    while (num_weak_ < terms_.size() && is_hopeless(reach_[num_weak_ + 1], count)) ++num_weak_;
    if (num_weak_ == terms_.size()) break;
    visit(index, begin, std::min(num_docs, begin + kWindow), count);
  }
  std::sort(best_.begin(), best_.end(), [](const Hit& x, const Hit& y) { return x.score != y.score ? x.score > y.score : x.doc < y.doc; });
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
  if (term < 0) return best_;
  for (uint32_t doc : index.postings(static_cast<uint32_t>(term)).docs.first(std::min(count, index.postings(static_cast<uint32_t>(term)).docs.size())))
    best_.push_back({doc, 0.0});
  return best_;
}

}  // namespace vldac::webshop

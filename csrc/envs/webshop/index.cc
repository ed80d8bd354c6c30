#include "envs/webshop/index.h"

#include <algorithm>
#include <bit>

namespace vldac::webshop {

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

Index::Index(const Store& store)
    : text_(store.bytes(Section::kTermText)),
      term_offsets_(store.values<uint64_t>(Section::kTermOffsets)),
      posting_offsets_(store.values<uint64_t>(Section::kPostingOffsets)),
      entry_offsets_(store.values<uint64_t>(Section::kEntryOffsets)),
      large_counts_(store.values<uint64_t>(Section::kLargeCounts)),
      slots_(store.values<uint32_t>(Section::kTermSlots)),
      windows_(store.values<uint32_t>(Section::kEntryWindows)),
      firsts_(store.values<uint32_t>(Section::kEntryFirsts)),
      lengths_(store.values<uint32_t>(Section::kDocLengths)),
      products_(store.values<uint32_t>(Section::kDocProducts)),
      postings_(store.values<uint16_t>(Section::kPostings)),
      shares_(store.values<uint8_t>(Section::kEntryShares)),
      bounds_(store.values<float>(Section::kTermBounds)) {
  size_t num_terms = term_offsets_.empty() ? 0 : term_offsets_.size() - 1;
  auto cuts = [&](std::span<const uint64_t> offsets, size_t size) {
    return offsets.size() == num_terms + 1 && std::is_sorted(offsets.begin(), offsets.end()) && offsets.back() == size;
  };
  bool is_sound = !term_offsets_.empty() && bounds_.size() == num_terms && std::has_single_bit(slots_.size()) && slots_.size() > num_terms &&
                  cuts(term_offsets_, text_.size()) && cuts(posting_offsets_, postings_.size()) && cuts(entry_offsets_, windows_.size()) &&
                  firsts_.size() == windows_.size() && shares_.size() == windows_.size() && products_.size() == lengths_.size() &&
                  std::all_of(bounds_.begin(), bounds_.end(), [](float bound) { return bound >= 0 && bound <= 1.1f; }) &&
                  std::all_of(products_.begin(), products_.end(), [&](uint32_t product) { return product < products_.size(); });
  if (!is_sound) throw StoreError(store.path() + " is altered: its index does not add up");
  num_windows_ = static_cast<uint32_t>((lengths_.size() + kWindow - 1) / kWindow);
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

Index::Entries Index::entries(uint32_t term) const {
  size_t first = entry_offsets_[term], count = entry_offsets_[term + 1] - first;
  return {windows_.subspan(first, count), firsts_.subspan(first, count), shares_.subspan(first, count), posting_offsets_[term],
          posting_offsets_[term + 1] - posting_offsets_[term]};
}

uint32_t Index::large_count(uint64_t posting) const {
  auto found = std::lower_bound(large_counts_.begin(), large_counts_.end(), posting << 16);
  return found != large_counts_.end() && *found >> 16 == posting ? static_cast<uint32_t>(*found & 0xffff) : kLargeCount;
}

void Index::read(uint32_t term, std::vector<Posting>& out) const {
  out.clear();
  each_posting(term, [&](uint64_t posting, uint32_t place) { out.push_back({products_[place], count_of(posting), lengths_[place]}); });
}

}  // namespace vldac::webshop

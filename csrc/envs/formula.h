// The formula of the card games: what has been typed so far, item by item, and its exact value. Items are numbers 1..13 or the
// characters + - * / ( ) and the blank that a number not left on the table becomes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/bytes.h"
#include "core/text.h"

namespace vldac {

using Item = int8_t;
constexpr Item kBlank = ' ';
constexpr bool is_number(Item item) { return item >= 1 && item <= 13; }

// At most 32 items, numbers among them at most 13; longer ones have no value.
constexpr size_t kMaxFormulaItems = 32;

struct Rational {
  __int128 numerator = 0, denominator = 1;  // lowest terms, denominator > 0
};

// Value by the rules of arithmetic: numbers and operators + - * / in turn, brackets; blanks do not count. Adjacent numbers do not
// concatenate, there are no signs, no "**" and "//". nullopt: ungrammatical, a division by zero, or beyond the bounds.
std::optional<Rational> exact_value(std::span<const Item> items);

// What has been typed, up to `kCapacity` items.
template <size_t kCapacity>
class Formula {
 public:
  void clear() { count_ = 0; }
  void add(Item item) { items_.at(count_++) = item; }
  size_t size() const { return count_; }
  std::span<const Item> items() const { return {items_.data(), count_}; }
  int numbers() const {
    int total = 0;
    for (Item item : items()) total += is_number(item);
    return total;
  }
  int count(Item wanted) const {
    int total = 0;
    for (Item item : items()) total += item == wanted;
    return total;
  }
  // Items joined by blanks. A blank item is shown as `blank`: upstream draws one, and facts name it by nothing.
  FixedText<kCapacity * 4> text(std::string_view blank) const {
    FixedText<kCapacity * 4> words;
    for (size_t i = 0; i < count_; ++i) {
      if (i) words += ' ';
      append(words, items_[i], blank);
    }
    return words;
  }
  template <size_t N>
  static void append(FixedText<N>& words, Item item, std::string_view blank) {
    if (item == kBlank) words += blank;
    else if (is_number(item)) words += int64_t{item};
    else words += static_cast<char>(item);
  }
  void save(Bytes& out) const {
    out.put(static_cast<uint8_t>(count_));
    for (Item item : items()) out.put(item);
  }
  // Throws std::invalid_argument unless every item is a blank, a number up to `largest` or one of `symbols`.
  void load(Bytes& in, Item largest, std::string_view symbols) {
    count_ = in.get_within<uint8_t>(0, kCapacity);
    for (size_t i = 0; i < count_; ++i) {
      Item item = in.get<Item>();
      bool is_known = item == kBlank || (item >= 1 && item <= largest) || symbols.find(static_cast<char>(item)) != symbols.npos;
      if (!is_known) throw std::invalid_argument("environment state is altered");
      items_[i] = item;
    }
  }

 private:
  std::array<Item, kCapacity> items_{};
  size_t count_ = 0;
};

}  // namespace vldac

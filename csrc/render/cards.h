// A playing card: rank 1 (ace) .. 13 (king) and suit. Plain data.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace vldac {

// Odd suits are red.
enum class Suit : int8_t { kSpades, kHearts, kClubs, kDiamonds };

struct Card {
  int8_t rank = 1;
  Suit suit = Suit::kSpades;
  // Faces count 10, the ace 1.
  int value() const { return std::min<int>(rank, 10); }
  bool is_red() const { return static_cast<int>(suit) % 2 == 1; }
  bool operator==(const Card&) const = default;
};

inline std::string_view rank_name(int rank) {
  switch (rank) {
    case 1: return "A";
    case 11: return "J";
    case 12: return "Q";
    case 13: return "K";
    case 10: return "10";
    default: return std::string_view("0123456789").substr(static_cast<size_t>(rank), 1);
  }
}
inline char suit_letter(Suit suit) { return "SHCD"[static_cast<int>(suit)]; }

}  // namespace vldac

// Simple playing cards as sprites: rank and suit in the corners, pips, letters for the faces, a back. Below kCompactWidth pixels
// a card shows one large rank and one suit, so that it stays legible.
#pragma once

#include "render/cards.h"
#include "render/sprite.h"

namespace vldac {

constexpr int kCompactWidth = 44;

// The upstream table.
constexpr Color kTable{0x35, 0x65, 0x4d};

Sprite card_front(Card card, int width, int height, Color table);
Sprite card_back(int width, int height, Color table);

// All fronts and the back in one size.
class Deck {
 public:
  Deck(int width, int height, Color table);
  const Sprite& front(Card card) const { return fronts_[static_cast<size_t>(card.rank - 1) * 4 + static_cast<size_t>(card.suit)]; }
  const Sprite& back() const { return back_; }

 private:
  std::vector<Sprite> fronts_;
  Sprite back_;
};

}  // namespace vldac

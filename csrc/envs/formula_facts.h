// What both formula games tell of themselves.
#pragma once

#include "core/text.h"
#include "render/cards.h"

namespace vldac {

// Facts: cards ("A 10 3"), hand with suits ("AS 10H 3D"), formula, target. For up to four cards.
template <class Cards>
void tell_hand(Facts& out, const Cards& cards, std::string_view formula, int64_t target) {
  FixedText<16> names, hand;
  for (const Card& card : cards) {
    names += names.size() ? " " : "";
    names += rank_name(card.rank);
    hand += hand.size() ? " " : "";
    hand += rank_name(card.rank);
    hand += suit_letter(card.suit);
  }
  out.text("cards", names);
  out.text("formula", formula);
  out.text("hand", hand);
  out.number("target", target);
}

}  // namespace vldac

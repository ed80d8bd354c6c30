#include "render/card_art.h"

#include "render/glyphs.h"
#include "render/shapes.h"

namespace vldac {
namespace {

constexpr Color kPaper{252, 252, 249}, kEdge{96, 104, 98}, kBlack{16, 16, 20}, kRed{200, 22, 34}, kBlue{34, 62, 148};

Color ink_of(Card card) { return card.is_red() ? kRed : kBlack; }

Path suit_path(Suit suit) {
  switch (suit) {
    case Suit::kSpades: return spade();
    case Suit::kHearts: return heart();
    case Suit::kClubs: return club();
    default: return diamond();
  }
}

// A card of the given size whose shapes are placed in pixels from its upper left corner; all sprites have the whole card's box.
class CardPainter {
 public:
  CardPainter(int width, int height, Color table) : width_(width), height_(height) {
    sprite_ = {0, 0, width, height, std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
    for (size_t i = 0; i < sprite_.pixels.size(); ++i) sprite_.pixels[i] = table[i % 3];
    double radius = width * 0.08, inset = std::max(1.0, width / 90.0);
    fill(rounded_rectangle(0, 0, width, height, radius), kEdge);
    fill(rounded_rectangle(inset, inset, width - inset, height - inset, radius - inset * 0.5), kPaper);
  }
  void fill(const Path& path, Color color) { draw_mask({sprite_.pixels.data(), width_, height_}, path.mask(), color); }
  // `size` pixels high, its middle at (x, y); upside down where `direction` is -1.
  void suit(Suit suit, double x, double y, double size, double direction, Color color) {
    fill(suit_path(suit).placed(x, y, size * direction, size * direction), color);
  }
  // A rank whose middle is at (x, y); at most `width` pixels wide ("10" is squeezed), capitals 0.73 `em` high.
  void rank(int rank, double x, double y, double em, double width, double direction, Color color) {
    auto name = rank_name(rank);
    double natural = 0.0;
    for (char character : name) natural += glyph_advance(Weight::kBold, character) * em;
    double squeeze = natural > width ? width / natural : 1.0;
    double at = -natural / 2;
    for (char character : name) {
      Path glyph = glyph_outline(Weight::kBold, character).placed(at * squeeze, kCapital / 2 * em, em * squeeze, em);
      fill(glyph.placed(x, y, direction, direction), color);
      at += glyph_advance(Weight::kBold, character) * em;
    }
  }
  Sprite sprite() && { return std::move(sprite_); }

 private:
  static constexpr double kCapital = 0.729;  // height of capitals and digits of DejaVu Sans at an em of 1
  int width_, height_;
  Sprite sprite_;
};

struct Pip {
  double x, y;
};
// Middles of the pips as shares of the card's size.
std::vector<Pip> pips_of(int rank) {
  constexpr double kLeft = 0.37, kMiddle = 0.5, kRight = 0.63, kTop = 0.17, kBottom = 0.83;
  std::vector<Pip> pips;
  auto pair = [&](double y) {
    pips.push_back({kLeft, y});
    pips.push_back({kRight, y});
  };
  auto single = [&](double y) { pips.push_back({kMiddle, y}); };
  if (rank == 2 || rank == 3) {
    single(kTop);
    single(kBottom);
  } else {
    pair(kTop);
    pair(kBottom);
  }
  if (rank == 3 || rank == 5 || rank == 9) single(0.5);
  if (rank >= 6 && rank <= 8) pair(0.5);
  if (rank == 7 || rank == 8) single(0.335);
  if (rank == 8) single(0.665);
  if (rank >= 9) {
    pair(0.39);
    pair(0.61);
  }
  if (rank == 10) {
    single(0.28);
    single(0.72);
  }
  return pips;
}

void draw_compact(CardPainter& painter, Card card, double width, double height) {
  double em = std::min(width * 0.98, height * 0.6);
  painter.rank(card.rank, width * 0.46, height * 0.08 + em * 0.365, em, width * 0.74, 1, ink_of(card));
  double size = std::min(width * 0.62, height * 0.38);
  painter.suit(card.suit, width * 0.48, height * 0.94 - size / 2, size, 1, ink_of(card));
}

void draw_court(CardPainter& painter, Card card, double width, double height) {
  double left = width * 0.29, top = height * 0.12;
  Color ink = ink_of(card);
  double line = std::max(1.0, width / 80.0);
  painter.fill(rounded_rectangle(left, top, width - left, height - top, width * 0.03), ink);
  Color field = card.is_red() ? Color{252, 236, 214} : Color{226, 234, 246};
  painter.fill(rounded_rectangle(left + line, top + line, width - left - line, height - top - line, width * 0.03), field);
  painter.rank(card.rank, width * 0.5, height * 0.5, width * 0.5, width * 0.38, 1, ink);
  painter.suit(card.suit, width * 0.5, height * 0.215, width * 0.16, 1, ink);
  painter.suit(card.suit, width * 0.5, height * 0.785, width * 0.16, -1, ink);
}

}  // namespace

Sprite card_front(Card card, int pixel_width, int pixel_height, Color table) {
  CardPainter painter(pixel_width, pixel_height, table);
  double width = pixel_width, height = pixel_height;
  Color ink = ink_of(card);
  if (pixel_width < kCompactWidth) {
    draw_compact(painter, card, width, height);
    return std::move(painter).sprite();
  }
  double em = width * 0.29, x = width * 0.145, y = height * 0.04 + em * 0.365, size = width * 0.16;
  double suit_y = y + em * 0.365 + size * 0.72;
  painter.rank(card.rank, x, y, em, width * 0.23, 1, ink);
  painter.suit(card.suit, x, suit_y, size, 1, ink);
  painter.rank(card.rank, width - x, height - y, em, width * 0.23, -1, ink);
  painter.suit(card.suit, width - x, height - suit_y, size, -1, ink);
  if (card.rank > 10) {
    draw_court(painter, card, width, height);
  } else if (card.rank == 1) {
    painter.suit(card.suit, width * 0.5, height * 0.5, width * 0.44, 1, ink);
  } else {
    for (const auto& pip : pips_of(card.rank))
      painter.suit(card.suit, width * pip.x, height * pip.y, width * 0.175, pip.y > 0.5 ? -1 : 1, ink);
  }
  return std::move(painter).sprite();
}

Sprite card_back(int pixel_width, int pixel_height, Color table) {
  CardPainter painter(pixel_width, pixel_height, table);
  double width = pixel_width, height = pixel_height, inset = std::max(2.0, width * 0.07);
  painter.fill(rounded_rectangle(inset, inset, width - inset, height - inset, width * 0.04), kBlue);
  int columns = pixel_width < kCompactWidth ? 2 : 5;
  double step = (width - 2 * inset) / columns;
  int rows = std::max(1, static_cast<int>(std::floor((height - 2 * inset) / step)));
  double step_y = (height - 2 * inset) / rows;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column)
      painter.fill(diamond().placed(inset + (column + 0.5) * step, inset + (row + 0.5) * step_y, step * 0.8, step_y * 0.8), {214, 222, 242});
  return std::move(painter).sprite();
}

Deck::Deck(int width, int height, Color table) : back_(card_back(width, height, table)) {
  for (int8_t rank = 1; rank <= 13; ++rank)
    for (int8_t suit = 0; suit < 4; ++suit) fronts_.push_back(card_front({rank, static_cast<Suit>(suit)}, width, height, table));
}

}  // namespace vldac

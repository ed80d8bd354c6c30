// Exact play of Blackjack with an infinite deck against a dealer who draws to 17, by dynamic programming over hands. A hand is
// the sum of its cards with aces as 1, and whether it has an ace; the ace counts 11 where that does not exceed 21.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace vldac::blackjack {

constexpr int kLimit = 21, kDealerStands = 17;

constexpr int total(int sum, bool has_ace) { return has_ace && sum + 10 <= kLimit ? sum + 10 : sum; }

// Probability of a card's value 1..10 in the infinite deck.
constexpr double odds(int value) { return (value == 10 ? 4.0 : 1.0) / 13.0; }

// Best expected payoffs of both actions, where a win pays 1, a draw `draw` and a loss `loss`: (0, -1) maximises the return,
// (0, 0) the share of wins. Naturals need no rule of their own: to stick on one is best whatever it pays.
class Strategy {
 public:
  Strategy(double draw, double loss) {
    const Finals finals = dealer_finals();
    for (int card = 1; card <= 10; ++card) {
      Final dealer{};
      for (int hidden = 1; hidden <= 10; ++hidden) add(dealer, odds(hidden), finals[card + hidden][card == 1 || hidden == 1]);
      for (int sum = kLimit; sum >= 2; --sum)
        for (int ace = 0; ace < 2; ++ace) {
          double hit = 0.0;
          for (int next = 1; next <= 10; ++next) {
            bool is_bust = sum + next > kLimit;
            hit += odds(next) * (is_bust ? loss : value(sum + next, ace || next == 1, card));
          }
          hit_[at(sum, ace, card)] = hit;
          stick_[at(sum, ace, card)] = compare(total(sum, ace), dealer, draw, loss);
        }
    }
  }
  double hit(int sum, bool has_ace, int dealer) const { return hit_[at(sum, has_ace, dealer)]; }
  double stick(int sum, bool has_ace, int dealer) const { return stick_[at(sum, has_ace, dealer)]; }
  bool should_hit(int sum, bool has_ace, int dealer) const { return hit(sum, has_ace, dealer) > stick(sum, has_ace, dealer); }

 private:
  using Final = std::array<double, 6>;  // probabilities of 17, 18, 19, 20, 21 and bust
  static size_t at(int sum, bool has_ace, int dealer) { return static_cast<size_t>((sum * 2 + has_ace) * 11 + dealer); }
  double value(int sum, bool has_ace, int dealer) const { return std::max(hit(sum, has_ace, dealer), stick(sum, has_ace, dealer)); }

  static void add(Final& to, double weight, const Final& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += weight * from[i];
  }
  // The dealer's end from every hand. Each card adds at least 1 to the sum, and only sums below 17 draw.
  using Finals = std::array<std::array<Final, 2>, kDealerStands + 10>;
  static Finals dealer_finals() {
    Finals finals{};
    for (int sum = kDealerStands + 9; sum >= 2; --sum)
      for (int ace = 0; ace < 2; ++ace) {
        int points = total(sum, ace);
        if (points >= kDealerStands) {
          finals[sum][ace][static_cast<size_t>(points > kLimit ? 5 : points - kDealerStands)] = 1.0;
          continue;
        }
        for (int next = 1; next <= 10; ++next) add(finals[sum][ace], odds(next), finals[sum + next][ace || next == 1]);
      }
    return finals;
  }
  static double compare(int points, const Final& dealer, double draw, double loss) {
    double expected = dealer[5];
    for (int i = 0; i < 5; ++i) {
      int theirs = kDealerStands + i;
      expected += dealer[static_cast<size_t>(i)] * (points > theirs ? 1.0 : points == theirs ? draw : loss);
    }
    return expected;
  }
  std::array<double, (kLimit + 1) * 2 * 11> hit_{}, stick_{};
};

// Built at the first call, then shared.
inline const Strategy& return_strategy() {
  static const Strategy strategy(0.0, -1.0);
  return strategy;
}
inline const Strategy& win_strategy() {
  static const Strategy strategy(0.0, 0.0);
  return strategy;
}

}  // namespace vldac::blackjack

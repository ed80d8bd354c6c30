// One block of tokens, a vector at a time; what a vector reads beyond the last of them has weight 0.
// Included per tier, see ops/each_tier.h.

namespace vldac::ops::VLDAC_TIER {
namespace {

struct Exponential {
  Wide exp, expm1;
};

// e^x and e^x - 1 to a few units in the last place; infinite beyond 709.4. x = n ln 2 + r, |r| <= ln 2 / 2, and a Taylor polynomial.
VLDAC_INLINE Exponential exponential(const Wide& argument) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer, held by the low bits
  Wide x = argument < -700.0 ? fill(-700.0) : argument;
  Wide shifted = x * 1.4426950408889634074 + kShift;
  Wide n = shifted - kShift;
  Wide r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  constexpr double kInverseFactorials[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                           1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                           1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5};
  Wide tail = fill(kInverseFactorials[0]);
  for (int i = 1; i < 12; ++i) tail = tail * r + kInverseFactorials[i];
  Wide small = r + r * r * tail;
  Mask bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;
  Wide power;
  std::memcpy(&power, &bits, sizeof power);
  Exponential result{power + power * small, power * small + (power - 1.0)};
  Mask is_beyond = argument > 709.4;
  const Wide infinite = fill(std::numeric_limits<double>::infinity());
  result.exp = is_beyond ? infinite : result.exp;
  result.expm1 = is_beyond ? infinite : result.expm1;
  return result;
}

template <class T>
VLDAC_INLINE Wide token_log_ratio(const Wide& weight, const Wide& logprob, const Wide& old_logprob) {
  return weight != 0 ? rounded<T>(logprob - old_logprob) : fill(0.0);
}

VLDAC_INLINE void add(PpoSums& sums, PpoSum which, int at, const Wide& value) {
  double* lane = sums.lane[which] + at % kPpoLanes;
  store(lane, load(lane) + value);
}

VLDAC_INLINE void raise(PpoSums& sums, PpoSum which, int at, const Wide& value) {
  double* lane = sums.lane[which] + at % kPpoLanes;
  store(lane, larger(load(lane), value));
}

// The share of a gradient that torch's minimum or maximum passes to an operand: all, half at a tie, none.
VLDAC_INLINE Wide share(const Mask& is_lost, const Mask& is_tie) {
  Wide result = is_tie ? fill(0.5) : fill(1.0);
  return is_lost ? fill(0.0) : result;
}

template <class T>
VLDAC_INLINE void ppo_vector(const PpoOptions& options, bool has_ref, int at, PpoBlock<T>& block, PpoSums& sums) {
  const Wide zero = fill(0.0), cap = fill(static_cast<T>(options.log_ratio_cap));
  const double low = static_cast<T>(1.0 - options.clip_low), high = static_cast<T>(1.0 + options.clip_high);
  const Wide weight = load(block.weight + at), logprob = load(block.logprob + at), advantage = load(block.advantage + at);
  const Mask is_counted = weight != 0;

  const Wide raw = token_log_ratio<T>(weight, logprob, load(block.old_logprob + at));
  const Wide change = raw < -cap ? -cap : (raw > cap ? cap : raw);
  const Exponential grown = exponential(change);
  const Wide ratio = rounded<T>(grown.exp);
  const Mask is_low = ratio < low, is_high = ratio > high;
  const Wide free = rounded<T>(ratio * advantage), clipped = rounded<T>(clamped(ratio, low, high) * advantage);

  // surrogate and its slope by the ratio, as torch differentiates: clamp passes the gradient at its bounds, a tie is halved.
  const Wide clipped_slope = ((ratio >= low) & (ratio <= high)) ? advantage : zero;
  Wide surrogate = free > clipped ? clipped : free;
  surrogate = clipped != clipped ? clipped : surrogate;
  Wide slope = share(free > clipped, free == clipped) * advantage + share(clipped > free, free == clipped) * clipped_slope;
  if (options.dual_clip != 0) {
    const Wide floor = rounded<T>(advantage * static_cast<double>(static_cast<T>(options.dual_clip)));
    const Mask is_negative = advantage < 0;
    slope = is_negative ? slope * share(surrogate < floor, surrogate == floor) : slope;
    surrogate = (is_negative & (surrogate < floor)) ? floor : surrogate;
  }
  if (options.ratio_guard != 0) {
    const Mask is_hit = load_as<Mask>(block.is_hit + at);
    surrogate = is_hit ? clipped : surrogate;
    slope = is_hit ? clipped_slope : slope;
  }
  Wide gradient = ((raw >= -cap) & (raw <= cap)) ? -slope * ratio : zero;
  Wide token_loss = -surrogate, difference = zero, ref_k3 = zero;
  if (has_ref) {
    const Wide apart = is_counted ? rounded<T>(load(block.ref_logprob + at) - logprob) : zero;
    difference = apart < -cap ? -cap : (apart > cap ? cap : apart);
    const Wide growth = exponential(difference).expm1;
    ref_k3 = growth - difference;
    Wide penalty = ref_k3, penalty_slope = -growth;  // by logprob
    if (options.kl_estimator == KlEstimator::kK1) penalty = -difference, penalty_slope = fill(1.0);
    if (options.kl_estimator == KlEstimator::kK2) penalty = 0.5 * difference * difference, penalty_slope = -difference;
    token_loss += options.kl_coef * penalty;
    gradient += ((apart >= -cap) & (apart <= cap)) ? options.kl_coef * penalty_slope : zero;
  }
  store(block.coefficient + at, is_counted ? weight * gradient : zero);
  const Wide coefficient = load(block.coefficient + at);

  add(sums, kLossSum, at, weight * token_loss);
  add(sums, kWeightSum, at, weight);
  add(sums, kRatioSum, at, weight * ratio);
  add(sums, kLowSum, at, is_low ? weight : zero);
  add(sums, kHighSum, at, is_high ? weight : zero);
  add(sums, kRawSum, at, weight * raw);
  add(sums, kOldK3Sum, at, weight * (grown.expm1 - change));
  add(sums, kDifferenceSum, at, weight * difference);
  add(sums, kRefK3Sum, at, weight * ref_k3);
  const Wide distance = absolute(raw);
  add(sums, kCapped, at, one_where(distance > cap));
  add(sums, kTokens, at, one_where(is_counted));
  add(sums, kActive, at, one_where(coefficient != 0));
  raise(sums, kRatioMax, at, is_counted ? ratio : zero);
  raise(sums, kRawMax, at, distance);
}

template <class T>
VLDAC_FN void ppo_block(const PpoOptions& options, bool has_ref, size_t count, PpoBlock<T>& block, PpoSums& sums) {
  for (int at = 0; at < static_cast<int>(count); at += kLanes) ppo_vector(options, has_ref, at, block, sums);
}

// is_hit: where the ratio is above the guard.
template <class T>
VLDAC_FN void ppo_guard_block(const PpoOptions& options, PpoBlock<T>& block) {
  const double guard = static_cast<T>(options.ratio_guard), cap = static_cast<T>(options.log_ratio_cap);
  for (int at = 0; at < static_cast<int>(kPpoBlock); at += kLanes) {
    const Wide raw = token_log_ratio<T>(load(block.weight + at), load(block.logprob + at), load(block.old_logprob + at));
    const Mask is_over = rounded<T>(exponential(clamped(raw, -cap, cap)).exp) > guard;
    std::memcpy(block.is_hit + at, &is_over, sizeof is_over);
  }
}

}  // namespace
}  // namespace vldac::ops::VLDAC_TIER

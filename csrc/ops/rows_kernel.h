// The row kernels of one tier, in float; see ops/rows.h for what they promise. Included after lanes.h and the tier's own functions.
// A stretch is taken in blocks that stay in the first cache: one loop makes z and its maximum, a second one exponentials.
// No include guard: once for each tier.

#include "ops/lanes_math.h"

namespace vldac::rows_tier::VLDAC_TIER {
namespace {

constexpr size_t kBlock = 1024;

VLDAC_INLINE Float tanh_of(Float x) {
  Int sign = as_int(x) & std::numeric_limits<int32_t>::min();
  Float size = as_float(as_int(x) ^ sign);
  Float square = x * x;
  Float p = fma_of(floats(-5.70498872745e-3f), square, floats(2.06390887954e-2f));
  p = fma_of(p, square, floats(-5.37397155531e-2f));
  p = fma_of(p, square, floats(1.33314422036e-1f));
  p = fma_of(p, square, floats(-3.33332819422e-1f));
  Float small = fma_of(p * square, x, x);
  Float twice = size + size;
  twice = twice > 40.0f ? floats(40.0f) : twice;
  Float large = as_float(as_int(1.0f - 2.0f / (exp_of(twice) + 1.0f)) | sign);
  return size < 0.625f ? small : large;
}

// z of u with its columns' bias.
VLDAC_INLINE Float z_of(Float u, Float bias, bool has_bias, const Columns<float>& columns) {
  if (has_bias) u += bias;
  if (columns.softcap > 0) u = tanh_of(u / columns.softcap) * columns.softcap;
  if (columns.temperature != 1) u /= columns.temperature;
  if (has_bias) u = bias == -kInfinity ? floats(-kInfinity) : u;
  return u;
}

template <class E>
VLDAC_INLINE Float z_at(const E* x, const Columns<float>& columns, size_t at) {
  return z_of(load_as(x + at), columns.bias ? load<Float>(columns.bias + at) : Float{}, columns.bias, columns);
}

// The last few; -inf behind the end.
template <class E>
VLDAC_INLINE Float z_tail(const E* x, const Columns<float>& columns, size_t at, size_t count) {
  Float z = z_of(load_some(x + at, count), columns.bias ? load_some(columns.bias + at, count) : Float{}, columns.bias, columns);
  return lane_numbers() < static_cast<int32_t>(count) ? z : floats(-kInfinity);
}

VLDAC_INLINE float max_lane(Float value) {
  float top = value[0];
  for (size_t i = 1; i < kLanes; ++i) top = value[i] > top ? value[i] : top;
  return top;
}

VLDAC_INLINE size_t padded(size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// z of a block, padded with -inf; returns the maximum of those that are numbers.
template <class E>
VLDAC_INLINE float load_block(const E* x, size_t n, const Columns<float>& columns, float* z) {
  Float top = floats(-kInfinity);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Float value = z_at(x, columns, i);
    top = max_of(value, top);
    store(z + i, value);
  }
  if (i < n) {
    Float value = z_tail(x, columns, i, n - i);
    top = max_of(value, top);
    store(z + i, value);
  }
  return max_lane(top);
}

// What z is measured from: the maximum, unless everything is excluded so far.
VLDAC_INLINE Float base_of(const Partial& partial) {
  return floats(partial.max == -std::numeric_limits<double>::infinity() ? 0.0f : static_cast<float>(partial.max));
}

template <class E>
VLDAC_FN void fold(const void* logits, size_t n, const Columns<float>& columns, Partial& partial) {
  const E* x = static_cast<const E*>(logits);
  alignas(64) float z[kBlock];
  for (size_t at = 0; at < n; at += kBlock) {
    size_t count = std::min(kBlock, n - at);
    float top = load_block(x + at, count, columns.from(at), z);
    if (static_cast<double>(top) > partial.max) partial.raise(static_cast<double>(top));
    Float base = base_of(partial), sum = {}, moment = {};
    for (size_t i = 0; i < padded(count); i += kLanes) {
      Float d = load<Float>(z + i) - base;
      Float e = exp_of(d);
      sum += e;
      moment = fma_of(max_of(floats(kLeastLog), d), e, moment);
    }
    partial.sum += total_of(sum);
    partial.moment += total_of(moment);
  }
}

template <class E>
VLDAC_FN void scale(const void* logits, size_t n, const Columns<float>& columns, float* z) {
  const E* x = static_cast<const E*>(logits);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(z + i, z_at(x, columns, i));
  if (i < n) store_some(z + i, z_tail(x, columns, i, n - i), n - i);
}

// d softcap tanh(u / softcap) / du of z; 0 where that is -inf.
VLDAC_INLINE Float slope_of(Float z, float z_to_tanh) {
  Float t = max_of(floats(-1.0f), z * z_to_tanh);
  return 1.0f - t * t;
}

VLDAC_FN double exponentiate(float* x, size_t n, const Columns<float>& columns, Partial& partial) {
  Float top = floats(-kInfinity);
  size_t i = 0;
  bool is_plain = !columns.bias && columns.softcap <= 0 && columns.temperature == 1;
  for (; i + kLanes <= n; i += kLanes) {
    Float z = z_at(x, columns, i);
    top = max_of(z, top);
    if (!is_plain) store(x + i, z);
  }
  if (i < n) {
    Float z = z_tail(x, columns, i, n - i);
    top = max_of(z, top);
    store_some(x + i, z, n - i);
  }
  double rescale = 1, highest = static_cast<double>(max_lane(top));
  if (highest > partial.max) rescale = partial.raise(highest);
  Float base = base_of(partial);
  float z_to_tanh = columns.softcap > 0 ? columns.temperature / columns.softcap : 0.0f;
  for (size_t at = 0; at < n; at += kBlock) {  // sums of a block in float, of blocks in double
    size_t end = std::min(n, at + kBlock);
    Float sum = {}, moment = {};
    for (size_t j = at; j < end; j += kLanes) {
      size_t count = std::min(kLanes, end - j);
      Float z = count == kLanes ? load<Float>(x + j) : load_some(x + j, count);
      if (count != kLanes) z = lane_numbers() < static_cast<int32_t>(count) ? z : floats(-kInfinity);
      Float d = z - base;
      Float e = exp_of(d);
      sum += e;
      moment = fma_of(max_of(floats(kLeastLog), d), e, moment);
      if (columns.softcap > 0) e *= slope_of(z, z_to_tanh);
      if (count == kLanes)
        store(x + j, e);
      else
        store_some(x + j, e, count);
    }
    partial.sum += total_of(sum);
    partial.moment += total_of(moment);
  }
  return rescale;
}

// What a row's gradient is made of, in vectors: -p (logprob + slope (ln p + entropy)), all over the temperature.
struct Coefficients {
  float lse, logprob, slope, entropy, z_to_tanh;
  bool has_slope, has_cap;
};

VLDAC_INLINE Float share_of(Float z, const Coefficients& c) {
  Float log_share = z - c.lse;
  Float share = exp_of(log_share), factor = floats(c.logprob);
  if (c.has_slope) factor = fma_of(max_of(floats(kLeastLog), log_share) + c.entropy, floats(c.slope), factor);
  share *= factor;
  if (c.has_cap) share *= slope_of(z, c.z_to_tanh);
  return share;
}

template <class E>
VLDAC_FN void gradient(const void* logits, void* out, size_t n, const Columns<float>& columns, const RowGradient<float>& row) {
  const E* x = static_cast<const E*>(logits);
  E* to = static_cast<E*>(out);
  Coefficients c{row.lse, -row.logprob / columns.temperature, -row.entropy_slope / columns.temperature, row.entropy,
                 columns.softcap > 0 ? columns.temperature / columns.softcap : 0.0f, row.entropy_slope != 0, columns.softcap > 0};
  float at_target = 0;
  if (row.target < n) {  // before it is written over
    Float z = z_tail(x, columns, row.target, 1), share = share_of(z, c);
    bool is_excluded = columns.bias && columns.bias[row.target] == -kInfinity;
    float slope = c.has_cap ? slope_of(z, c.z_to_tanh)[0] : 1.0f;
    at_target = is_excluded ? share[0] : share[0] + row.logprob / columns.temperature * slope;
  }
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_as(to + i, share_of(z_at(x, columns, i), c));
  if (i < n) store_some(to + i, share_of(z_tail(x, columns, i, n - i), c), n - i);
  if (row.target < n) store_some(to + row.target, floats(at_target), 1);
}

// Leading 32 bits of the noise of columns first .. first + n - 1 (n a multiple of the lanes).
VLDAC_INLINE void draw_block(uint64_t key, size_t first, size_t n, uint32_t* leading) {
  constexpr size_t kStep = kLanes / 2;
  Long at = {}, golden = Long{} + noise::kGolden;
  for (size_t i = 0; i < kStep; ++i) at[i] = key + (static_cast<uint64_t>(first) + i + 1) * noise::kGolden;
  for (size_t i = 0; i < n; i += kStep, at += golden * kStep) {
    Long x = at;
    x = (x ^ (x >> 30)) * noise::kFirst;
    x = (x ^ (x >> 27)) * noise::kSecond;
    x ^= x >> 31;
    store(leading + i, __builtin_convertvector(x >> 32, HalfWord));
  }
}

// Not inlined: rare, and full of library calls.
VLDAC_FN __attribute__((noinline)) bool enter(float z, uint64_t key, size_t column, Race& race) {
  double score = static_cast<double>(z) + noise::gumbel(noise::bits(key, column));
  if (!(score > race.best)) return false;
  race = {score, column};
  return true;
}

template <class E>
VLDAC_FN void run_race(const void* logits, size_t n, const Columns<float>& columns, size_t first, uint64_t key, bool greedy, Partial& partial,
                       Race& race) {
  const E* x = static_cast<const E*>(logits);
  alignas(64) float z[kBlock];
  alignas(64) uint32_t leading[kBlock];
  for (size_t at = 0; at < n; at += kBlock) {
    size_t count = std::min(kBlock, n - at);
    float top = load_block(x + at, count, columns.from(at), z);
    if (static_cast<double>(top) > partial.max) partial.raise(static_cast<double>(top));
    if (greedy && static_cast<double>(top) > race.best)
      race = {static_cast<double>(top), first + at + static_cast<size_t>(std::find(z, z + count, top) - z)};
    if (!greedy) draw_block(key, first + at, padded(count), leading);
    Float base = base_of(partial), sum = {}, moment = {};
    float bound = static_cast<float>(noise::race_bound(partial.max, race.best));
    for (size_t i = 0; i < padded(count); i += kLanes) {
      Float d = load<Float>(z + i) - base;
      Float e = exp_of(d);
      sum += e;
      moment = fma_of(max_of(floats(kLeastLog), d), e, moment);
      if (greedy) continue;
      Float least = __builtin_convertvector(static_cast<int32_t>(noise::kLeading) - reinterpret_cast<Int>(load<Word>(leading + i) >> 8), Float);
      uint32_t entrants = bits_of(least * noise::kLeadingUnit <= e * bound);
      for (; entrants; entrants &= entrants - 1) {
        size_t j = i + static_cast<size_t>(std::countr_zero(entrants));
        if (j < count && enter(z[j], key, first + at + j, race)) bound = static_cast<float>(noise::race_bound(partial.max, race.best));
      }
    }
    partial.sum += total_of(sum);
    partial.moment += total_of(moment);
  }
}

}  // namespace

extern const RowKernels<float> kKernels;
const RowKernels<float> kKernels = {
    {&fold<float>, &fold<Bfloat16>, &fold<Half>},
    {&scale<float>, &scale<Bfloat16>, &scale<Half>},
    {&gradient<float>, &gradient<Bfloat16>, &gradient<Half>},
    &exponentiate,
    {&run_race<float>, &run_race<Bfloat16>, &run_race<Half>},
};

}  // namespace vldac::rows_tier::VLDAC_TIER

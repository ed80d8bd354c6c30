// The exponential of a vector of floats, for the kernels of one tier. Included after lanes.h and the tier's own functions.
// No include guard: once for each tier.

namespace vldac::rows_tier::VLDAC_TIER {
namespace {

// Below this e^x is 0; ln p is raised to it where it multiplies p.
constexpr float kLeastLog = -87.3f;

// e^x for x <= 88: at most 2 units in the last place; exactly 0 at -inf and 1 at 0; NaN stays.
VLDAC_INLINE Float exp_of(Float x) {
  constexpr float kRound = 0x1.8p23f;
  Float shifted = fma_of(x, floats(0x1.715476p0f), floats(kRound));
  Float n = shifted - kRound;
  Float r = fma_of(n, floats(-0.693359375f), x);
  r = fma_of(n, floats(2.12194440e-4f), r);
  Float p = fma_of(floats(1.9875691500e-4f), r, floats(1.3981999507e-3f));
  p = fma_of(p, r, floats(8.3334519073e-3f));
  p = fma_of(p, r, floats(4.1665795894e-2f));
  p = fma_of(p, r, floats(1.6666665459e-1f));
  p = fma_of(p, r, floats(5.0000001201e-1f));
  p = fma_of(p, r * r, r) + 1.0f;
  // The low bits of `shifted` are n; the others leave on the left.
  Float power = reinterpret_cast<Float>((reinterpret_cast<Word>(shifted) + 127) << 23);
  return x < kLeastLog ? floats(0) : p * power;
}

}  // namespace
}  // namespace vldac::rows_tier::VLDAC_TIER

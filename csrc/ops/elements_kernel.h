// The element kernels of one tier; see ops/elements.h for what they promise. Included after a tier's header.
// No include guard: once for each tier.

#include "ops/elements.h"
#include "ops/lanes_math.h"

namespace vldac::rows_tier::VLDAC_TIER {
namespace {

constexpr size_t kStep = 4 * kLanes;

// The last vector of a row is filled up with zeros, so that a loop's body is written once.
VLDAC_INLINE Float load_up_to(const float* from, size_t count) { return count >= kLanes ? load<Float>(from) : load_part(from, count); }
VLDAC_INLINE void store_up_to(float* to, Float value, size_t count) {
  if (count >= kLanes)
    store(to, value);
  else
    store_part(to, value, count);
}

VLDAC_FN float norm(const float* x, const float* weight, float eps, size_t n, float* y) {
  Float sums[4] = {};
  size_t i = 0;
  for (; i + kStep <= n; i += kStep)
    for (size_t j = 0; j < 4; ++j) {
      Float value = load<Float>(x + i + j * kLanes);
      sums[j] = fma_of(value, value, sums[j]);
    }
  for (; i < n; i += kLanes) {
    Float value = load_up_to(x + i, n - i);
    sums[0] = fma_of(value, value, sums[0]);
  }
  double mean = total_of((sums[0] + sums[1]) + (sums[2] + sums[3])) / static_cast<double>(n);
  float inverse = static_cast<float>(1.0 / std::sqrt(mean + static_cast<double>(eps)));
  for (i = 0; i < n; i += kLanes) store_up_to(y + i, load_up_to(weight + i, n - i) * (load_up_to(x + i, n - i) * inverse), n - i);
  return inverse;
}

VLDAC_FN void norm_gradient(const float* upstream, const float* x, const float* weight, float inverse, size_t n, float* gradient) {
  Float sums[4] = {};
  size_t i = 0;
  for (; i + kStep <= n; i += kStep)
    for (size_t j = 0; j < 4; ++j) {
      size_t at = i + j * kLanes;
      sums[j] = fma_of(load<Float>(upstream + at) * load<Float>(weight + at), load<Float>(x + at), sums[j]);
    }
  for (; i < n; i += kLanes)
    sums[0] = fma_of(load_up_to(upstream + i, n - i) * load_up_to(weight + i, n - i), load_up_to(x + i, n - i), sums[0]);
  double mean = total_of((sums[0] + sums[1]) + (sums[2] + sums[3])) / static_cast<double>(n);
  double square = static_cast<double>(inverse) * static_cast<double>(inverse);
  Float along = floats(static_cast<float>(-mean * square));
  for (i = 0; i < n; i += kLanes) {
    Float direct = load_up_to(upstream + i, n - i) * load_up_to(weight + i, n - i);
    store_up_to(gradient + i, fma_of(load_up_to(x + i, n - i), along, direct) * inverse, n - i);
  }
}

// 1 / (1 + e^-x), by the exponential of -|x|, which cannot overflow.
VLDAC_INLINE Float sigmoid_of(Float x) {
  Float small = exp_of(as_float(as_int(x) | std::numeric_limits<int32_t>::min()));
  Float top = x < 0.0f ? small : floats(1);
  return top / (small + 1.0f);
}

VLDAC_FN void swiglu(const float* gate, const float* up, size_t n, float* y) {
  for (size_t i = 0; i < n; i += kLanes) {
    Float g = load_up_to(gate + i, n - i);
    store_up_to(y + i, g * sigmoid_of(g) * load_up_to(up + i, n - i), n - i);
  }
}

VLDAC_FN void swiglu_gradient(const float* upstream, const float* gate, const float* up, size_t n, float* grad_gate, float* grad_up) {
  for (size_t i = 0; i < n; i += kLanes) {
    Float g = load_up_to(gate + i, n - i), above = load_up_to(upstream + i, n - i), share = sigmoid_of(g);
    Float slope = share * fma_of(g, 1.0f - share, floats(1));
    store_up_to(grad_gate + i, above * load_up_to(up + i, n - i) * slope, n - i);
    store_up_to(grad_up + i, above * (g * share), n - i);
  }
}

VLDAC_FN void rotate(const float* x, const float* cosine, const float* sine, float sign, size_t half, float* y) {
  for (size_t i = 0; i < half; i += kLanes) {
    size_t left = half - i;
    Float a = load_up_to(x + i, left), b = load_up_to(x + half + i, left), c = load_up_to(cosine + i, left), s = load_up_to(sine + i, left) * sign;
    store_up_to(y + i, a * c - b * s, left);
    store_up_to(y + half + i, b * c + a * s, left);
  }
}

}  // namespace

extern const ElementKernels kElementKernels;
const ElementKernels kElementKernels = {&norm, &norm_gradient, &swiglu, &swiglu_gradient, &rotate};

}  // namespace vldac::rows_tier::VLDAC_TIER

// Vectors of one instruction set, for kernels in float32. Included by tier_<isa>.h alone, which defines VLDAC_TIER (a namespace),
// VLDAC_LANES and VLDAC_FN (the target attribute of its functions); what the compiler has no operator for, each tier defines:
// fma_of, max_of, bits_of. No lambdas in any code of a tier: they would not inherit the attribute.
// No include guard: see above.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "ops/noise.h"
#include "ops/rows.h"

#define VLDAC_INLINE VLDAC_FN inline __attribute__((always_inline))

namespace vldac::rows_tier::VLDAC_TIER {
namespace {

constexpr size_t kLanes = VLDAC_LANES;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Float = float __attribute__((vector_size(kLanes * 4)));
using Int = int32_t __attribute__((vector_size(kLanes * 4)));
using Word = uint32_t __attribute__((vector_size(kLanes * 4)));
using Short = uint16_t __attribute__((vector_size(kLanes * 2)));
using Long = uint64_t __attribute__((vector_size(kLanes * 4)));  // half as many lanes
using HalfWord = uint32_t __attribute__((vector_size(kLanes * 2)));

template <class V, class T>
VLDAC_INLINE V load(const T* from) {
  V result;
  std::memcpy(&result, from, sizeof result);
  return result;
}
template <class T, class V>
VLDAC_INLINE void store(T* to, const V& value) {
  std::memcpy(to, &value, sizeof value);
}
// Minus zero changes no number, so this is a broadcast and nothing else.
VLDAC_INLINE Float floats(float value) { return value - Float{}; }
VLDAC_INLINE Int ints(int32_t value) { return Int{} + value; }
VLDAC_INLINE Float as_float(Int bits) { return reinterpret_cast<Float>(bits); }
VLDAC_INLINE Int as_int(Float value) { return reinterpret_cast<Int>(value); }

// 0, 1, 2, ...
VLDAC_INLINE Int lane_numbers() {
  alignas(64) static constexpr int32_t kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load<Int>(kNumbers);
}

// In the order of the lanes.
VLDAC_INLINE double total_of(Float value) {
  double sum = 0;
  for (size_t i = 0; i < kLanes; ++i) sum += static_cast<double>(value[i]);
  return sum;
}

// Half precision without its instructions, which not every machine of a tier has (after F. Giesen's public-domain conversions).
VLDAC_INLINE Float widen(Short stored, Half) {
  Int half = reinterpret_cast<Int>(__builtin_convertvector(stored, Word));
  Int bits = (half & 0x7FFF) << 13, exponent = bits & 0x0F800000;
  bits += (127 - 15) << 23;
  bits = exponent == 0x0F800000 ? bits + ((128 - 16) << 23) : bits;
  Int next = reinterpret_cast<Int>(reinterpret_cast<Word>(bits) + (1u << 23));
  Int subnormal = as_int(as_float(next) - as_float(ints(113 << 23)));
  bits = exponent == 0 ? subnormal : bits;
  return as_float(bits | (half & 0x8000) << 16);
}
VLDAC_INLINE Short narrow(Float value, Half) {
  Int bits = as_int(value), sign = bits & std::numeric_limits<int32_t>::min();
  bits ^= sign;
  Int odd = (bits >> 13) & 1;
  Int normal = (bits + (((15 - 127) * (1 << 23)) + 0xFFF) + odd) >> 13;
  constexpr int32_t kMagic = ((127 - 15) + (23 - 10) + 1) << 23;
  Int subnormal = as_int(as_float(bits) + as_float(ints(kMagic))) - kMagic;
  Int result = bits < (113 << 23) ? subnormal : normal;
  result = bits >= ((127 + 16) << 23) ? ints(0x7C00) : result;
  result = bits > (255 << 23) ? ints(0x7E00) : result;
  return __builtin_convertvector(reinterpret_cast<Word>(result | ((sign >> 16) & 0x8000)), Short);
}

// bfloat16: the upper half of a float, rounded to even.
VLDAC_INLINE Float widen(Short stored, Bfloat16) { return reinterpret_cast<Float>(__builtin_convertvector(stored, Word) << 16); }
VLDAC_INLINE Short narrow(Float value, Bfloat16) {
  Word bits = reinterpret_cast<Word>(value);
  Word rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  Word nan = rounded * 0 + 0x7FC0;
  return __builtin_convertvector(value == value ? rounded : nan, Short);
}

VLDAC_INLINE Float load_as(const float* from) { return load<Float>(from); }
template <class E>
VLDAC_INLINE Float load_as(const E* from) {
  return widen(load<Short>(from), E{});
}
VLDAC_INLINE void store_as(float* to, Float value) { store(to, value); }
template <class E>
VLDAC_INLINE void store_as(E* to, Float value) {
  store(to, narrow(value, E{}));
}

// `count` items, the rest 0; count <= kLanes.
template <class E>
VLDAC_INLINE Float load_some(const E* from, size_t count) {
  E items[kLanes] = {};
  std::memcpy(items, from, count * sizeof(E));
  return load_as(items);
}
template <class E>
VLDAC_INLINE void store_some(E* to, Float value, size_t count) {
  E items[kLanes];
  store_as(items, value);
  std::memcpy(to, items, count * sizeof(E));
}

}  // namespace
}  // namespace vldac::rows_tier::VLDAC_TIER

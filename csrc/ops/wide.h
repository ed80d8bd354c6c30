// Vectors of doubles at one tier's width, for the vector operations. Included once per tier through ops/each_tier.h, which defines
// VLDAC_TIER (a namespace), VLDAC_LANES and VLDAC_FN (the target attribute of its functions). The compiler's own vectors do the
// arithmetic, element by element and without contraction, so that every tier gives the same bytes. No include guard: see above.

#define VLDAC_INLINE VLDAC_FN inline __attribute__((always_inline))

namespace vldac::ops::VLDAC_TIER {
namespace {

constexpr int kLanes = VLDAC_LANES;

using Wide = double __attribute__((vector_size(kLanes * 8)));
using Mask = int64_t __attribute__((vector_size(kLanes * 8)));
template <class T>
struct Narrow {
  using Type __attribute__((vector_size(kLanes * sizeof(T)))) = T;
};

template <class V, class T>
VLDAC_INLINE V load_as(const T* from) {
  V result;
  std::memcpy(&result, from, sizeof result);
  return result;
}

VLDAC_INLINE Wide fill(double value) { return Wide{} + value; }

template <class T>
VLDAC_INLINE Wide load(const T* from) {
  return __builtin_convertvector(load_as<typename Narrow<T>::Type>(from), Wide);
}

template <class T>
VLDAC_INLINE void store(T* to, const Wide& value) {
  auto narrow = __builtin_convertvector(value, typename Narrow<T>::Type);
  std::memcpy(to, &narrow, sizeof narrow);
}

// Where a bool is true. By shifts of one word that holds them all: GCC 12 converts vectors of bytes one by one.
VLDAC_INLINE Mask load_mask(const bool* from) {
  if constexpr (kLanes == 2) return Mask{from[0], from[1]} != 0;
  uint64_t word = 0;
  std::memcpy(&word, from, kLanes);
  Mask shift;
  for (int i = 0; i < kLanes; ++i) shift[i] = 8 * i;
  return ((Mask{} + static_cast<int64_t>(word)) >> shift & 1) != 0;
}

// What arithmetic in T would have given: the sum, difference or product of two T's in double rounds to the same T.
template <class T>
VLDAC_INLINE Wide rounded(const Wide& value) {
  return __builtin_convertvector(__builtin_convertvector(value, typename Narrow<T>::Type), Wide);
}

// NaN stays, in either.
VLDAC_INLINE Wide larger(const Wide& most, const Wide& value) { return ((value > most) | (value != value)) ? value : most; }
VLDAC_INLINE Wide absolute(const Wide& value) { return value < 0 ? -value : value; }
VLDAC_INLINE Wide clamped(const Wide& value, double low, double high) {
  Wide risen = value < low ? fill(low) : value;
  return risen > high ? fill(high) : risen;
}
// 1 where the mask holds, else 0.
VLDAC_INLINE Wide one_where(const Mask& mask) { return mask ? fill(1.0) : fill(0.0); }

}  // namespace
}  // namespace vldac::ops::VLDAC_TIER

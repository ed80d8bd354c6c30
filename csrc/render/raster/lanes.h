// Vectors of one tier's width. Included by each tile_<tier>.cc, which defines VLDAC_TIER (a namespace), VLDAC_LANES and VLDAC_FN (the
// target attribute of its functions). The compiler's own vectors do the arithmetic, element by element and without contraction, so that
// tiers agree; what it has no operator for, each tier defines: floor_of, max_of, min_of, sign_bits, gather, filter and pack_eight.
// No include guard: see above.

#include <cstdint>
#include <cstring>

#define VLDAC_INLINE VLDAC_FN inline __attribute__((always_inline))

namespace vldac::raster::VLDAC_TIER {
namespace {

constexpr int kLanes = VLDAC_LANES;

using Float = float __attribute__((vector_size(kLanes * 4)));
using Int = int32_t __attribute__((vector_size(kLanes * 4)));
using Word = uint32_t __attribute__((vector_size(kLanes * 4)));
using Rgbx = float __attribute__((vector_size(16)));
using Sum = int32_t __attribute__((vector_size(16)));

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
VLDAC_INLINE Int ints(int32_t value) { return Int{} + value; }
VLDAC_INLINE Float floats(float value) { return Float{} + value; }
VLDAC_INLINE Float to_float(Int value) { return __builtin_convertvector(value, Float); }
VLDAC_INLINE Int to_int(Float value) { return __builtin_convertvector(value, Int); }

}  // namespace
}  // namespace vldac::raster::VLDAC_TIER

// Compiles VLDAC_KERNEL (a header) once per instruction set. No include guard: every operation that has tiers includes it.
// The includes of lanes.h and of the kernels stand outside, so that no standard header is compiled under a tier's target.

#define VLDAC_TIER generic
#define VLDAC_LANES 2
#define VLDAC_FN
#include "ops/lanes.h"
#include VLDAC_KERNEL
#undef VLDAC_TIER
#undef VLDAC_LANES
#undef VLDAC_FN
#undef VLDAC_INLINE

#ifdef VLDAC_X86
#define VLDAC_TIER avx2
#define VLDAC_LANES 4
#define VLDAC_FN VLDAC_TARGET("avx2")
#include "ops/lanes.h"
#include VLDAC_KERNEL
#undef VLDAC_TIER
#undef VLDAC_LANES
#undef VLDAC_FN
#undef VLDAC_INLINE

#define VLDAC_TIER avx512
#define VLDAC_LANES 8
#define VLDAC_FN VLDAC_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#include "ops/lanes.h"
#include VLDAC_KERNEL
#undef VLDAC_TIER
#undef VLDAC_LANES
#undef VLDAC_FN
#undef VLDAC_INLINE
#endif

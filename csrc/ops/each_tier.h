// Compiles VLDAC_KERNEL (a header) once per instruction set. No include guard: every operation that has tiers includes it.
// What the kernels need of the standard library is included before: none of it is compiled under a tier's target.

#define VLDAC_TIER generic
#define VLDAC_LANES 2
#define VLDAC_FN
#include "ops/wide.h"
#include VLDAC_KERNEL
#undef VLDAC_TIER
#undef VLDAC_LANES
#undef VLDAC_FN
#undef VLDAC_INLINE

#ifdef VLDAC_X86
#define VLDAC_TIER avx2
#define VLDAC_LANES 4
#define VLDAC_FN VLDAC_TARGET("avx2")
#include "ops/wide.h"
#include VLDAC_KERNEL
#undef VLDAC_TIER
#undef VLDAC_LANES
#undef VLDAC_FN
#undef VLDAC_INLINE

#define VLDAC_TIER avx512
#define VLDAC_LANES 8
#define VLDAC_FN VLDAC_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#include "ops/wide.h"
#include VLDAC_KERNEL
#undef VLDAC_TIER
#undef VLDAC_LANES
#undef VLDAC_FN
#undef VLDAC_INLINE
#endif

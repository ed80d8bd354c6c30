#include <cmath>

#include "ops/isa.h"

#ifdef VLDAC_X86
#include "ops/tier_avx512.h"

#include "ops/elements_kernel.h"
#endif

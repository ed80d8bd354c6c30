#include <cmath>
#include <utility>

#include "ops/isa.h"

#ifdef VLDAC_X86
#include "ops/tier_avx512.h"

#include "ops/attention_kernel.h"
#endif

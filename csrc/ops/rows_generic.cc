#include "ops/tier_generic.h"

#include "ops/rows_kernel.h"

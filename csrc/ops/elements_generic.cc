#include <cmath>

#include "ops/tier_generic.h"

#include "ops/elements_kernel.h"

#include <cmath>
#include <utility>

#include "ops/tier_generic.h"

#include "ops/attention_kernel.h"

// MiniWorld's 23 environments, for the registry.
#pragma once

#include <vector>

#include "core/env.h"

namespace vldac::miniworld {

std::vector<EnvEntry> entries();

}  // namespace vldac::miniworld

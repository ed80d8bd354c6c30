// SHA-256, for names of contents.
#pragma once

#include <string>
#include <string_view>

namespace vldac::alfworld {

// 64 hex digits.
std::string sha256(std::string_view bytes);

}  // namespace vldac::alfworld

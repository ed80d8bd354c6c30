// The shapes of the product icons, each in a square of side 1, as layers of four roles: main, dark and light colour, accent.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "render/path.h"

namespace vldac::webshop {

enum Role : uint8_t { kMain, kDark, kLight, kAccent, kNumRoles };

struct IconLayer {
  Role role;
  Mask mask;
};
using Icon = std::vector<IconLayer>;

int icon_count();
Icon make_icon(int index, int side);

// The icon of a product of that title and category: by the first kind of thing in our list that the title names; else one of its
// department's, by `hash`.
int find_icon(std::string_view title, std::string_view category, uint64_t hash);

// Does `words` hold `word` (lower case)? With `is_whole`, not as a part of a longer word.
bool contains_word(std::string_view words, std::string_view word, bool is_whole);

}  // namespace vldac::webshop

// Which blocks of a page stand together: buttons in a bar, a product's row, an item's picture with its options and facts.
#pragma once

#include <cstddef>
#include <string_view>

#include "envs/webshop/page.h"

namespace vldac::webshop {

enum class SectionKind : uint8_t { kSingle, kBar, kProduct, kItem };

struct Section {
  SectionKind kind;
  size_t first, last;  // blocks [first, last)
};

inline bool is_bar(BlockKind kind) { return kind == BlockKind::kButton || kind == BlockKind::kSearchBar; }
inline bool is_fact(BlockKind kind) { return kind == BlockKind::kHeading || kind == BlockKind::kPrice || kind == BlockKind::kText; }

// The section that begins at block `first`.
inline Section section_at(const Page& page, size_t first) {
  size_t last = first + 1, count = page.blocks.size();
  auto kind_of = [&](size_t i) { return page.blocks[i].kind; };
  if (is_bar(kind_of(first))) {
    while (last < count && is_bar(kind_of(last))) ++last;
    return {SectionKind::kBar, first, last};
  }
  if (kind_of(first) == BlockKind::kProductLink) {
    while (last < count && (kind_of(last) == BlockKind::kImage || is_fact(kind_of(last)))) ++last;
    return {SectionKind::kProduct, first, last};
  }
  if (kind_of(first) == BlockKind::kImage && page.kind == PageKind::kItem) {
    while (last < count && kind_of(last) == BlockKind::kOptionGroup) ++last;
    while (last < count && is_fact(kind_of(last))) ++last;
    return {SectionKind::kItem, first, last};
  }
  return {SectionKind::kSingle, first, last};
}

// The first heading of a section: a product's title.
inline std::string_view title_of(const Page& page, const Section& section) {
  for (size_t i = section.first; i < section.last; ++i)
    if (page.blocks[i].kind == BlockKind::kHeading) return page.blocks[i].text;
  return {};
}

template <class Visit>
void each_section(const Page& page, Visit&& visit) {
  for (size_t i = 0; i < page.blocks.size();) {
    Section section = section_at(page, i);
    visit(section);
    i = section.last;
  }
}

}  // namespace vldac::webshop

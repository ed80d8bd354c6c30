// Nested lists of words, as PDDL is written: lower case, comments from ';' to the end of the line, bounded depth.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "envs/alfworld/source.h"

namespace vldac::alfworld {

struct Sexpr {
  bool is_list = false;
  size_t offset = 0;      // in the source
  std::string_view word;  // of a word; views SexprFile::lower
  std::vector<Sexpr> items;

  bool is(std::string_view text) const { return !is_list && word == text; }
};

// One whole list, and the lower-cased text that it views.
struct SexprFile {
  std::string lower;
  Sexpr root;
  SexprFile() = default;
  SexprFile(const SexprFile&) = delete;
  SexprFile& operator=(const SexprFile&) = delete;
};

// Throws GameError unless the text is one list and nothing else.
void parse_sexpr(const Source& source, SexprFile& out);

}  // namespace vldac::alfworld

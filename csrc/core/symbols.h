// Texts that many observations share, such as commands: one copy per process, found by content, never freed. How many there are is
// bounded by what the loaded games can say, not by how long they are played.
#pragma once

#include <string>
#include <string_view>

namespace vldac {

struct Symbol {
  std::string text;
  mutable void* face = nullptr;  // what a binding keeps with it: Python's str, made once
};

// Safe to call from any number of threads; the pointer stays valid, and equal texts give equal pointers.
const Symbol* intern(std::string_view text);
size_t num_symbols();

}  // namespace vldac

// Texts that many observations share, such as commands: one copy per process, found by content, never freed. How many there are is
// bounded by what the loaded games can say, not by how long they are played.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace vldac {

struct Symbol {
  std::string text;
  mutable void* face = nullptr;  // what a binding keeps with it: Python's str, made once
};

// Safe to call from any number of threads; the pointer stays valid, and equal texts give equal pointers.
const Symbol* intern(std::string_view text);
size_t num_symbols();

// The symbols that one caller uses again and again, found without the lock that all share.
class OwnSymbols {
 public:
  const Symbol* operator()(std::string_view text) {
    if (auto found = known_.find(text); found != known_.end()) return found->second;
    if (known_.size() == kMost) known_.clear();
    const Symbol* symbol = intern(text);
    known_.emplace(symbol->text, symbol);
    return symbol;
  }

 private:
  static constexpr size_t kMost = 1024;
  std::unordered_map<std::string_view, const Symbol*> known_;
};

}  // namespace vldac

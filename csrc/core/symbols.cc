#include "core/symbols.h"

#include <deque>
#include <mutex>
#include <unordered_map>

namespace vldac {
namespace {

struct Table {
  std::mutex mutex;
  std::deque<Symbol> symbols;  // never moves what it holds
  std::unordered_map<std::string_view, const Symbol*> by_text;
};
Table& table() {
  static Table* only = new Table;  // outlives every thread that may still ask
  return *only;
}

}  // namespace

const Symbol* intern(std::string_view text) {
  Table& all = table();
  std::lock_guard lock(all.mutex);
  if (auto found = all.by_text.find(text); found != all.by_text.end()) return found->second;
  const Symbol& added = all.symbols.emplace_back(Symbol{std::string(text)});
  all.by_text.emplace(added.text, &added);
  return &added;
}

size_t num_symbols() {
  Table& all = table();
  std::lock_guard lock(all.mutex);
  return all.symbols.size();
}

}  // namespace vldac

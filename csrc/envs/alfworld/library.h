// Panels: the games that environments play, in order. A game's file is read when it is first played, and kept for all environments
// of the process, up to a bound; one that cannot be read is left out, and counted.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "envs/alfworld/game.h"

namespace vldac::alfworld {

// A game of a panel: where it is, and the goals in people's words that may be told instead of its own.
struct Entry {
  std::string path;
  std::vector<std::string> human_goals = {};
  bool operator==(const Entry&) const = default;
};

class Panel {
 public:
  struct Left {
    std::string path, reason;
  };

  Panel(std::vector<Entry> entries, size_t max_loaded);
  size_t size() const { return entries_.size(); }
  const Entry& entry(size_t index) const { return entries_[index]; }
  bool is_of(const std::vector<Entry>& entries) const { return entries == entries_; }
  // The first game from `index` on (the first follows the last) that can be read; index becomes its own. Which one it is depends on
  // the files alone. Throws std::runtime_error, with what is wrong, where none can be read.
  std::shared_ptr<const Game> game(size_t& index);
  // Those that were left out so far.
  std::vector<Left> left_out() const;
  size_t num_loaded() const;

 private:
  struct Slot {
    std::shared_ptr<const Game> game;
    std::list<size_t>::iterator use;  // in by_use_, where loaded
    bool is_left_out = false;
  };
  std::shared_ptr<const Game> load(size_t index);

  const std::vector<Entry> entries_;
  const size_t max_loaded_;
  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  std::list<size_t> by_use_;  // loaded ones, the latest used first
  std::vector<Left> left_out_;
};

// Environments are made from numbers: a panel is known by one, which its maker derives from the games' contents, so that it is the same
// in every process. Panels are kept for as long as the process lives; one of the same games in other places takes the old one's place.
void keep_panel(int64_t number, std::vector<Entry> entries, size_t max_loaded);
// Throws std::invalid_argument for a number that no panel has.
std::shared_ptr<Panel> find_panel(int64_t number);

}  // namespace vldac::alfworld

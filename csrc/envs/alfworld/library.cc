#include "envs/alfworld/library.h"

#include <stdexcept>

#include "envs/alfworld/player.h"

namespace vldac::alfworld {

Panel::Panel(std::vector<Entry> entries, size_t max_loaded) : entries_(std::move(entries)), max_loaded_(max_loaded), slots_(entries_.size()) {
  if (entries_.empty()) throw std::invalid_argument("a panel of games: expected at least one game");
  if (max_loaded_ < 1) throw std::invalid_argument("a panel of games: expected room for at least one loaded game");
}

std::shared_ptr<const Game> Panel::game(size_t& index) {
  std::lock_guard lock(mutex_);
  for (size_t tried = 0; tried < entries_.size(); ++tried, index = (index + 1) % entries_.size())
    if (auto found = load(index)) return found;
  throw std::runtime_error("none of " + std::to_string(entries_.size()) + " games can be read; the first: " + left_out_.front().reason);
}

std::shared_ptr<const Game> Panel::load(size_t index) {
  Slot& slot = slots_[index];
  if (slot.is_left_out) return nullptr;
  if (slot.game) {
    by_use_.splice(by_use_.begin(), by_use_, slot.use);
    return slot.game;
  }
  try {
    slot.game = Game::load(entries_[index].path);
    if (slot.game->solvable() == false) throw GameError(entries_[index].path + ": the game cannot be won, as it says itself (solvable)");
    if (!slot.game->house()) play(slot.game, Layer::kGeneric);  // it may be read and yet have rules that cannot be played
  } catch (const std::exception& error) {
    slot.game = nullptr;
    slot.is_left_out = true;
    left_out_.push_back({entries_[index].path, error.what()});
    return nullptr;
  }
  if (by_use_.size() == max_loaded_) {  // environments that play it keep it
    slots_[by_use_.back()].game = nullptr;
    by_use_.pop_back();
  }
  by_use_.push_front(index);
  slot.use = by_use_.begin();
  return slot.game;
}

std::vector<Panel::Left> Panel::left_out() const {
  std::lock_guard lock(mutex_);
  return left_out_;
}

size_t Panel::num_loaded() const {
  std::lock_guard lock(mutex_);
  return by_use_.size();
}

namespace {

struct Shelf {
  std::mutex mutex;
  std::unordered_map<int64_t, std::shared_ptr<Panel>> panels;
};
Shelf& shelf() {
  static Shelf* only = new Shelf;  // outlives every pool
  return *only;
}

}  // namespace

void keep_panel(int64_t number, std::vector<Entry> entries, size_t max_loaded) {
  Shelf& kept = shelf();
  std::lock_guard lock(kept.mutex);
  auto& place = kept.panels[number];
  if (!place || !place->is_of(entries)) place = std::make_shared<Panel>(std::move(entries), max_loaded);
}

std::shared_ptr<Panel> find_panel(int64_t number) {
  Shelf& kept = shelf();
  std::lock_guard lock(kept.mutex);
  auto found = kept.panels.find(number);
  if (found == kept.panels.end() || !found->second) throw std::invalid_argument("no panel of games has the number " + std::to_string(number));
  return found->second;
}

}  // namespace vldac::alfworld

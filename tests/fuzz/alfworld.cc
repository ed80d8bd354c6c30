// Fuzzing of the reader of household games: files that differ from a true one. It must refuse them with an error of its own, or play
// them in both layers, which then say the same.
// Input: two bytes choose the game (kinds of domain and goal), then either edits (3 bytes position, what is done, a length, bytes) or
// the whole file.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/rng.h"
#include "envs/alfworld/player.h"
#include "tests/cpp/alfworld_games.h"

#define REQUIRE(condition)                                               \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::abort();                                                        \
  }

using namespace vldac;
using namespace vldac::alfworld;

namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool is_empty() const { return at_ == size_; }
  uint8_t byte() { return is_empty() ? 0 : data_[at_++]; }
  std::string bytes(size_t count) {
    count = std::min(count, size_ - at_);
    std::string result(reinterpret_cast<const char*>(data_ + at_), count);
    at_ += count;
    return result;
  }
  std::string rest() { return bytes(size_ - at_); }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

const std::string& true_game(uint8_t which) {
  static const std::string kGames[] = {kitchen_game(kHeatGoal, "alfred"), kitchen_game(kHeatGoal, "alfred-old"), kitchen_game(kOtherGoal, "alfred")};
  return kGames[which % 3];
}

void check(const std::string& text) {
  std::shared_ptr<const Game> game;
  std::unique_ptr<Player> fast, generic;
  try {
    game = Game::parse(text, "fuzz");
    generic = play(game, Layer::kGeneric);
    if (game->house()) fast = play(game, Layer::kFast);
    for (uint64_t t = 0; t < 12; ++t) {
      if (fast) {
        REQUIRE(fast->text() == generic->text() && fast->won() == generic->won());
        REQUIRE(std::equal(fast->commands().begin(), fast->commands().end(), generic->commands().begin(), generic->commands().end()));
      }
      generic->conditions();
      Bytes state;
      generic->save(state);
      generic->load(state);
      if (generic->commands().empty()) break;
      const Symbol* command = generic->commands()[counter_random(3, 1, 0, t) % generic->commands().size()];
      generic->step(command->text);
      if (fast) fast->step(command->text);
    }
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  uint8_t which = input.byte(), kind = input.byte();
  if (kind & 1) {
    check(input.rest());
    return 0;
  }
  std::string text = true_game(which);
  while (!input.is_empty()) {
    size_t at = input.byte();
    at = at << 8 | input.byte();
    at = (at << 8 | input.byte()) % (text.size() + 1);
    uint8_t what = input.byte();
    size_t count = input.byte();
    if (what % 3 == 0) text.insert(at, input.bytes(count % 32));
    else if (what % 3 == 1) text.erase(at, count);
    else text.insert(at, text.substr(text.size() * input.byte() / 256, count));  // a piece from elsewhere
    if (text.empty()) break;
  }
  check(text);
  return 0;
}

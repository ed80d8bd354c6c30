// Fuzzing of the environments' state: Pool::load takes bytes that differ from a true state, with a checksum that fits, for every
// registered environment. It must refuse them and change nothing, or go on: 20 steps, every observation, and what it took it must
// save again as it is. One stream per environment goes on over its episodes, so that a damaged one is drawn from.
// Input: environment, how many steps before the state is saved, then either edits (position, run, value) or the whole state.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "core/forms.h"
#include "core/pool.h"
#include "envs/alfworld/library.h"
#include "envs/webshop/shelf.h"
#include "tests/cpp/alfworld_games.h"
#include "tests/cpp/miniworld_assets.h"
#include "tests/cpp/webshop_files.h"

#define REQUIRE(condition)                                               \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::abort();                                                        \
  }

using namespace vldac;

namespace {

constexpr int kEnvs = 2, kWidth = 28, kHeight = 28, kSteps = 20;
constexpr size_t kChecksumBytes = 8;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool is_empty() const { return at_ == size_; }
  uint8_t byte() { return is_empty() ? 0 : data_[at_++]; }
  std::string rest() {
    std::string bytes(reinterpret_cast<const char*>(data_ + at_), size_ - at_);
    at_ = size_;
    return bytes;
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

// A shop, built once; its files are gone when it is mapped.
Options shop_options() {
  constexpr int64_t kShop = 1;
  webshop::folder = (std::filesystem::temp_directory_path() / ("vldac-fuzz-" + std::to_string(::getpid()) + "-")).string();
  webshop::write_shop(20, "store");
  webshop::keep_shop(kShop, {webshop::open_shop("store", {}), nullptr});
  for (const char* name : {"items.json", "attributes.json", "human.json", "store"}) std::filesystem::remove(webshop::folder + name);
  return {{"shop", kShop}};
}

// What an environment needs that has no defaults: WebShop a shop, ALFWorld a game.
Options options_of(const EnvSpec& spec) {
  if (spec.id == "WebShop-v0") return shop_options();
  if (spec.id != "ALFWorld-v0") return {};
  constexpr int64_t kPanel = 1;
  auto path = std::filesystem::temp_directory_path() / ("vldac-fuzz-" + std::to_string(::getpid()) + ".tw-pddl");
  std::ofstream(path) << alfworld::kitchen_game(alfworld::kHeatGoal, "alfred");
  alfworld::keep_panel(kPanel, {{path.string()}}, 1);
  size_t first = 0;
  alfworld::find_panel(kPanel)->game(first);  // kept in memory from here on
  std::filesystem::remove(path);
  return {{"panel", kPanel}};
}

class Bench {
 public:
  explicit Bench(const EnvSpec& spec)
      : is_text_(spec.is_text),
        num_actions_(spec.action_names.size()),
        pool_({.env_id = spec.id, .options = options_of(spec), .num_envs = kEnvs, .width = kWidth, .height = kHeight,
               .is_stream = true, .max_episode_steps = spec.max_episode_steps, .step_timeout = 2.0}) {}

  const std::string& state_after(int steps) {
    std::string& state = states_[steps];
    if (state.empty()) {
      pool_.reset(std::vector<uint64_t>{7, 8}, {});
      step(steps);
      state = pool_.save();
    }
    return state;
  }

  void load(const std::string& state) {
    pool_.load(state_after(0));
    bool is_taken = true;
    try {
      pool_.load(state);
    } catch (const std::invalid_argument&) {
      is_taken = false;
    }
    REQUIRE(pool_.save() == (is_taken ? state : state_after(0)));
    if (!is_taken) return;
    pool_.observe();
    std::string text;
    std::vector<int64_t> offsets;
    pool_.prompts(std::vector<int64_t>{0, 1}, text, offsets);
    pool_.visit([&](size_t, const Env& env) {
      const Symbol* command = env.oracle_command();
      auto known = env.commands();
      auto is_it = [&](const Symbol* one) {
        auto form = form_of(one->text);
        return one == command || (form && command->text.starts_with(form->before) && command->text.ends_with(form->after));
      };
      REQUIRE(!command || std::find_if(known.begin(), known.end(), is_it) != known.end());
      int64_t expert = env.oracle_action();
      REQUIRE(expert >= -1 && expert < static_cast<int64_t>(num_actions_));
    });
    step(kSteps);
  }

 private:
  void step(int steps) {
    if (is_text_) return step_in_words(steps);
    for (int t = 0; t < steps; ++t) {
      std::vector<int64_t> actions;
      for (uint64_t i = 0; i < kEnvs; ++i)
        actions.push_back(static_cast<int64_t>(counter_random(3, 1, i, static_cast<uint64_t>(t)) % num_actions_));
      pool_.step(actions);
    }
  }

  void step_in_words(int steps) {
    BatchLease batch = pool_.observe();
    for (int t = 0; t < steps; ++t) {
      std::vector<std::string_view> commands(kEnvs);
      for (uint64_t i = 0; i < kEnvs; ++i) {
        const auto& known = batch->commands[i];
        if (known.empty()) continue;
        uint64_t number = counter_random(3, 1, i, static_cast<uint64_t>(t));
        fill_form(known[number % known.size()]->text, batch->text[i], number / known.size(), filled_[i]);
        commands[i] = filled_[i];
      }
      batch = pool_.step(commands);
    }
  }

  bool is_text_;
  uint64_t num_actions_;
  Pool pool_;
  std::map<int, std::string> states_;
  std::string filled_[kEnvs];
};

// FNV-1a, as the pool's.
std::string with_checksum(std::string state) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : state) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  state.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  return state;
}

Bench& bench_of(size_t index) {
  static std::map<size_t, Bench> benches;
  return benches.try_emplace(index, registry()[index].spec).first->second;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool has_assets = (miniworld::install_test_assets(), true);
  (void)has_assets;
  Input input(data, size);
  Bench& bench = bench_of(input.byte() % registry().size());
  uint8_t kind = input.byte();
  std::string state = bench.state_after(kind >> 1 & 31);
  state.resize(state.size() - kChecksumBytes);
  if (kind & 1) {
    state = input.rest();
  } else {
    while (!input.is_empty()) {
      size_t at = input.byte();
      at = (at << 8 | input.byte()) % (state.size() + 1);
      size_t run = 1 + (input.byte() & 63);
      uint8_t value = input.byte();
      if (at == state.size()) {
        size_t size = state.size() + value;
        state.resize(size < 128 ? 0 : size - 128);  // cut off or extended
        if (state.empty()) break;
      } else {
        for (size_t i = at; i < at + run && i < state.size(); ++i) state[i] = static_cast<char>(value);
      }
    }
  }
  bench.load(with_checksum(state));
  return 0;
}

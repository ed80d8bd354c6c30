// Tests of the card games without Python; run under sanitizers by .ci/sanitize.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "core/env.h"

#define CHECK(condition)                                                    \
  if (!(condition)) {                                                       \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
    std::exit(1);                                                           \
  }

using namespace vldac;

static std::unique_ptr<Env> make(const char* id, const Options& options = {}) {
  const EnvEntry& entry = find_env(id);
  return entry.make(with_defaults(entry.spec, options));
}

static void refuses(Env& env, const std::string& state) {
  Bytes in{state, 0};
  bool threw = false;
  try {
    env.load(in);
  } catch (const std::invalid_argument&) {
    threw = true;
  }
  CHECK(threw);
}

// gymnasium.make("Blackjack-v1") (1.4.0), reset(seed=7), 20,000 steps that hit below 12 + t % 8 points, reset() after each end:
// FNV-1a of all observations, rewards and ends. sab=True, natural=False, as Gymnasium registers it.
static void symbolic_blackjack_equals_gymnasium_step_by_step() {
  auto env = make("Blackjack-symbolic-v0");
  Pcg64 rng(SeedSequence({7}));
  Context context(rng, 60.0);
  uint64_t hash = 0xcbf29ce484222325ULL;
  auto mix = [&hash](int64_t value) { hash = (hash ^ static_cast<uint64_t>(value)) * 0x100000001b3ULL; };
  int32_t seen[3];
  env->reset(context);
  env->measure(seen);
  for (int t = 0; t < 20000; ++t) {
    StepResult result = env->step(seen[0] < 12 + t % 8 ? 1 : 0, context);
    env->measure(seen);
    for (int32_t value : seen) mix(value);
    mix(static_cast<int64_t>(result.reward));
    mix(result.terminated);
    CHECK(env->success() == (result.reward > 0.0) && !result.truncated);
    if (!result.terminated) continue;
    env->reset(context);
    env->measure(seen);
    for (int32_t value : seen) mix(value);
  }
  CHECK(hash == 0xd5263f251c5f9244ULL);
}

static void blackjack_refuses_states_that_cannot_be() {
  auto env = make("Blackjack-symbolic-v0"), copy = make("Blackjack-symbolic-v0");
  Pcg64 rng(SeedSequence({1}));
  Context context(rng, 60.0);
  env->reset(context);
  Bytes state;
  env->save(state);
  Bytes in{state.data, 0};
  copy->load(in);
  CHECK(in.cursor == state.data.size());
  Bytes again;
  copy->save(again);
  CHECK(again.data == state.data);
  // count, then rank and suit of each card; the same for the player; is over, has won
  for (auto [at, value] : {std::pair<size_t, char>{0, 1}, {0, 3}, {0, 23}, {1, 11}, {1, 0}, {2, 4}, {5, 127}, {10, 2}, {11, 1}}) {
    std::string broken = state.data;
    broken[at] = value;
    refuses(*copy, broken);
  }
  for (size_t size = 0; size < state.data.size(); ++size) refuses(*copy, state.data.substr(0, size));
}

// Any bytes are refused or make an environment that can be stepped, drawn and described; nothing else happens.
static void altered_states_are_refused_or_harmless() {
  std::vector<uint8_t> pixels(static_cast<size_t>(84) * 84 * 3);
  for (const char* id : {"gym_cards/NumberLine-v0", "gym_cards/EZPoints-v0", "gym_cards/Points24-v0", "gym_cards/Blackjack-v0",
                         "Blackjack-symbolic-v0"})
    for (double compat : {0.0, 1.0}) {
      const EnvSpec& spec = find_env(id).spec;
      Options options;
      for (const auto& option : spec.options)
        if (option.name == "compat") options["compat"] = compat;
      auto env = make(id, options);
      size_t loaded = 0, refused = 0;
      for (uint64_t round = 0; round < 4000; ++round) {
        Pcg64 rng(SeedSequence({round}));
        Context context(rng, 60.0);
        auto source = make(id, options);
        source->reset(context);
        auto act = [&](Env& on) {
          return on.step(rng.integers(0, static_cast<int64_t>(spec.action_names.size())), context);
        };
        for (int64_t steps = rng.integers(0, 6); steps > 0; --steps)
          if (auto result = act(*source); result.terminated || result.truncated) break;
        Bytes state;
        source->save(state);
        for (int64_t changes = rng.integers(1, 4); changes > 0; --changes)
          state.data[static_cast<size_t>(rng.integers(0, static_cast<int64_t>(state.data.size())))] =
              static_cast<char>(rng.integers(0, 2) ? rng.integers(0, 256) : rng.integers(0, 16));
        Bytes in{state.data, 0};
        try {
          env->load(in);
        } catch (const std::invalid_argument&) {
          ++refused;
          env = make(id, options);
          continue;
        }
        ++loaded;
        try {
          for (int step = 0; step < 30; ++step) {
            Facts facts;
            env->facts(facts);
            CHECK(env->oracle_action() >= 0 && env->oracle_action() < static_cast<int64_t>(spec.action_names.size()));
            if (spec.observation.kind == ObsKind::kImage) env->render(pixels.data(), 84, 84);
            if (auto result = act(*env); result.terminated || result.truncated) break;
          }
        } catch (const std::logic_error&) {  // "the game is over"
        }
      }
      CHECK(loaded > 50 && refused > 50);
    }
}

// Threads that ask for art in many sizes at once get it complete (thread sanitizer).
static void pictures_are_shared_between_threads() {
  std::vector<std::thread> threads;
  std::vector<std::vector<uint8_t>> pictures(8);
  for (size_t i = 0; i < pictures.size(); ++i)
    threads.emplace_back([&pictures, i] {
      auto env = make("gym_cards/Points24-v0");
      Pcg64 rng(SeedSequence({9}));
      Context context(rng, 60.0);
      env->reset(context);
      for (int side : {84, 120, 300, 84}) {
        pictures[i].assign(static_cast<size_t>(side) * static_cast<size_t>(side) * 3, 1);
        env->render(pictures[i].data(), side, side);
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& picture : pictures) CHECK(picture == pictures[0]);
}

int main() {
  altered_states_are_refused_or_harmless();
  pictures_are_shared_between_threads();
  symbolic_blackjack_equals_gymnasium_step_by_step();
  blackjack_refuses_states_that_cannot_be();
  std::puts("card tests passed");
}

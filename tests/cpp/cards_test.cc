// Tests of the card games without Python; run under sanitizers by .ci/sanitize.
#include <cstdio>
#include <cstdlib>

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

int main() {
  symbolic_blackjack_equals_gymnasium_step_by_step();
  blackjack_refuses_states_that_cannot_be();
  std::puts("card tests passed");
}

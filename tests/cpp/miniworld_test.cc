// MiniWorld's worlds without Python: no allocation in steps and resets, little memory, and snapshots that go on alike or are refused.
#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "envs/miniworld/ids.h"
#include "envs/miniworld/miniworld.h"
#include "miniworld_assets.h"

static std::atomic<uint64_t> allocations{0};
static std::atomic<int64_t> live_bytes{0};

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return live_bytes += static_cast<int64_t>(malloc_usable_size(memory)), memory;
  throw std::bad_alloc();
}
static void release(void* memory) {
  if (memory) live_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }

#define REQUIRE(condition)                                                           \
  if (!(condition)) {                                                                \
    std::fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, id_now); \
    std::exit(1);                                                                    \
  }

using namespace vldac;

namespace {

const char* id_now = "";

// An environment with its stream, as a pool would hold it.
struct Play {
  Play(const EnvEntry& entry, const Options& options, uint64_t seed)
      : env(entry.make(with_defaults(entry.spec, options))), stream(SeedSequence({seed})), num_actions(entry.spec.action_names.size()) {
    reset();
  }
  void reset() {
    Context context(stream, 10.0);
    env->reset(context);
  }
  StepResult step(uint64_t t) {
    Context context(stream, 10.0);
    uint64_t draw = counter_random(1, 2, 3, t);
    // Mostly forward, so that walls and things are reached.
    int64_t action = draw % 3 ? 2 : static_cast<int64_t>(draw / 3 % num_actions);
    StepResult result = env->step(action, context);
    if (result.terminated || result.truncated) reset();
    facts.clear();
    env->facts(facts);
    return result;
  }
  Bytes save() const {
    Bytes bytes;
    env->save(bytes);
    return bytes;
  }
  std::unique_ptr<Env> env;
  Pcg64 stream;
  uint64_t num_actions;
  Facts facts;
};

std::vector<Options> modes_of(const EnvSpec& spec) {
  std::vector<Options> modes{{}};
  for (const Option& option : spec.options)
    if (option.name == "domain_rand") modes.push_back({{"domain_rand", 1.0}});
  return modes;
}

void steps_allocate_nothing_and_worlds_are_small(const EnvEntry& entry, const Options& options) {
  int64_t before = live_bytes;
  Play play(entry, options, 5);
  uint64_t t = 0;
  for (; t < 3000; ++t) play.step(t);
  for (int i = 0; i < 20; ++i) play.reset();
  uint64_t count = allocations;
  for (; t < 6000; ++t) play.step(t);
  for (int i = 0; i < 20; ++i) play.reset();
  REQUIRE(allocations == count);
  int64_t bytes = live_bytes - before;
  std::printf("%s: %lld bytes\n", entry.spec.id.c_str(), static_cast<long long>(bytes));
  REQUIRE(bytes < 1 << 20);
}

void snapshots_go_on_alike(const EnvEntry& entry, const Options& options) {
  Play original(entry, options, 9);
  for (uint64_t t = 0; t < 400; ++t) {
    original.step(t);
    if (t % 37) continue;
    Play copy(entry, options, 1234);
    Bytes state = original.save();
    copy.env->load(state);
    REQUIRE(state.cursor == state.data.size());
    REQUIRE(copy.save().data == state.data);
    copy.stream = original.stream;
    Play reference(entry, options, 77);
    Bytes again = original.save();
    reference.env->load(again);
    reference.stream = original.stream;
    for (uint64_t more = 0; more < 60; ++more) {
      StepResult a = copy.step(t + 1 + more), b = reference.step(t + 1 + more);
      REQUIRE(a.reward == b.reward && a.terminated == b.terminated && a.truncated == b.truncated);
    }
    REQUIRE(copy.save().data == reference.save().data);
    // And as the original, which goes on by itself.
    Play check(entry, options, 3);
    Bytes third = original.save();
    check.env->load(third);
    check.stream = original.stream;
    StepResult a = check.step(t + 1);
    Pcg64 stream = original.stream;
    Bytes kept = original.save();
    StepResult b = original.step(t + 1);
    REQUIRE(a.reward == b.reward && a.terminated == b.terminated && a.truncated == b.truncated);
    REQUIRE(check.save().data == original.save().data);
    original.env->load(kept);
    original.stream = stream;
  }
}

void altered_snapshots_are_refused_or_harmless(const EnvEntry& entry, const Options& options) {
  Play play(entry, options, 21);
  for (uint64_t t = 0; t < 30; ++t) play.step(t);
  Bytes state = play.save();
  int refused = 0;
  Play target(entry, options, 22);
  for (size_t at = 0; at < state.data.size(); at += 1 + at / 256) {
    for (uint8_t change : {0x01, 0x80, 0xff}) {
      Bytes altered = state;
      altered.cursor = 0;
      altered.data[at] = static_cast<char>(static_cast<uint8_t>(altered.data[at]) ^ change);
      try {
        target.env->load(altered);
      } catch (const std::invalid_argument&) {
        ++refused;
        continue;
      }
      if (altered.cursor != altered.data.size()) {  // the pool refuses bytes that are left over
        ++refused;
        continue;
      }
      REQUIRE(target.save().data == altered.data);
      for (uint64_t t = 0; t < 20; ++t) target.step(t);
    }
  }
  for (size_t size : {size_t{0}, size_t{40}, state.data.size() / 2, state.data.size() - 1}) {
    Bytes cut{state.data.substr(0, size), 0};
    try {
      target.env->load(cut);
      REQUIRE(false);
    } catch (const std::invalid_argument&) {
    }
  }
  REQUIRE(refused > 0);
}

}  // namespace

int main() {
  miniworld::install_test_assets();
  auto entries = miniworld::entries();
  REQUIRE(entries.size() == 23);
  for (const EnvEntry& entry : entries) {
    id_now = entry.spec.id.c_str();
    for (const Options& options : modes_of(entry.spec)) {
      steps_allocate_nothing_and_worlds_are_small(entry, options);
      snapshots_go_on_alike(entry, options);
      altered_snapshots_are_refused_or_harmless(entry, options);
    }
  }
  std::puts("miniworld test passed");
}

// In the steady state a step allocates nothing: every operator new of the process is counted.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "core/pool.h"
#include "miniworld_assets.h"

static std::atomic<uint64_t> allocations{0};

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace vldac;

int main() {
  miniworld::install_test_assets();
  for (const auto& entry : registry())
    for (int threads : {1, 2}) {
      if (entry.spec.is_text) continue;  // commands: alfworld_test.cc counts a household's
      // Worlds' pictures take longer: fewer and smaller ones, but as many steps until every buffer has been in use.
      // With one thread, whose working memory then sees every picture.
      bool is_world = !entry.spec.assets.empty();
      if (is_world && threads > 1) continue;
      int num_envs = is_world ? 2 : 32, side = is_world ? 28 : 84;
      uint64_t warm_up = is_world ? 4000 : 700;
      Pool pool({.env_id = entry.spec.id, .num_envs = num_envs, .num_threads = threads, .width = side, .height = side,
                 .max_episode_steps = 12, .prompt = "no slots"});
      if (entry.spec.id == "test/Misbehaving-v0") continue;  // its faults build it anew
      auto count = static_cast<size_t>(num_envs);
      std::vector<uint64_t> seeds(count);
      for (size_t i = 0; i < count; ++i) seeds[i] = i;
      pool.reset(seeds, {});
      std::vector<int64_t> actions(count);
      uint64_t ended = 0, before = 0;
      size_t bytes = 0;
      for (uint64_t step = 0; step < warm_up + 500; ++step) {
        if (step == warm_up) before = allocations, bytes = pool.gauge().bytes;
        for (uint64_t i = 0; i < count; ++i)
          actions[i] = static_cast<int64_t>(counter_random(1, 2, i, step) % entry.spec.action_names.size());
        BatchLease batch = pool.step(actions);
        ended += batch->num_ended;
      }
      uint64_t found = allocations - before;
      std::printf("%s, %d threads: %llu allocations in %zu steps, %llu episodes ended\n", entry.spec.id.c_str(), threads,
                  static_cast<unsigned long long>(found), 500 * count, static_cast<unsigned long long>(ended));
      if (found || pool.gauge().bytes != bytes || ended < 100) return 1;
    }
  std::puts("allocation test passed");
}

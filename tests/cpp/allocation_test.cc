// In the steady state a step allocates nothing: every operator new of the process is counted.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "core/pool.h"

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
  for (const auto& entry : registry())
    for (int threads : {1, 2}) {
      Pool pool({.env_id = entry.spec.id, .num_envs = 32, .num_threads = threads, .width = 84, .height = 84,
                 .max_episode_steps = 12, .prompt = "no slots"});
      if (entry.spec.id == "test/Misbehaving-v0") continue;  // its faults build it anew
      std::vector<uint64_t> seeds(32);
      for (size_t i = 0; i < 32; ++i) seeds[i] = i;
      pool.reset(seeds, {});
      std::vector<int64_t> actions(32);
      uint64_t ended = 0, before = 0;
      size_t bytes = 0;
      for (uint64_t step = 0; step < 1200; ++step) {
        if (step == 700) before = allocations, bytes = pool.gauge().bytes;
        for (uint64_t i = 0; i < 32; ++i)
          actions[i] = static_cast<int64_t>(counter_random(1, 2, i, step) % entry.spec.action_names.size());
        BatchLease batch = pool.step(actions);
        ended += batch->num_ended;
      }
      uint64_t found = allocations - before;
      std::printf("%s, %d threads: %llu allocations in 16,000 steps, %llu episodes ended\n", entry.spec.id.c_str(), threads,
                  static_cast<unsigned long long>(found), static_cast<unsigned long long>(ended));
      if (found || pool.gauge().bytes != bytes || ended < 100) return 1;
    }
  std::puts("allocation test passed");
}

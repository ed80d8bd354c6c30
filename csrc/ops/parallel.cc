#include "ops/parallel.h"

#include <stdexcept>

namespace vldac {
namespace {

std::atomic<decltype(ThreadPool::parallel_for)> run_loop{nullptr};
std::atomic<decltype(ThreadPool::num_threads)> count_threads{nullptr};

}  // namespace

void set_thread_pool(const ThreadPool& pool) {
  count_threads = pool.num_threads;
  run_loop = pool.parallel_for;
}

bool has_thread_pool() { return run_loop.load() != nullptr; }

size_t pool_threads() {
  auto count = count_threads.load();
  uint32_t threads = 1;
  if (!has_thread_pool() || !count || count(&threads) != 0) return 1;
  return threads;
}

void run_parts(size_t count, size_t grain, ThreadPool::Body body, void* context) {
  auto loop = run_loop.load();
  auto end = static_cast<int64_t>(count);
  if (count == 0) return;
  if (!loop || count <= grain) return body(0, end, context);
  if (loop(0, end, static_cast<int64_t>(grain), body, context) != 0) throw std::runtime_error("the thread pool refused a loop");
}

}  // namespace vldac

// Loops over independent parts on a pool of threads that somebody else owns: torch's own, whose address the Python side hands over
// once. Without one (no torch, or a torch that exports none) loops are serial. Nothing here links torch.
//
// Callers split their work into parts that depend on the problem alone, and merge results in the order of the parts: then no result
// depends on the number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>

namespace vldac {

// The C functions that libtorch_cpu exports for this (torch 2.10 or newer); both return 0 on success.
struct ThreadPool {
  using Body = void (*)(int64_t begin, int64_t end, void* context);
  int32_t (*parallel_for)(int64_t begin, int64_t end, int64_t grain, Body body, void* context) = nullptr;
  int32_t (*num_threads)(uint32_t* count) = nullptr;
};

// May be called again; loops that run keep the pool that they began with.
void set_thread_pool(const ThreadPool& pool);

// How many threads a loop may use now; 1 without a pool.
size_t pool_threads();
bool has_thread_pool();

// body(begin, end, context) over parts of [0, count), each of at least `grain` where there are as many.
void run_parts(size_t count, size_t grain, ThreadPool::Body body, void* context);

// visit(i) for every i below count. The first exception of any thread is thrown here, once all have ended.
template <class Visit>
void parallel_for(size_t count, size_t grain, Visit&& visit) {
  struct Context {
    Visit& visit;
    std::mutex mutex;
    std::exception_ptr error;
  } context{visit, {}, nullptr};
  // No exception may cross the pool's C frames.
  run_parts(
      count, std::max<size_t>(grain, 1),
      [](int64_t begin, int64_t end, void* opaque) {
        auto& shared = *static_cast<Context*>(opaque);
        try {
          for (int64_t i = begin; i < end; ++i) shared.visit(static_cast<size_t>(i));
        } catch (...) {
          std::lock_guard lock(shared.mutex);
          if (!shared.error) shared.error = std::current_exception();
        }
      },
      &context);
  if (context.error) std::rethrow_exception(context.error);
}

}  // namespace vldac

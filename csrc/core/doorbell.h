// Waiting without spinning: a counter that threads sleep on until it changes. A futex on Linux, a condition variable elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace vldac {

class Doorbell {
 public:
  uint32_t count() const { return count_.load(std::memory_order_seq_cst); }

#if defined(__linux__)
  // Change the counter and wake up to `sleepers` threads.
  void ring(int sleepers) {
    count_.fetch_add(1, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0)
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&count_), FUTEX_WAKE_PRIVATE, sleepers, nullptr, nullptr, 0);
  }
  // Sleep while the counter is `seen`, at most `limit`. May return early.
  void wait(uint32_t seen, std::chrono::nanoseconds limit) {
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    timespec time{static_cast<time_t>(limit.count() / 1000000000), static_cast<long>(limit.count() % 1000000000)};
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&count_), FUTEX_WAIT_PRIVATE, seen, &time, nullptr, 0);
    sleeping_.fetch_sub(1, std::memory_order_seq_cst);
  }
#else
  void ring(int) {
    {
      std::lock_guard lock(mutex_);
      count_.fetch_add(1, std::memory_order_seq_cst);
    }
    changed_.notify_all();
  }
  void wait(uint32_t seen, std::chrono::nanoseconds limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return count() != seen; });
  }
#endif

 private:
  std::atomic<uint32_t> count_{0};
#if defined(__linux__)
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
  std::atomic<int> sleeping_{0};
#else
  std::mutex mutex_;
  std::condition_variable changed_;
#endif
};

}  // namespace vldac

// Named ranges on the timeline of a profiler (NVTX), from threads that Python never sees.
//
// The core links no CUDA: the two functions are found by Python in NVIDIA's tools library, where there is one, and set here. Until
// then a range costs one relaxed load.
#pragma once

#include <atomic>

namespace vldac {

struct RangeFunctions {
  using Push = int (*)(const char* name);
  using Pop = int (*)();
  std::atomic<Push> push{nullptr};
  std::atomic<Pop> pop{nullptr};
};

inline RangeFunctions range_functions;

class Range {
 public:
  explicit Range(const char* name) : pop_(nullptr) {
    if (auto push = range_functions.push.load(std::memory_order_relaxed)) {
      pop_ = range_functions.pop.load(std::memory_order_relaxed);
      push(name);
    }
  }
  ~Range() {
    if (pop_) pop_();
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  RangeFunctions::Pop pop_;
};

}  // namespace vldac

// Step-level generalised advantage estimation, as kernels/reference.py defines it: accumulated in double, O(steps), no allocation,
// one thread; the same bytes at every instruction set. May be called from any thread; the caller owns all memory.
//
//   delta_t = r_t + gamma V'_t - V_t;  A_t = delta_t + gamma lambda A_{t+1}.  V'_t is 0 at a termination, final_value_t (0 without
//   it) at a truncation, the bootstrap at the end, else V_{t+1}; A_{t+1} is 0 at either. What lies behind a cut may be NaN.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/isa.h"

namespace vldac::ops {

template <class T>
struct GaeSteps {
  const T *reward, *value, *final_value;  // final_value: nullptr for none
  const bool *terminated, *truncated;
  const T* bootstrap;  // one per column or segment
  double gamma, lambda;
  T *advantage_out, *returns_out;
};

// Arrays [steps][columns], row-major: serial in time, vectors over the columns.
template <class T>
void gae_rectangle(const GaeSteps<T>& in, size_t num_steps, size_t num_columns, Isa isa);

// Flat arrays cut at offsets [segments + 1], which must not decrease.
template <class T>
void gae_segments(const GaeSteps<T>& in, const int64_t* offsets, size_t num_segments);

}  // namespace vldac::ops

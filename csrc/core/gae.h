// Step-level generalised advantage estimation over flat segments, accumulated in double. O(S), no allocation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vldac {

struct GaeInput {
  const double *reward, *value, *final_value;  // [S]
  const bool *terminated, *truncated;          // [S]
  const int64_t* offsets;                      // [K + 1]
  const double* bootstrap;                     // [K]
  size_t num_segments;
  double gamma, lambda;
};

// delta = r + gamma V' live - V; A = delta + gamma lambda live (1 - truncated) A'. V' is final_value where truncated, the next
// value inside a segment, the bootstrap at its end; live is 0 where terminated.
inline void gae(const GaeInput& in, double* advantage_out, double* returns_out) {
  for (size_t k = 0; k < in.num_segments; ++k) {
    double carry = 0.0, following = in.bootstrap[k];
    for (int64_t t = in.offsets[k + 1] - 1; t >= in.offsets[k]; --t) {
      double ahead = in.truncated[t] ? in.final_value[t] : following;
      double live = in.terminated[t] ? 0.0 : 1.0;
      double delta = in.reward[t] + in.gamma * live * ahead - in.value[t];
      carry = delta + in.gamma * in.lambda * live * (in.truncated[t] ? 0.0 : 1.0) * carry;
      advantage_out[t] = carry;
      returns_out[t] = carry + in.value[t];
      following = in.value[t];
    }
  }
}

}  // namespace vldac

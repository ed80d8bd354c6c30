// The value loss of kernels/reference.py: weighted squared (or Huber) error per step, optionally clipped around the old value.
// One pass, every difference and square in T as the reference takes them, sums in double; no allocation, one thread.
#pragma once

#include <cstddef>

namespace vldac::ops {

template <class T>
struct ValueSteps {
  const T *value, *old_value, *returns, *weight;  // [S]; old_value: nullptr for none, needed with clip
  size_t num_steps;
  double clip, huber, coef;  // clip, huber 0: none
};

struct ValueResult {
  double loss;
  double error_mean, error_abs_max, clip_frac;  // the order of ValueStats
};

// coefficient_out [S] = d loss / d value. A step of weight 0 leaves no trace, whatever its values.
template <class T>
ValueResult value_loss(const ValueSteps<T>& in, T* coefficient_out);

}  // namespace vldac::ops

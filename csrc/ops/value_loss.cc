#include "ops/value_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vldac::ops {
namespace {

template <class T>
struct Penalty {
  T value;
  double slope;
};

// error^2, or huber (2 |error| - huber) beyond huber. An error that is NaN has a slope of NaN.
template <class T>
Penalty<T> penalty(T error, T huber) {
  T size = std::abs(error);
  if (huber == 0 || !(size > huber)) return {error * error, 2.0 * error};
  return {huber * (2 * size - huber), error < 0 ? -2.0 * huber : 2.0 * huber};
}

}  // namespace

template <class T>
ValueResult value_loss(const ValueSteps<T>& in, T* coefficient_out) {
  const T clip = static_cast<T>(in.clip), huber = static_cast<T>(in.huber);
  double loss = 0, total = 0, error_sum = 0, error_max = 0, moved_sum = 0;
  for (size_t i = 0; i < in.num_steps; ++i) {
    coefficient_out[i] = 0;
    T weight = in.weight[i], value = in.value[i], target = in.returns[i];
    if (weight == 0) continue;
    T error = value - target;
    Penalty<T> plain = penalty(error, huber);
    double most = plain.value, slope = plain.slope;
    if (in.clip != 0) {
      T old = in.old_value[i], move = value - old;
      // torch's clamp passes the gradient at its bounds and lets NaN through; at a tie its maximum halves both.
      bool is_inside = move >= -clip && move <= clip;
      Penalty<T> moved = penalty(old + (move < -clip ? -clip : move > clip ? clip : move) - target, huber);
      double moved_slope = is_inside ? moved.slope : 0.0;
      if (moved.value > plain.value) {
        most = moved.value, slope = moved_slope, moved_sum += is_inside ? T{0} : weight;
      } else if (moved.value == plain.value) {
        slope = 0.5 * (slope + moved_slope);
      } else if (!(moved.value < plain.value)) {
        most = std::numeric_limits<double>::quiet_NaN();
      }
    }
    loss += weight * most;
    total += weight;
    error_sum += static_cast<double>(weight) * error;
    double size = std::abs(static_cast<double>(error));
    if (size > error_max || size != size) error_max = size;
    coefficient_out[i] = static_cast<T>(in.coef * weight * slope);
  }
  total = total < std::numeric_limits<T>::min() ? std::numeric_limits<T>::min() : total;
  return {in.coef * loss, error_sum / total, error_max, moved_sum / total};
}

template ValueResult value_loss<float>(const ValueSteps<float>&, float*);
template ValueResult value_loss<double>(const ValueSteps<double>&, double*);

}  // namespace vldac::ops

#include "ops/whiten.h"

#include <algorithm>
#include <cmath>

namespace vldac::ops {
namespace {

constexpr size_t kSums = 8;  // partial sums, so that additions need not wait for each other

// The sum of term(value) over the masked entries.
template <class T, class Term>
double masked_sum(const T* values, const bool* mask, size_t count, Term term) {
  double sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (size_t j = 0; j < kSums; ++j) sums[j] += mask[i + j] ? term(static_cast<double>(values[i + j])) : 0.0;
  for (; i < count; ++i) sums[i % kSums] += mask[i] ? term(static_cast<double>(values[i])) : 0.0;
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace

template <class T>
void masked_whiten(const T* values, const bool* mask, size_t count, bool is_unbiased, double eps, T* out) {
  size_t chosen = 0;
  const T* first = nullptr;
  bool has_spread = false;  // NaN differs from everything
  for (size_t i = 0; i < count; ++i) {
    if (!mask[i]) continue;
    ++chosen;
    if (!first) first = values + i;
    has_spread |= values[i] != *first;
  }
  if (chosen < 2 || !has_spread) {
    std::fill_n(out, count, T{0});
    return;
  }
  double mean = masked_sum(values, mask, count, [](double value) { return value; }) / static_cast<double>(chosen);
  double squares = masked_sum(values, mask, count, [mean](double value) { return (value - mean) * (value - mean); });
  double scale = std::sqrt(squares / static_cast<double>(is_unbiased ? chosen - 1 : chosen)) + eps;
  for (size_t i = 0; i < count; ++i) out[i] = mask[i] ? static_cast<T>((static_cast<double>(values[i]) - mean) / scale) : T{0};
}

template void masked_whiten<float>(const float*, const bool*, size_t, bool, double, float*);
template void masked_whiten<double>(const double*, const bool*, size_t, bool, double, double*);

}  // namespace vldac::ops

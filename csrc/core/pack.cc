#include "core/pack.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace vldac {

namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// Offsets of micro-batches of sorted rows, each as full as the limits on its rows and on their own tokens allow.
void cut(const std::vector<int64_t>& sorted, int64_t max_rows, int64_t max_own, std::vector<int64_t>* offsets) {
  offsets->assign(1, 0);
  int64_t tokens = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    int64_t count = static_cast<int64_t>(i) - offsets->back();
    if (count > 0 && (count >= max_rows || sorted[i] > max_own - tokens)) {
      offsets->push_back(static_cast<int64_t>(i));
      tokens = 0;
    }
    tokens += sorted[i];
  }
  if (!sorted.empty()) offsets->push_back(static_cast<int64_t>(sorted.size()));
}

}  // namespace

MicrobatchPlan plan_microbatches(const int64_t* lengths, size_t rows, int64_t shared, int64_t max_rows, int64_t max_tokens) {
  if (shared < 0 || max_rows < 0 || max_tokens < 0)
    throw std::invalid_argument("plan_microbatches: expected shared, max_rows and max_tokens >= 0");
  MicrobatchPlan plan;
  plan.order.resize(rows);
  std::iota(plan.order.begin(), plan.order.end(), int64_t{0});
  std::stable_sort(plan.order.begin(), plan.order.end(), [&](int64_t a, int64_t b) { return lengths[a] < lengths[b]; });
  std::vector<int64_t> sorted(rows);
  for (size_t i = 0; i < rows; ++i) sorted[i] = lengths[plan.order[i]];
  int64_t row_limit = max_rows ? max_rows : kNoLimit;
  int64_t own_limit = max_tokens ? std::max<int64_t>(max_tokens - shared, 0) : kNoLimit;
  cut(sorted, row_limit, own_limit, &plan.offsets);
  if (plan.offsets.size() <= 2) return plan;
  // The same number of micro-batches, the largest as small as can be.
  int64_t low = 0, high = std::min(own_limit, std::accumulate(sorted.begin(), sorted.end(), int64_t{0}));
  std::vector<int64_t> trial;
  const size_t count = plan.offsets.size();
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    cut(sorted, row_limit, middle, &trial);
    if (trial.size() == count) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  cut(sorted, row_limit, high, &trial);
  if (trial.size() == count) plan.offsets.swap(trial);
  return plan;
}

}  // namespace vldac

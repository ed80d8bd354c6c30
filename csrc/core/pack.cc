#include "core/pack.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace vldac {

MicrobatchPlan plan_microbatches(const int64_t* lengths, size_t rows, int64_t max_rows, int64_t max_tokens) {
  if (max_rows < 1 || max_tokens < 0) throw std::invalid_argument("plan_microbatches: expected max_rows >= 1 and max_tokens >= 0");
  MicrobatchPlan plan;
  plan.order.resize(rows);
  std::iota(plan.order.begin(), plan.order.end(), int64_t{0});
  std::stable_sort(plan.order.begin(), plan.order.end(), [&](int64_t a, int64_t b) { return lengths[a] < lengths[b]; });
  plan.offsets.push_back(0);
  for (size_t i = 0; i < rows; ++i) {
    auto count = static_cast<int64_t>(i) - plan.offsets.back() + 1;
    bool is_over = count > max_rows || (max_tokens > 0 && count > 1 && count * lengths[plan.order[i]] > max_tokens);
    if (is_over) plan.offsets.push_back(static_cast<int64_t>(i));
  }
  if (rows) plan.offsets.push_back(static_cast<int64_t>(rows));
  return plan;
}

}  // namespace vldac

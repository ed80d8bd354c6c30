// Which rows go through the model together. Rows are sorted by length (stable) and cut into micro-batches of at most `max_rows` rows
// and at most `max_tokens` tokens: `shared` ones, which every micro-batch runs once, and the rows' own. As few micro-batches as the
// limits allow, and of those the ones whose largest is smallest, so that none is a small rest. 0 means no limit. A row that is too
// long for max_tokens is alone. O(n log n + n log max_tokens).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vldac {

struct MicrobatchPlan {
  std::vector<int64_t> order;    // [rows] positions into `lengths`
  std::vector<int64_t> offsets;  // [micro-batches + 1] into `order`
};

MicrobatchPlan plan_microbatches(const int64_t* lengths, size_t rows, int64_t shared, int64_t max_rows, int64_t max_tokens);

}  // namespace vldac

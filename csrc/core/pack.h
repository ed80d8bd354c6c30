// Which rows go through the model together. Rows are sorted by length (stable) and cut into micro-batches of at most `max_rows`
// rows and at most `max_tokens` padded tokens (rows x longest row; 0: no limit). A row longer than max_tokens is alone.
// O(n log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vldac {

struct MicrobatchPlan {
  std::vector<int64_t> order;    // [rows] positions into `lengths`
  std::vector<int64_t> offsets;  // [micro-batches + 1] into `order`
};

MicrobatchPlan plan_microbatches(const int64_t* lengths, size_t rows, int64_t max_rows, int64_t max_tokens);

}  // namespace vldac

// Row operations over a vocabulary: log-sum-exp with entropy in one read, softmax gradients, tiles of a streamed log-softmax, and
// sampling. F is float, or double for float64 input. `RowKernels<F>` holds what one instruction set does to a stretch of one row;
// the functions below it cut problems into stretches, spread them over threads and merge them in a fixed order.
//
// Logits are u (+ bias), then softcap * tanh(u / softcap), then / temperature. A column whose bias is -inf is excluded: z = -inf.
// Tiers agree within rounding, not in every bit: an exponential has its own fused multiply-adds where the machine has them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "ops/isa.h"

namespace vldac {

struct Bfloat16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

// What a row of logits is stored as. kWide is F itself.
enum class Element { kWide, kBfloat16, kHalf };
inline constexpr size_t kElements = 3;

// How a stretch of logits becomes z.
template <class F>
struct Columns {
  const F* bias = nullptr;
  F softcap = 0;  // 0: none
  F temperature = 1;

  Columns from(size_t column) const { return {bias ? bias + column : nullptr, softcap, temperature}; }
};

// Sums over the columns seen so far, relative to their maximum. A NaN or +inf makes `sum` NaN.
struct Partial {
  double max = -std::numeric_limits<double>::infinity();
  double sum = 0;     // of e^(z - max)
  double moment = 0;  // of (z - max) e^(z - max)

  // Counts columns that come later.
  void merge(const Partial& later) {
    if (later.max > max) raise(later.max);
    double scale = later.scale_to(max);
    moment += scale * (later.moment + later.shift_to(max) * later.sum);
    sum += scale * later.sum;
  }
  // Counts one column more.
  void count(double z) {
    if (z == -std::numeric_limits<double>::infinity()) return;
    if (!std::isfinite(z)) sum = std::numeric_limits<double>::quiet_NaN();
    merge({z, 1, 0});
  }
  // Makes `higher` the maximum; returns what earlier exponentials are to be multiplied by.
  double raise(double higher) {
    double scale = scale_to(higher);
    moment = scale * (moment + shift_to(higher) * sum);
    sum *= scale;
    max = higher;
    return scale;
  }
  double log_sum() const { return std::log(sum); }
  double lse() const { return max + log_sum(); }
  // Both terms are positive: nothing cancels.
  double entropy() const {
    double value = log_sum() - moment / sum;
    return value < 0 ? 0 : value;
  }
  double logprob(double z) const {
    double value = (z - max) - log_sum();
    return value > 0 ? 0 : value;
  }

 private:
  double shift_to(double higher) const { return max == higher || sum == 0 ? 0 : max - higher; }
  double scale_to(double higher) const { return max == higher ? 1 : std::exp(max - higher); }
};

// The winner of a race for one token, in ascending columns: ties go to the first.
struct Race {
  double best = -std::numeric_limits<double>::infinity();
  size_t token = 0;

  void merge(const Race& later) {
    if (later.best > best) *this = later;
  }
};

// The gradient of one row: d loss / d logit of logprob's and entropy's upstream scalars.
template <class F>
struct RowGradient {
  F logprob, entropy_slope;  // upstream
  F lse, entropy;
  size_t target;  // relative to the stretch; at or beyond its end: not here
};

// One instruction set. `x` has n elements of the table's type and is never read beyond them.
template <class F>
struct RowKernels {
  // Counts n columns.
  void (*fold[kElements])(const void* x, size_t n, const Columns<F>& columns, Partial& partial);
  // z of n columns.
  void (*scale[kElements])(const void* x, size_t n, const Columns<F>& columns, F* z);
  // Gradient of the logits before bias, in the element's type; out may be x.
  void (*gradient[kElements])(const void* x, void* out, size_t n, const Columns<F>& columns, const RowGradient<F>& row);
  // Counts n columns and puts e^(z - partial.max), times the soft-cap's derivative, over them. Returns the scale of earlier ones.
  double (*exponentiate)(F* x, size_t n, const Columns<F>& columns, Partial& partial);
  // Counts n columns, the first of which is number `first`, and races them with the noise of `key`; greedy: without noise.
  void (*race[kElements])(const void* x, size_t n, const Columns<F>& columns, size_t first, uint64_t key, bool greedy, Partial& partial,
                          Race& race);
};

template <class F>
const RowKernels<F>& row_kernels(Isa isa);

// [rows, columns] logits: column stride 1, any row stride (in bytes).
struct Matrix {
  std::byte* data;
  size_t rows, columns;
  ptrdiff_t row_bytes;

  std::byte* row(size_t i) const { return data + static_cast<ptrdiff_t>(i) * row_bytes; }
};

// What the logits mean, one entry per row.
template <class F>
struct RowOptions {
  const F* bias;  // [columns] or nullptr
  const F* temperature;
  size_t temperature_step;  // 0: one for all rows
  F softcap;
  const int64_t* target;
  int64_t ignore_index;

  Columns<F> columns(size_t row) const { return {bias, softcap, temperature[row * temperature_step]}; }
};

// Rows [N] of results.
template <class F>
struct RowResults {
  F *logprob, *entropy, *lse;
};

template <class F>
void log_softmax_rows(const RowKernels<F>& kernels, Element element, const Matrix& logits, const RowOptions<F>& options,
                      const RowResults<F>& results);

// Upstream and saved values, [N] each; grad_entropy may be nullptr.
template <class F>
struct Upstream {
  const F *grad_logprob, *grad_entropy, *lse, *entropy;
};

// gradient: of logits' shape and type; may be the logits. Targets are absolute, the first column is number `first`.
template <class F>
void gradient_rows(const RowKernels<F>& kernels, Element element, const Matrix& logits, const Matrix& gradient, size_t first,
                   const RowOptions<F>& options, const Upstream<F>& upstream);

// A row of a log-softmax that arrives tile by tile.
struct TileState {
  Partial partial;    // of all columns but the target (of all, with a soft-cap)
  double target = 0;  // z there
  double slope = 0;   // of the soft-cap there; 0 where the target is excluded
};

inline constexpr size_t kTileStateDoubles = sizeof(TileState) / sizeof(double);
static_assert(sizeof(TileState) == 5 * sizeof(double));

// Counts one tile of every row; that of column 0 begins anew. With `total` [rows, hidden], which sums e^(z - max) W over earlier tiles, the tile is replaced by this
// tile's e^(z - max) and total is brought to the new maximum; otherwise the tile is left in any state.
template <class F>
void fold_tiles(const RowKernels<F>& kernels, const Matrix& tile, size_t first, const RowOptions<F>& options, TileState* states, F* total,
                size_t hidden);

// Results, and `total` turned into d logprob / d hidden: (slope (1 - p) W_target - the others' p W) / temperature. picked [rows, hidden] is W_target.
template <class F>
void finish_tiles(size_t rows, const RowOptions<F>& options, const TileState* states, const RowResults<F>& results, F* total,
                  const F* picked, size_t hidden);

// Restricts what can be sampled; nullptr: does not.
template <class F>
struct Truncation {
  const int64_t* top_k;  // at most 0: all
  const F* top_p;
  double min_p;
};

template <class F>
struct SampleResults {
  int64_t* token;
  F *logprob_raw, *logprob_processed, *entropy;
  bool* valid;
};

// seed, position [rows]: the noise of a column depends on them and its number alone. options.target is not used.
template <class F>
void sample_rows(const RowKernels<F>& kernels, Element element, const Matrix& logits, const RowOptions<F>& options,
                 const Truncation<F>& truncation, const int64_t* seed, const int64_t* position, const bool* greedy,
                 const SampleResults<F>& results);

}  // namespace vldac

// Problems cut into stretches: always the same ones, whatever the number of threads, and merged from left to right.
#include "ops/rows.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ops/pages.h"
#include "ops/parallel.h"

namespace vldac {

namespace rows_tier {
namespace generic {
extern const RowKernels<float> kKernels;
}
#ifdef VLDAC_X86
namespace avx2 {
extern const RowKernels<float> kKernels;
}
namespace avx512 {
extern const RowKernels<float> kKernels;
}
#endif
}  // namespace rows_tier

template <>
const RowKernels<float>& row_kernels<float>(Isa isa) {
#ifdef VLDAC_X86
  if (isa == Isa::kAvx512) return rows_tier::avx512::kKernels;
  if (isa == Isa::kAvx2) return rows_tier::avx2::kKernels;
#endif
  (void)isa;
  return rows_tier::generic::kKernels;
}

namespace {

// Columns of one part, and items below which a second thread is not worth waking.
constexpr size_t kStretch = 16384, kGrain = 16384;

size_t element_bytes(Element element, size_t wide) { return element == Element::kWide ? wide : 2; }

size_t grain_of(size_t items_per_part) { return std::max<size_t>(1, kGrain / std::max<size_t>(1, items_per_part)); }

// The stretches of a problem, numbered row by row.
struct Stretches {
  size_t rows, columns, per_row;

  Stretches(size_t rows, size_t columns) : rows(rows), columns(columns), per_row((columns + kStretch - 1) / kStretch) {}
  size_t count() const { return rows * per_row; }
  size_t row(size_t part) const { return part / per_row; }
  size_t begin(size_t part) const { return part % per_row * kStretch; }
  size_t size(size_t part) const { return std::min(kStretch, columns - begin(part)); }
};

template <class F>
constexpr F kNan = std::numeric_limits<F>::quiet_NaN();

// Results of a row whose columns are all counted.
template <class F>
void write_row(size_t row, const Partial& partial, double target, bool is_ignored, const RowResults<F>& results) {
  bool is_valid = !std::isnan(partial.sum) && partial.sum > 0;
  double nan = kNan<double>;
  results.logprob[row] = static_cast<F>(is_ignored ? 0 : is_valid ? partial.logprob(target) : nan);
  results.entropy[row] = static_cast<F>(is_ignored ? 0 : is_valid ? partial.entropy() : nan);
  results.lse[row] = static_cast<F>(is_ignored ? 0 : is_valid ? partial.lse() : nan);
}

// A soft-cap would make a finite number of -inf: there the target is counted with the others.
template <class F>
bool is_apart(const RowOptions<F>& options) {
  return options.softcap <= 0;
}

}  // namespace

template <class F>
void log_softmax_rows(const RowKernels<F>& kernels, Element element, const Matrix& logits, const RowOptions<F>& options,
                      const RowResults<F>& results) {
  const Stretches parts(logits.rows, logits.columns);
  const size_t kind = static_cast<size_t>(element), bytes = element_bytes(element, sizeof(F));
  static thread_local std::vector<Partial> kept;
  kept.assign(parts.count(), {});
  Partial* partials = kept.data();
  auto is_ignored = [&](size_t row) { return options.target[row] == options.ignore_index; };
  parallel_for(parts.count(), grain_of(std::min(kStretch, logits.columns)), [&](size_t part) {
    size_t row = parts.row(part), begin = parts.begin(part);
    if (is_ignored(row)) return;
    kernels.fold[kind](logits.row(row) + begin * bytes, parts.size(part), options.columns(row).from(begin), partials[part]);
  });
  for (size_t row = 0; row < logits.rows; ++row) {
    Partial whole;
    F z = 0;
    if (!is_ignored(row)) {
      for (size_t i = 0; i < parts.per_row; ++i) whole.merge(partials[row * parts.per_row + i]);
      auto target = static_cast<size_t>(options.target[row]);
      kernels.scale[kind](logits.row(row) + target * bytes, 1, options.columns(row).from(target), &z);
    }
    write_row(row, whole, static_cast<double>(z), is_ignored(row), results);
  }
}

template <class F>
void gradient_rows(const RowKernels<F>& kernels, Element element, const Matrix& logits, const Matrix& gradient, size_t first,
                   const RowOptions<F>& options, const Upstream<F>& upstream) {
  const Stretches parts(logits.rows, logits.columns);
  const size_t kind = static_cast<size_t>(element), bytes = element_bytes(element, sizeof(F));
  bool is_fresh = gradient.data != logits.data && gradient.row_bytes == static_cast<ptrdiff_t>(gradient.columns * bytes);
  if (is_fresh) prefer_large_pages(gradient.data, gradient.rows * gradient.columns * bytes);
  parallel_for(parts.count(), grain_of(std::min(kStretch, logits.columns)), [&](size_t part) {
    size_t row = parts.row(part), begin = parts.begin(part), size = parts.size(part);
    std::byte* to = gradient.row(row) + begin * bytes;
    int64_t target = options.target[row];
    if (target == options.ignore_index) {
      std::memset(to, 0, size * bytes);
      return;
    }
    // Before the stretch wraps to a number beyond its end.
    size_t here = static_cast<size_t>(target) - first - begin;
    RowGradient<F> terms{upstream.grad_logprob[row], upstream.grad_entropy ? upstream.grad_entropy[row] : 0, upstream.lse[row],
                         upstream.entropy[row], here};
    kernels.gradient[kind](logits.row(row) + begin * bytes, to, size, options.columns(row).from(begin), terms);
  });
}

template <class F>
void fold_tiles(const RowKernels<F>& kernels, const Matrix& tile, size_t first, const RowOptions<F>& options, TileState* states, F* total,
                size_t hidden) {
  parallel_for(tile.rows, grain_of(tile.columns), [&](size_t row) {
    F* x = reinterpret_cast<F*>(tile.row(row));
    int64_t target = options.target[row];
    if (first == 0) states[row] = {};
    if (target == options.ignore_index) {
      if (total) std::fill_n(x, tile.columns, F(0));
      return;
    }
    TileState& state = states[row];
    const Columns<F> columns = options.columns(row);
    size_t here = static_cast<size_t>(target) - first;
    if (here < tile.columns) {
      F z = 0;
      kernels.scale[0](x + here, 1, columns.from(here), &z);
      state.target = static_cast<double>(z);
      double t = columns.softcap > 0 ? state.target * static_cast<double>(columns.temperature) / static_cast<double>(columns.softcap) : 0;
      bool is_excluded = columns.bias && columns.bias[here] == -std::numeric_limits<F>::infinity();
      state.slope = is_excluded ? 0 : 1 - t * t;
      // Kept apart: 1 - p of a sure token is what the others have, and not a difference of two numbers near 1.
      if (is_apart(options)) x[here] = -std::numeric_limits<F>::infinity();
    }
    if (!total) return kernels.fold[0](x, tile.columns, columns, state.partial);
    double scale = kernels.exponentiate(x, tile.columns, columns, state.partial);
    F* sum = total + row * hidden;
    if (scale != 1 && first > 0)
      for (size_t i = 0; i < hidden; ++i) sum[i] *= static_cast<F>(scale);
  });
}

template <class F>
void finish_tiles(size_t rows, const RowOptions<F>& options, const TileState* states, const RowResults<F>& results, F* total,
                  const F* picked, size_t hidden) {
  parallel_for(rows, grain_of(hidden), [&](size_t row) {
    const TileState& state = states[row];
    bool is_ignored = options.target[row] == options.ignore_index;
    Partial whole = state.partial;
    if (is_apart(options)) whole.count(state.target);
    write_row(row, whole, state.target, is_ignored, results);
    if (!total) return;
    F* sum = total + row * hidden;
    const F* chosen = picked + row * hidden;
    double temperature = static_cast<double>(options.temperature[row * options.temperature_step]);
    // Of e^(z - max of what total sums): total / sum is what the others have, 1 - p of the target their share.
    double unit = std::exp(state.partial.max - whole.max) / (whole.sum * temperature);
    F share = static_cast<F>(unit);
    F own = static_cast<F>(state.slope * (is_apart(options) ? unit * state.partial.sum : 1 / temperature));
    for (size_t i = 0; i < hidden; ++i) sum[i] = is_ignored ? 0 : (own != 0 ? own * chosen[i] : 0) - share * sum[i];
  });
}

template void log_softmax_rows(const RowKernels<float>&, Element, const Matrix&, const RowOptions<float>&, const RowResults<float>&);
template void log_softmax_rows(const RowKernels<double>&, Element, const Matrix&, const RowOptions<double>&, const RowResults<double>&);
template void gradient_rows(const RowKernels<float>&, Element, const Matrix&, const Matrix&, size_t, const RowOptions<float>&,
                            const Upstream<float>&);
template void gradient_rows(const RowKernels<double>&, Element, const Matrix&, const Matrix&, size_t, const RowOptions<double>&,
                            const Upstream<double>&);
template void fold_tiles(const RowKernels<float>&, const Matrix&, size_t, const RowOptions<float>&, TileState*, float*, size_t);
template void fold_tiles(const RowKernels<double>&, const Matrix&, size_t, const RowOptions<double>&, TileState*, double*, size_t);
template void finish_tiles(size_t, const RowOptions<float>&, const TileState*, const RowResults<float>&, float*, const float*, size_t);
template void finish_tiles(size_t, const RowOptions<double>&, const TileState*, const RowResults<double>&, double*, const double*, size_t);

}  // namespace vldac

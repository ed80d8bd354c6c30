// The row kernels in double: plain loops over the C library's functions, one for every machine. For tests, not for speed.
#include <algorithm>

#include "ops/noise.h"
#include "ops/rows.h"

namespace vldac {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double z_of(const double* x, const Columns<double>& columns, size_t at) {
  if (columns.bias && columns.bias[at] == -kInfinity) return -kInfinity;
  double u = x[at] + (columns.bias ? columns.bias[at] : 0);
  if (columns.softcap > 0) u = columns.softcap * std::tanh(u / columns.softcap);
  return u / columns.temperature;
}

double slope_of(double z, const Columns<double>& columns) {
  if (columns.softcap <= 0) return 1;
  double t = z == -kInfinity ? -1 : z * columns.temperature / columns.softcap;
  return 1 - t * t;
}

double base_of(const Partial& partial) { return partial.max == -kInfinity ? 0 : partial.max; }

// Brings the maximum of n columns in; returns the scale of earlier ones.
double raise(const double* x, size_t n, const Columns<double>& columns, Partial& partial) {
  double top = -kInfinity;
  for (size_t i = 0; i < n; ++i) top = std::max(top, z_of(x, columns, i));
  return top > partial.max ? partial.raise(top) : 1;
}

double count(double z, Partial& partial) {
  double d = z - base_of(partial), e = std::exp(d);
  partial.sum += e;
  partial.moment += e == 0 ? 0 : d * e;
  return e;
}

void fold(const void* logits, size_t n, const Columns<double>& columns, Partial& partial) {
  const double* x = static_cast<const double*>(logits);
  raise(x, n, columns, partial);
  for (size_t i = 0; i < n; ++i) count(z_of(x, columns, i), partial);
}

void scale(const void* logits, size_t n, const Columns<double>& columns, double* z) {
  for (size_t i = 0; i < n; ++i) z[i] = z_of(static_cast<const double*>(logits), columns, i);
}

double exponentiate(double* x, size_t n, const Columns<double>& columns, Partial& partial) {
  double rescale = raise(x, n, columns, partial);
  for (size_t i = 0; i < n; ++i) {
    double z = z_of(x, columns, i);
    x[i] = count(z, partial) * slope_of(z, columns);
  }
  return rescale;
}

void gradient(const void* logits, void* out, size_t n, const Columns<double>& columns, const RowGradient<double>& row) {
  const double* x = static_cast<const double*>(logits);
  for (size_t i = 0; i < n; ++i) {
    double z = z_of(x, columns, i), log_share = z - row.lse, share = std::exp(log_share);
    double value = share == 0 ? 0 : -share * (row.logprob + row.entropy_slope * (log_share + row.entropy));
    bool is_excluded = columns.bias && columns.bias[i] == -kInfinity;
    if (i == row.target && !is_excluded) value += row.logprob;
    static_cast<double*>(out)[i] = value * slope_of(z, columns) / columns.temperature;
  }
}

void run_race(const void* logits, size_t n, const Columns<double>& columns, size_t first, uint64_t key, bool greedy, Partial& partial,
              Race& race) {
  const double* x = static_cast<const double*>(logits);
  fold(logits, n, columns, partial);
  for (size_t i = 0; i < n; ++i) {
    double z = z_of(x, columns, i);
    uint64_t bits = noise::bits(key, first + i);
    // A column that could not win is not worth two logarithms.
    if (!greedy && static_cast<double>(noise::least_exponential(bits)) > noise::race_bound(z, race.best)) continue;
    double score = greedy ? z : z + noise::gumbel(bits);
    if (score > race.best) race = {score, first + i};
  }
}

}  // namespace

template <>
const RowKernels<double>& row_kernels<double>(Isa) {
  static const RowKernels<double> kernels = {{&fold, nullptr, nullptr},     {&scale, nullptr, nullptr},    {&gradient, nullptr, nullptr},
                                             &exponentiate, {&run_race, nullptr, nullptr}};
  return kernels;
}

}  // namespace vldac

// The sampler: one race over all columns; rows that are truncated then run it again over what is left.
//
// "Left" is always a beginning of the row in the order (z descending, column ascending), so that it is told by its last item. The
// order itself is never made: z falls into buckets, counts and sums of e^(z - max) find the bucket of the last item, and only that
// bucket is sorted.
#include <algorithm>
#include <type_traits>

#include "ops/noise.h"
#include "ops/parallel.h"
#include "ops/rows.h"

namespace vldac {
namespace {

constexpr size_t kStretch = 16384, kGrain = 8192;
constexpr size_t kBuckets = 4096;
constexpr double kBucketsPerUnit = 128;  // 32 units of z; the last bucket takes what is below

template <class F>
struct Item {
  F z;
  size_t column;

  bool is_before(const Item& other) const { return z > other.z || (z == other.z && column < other.column); }
};

struct Bucket {
  size_t count = 0;
  double mass = 0;
};

// One row, for one thread at a time; its memory is kept for the next row.
template <class F>
class TruncatedRow {
 public:
  // z: of all columns, which may be changed.
  void assign(size_t columns) { z_.resize(columns); }
  F* z() { return z_.data(); }

  // Puts -inf over everything that top-k, top-p or min-p removes. max: the largest z.
  void truncate(const RowKernels<F>& kernels, double max, int64_t top_k, double top_p, double min_p) {
    max_ = max;
    bool limits_count = top_k > 0 && static_cast<uint64_t>(top_k) < z_.size(), limits_mass = top_p < 1;
    auto top = static_cast<size_t>(std::find(z_.begin(), z_.end(), static_cast<F>(max)) - z_.begin());
    last_ = {-std::numeric_limits<F>::infinity(), z_.size()};
    if (limits_mass || min_p > 0) {
      share_ = z_;
      Partial known{max, 0, 0};
      kernels.exponentiate(share_.data(), share_.size(), {}, known);
    } else {
      share_.assign(z_.size(), 0);  // nobody asks
    }
    if (limits_count || limits_mass) fill_buckets();
    double mass = 0;
    if (limits_count)
      mass = keep_count(static_cast<size_t>(top_k));
    else if (limits_mass)
      for (const Bucket& bucket : buckets_) mass += bucket.mass;
    if (limits_mass) keep_mass(top_p * mass);
    for (size_t j = 0; j < z_.size(); ++j) {
      Item<F> item{z_[j], j};
      bool is_kept = !last_.is_before(item) && !(min_p > 0 && share(j) < min_p);
      if (!is_kept && j != top) z_[j] = -std::numeric_limits<F>::infinity();
    }
  }

 private:
  size_t bucket_of(F z) const {
    double place = (max_ - static_cast<double>(z)) * kBucketsPerUnit;
    return place < static_cast<double>(kBuckets - 1) ? static_cast<size_t>(place) : kBuckets - 1;
  }
  double share(size_t column) const { return static_cast<double>(share_[column]); }

  void fill_buckets() {
    std::fill(buckets_.begin(), buckets_.end(), Bucket{});
    for (size_t j = 0; j < z_.size(); ++j) {
      Bucket& bucket = buckets_[bucket_of(z_[j])];
      ++bucket.count;
      bucket.mass += share(j);
    }
  }

  // The items of a bucket, in order.
  void sort_bucket(size_t bucket) {
    items_.clear();
    for (size_t j = 0; j < z_.size(); ++j)
      if (bucket_of(z_[j]) == bucket) items_.push_back({z_[j], j});
    std::sort(items_.begin(), items_.end(), [](const Item<F>& a, const Item<F>& b) { return a.is_before(b); });
  }

  void cut_after(const Item<F>& item) {
    if (item.is_before(last_)) last_ = item;
  }

  // Keeps `count` items; returns their mass.
  double keep_count(size_t count) {
    double mass = 0;
    for (size_t b = 0; b < kBuckets; ++b) {
      if (buckets_[b].count < count) {
        count -= buckets_[b].count;
        mass += buckets_[b].mass;
        continue;
      }
      sort_bucket(b);
      for (size_t i = 0; i < count; ++i) mass += share(items_[i].column);
      cut_after(items_[count - 1]);
      break;
    }
    return mass;
  }

  // Keeps the items before which there is less than `limit`.
  void keep_mass(double limit) {
    double before = 0;
    for (size_t b = 0; b < kBuckets; ++b) {
      if (buckets_[b].count == 0) continue;
      if (before + buckets_[b].mass < limit) {
        before += buckets_[b].mass;
        continue;
      }
      sort_bucket(b);
      for (size_t i = 0; i < items_.size(); ++i) {
        // The first of a later bucket is kept too: what is before it is less than the limit.
        if (i > 0 && before >= limit) return cut_after(items_[i - 1]);
        before += share(items_[i].column);
      }
      return cut_after(items_.back());
    }
  }

  double max_ = 0;
  Item<F> last_{};
  std::vector<F> z_, share_;  // share: e^(z - max)
  std::vector<Item<F>> items_;
  std::vector<Bucket> buckets_ = std::vector<Bucket>(kBuckets);
};

struct Part {
  Partial partial;
  Race race;
};

}  // namespace

template <class F>
void sample_rows(const RowKernels<F>& kernels, Element element, const Matrix& logits, const RowOptions<F>& options,
                 const Truncation<F>& truncation, const int64_t* seed, const int64_t* position, const bool* greedy,
                 const SampleResults<F>& results) {
  const size_t kind = static_cast<size_t>(element), bytes = element == Element::kWide ? sizeof(F) : 2;
  const size_t per_row = (logits.columns + kStretch - 1) / kStretch;
  static thread_local std::vector<Part> kept;
  kept.assign(logits.rows * per_row, {});
  Part* parts = kept.data();
  size_t grain = std::max<size_t>(1, kGrain / std::max<size_t>(1, std::min(kStretch, logits.columns)));
  parallel_for(logits.rows * per_row, grain, [&](size_t index) {
    size_t row = index / per_row, begin = index % per_row * kStretch, size = std::min(kStretch, logits.columns - begin);
    Part& part = parts[index];
    kernels.race[kind](logits.row(row) + begin * bytes, size, options.columns(row).from(begin), begin,
                       noise::row_key(seed[row], position[row]), greedy[row], part.partial, part.race);
  });
  auto finish = [&](size_t row) {
    Part raw;
    for (size_t i = 0; i < per_row; ++i) {
      raw.partial.merge(parts[row * per_row + i].partial);
      raw.race.merge(parts[row * per_row + i].race);
    }
    const bool is_valid = raw.partial.sum > 0 && std::isfinite(raw.partial.max);  // a NaN or +inf makes the sum NaN
    results.valid[row] = is_valid;
    if (!is_valid) {
      results.token[row] = 0;
      results.logprob_raw[row] = results.logprob_processed[row] = results.entropy[row] = std::numeric_limits<F>::quiet_NaN();
      return;
    }
    int64_t top_k = truncation.top_k ? truncation.top_k[row] : 0;
    double top_p = truncation.top_p ? static_cast<double>(truncation.top_p[row]) : 1;
    Part chosen = raw;
    bool is_truncated = (top_k > 0 && static_cast<uint64_t>(top_k) < logits.columns) || top_p < 1 || truncation.min_p > 0;
    if (is_truncated) {
      static thread_local TruncatedRow<F> left;
      left.assign(logits.columns);
      kernels.scale[kind](logits.row(row), logits.columns, options.columns(row), left.z());
      left.truncate(kernels, raw.partial.max, top_k, top_p, truncation.min_p);
      chosen = {};
      kernels.race[0](left.z(), logits.columns, Columns<F>{}, 0, noise::row_key(seed[row], position[row]), greedy[row], chosen.partial,
                      chosen.race);
    }
    size_t token = chosen.race.token;
    F z = 0;
    kernels.scale[kind](logits.row(row) + token * bytes, 1, options.columns(row).from(token), &z);
    results.token[row] = static_cast<int64_t>(token);
    results.logprob_raw[row] = static_cast<F>(raw.partial.logprob(static_cast<double>(z)));
    results.logprob_processed[row] = static_cast<F>(chosen.partial.logprob(static_cast<double>(z)));
    results.entropy[row] = static_cast<F>(raw.partial.entropy());
  };
  bool may_truncate = truncation.top_k || truncation.top_p || truncation.min_p > 0;
  parallel_for(logits.rows, may_truncate ? 1 : logits.rows, finish);
}

template void sample_rows(const RowKernels<float>&, Element, const Matrix&, const RowOptions<float>&, const Truncation<float>&,
                          const int64_t*, const int64_t*, const bool*, const SampleResults<float>&);
template void sample_rows(const RowKernels<double>&, Element, const Matrix&, const RowOptions<double>&, const Truncation<double>&,
                          const int64_t*, const int64_t*, const bool*, const SampleResults<double>&);

}  // namespace vldac

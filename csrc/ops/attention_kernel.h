// The attention kernels of one tier; see ops/attention.h for what they promise. Included after a tier's header.
// Everything is made of one product: some rows of A, of any strides, times rows of B that lie in vectors, in registers.
// No include guard: once for each tier.

#include "ops/attention.h"
#include "ops/lanes_math.h"

namespace vldac::rows_tier::VLDAC_TIER {
namespace {

constexpr size_t kTileRows = 6, kTileVectors = kLanes == 16 ? 4 : 2;
static_assert(kWidthStep % kLanes == 0 && kKeyBlock % (kTileVectors * kLanes) == 0 && kQueryBlock % kTileRows == 0);

// A strided matrix that is read item by item.
struct Factor {
  const float* data;
  ptrdiff_t row, column;
};

// C [Rows, Vectors] (+)= A [Rows, k] B [k, Vectors].
template <size_t Rows, size_t Vectors>
VLDAC_INLINE void multiply_tile(const Factor& a, const float* b, size_t b_row, size_t k, float* c, size_t c_row, bool adds) {
  Float sums[Rows][Vectors] = {};
  if (adds) {
#pragma GCC unroll 8
    for (size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (size_t v = 0; v < Vectors; ++v) sums[i][v] = load<Float>(c + i * c_row + v * kLanes);
  }
  const float* column = a.data;
  for (size_t j = 0; j < k; ++j, column += a.column, b += b_row) {
    Float items[Vectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < Vectors; ++v) items[v] = load<Float>(b + v * kLanes);
#pragma GCC unroll 8
    for (size_t i = 0; i < Rows; ++i) {
      Float x = floats(column[static_cast<ptrdiff_t>(i) * a.row]);
#pragma GCC unroll 4
      for (size_t v = 0; v < Vectors; ++v) sums[i][v] = fma_of(x, items[v], sums[i][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (size_t v = 0; v < Vectors; ++v) store(c + i * c_row + v * kLanes, sums[i][v]);
}

template <size_t Vectors>
VLDAC_FN void multiply_columns(Factor a, const float* b, size_t b_row, size_t m, size_t k, float* c, size_t c_row, bool adds) {
  for (; m >= kTileRows; m -= kTileRows, a.data += static_cast<ptrdiff_t>(kTileRows) * a.row, c += kTileRows * c_row)
    multiply_tile<kTileRows, Vectors>(a, b, b_row, k, c, c_row, adds);
  if (m == 5) multiply_tile<5, Vectors>(a, b, b_row, k, c, c_row, adds);
  if (m == 4) multiply_tile<4, Vectors>(a, b, b_row, k, c, c_row, adds);
  if (m == 3) multiply_tile<3, Vectors>(a, b, b_row, k, c, c_row, adds);
  if (m == 2) multiply_tile<2, Vectors>(a, b, b_row, k, c, c_row, adds);
  if (m == 1) multiply_tile<1, Vectors>(a, b, b_row, k, c, c_row, adds);
}

// C [m, n] (+)= A [m, k] B [k, n]; n is a multiple of the lanes. Every item is summed in the order of k, whatever m and n.
VLDAC_FN void multiply(const Factor& a, const float* b, size_t b_row, size_t m, size_t k, size_t n, float* c, size_t c_row, bool adds) {
  size_t at = 0;
  for (; at + kTileVectors * kLanes <= n; at += kTileVectors * kLanes)
    multiply_columns<kTileVectors>(a, b + at, b_row, m, k, c + at, c_row, adds);
  if constexpr (kTileVectors > 2) {
    if (at + 2 * kLanes <= n) {
      multiply_columns<2>(a, b + at, b_row, m, k, c + at, c_row, adds);
      at += 2 * kLanes;
    }
  }
  if (at < n) multiply_columns<1>(a, b + at, b_row, m, k, c + at, c_row, adds);
}

// The lower (or upper) halves of a's groups of Group lanes beside those of b's.
template <size_t Group, bool Upper, size_t... Lane>
VLDAC_INLINE Float halves(Float a, Float b, std::index_sequence<Lane...>) {
  constexpr size_t kHalf = Group / 2, kFrom = Upper ? kHalf : 0;
  return __builtin_shufflevector(a, b, static_cast<int>(Lane % Group < kHalf ? Lane + kFrom : kLanes + Lane - kHalf + kFrom)...);
}
using LaneNumbers = std::make_index_sequence<kLanes>;

// Lane i of the result is the sum of v[i].
template <size_t Group = kLanes>
VLDAC_INLINE Float sums_of(Float* v) {
  if constexpr (Group > 1) {
#pragma GCC unroll 8
    for (size_t i = 0; i < Group / 2; ++i) {
      Float a = v[i], b = v[i + Group / 2];
      v[i] = halves<Group, false>(a, b, LaneNumbers{}) + halves<Group, true>(a, b, LaneNumbers{});
    }
    return sums_of<Group / 2>(v);
  } else {
    return v[0];
  }
}

// Rows become columns.
template <size_t Group = kLanes>
VLDAC_INLINE void exchange(Float* v) {
  if constexpr (Group > 1) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kLanes; ++i) {
      if (i % Group >= Group / 2) continue;
      Float a = v[i], b = v[i + Group / 2];
      v[i] = halves<Group, false>(a, b, LaneNumbers{});
      v[i + Group / 2] = halves<Group, true>(a, b, LaneNumbers{});
    }
    exchange<Group / 2>(v);
  }
}

VLDAC_FN void transpose(const float* keys, ptrdiff_t row_stride, size_t n, size_t width, float* to) {
  for (size_t row = 0; row < kKeyBlock; row += kLanes) {
    size_t count = row < n ? std::min(kLanes, n - row) : 0;
    for (size_t at = 0; at < width; at += kLanes) {
      Float block[kLanes] = {};
#pragma GCC unroll 16
      for (size_t i = 0; i < kLanes; ++i)
        if (i < count) block[i] = load<Float>(keys + static_cast<ptrdiff_t>(row + i) * row_stride + at);
      exchange(block);
#pragma GCC unroll 16
      for (size_t i = 0; i < kLanes; ++i) store(to + (at + i) * kKeyBlock + row, block[i]);
    }
  }
}

// Sums of kLanes keys with a query; whole: all of them exist, else those behind `last` repeat it.
template <bool whole>
VLDAC_INLINE Float dot_lanes(const float* query, const float* keys, ptrdiff_t row_stride, size_t last, size_t width) {
  Float sums[kLanes] = {};
  for (size_t at = 0; at < width; at += kLanes) {
    Float x = load<Float>(query + at);
#pragma GCC unroll 16
    for (size_t j = 0; j < kLanes; ++j)
      sums[j] = fma_of(x, load<Float>(keys + static_cast<ptrdiff_t>(whole ? j : std::min(j, last)) * row_stride + at), sums[j]);
  }
  return sums_of(sums);
}

// scores[i] = query . keys[i] for n keys; up to kLanes - 1 items behind them are written too.
VLDAC_FN void dot_rows(const float* query, const float* keys, ptrdiff_t row_stride, size_t n, size_t width, float* scores) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes, keys += static_cast<ptrdiff_t>(kLanes) * row_stride)
    store(scores + i, dot_lanes<true>(query, keys, row_stride, 0, width));
  if (i < n) store(scores + i, dot_lanes<false>(query, keys, row_stride, n - i - 1, width));
}

// A query's softmax so far: e^(score - max) summed, and values [width] weighted with them.
struct Online {
  float max, sum;
};

// Turns n scores into e^(score - max), zeros behind them up to `whole`, and brings the sums to the new maximum.
VLDAC_INLINE void absorb(float* scores, size_t n, size_t whole, Online& state, float* out, size_t width) {
  Float top = floats(-kInfinity);
  for (size_t i = 0; i < n; i += kLanes) {
    Float s = load<Float>(scores + i);
    if (n - i < kLanes) {
      s = lane_numbers() < static_cast<int32_t>(n - i) ? s : floats(-kInfinity);
      store(scores + i, s);
    }
    top = max_of(s, top);
  }
  float highest = state.max;
  for (size_t i = 0; i < kLanes; ++i) highest = top[i] > highest ? top[i] : highest;
  // Nothing finite so far: measured from 0, every exponential is 0.
  Float base = floats(highest == -kInfinity ? 0.0f : highest), sum = {};
  for (size_t i = 0; i < n; i += kLanes) {
    Float e = exp_of(load<Float>(scores + i) - base);
    sum += e;
    store(scores + i, e);
  }
  for (size_t i = (n + kLanes - 1) / kLanes * kLanes; i < whole; i += kLanes) store(scores + i, Float{});
  if (highest > state.max) {
    float keep = state.max == -kInfinity ? 0.0f : exp_of(floats(state.max - highest))[0];
    state.sum *= keep;
    for (size_t i = 0; i < width; i += kLanes) store(out + i, load<Float>(out + i) * keep);
    state.max = highest;
  }
  state.sum += static_cast<float>(total_of(sum));
}

VLDAC_INLINE void copy_scaled(const float* from, float factor, size_t n, float* to) {
  for (size_t i = 0; i < n; i += kLanes) store(to + i, load<Float>(from + i) * factor);
}

VLDAC_FN void attend_slots(const SlotProblem& problem, const float* transposed, size_t kv_head, size_t first, size_t count, float* scratch) {
  const AttentionSizes& sizes = problem.sizes;
  const size_t width = sizes.width, group = sizes.group(), queries = count * group;
  float *query = scratch, *out = query + queries * width, *scores = out + queries * width;
  auto* states = reinterpret_cast<Online*>(scores + queries * kKeyBlock);
  for (size_t i = 0; i < queries; ++i) {
    copy_scaled(problem.query.at(first + i / group, kv_head * group + i % group), sizes.scale, width, query + i * width);
    std::fill_n(out + i * width, width, 0.0f);
    states[i] = {-kInfinity, 0};
  }
  // The prefix: one product for all queries.
  for (size_t at = 0; at < problem.prefix.count; at += kKeyBlock, transposed += width * kKeyBlock) {
    size_t n = std::min(kKeyBlock, problem.prefix.count - at), padded_count = (n + kLanes - 1) / kLanes * kLanes;
    multiply({query, static_cast<ptrdiff_t>(width), 1}, transposed, kKeyBlock, queries, width, padded_count, scores, kKeyBlock, false);
    for (size_t i = 0; i < queries; ++i) absorb(scores + i * kKeyBlock, n, n, states[i], out + i * width, width);
    multiply({scores, kKeyBlock, 1}, problem.prefix.value.at(at, kv_head), static_cast<size_t>(problem.prefix.value.row_stride), queries, n, width,
             out, width, true);
  }
  // Each row's own keys.
  for (size_t row = 0; row < count; ++row) {
    ptrdiff_t slot = static_cast<ptrdiff_t>(problem.slot[first + row]);
    const float* keys = problem.cache.key.at(0, kv_head) + slot * problem.key_slot_stride;
    const float* values = problem.cache.value.at(0, kv_head) + slot * problem.value_slot_stride;
    size_t length = static_cast<size_t>(problem.length[first + row]);
    for (size_t at = 0; at < length; at += kKeyBlock) {
      size_t n = std::min(kKeyBlock, length - at);
      const float* some = keys + static_cast<ptrdiff_t>(at) * problem.cache.key.row_stride;
      for (size_t i = row * group; i < (row + 1) * group; ++i) {
        dot_rows(query + i * width, some, problem.cache.key.row_stride, n, width, scores + i * kKeyBlock);
        absorb(scores + i * kKeyBlock, n, n, states[i], out + i * width, width);
      }
      multiply({scores + row * group * kKeyBlock, kKeyBlock, 1}, values + static_cast<ptrdiff_t>(at) * problem.cache.value.row_stride,
               static_cast<size_t>(problem.cache.value.row_stride), group, n, width, out + row * group * width, width, true);
    }
  }
  for (size_t i = 0; i < queries; ++i)
    copy_scaled(out + i * width, states[i].sum > 0 ? 1 / states[i].sum : states[i].sum, width,
                problem.out.at(first + i / group, kv_head * group + i % group));
}

}  // namespace

extern const AttentionKernels kAttentionKernels;
const AttentionKernels kAttentionKernels = {&transpose, &attend_slots};

}  // namespace vldac::rows_tier::VLDAC_TIER

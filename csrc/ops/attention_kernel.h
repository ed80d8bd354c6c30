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

// The first `tail` of some keys of a head (of the prefix), then others (a row's own).
struct JoinedRows {
  const InputHeads *before, *own;
  size_t before_first, own_first, tail, head;

  VLDAC_INLINE const float* at(size_t i) const {
    return i < tail ? before->at(before_first + i, head) : own->at(own_first + i - tail, head);
  }
};

// Rows first ... first + n - 1, n <= kKeyBlock, as columns, zeros behind them.
VLDAC_FN void transpose_joined(const JoinedRows& rows, size_t first, size_t n, size_t width, float* to) {
  for (size_t row = 0; row < kKeyBlock; row += kLanes) {
    const size_t count = row < n ? std::min(kLanes, n - row) : 0;
    const float* from[kLanes] = {};
    for (size_t i = 0; i < count; ++i) from[i] = rows.at(first + row + i);
    for (size_t at = 0; at < width; at += kLanes) {
      Float block[kLanes] = {};
#pragma GCC unroll 16
      for (size_t i = 0; i < kLanes; ++i)
        if (i < count) block[i] = load<Float>(from[i] + at);
      exchange(block);
#pragma GCC unroll 16
      for (size_t i = 0; i < kLanes; ++i) store(to + (at + i) * kKeyBlock + row, block[i]);
    }
  }
}

VLDAC_FN void transpose(const InputHeads& keys, size_t first, size_t head, size_t n, size_t width, float* to) {
  transpose_joined({&keys, &keys, 0, first, 0, head}, 0, n, width, to);
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

// The largest, and the sum, of all lanes: by halves.
template <size_t Half = kLanes / 2>
VLDAC_INLINE float top_of(Float v) {
  if constexpr (Half == 0) {
    return v[0];
  } else {
    return top_of<Half / 2>(max_of(halves<2 * Half, true>(v, v, LaneNumbers{}), v));
  }
}
template <size_t Half = kLanes / 2>
VLDAC_INLINE float sum_of(Float v) {
  if constexpr (Half == 0) {
    return v[0];
  } else {
    return sum_of<Half / 2>(v + halves<2 * Half, true>(v, v, LaneNumbers{}));
  }
}

// A query's softmax so far: sums of e^(score - max), one per lane.
struct Online {
  float max = -kInfinity, sums[kLanes] = {};

  VLDAC_INLINE float sum() const { return sum_of(load<Float>(sums)); }
};
static_assert(sizeof(Online) <= kStateItems * sizeof(float));

// Turns n scores into e^(score - max), zeros behind them up to `whole`, and brings sums and values [width] to the new maximum.
VLDAC_INLINE void absorb(float* scores, size_t n, size_t whole, Online& state, float* out, size_t width) {
  Float top = floats(-kInfinity);
  size_t full = n / kLanes * kLanes;
  for (size_t i = 0; i < full; i += kLanes) top = max_of(load<Float>(scores + i), top);
  if (full < n) {
    Float s = load<Float>(scores + full);
    s = lane_numbers() < static_cast<int32_t>(n - full) ? s : floats(-kInfinity);
    store(scores + full, s);
    top = max_of(s, top);
  }
  Float sum = load<Float>(state.sums);
  if (bits_of(top > state.max)) {
    float highest = top_of(top);
    if (state.max != -kInfinity) {
      float keep = exp_of(floats(state.max - highest))[0];
      sum *= keep;
      for (size_t i = 0; i < width; i += kLanes) store(out + i, load<Float>(out + i) * keep);
    }
    state.max = highest;
  }
  // Nothing finite so far: measured from 0, every exponential is 0.
  Float base = floats(state.max == -kInfinity ? 0.0f : state.max);
  size_t i = 0;
  for (; i < n; i += kLanes) {
    Float e = exp_of(load<Float>(scores + i) - base);
    sum += e;
    store(scores + i, e);
  }
  for (; i < whole; i += kLanes) store(scores + i, Float{});
  store(state.sums, sum);
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
    states[i] = {};
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
    copy_scaled(out + i * width, states[i].sum() > 0 ? 1 / states[i].sum() : states[i].sum(), width,
                problem.out.at(first + i / group, kv_head * group + i % group));
}

// A block of a row's queries: its first token, counted among the row's queries, and how many.
struct QueryBlock {
  size_t first, tokens, queries;
  size_t position;  // of the first token among the joined keys

  // Joined keys that query number i sees of n from `at` on.
  VLDAC_INLINE size_t seen(size_t i, size_t group, size_t at, size_t n) const {
    size_t end = position + i / group + 1;
    return std::min(n, end > at ? end - at : 0);
  }
  VLDAC_INLINE size_t keys() const { return position + tokens; }
};

VLDAC_INLINE QueryBlock block_of(const PackedProblem& problem, size_t row, size_t first) {
  size_t tokens = std::min(query_tokens(problem.sizes), problem.queries(row) - first);
  return {first, tokens, tokens * problem.sizes.group(), problem.joined(row) - problem.queries(row) + first};
}

VLDAC_INLINE size_t whole_vectors(size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

VLDAC_FN void transpose_blocks(const JoinedRows& rows, size_t count, size_t width, float* to) {
  for (size_t at = 0; at < count; at += kKeyBlock, to += width * kKeyBlock) transpose_joined(rows, at, std::min(kKeyBlock, count - at), width, to);
}

VLDAC_FN void attend_row(const PackedProblem& problem, const float* transposed, size_t row, size_t kv_head, const PackedResults& results,
                         float* scratch) {
  const AttentionSizes& sizes = problem.sizes;
  const KeyValues &prefix = problem.prefix, &own = problem.own;
  const size_t width = sizes.width, group = sizes.group(), most = query_rows(sizes), shared = problem.shared();
  const size_t first_token = static_cast<size_t>(problem.offsets[row]), first_query = static_cast<size_t>(problem.query_offsets[row]);
  float *query = scratch, *out = query + most * width, *scores = out + most * width;
  auto* states = reinterpret_cast<Online*>(scores + most * kKeyBlock);
  float* joined = scores + most * (kKeyBlock + kStateItems);
  const Factor queries{query, static_cast<ptrdiff_t>(width), 1};
  if (problem.queries(row) == 0) return;
  transpose_blocks({&prefix.key, &own.key, shared, first_token, problem.tail(), kv_head}, problem.joined(row), width, joined);
  for (size_t at_query = 0; at_query < problem.queries(row); at_query += query_tokens(sizes)) {
    const QueryBlock block = block_of(problem, row, at_query);
    for (size_t i = 0; i < block.queries; ++i) {
      copy_scaled(problem.query.at(first_query + block.first + i / group, kv_head * group + i % group), sizes.scale, width, query + i * width);
      std::fill_n(out + i * width, width, 0.0f);
      states[i] = {};
    }
    for (size_t at = 0; at < shared; at += kKeyBlock) {
      multiply(queries, transposed + at * width, kKeyBlock, block.queries, width, kKeyBlock, scores, kKeyBlock, false);
      for (size_t i = 0; i < block.queries; ++i) absorb(scores + i * kKeyBlock, kKeyBlock, kKeyBlock, states[i], out + i * width, width);
      multiply({scores, kKeyBlock, 1}, prefix.value.at(at, kv_head), static_cast<size_t>(prefix.value.row_stride), block.queries, kKeyBlock, width,
               out, width, true);
    }
    for (size_t at = 0; at < block.keys(); at += kKeyBlock) {
      const size_t n = std::min(kKeyBlock, block.keys() - at), tail = at < problem.tail() ? problem.tail() - at : 0;
      multiply(queries, joined + at * width, kKeyBlock, block.queries, width, whole_vectors(n), scores, kKeyBlock, false);
      for (size_t i = 0; i < block.queries; ++i)
        absorb(scores + i * kKeyBlock, block.seen(i, group, at, n), n, states[i], out + i * width, width);
      if (tail)
        multiply({scores, kKeyBlock, 1}, prefix.value.at(shared, kv_head), static_cast<size_t>(prefix.value.row_stride), block.queries, tail, width,
                 out, width, true);
      multiply({scores + tail, kKeyBlock, 1}, own.value.at(first_token + at + tail - problem.tail(), kv_head),
               static_cast<size_t>(own.value.row_stride), block.queries, n - tail, width, out, width, true);
    }
    for (size_t i = 0; i < block.queries; ++i) {
      size_t token = first_query + block.first + i / group, head = kv_head * group + i % group;
      float sum = states[i].sum();
      copy_scaled(out + i * width, 1 / sum, width, results.out.at(token, head));
      results.lse[token * sizes.heads + head] = states[i].max + std::log(sum);
    }
  }
}

// What one block of queries needs to go back through a block of keys.
struct Backward {
  float *query, *upstream, *gradient, *shares, *slopes, *lse, *along;
  size_t queries, width;
};

// shares = e^(score - lse) and slopes = d loss / d score of n keys whose transposed block is given. causal: the block of queries, which
// see the joined keys from number `at` on as far as their own token; nullptr: all of them.
VLDAC_FN void find_slopes(const Backward& b, const float* keys, const float* values, size_t n, const QueryBlock* causal, size_t group,
                          size_t at) {
  const size_t whole = whole_vectors(n);
  const auto row = static_cast<ptrdiff_t>(b.width);
  multiply({b.query, row, 1}, keys, kKeyBlock, b.queries, b.width, whole, b.shares, kKeyBlock, false);
  multiply({b.upstream, row, 1}, values, kKeyBlock, b.queries, b.width, whole, b.slopes, kKeyBlock, false);
  for (size_t i = 0; i < b.queries; ++i) {
    float *share = b.shares + i * kKeyBlock, *slope = b.slopes + i * kKeyBlock;
    const auto seen = static_cast<int32_t>(causal ? causal->seen(i, group, at, n) : n);
    Float lse = floats(b.lse[i]), along = floats(b.along[i]);
    for (size_t j = 0; j < whole; j += kLanes) {
      Float p = exp_of(load<Float>(share + j) - lse);
      if (static_cast<int32_t>(j + kLanes) > seen) p = lane_numbers() + static_cast<int32_t>(j) < seen ? p : Float{};
      store(share + j, p);
      store(slope + j, p * (load<Float>(slope + j) - along));
    }
  }
}

// Adds what columns `from` ... from + n - 1 of shares and slopes give: to n keys and values, whose gradients lie at to_key and to_value,
// and, through keys, to the queries.
VLDAC_FN void add_gradients(const Backward& b, size_t from, size_t n, const float* keys, ptrdiff_t key_stride, float* to_key,
                            ptrdiff_t to_key_stride, float* to_value, ptrdiff_t to_value_stride) {
  multiply({b.shares + from, 1, kKeyBlock}, b.upstream, b.width, n, b.queries, b.width, to_value, static_cast<size_t>(to_value_stride), true);
  multiply({b.slopes + from, 1, kKeyBlock}, b.query, b.width, n, b.queries, b.width, to_key, static_cast<size_t>(to_key_stride), true);
  multiply({b.slopes + from, kKeyBlock, 1}, keys, static_cast<size_t>(key_stride), b.queries, n, b.width, b.gradient, b.width, true);
}

VLDAC_INLINE float dot(const float* a, const float* b, size_t n) {
  Float sum = {};
  for (size_t i = 0; i < n; i += kLanes) sum = fma_of(load<Float>(a + i), load<Float>(b + i), sum);
  return sum_of(sum);
}

VLDAC_FN void attend_row_gradient(const PackedProblem& problem, const PrefixShare& share, size_t row, size_t kv_head,
                                  const PackedUpstream& upstream, const PackedGradients& gradients, float* scratch) {
  const AttentionSizes& sizes = problem.sizes;
  const KeyValues &prefix = problem.prefix, &own = problem.own;
  const size_t width = sizes.width, group = sizes.group(), most = query_rows(sizes), shared = problem.shared(), count = problem.joined(row);
  const size_t first_token = static_cast<size_t>(problem.offsets[row]), first_query = static_cast<size_t>(problem.query_offsets[row]);
  Backward b{};
  b.width = width;
  b.query = scratch;
  b.upstream = b.query + most * width;
  b.gradient = b.upstream + most * width;
  b.shares = b.gradient + most * width;
  b.slopes = b.shares + most * kKeyBlock;
  b.lse = b.slopes + most * kKeyBlock;
  b.along = b.lse + most;
  float *keys = b.along + most, *values = keys + key_blocks(count) * kKeyBlock * width;
  for (size_t i = 0; i < problem.tokens(row); ++i) {
    std::fill_n(gradients.key.at(first_token + i, kv_head), width, 0.0f);
    std::fill_n(gradients.value.at(first_token + i, kv_head), width, 0.0f);
  }
  if (problem.queries(row) == 0) return;
  transpose_blocks({&prefix.key, &own.key, shared, first_token, problem.tail(), kv_head}, count, width, keys);
  transpose_blocks({&prefix.value, &own.value, shared, first_token, problem.tail(), kv_head}, count, width, values);
  const auto step = static_cast<ptrdiff_t>(width);
  for (size_t at_query = 0; at_query < problem.queries(row); at_query += query_tokens(sizes)) {
    const QueryBlock block = block_of(problem, row, at_query);
    b.queries = block.queries;
    for (size_t i = 0; i < block.queries; ++i) {
      size_t token = first_query + block.first + i / group, head = kv_head * group + i % group;
      const float* above = upstream.gradient.at(token, head);
      copy_scaled(problem.query.at(token, head), sizes.scale, width, b.query + i * width);
      copy_scaled(above, 1, width, b.upstream + i * width);
      std::fill_n(b.gradient + i * width, width, 0.0f);
      b.lse[i] = upstream.lse[token * sizes.heads + head];
      b.along[i] = dot(above, upstream.out.at(token, head), width);
    }
    for (size_t at = 0; at < shared; at += kKeyBlock) {
      find_slopes(b, share.keys + at * width, share.values + at * width, kKeyBlock, nullptr, group, 0);
      add_gradients(b, 0, kKeyBlock, prefix.key.at(at, kv_head), prefix.key.row_stride, share.grad_key + at * width, step,
                    share.grad_value + at * width, step);
    }
    for (size_t at = 0; at < block.keys(); at += kKeyBlock) {
      const size_t n = std::min(kKeyBlock, block.keys() - at), tail = at < problem.tail() ? problem.tail() - at : 0;
      const size_t token = first_token + at + tail - problem.tail();
      find_slopes(b, keys + at * width, values + at * width, n, &block, group, at);
      if (tail)
        add_gradients(b, 0, tail, prefix.key.at(shared, kv_head), prefix.key.row_stride, share.grad_key + shared * width, step,
                      share.grad_value + shared * width, step);
      add_gradients(b, tail, n - tail, own.key.at(token, kv_head), own.key.row_stride, gradients.key.at(token, kv_head),
                    gradients.key.row_stride, gradients.value.at(token, kv_head), gradients.value.row_stride);
    }
    for (size_t i = 0; i < block.queries; ++i)
      copy_scaled(b.gradient + i * width, sizes.scale, width,
                  gradients.query.at(first_query + block.first + i / group, kv_head * group + i % group));
  }
}

}  // namespace

extern const AttentionKernels kAttentionKernels;
const AttentionKernels kAttentionKernels = {&transpose, &attend_slots, &attend_row, &attend_row_gradient};

}  // namespace vldac::rows_tier::VLDAC_TIER

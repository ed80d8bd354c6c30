// Attention of decoder layers in float32, with keys that all rows share (a prefix) before each row's own: one query per row over a
// cache of slots (decoding), and packed rows with their gradients (training). No padding anywhere. `AttentionKernels` holds what one
// instruction set does to a part of a problem; the functions below it spread parts, which depend on the problem alone, over threads.
//
// Queries of heads g * group ... (g + 1) * group - 1 read the keys of head g. The width of a head is a multiple of kWidthStep.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/isa.h"

namespace vldac {

inline constexpr size_t kWidthStep = 16;
// Keys of a block, and queries of one at most.
inline constexpr size_t kKeyBlock = 64, kQueryBlock = 24;
// Items of a query's softmax in scratch.
inline constexpr size_t kStateItems = 1 + kWidthStep;

// [rows, heads, width] items: the last stride is 1, the others are counted in items.
template <class T>
struct HeadsOf {
  T* data;
  ptrdiff_t row_stride, head_stride;

  T* at(size_t row, size_t head) const {
    return data + static_cast<ptrdiff_t>(row) * row_stride + static_cast<ptrdiff_t>(head) * head_stride;
  }
};
using InputHeads = HeadsOf<const float>;
using OutputHeads = HeadsOf<float>;

// Keys and values [count, kv heads, width].
struct KeyValues {
  InputHeads key, value;
  size_t count;
};

struct AttentionSizes {
  size_t heads, kv_heads, width;
  float scale;

  size_t group() const { return heads / kv_heads; }
};

// Decoding: row a reads the prefix and the first length[a] keys of slot[a].
struct SlotProblem {
  AttentionSizes sizes;
  size_t rows;
  InputHeads query;  // [rows, heads, width]
  KeyValues cache;   // of slot 0; count: the capacity
  ptrdiff_t key_slot_stride, value_slot_stride;
  const int64_t *slot, *length;
  KeyValues prefix;
  OutputHeads out;
};

// Training: row r owns tokens offsets[r] ... offsets[r + 1] - 1 of key and value, and its last query_offsets[r + 1] - query_offsets[r]
// tokens ask. A query sees the prefix and its row's tokens up to its own.
struct PackedProblem {
  AttentionSizes sizes;
  size_t rows;
  const int64_t *offsets, *query_offsets;  // [rows + 1]
  InputHeads query;                        // [queries, heads, width]
  KeyValues own, prefix;

  size_t tokens(size_t row) const { return static_cast<size_t>(offsets[row + 1] - offsets[row]); }
  size_t queries(size_t row) const { return static_cast<size_t>(query_offsets[row + 1] - query_offsets[row]); }
  // Keys of the prefix in whole blocks; the others come before a row's own in the same blocks, so that no vector is filled up twice.
  size_t shared() const { return prefix.count / kKeyBlock * kKeyBlock; }
  size_t tail() const { return prefix.count % kKeyBlock; }
  size_t joined(size_t row) const { return tail() + tokens(row); }
};

struct PackedResults {
  OutputHeads out;
  float* lse;  // [queries, heads]: log of the sum of e^score
};

struct PackedUpstream {
  InputHeads gradient, out;
  const float* lse;
};

struct PackedGradients {
  OutputHeads query, key, value, prefix_key, prefix_value;
};

// Some rows' gradients of one kv head's prefix, [prefix, width] each, and the transposed blocks of its shared keys and values.
struct PrefixShare {
  const float *keys, *values;
  float *grad_key, *grad_value;
};

// Tokens of a block of queries, and the queries that it has at most.
inline size_t query_tokens(const AttentionSizes& sizes) { return kQueryBlock / sizes.group() > 0 ? kQueryBlock / sizes.group() : 1; }
inline size_t query_rows(const AttentionSizes& sizes) { return query_tokens(sizes) * sizes.group(); }
inline size_t key_blocks(size_t keys) { return (keys + kKeyBlock - 1) / kKeyBlock; }
// Items of scratch of a row with that many joined keys.
inline size_t forward_scratch(const AttentionSizes& sizes, size_t joined) {
  return query_rows(sizes) * (2 * sizes.width + kKeyBlock + kStateItems) + key_blocks(joined) * kKeyBlock * sizes.width;
}
inline size_t backward_scratch(const AttentionSizes& sizes, size_t joined) {
  return query_rows(sizes) * (3 * sizes.width + 2 * kKeyBlock + 2) + 2 * key_blocks(joined) * kKeyBlock * sizes.width;
}

// One instruction set.
struct AttentionKernels {
  // Keys first ... first + n - 1 of a head, n <= kKeyBlock, as [width, kKeyBlock], zeros behind the last.
  void (*transpose)(const InputHeads& keys, size_t first, size_t head, size_t n, size_t width, float* to);
  // Rows first ... first + count - 1 of one kv head; transposed: the prefix of that head in blocks of kKeyBlock keys.
  void (*attend_slots)(const SlotProblem& problem, const float* transposed, size_t kv_head, size_t first, size_t count, float* scratch);
  // One row and one kv head; transposed: the shared keys of that head.
  void (*attend_row)(const PackedProblem& problem, const float* transposed, size_t row, size_t kv_head, const PackedResults& results,
                     float* scratch);
  // Writes the row's gradients of that head, adds to those of the prefix.
  void (*attend_row_gradient)(const PackedProblem& problem, const PrefixShare& prefix, size_t row, size_t kv_head,
                              const PackedUpstream& upstream, const PackedGradients& gradients, float* scratch);
};

const AttentionKernels& attention_kernels(Isa isa);

// Slots and lengths must lie in the cache; a row without keys is 0.
void slot_attention(const AttentionKernels& kernels, const SlotProblem& problem);

// Offsets must rise from 0 to the tokens and the queries; no row may have more queries than tokens.
void packed_attention(const AttentionKernels& kernels, const PackedProblem& problem, const PackedResults& results);

// Overwrites all gradients. Those of the prefix are sums over rows, in parts that do not depend on the number of threads.
void packed_attention_gradient(const AttentionKernels& kernels, const PackedProblem& problem, const PackedUpstream& upstream,
                               const PackedGradients& gradients);

}  // namespace vldac

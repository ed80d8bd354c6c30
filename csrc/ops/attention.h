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
inline constexpr size_t kKeyBlock = 64, kQueryBlock = 48;

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

// One instruction set.
struct AttentionKernels {
  // Keys [n, width], n <= kKeyBlock, as [width, kKeyBlock], zeros behind the last.
  void (*transpose)(const float* keys, ptrdiff_t row_stride, size_t n, size_t width, float* to);
  // Rows first ... first + count - 1 of one kv head; transposed: the prefix of that head in blocks of kKeyBlock keys.
  void (*attend_slots)(const SlotProblem& problem, const float* transposed, size_t kv_head, size_t first, size_t count, float* scratch);
};

const AttentionKernels& attention_kernels(Isa isa);

// Slots and lengths must lie in the cache; a row without keys is 0.
void slot_attention(const AttentionKernels& kernels, const SlotProblem& problem);

}  // namespace vldac

// Attention problems cut into parts: always the same ones, whatever the number of threads.
#include "ops/attention.h"

#include <algorithm>
#include <vector>

#include "ops/parallel.h"

namespace vldac {

namespace rows_tier {
namespace generic {
extern const AttentionKernels kAttentionKernels;
}
#ifdef VLDAC_X86
namespace avx2 {
extern const AttentionKernels kAttentionKernels;
}
namespace avx512 {
extern const AttentionKernels kAttentionKernels;
}
#endif
}  // namespace rows_tier

const AttentionKernels& attention_kernels(Isa isa) {
#ifdef VLDAC_X86
  if (isa == Isa::kAvx512) return rows_tier::avx512::kAttentionKernels;
  if (isa == Isa::kAvx2) return rows_tier::avx2::kAttentionKernels;
#endif
  (void)isa;
  return rows_tier::generic::kAttentionKernels;
}

namespace {

// Parts in which rows sum up the prefix's gradients, at most.
constexpr size_t kShares = 8;

// Memory of this thread that grows and stays, for use number `which`; it begins at a cache line.
template <int which>
float* scratch_of(size_t items) {
  static thread_local std::vector<float> kept;
  constexpr size_t kLine = 64 / sizeof(float);
  if (kept.size() < items + kLine) kept.resize(items + kLine);
  size_t past = reinterpret_cast<uintptr_t>(kept.data()) / sizeof(float) % kLine;
  return kept.data() + (past ? kLine - past : 0);
}

// Keys (or values) [count, kv heads, width] of every head, in transposed blocks. Returns this thread's memory of them.
template <int which>
float* transpose_all(const AttentionKernels& kernels, const AttentionSizes& sizes, const InputHeads& keys, size_t count) {
  const size_t blocks = key_blocks(count), size = sizes.width * kKeyBlock;
  float* to = scratch_of<which>(sizes.kv_heads * blocks * size);
  parallel_for(sizes.kv_heads * blocks, 8, [&](size_t part) {
    size_t head = part / blocks, at = part % blocks * kKeyBlock;
    kernels.transpose(keys, at, head, std::min(kKeyBlock, count - at), sizes.width, to + part * size);
  });
  return to;
}

// Gradients of the prefix from those of `shares` parts of the rows, [share, kv head, prefix, width] each, in their order.
void add_shares(const AttentionSizes& sizes, size_t count, size_t shares, const float* parts, const OutputHeads& to) {
  const size_t width = sizes.width, step = sizes.kv_heads * count * width;
  parallel_for(count * sizes.kv_heads, 16, [&](size_t item) {
    size_t key = item / sizes.kv_heads, head = item % sizes.kv_heads;
    const float* from = parts + (head * count + key) * width;
    float* sum = to.at(key, head);
    for (size_t i = 0; i < width; ++i) {
      float total = 0;
      for (size_t share = 0; share < shares; ++share) total += from[share * step + i];
      sum[i] = total;
    }
  });
}

}  // namespace

void slot_attention(const AttentionKernels& kernels, const SlotProblem& problem) {
  const AttentionSizes& sizes = problem.sizes;
  const float* transposed = transpose_all<0>(kernels, sizes, problem.prefix.key, problem.prefix.count);
  const size_t head_size = key_blocks(problem.prefix.count) * sizes.width * kKeyBlock;
  const size_t step = query_tokens(sizes), parts = (problem.rows + step - 1) / step;
  parallel_for(parts * sizes.kv_heads, 1, [&](size_t part) {
    size_t head = part % sizes.kv_heads, first = part / sizes.kv_heads * step, count = std::min(step, problem.rows - first);
    float* scratch = scratch_of<1>(count * sizes.group() * (2 * sizes.width + kKeyBlock + kStateItems));
    kernels.attend_slots(problem, transposed + head * head_size, head, first, count, scratch);
  });
}

void packed_attention(const AttentionKernels& kernels, const PackedProblem& problem, const PackedResults& results) {
  const AttentionSizes& sizes = problem.sizes;
  const float* transposed = transpose_all<0>(kernels, sizes, problem.prefix.key, problem.shared());
  const size_t head_size = problem.shared() * sizes.width;
  parallel_for(problem.rows * sizes.kv_heads, 1, [&](size_t part) {
    size_t row = part / sizes.kv_heads, head = part % sizes.kv_heads;
    kernels.attend_row(problem, transposed + head * head_size, row, head, results, scratch_of<1>(forward_scratch(sizes, problem.joined(row))));
  });
}

void packed_attention_gradient(const AttentionKernels& kernels, const PackedProblem& problem, const PackedUpstream& upstream,
                               const PackedGradients& gradients) {
  const AttentionSizes& sizes = problem.sizes;
  const size_t count = problem.prefix.count, head_size = problem.shared() * sizes.width, share_size = count * sizes.width;
  const float* keys = transpose_all<0>(kernels, sizes, problem.prefix.key, problem.shared());
  const float* values = transpose_all<2>(kernels, sizes, problem.prefix.value, problem.shared());
  const size_t shares = std::min(problem.rows, kShares), all = shares * sizes.kv_heads * share_size;
  float *key_shares = scratch_of<3>(2 * all), *value_shares = key_shares + all;
  parallel_for(shares * sizes.kv_heads, 1, [&](size_t part) {
    size_t share = part / sizes.kv_heads, head = part % sizes.kv_heads;
    const PrefixShare prefix{keys + head * head_size, values + head * head_size, key_shares + part * share_size, value_shares + part * share_size};
    std::fill_n(prefix.grad_key, share_size, 0.0f);
    std::fill_n(prefix.grad_value, share_size, 0.0f);
    for (size_t row = problem.rows * share / shares; row < problem.rows * (share + 1) / shares; ++row)
      kernels.attend_row_gradient(problem, prefix, row, head, upstream, gradients, scratch_of<1>(backward_scratch(sizes, problem.joined(row))));
  });
  if (count == 0) return;
  add_shares(sizes, count, shares, key_shares, gradients.prefix_key);
  add_shares(sizes, count, shares, value_shares, gradients.prefix_value);
}

}  // namespace vldac

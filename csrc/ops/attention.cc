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

// Queries that share a block of the prefix while decoding.
constexpr size_t kSlotQueries = 24;

size_t blocks_of(size_t keys) { return (keys + kKeyBlock - 1) / kKeyBlock; }

// Memory of this thread that grows and stays, for use number `which`; it begins at a cache line.
template <int which>
float* scratch_of(size_t items) {
  static thread_local std::vector<float> kept;
  constexpr size_t kLine = 64 / sizeof(float);
  if (kept.size() < items + kLine) kept.resize(items + kLine);
  size_t past = reinterpret_cast<uintptr_t>(kept.data()) / sizeof(float) % kLine;
  return kept.data() + (past ? kLine - past : 0);
}

// The prefix's keys of every kv head, in transposed blocks. Returns this thread's memory of them.
float* transpose_prefix(const AttentionKernels& kernels, const AttentionSizes& sizes, const KeyValues& prefix) {
  const size_t blocks = blocks_of(prefix.count), size = sizes.width * kKeyBlock;
  float* to = scratch_of<0>(sizes.kv_heads * blocks * size);
  parallel_for(sizes.kv_heads * blocks, 8, [&](size_t part) {
    size_t head = part / blocks, at = part % blocks * kKeyBlock;
    kernels.transpose(prefix.key.at(at, head), prefix.key.row_stride, std::min(kKeyBlock, prefix.count - at), sizes.width, to + part * size);
  });
  return to;
}

}  // namespace

void slot_attention(const AttentionKernels& kernels, const SlotProblem& problem) {
  const AttentionSizes& sizes = problem.sizes;
  const float* transposed = transpose_prefix(kernels, sizes, problem.prefix);
  const size_t head_size = blocks_of(problem.prefix.count) * sizes.width * kKeyBlock;
  const size_t step = std::max<size_t>(1, kSlotQueries / sizes.group()), parts = (problem.rows + step - 1) / step;
  parallel_for(parts * sizes.kv_heads, 1, [&](size_t part) {
    size_t head = part % sizes.kv_heads, first = part / sizes.kv_heads * step, count = std::min(step, problem.rows - first);
    float* scratch = scratch_of<1>(count * sizes.group() * (2 * sizes.width + kKeyBlock + 2));
    kernels.attend_slots(problem, transposed + head * head_size, head, first, count, scratch);
  });
}

}  // namespace vldac

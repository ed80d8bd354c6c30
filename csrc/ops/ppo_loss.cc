#include "ops/ppo_loss.h"

#include <cstring>

#include "ops/ppo_state.h"

#define VLDAC_KERNEL "ops/ppo_kernel.h"
#include "ops/each_tier.h"

namespace vldac::ops {
namespace {

template <class T>
struct Kernel {
  void (*block)(const PpoOptions&, bool, size_t, PpoBlock<T>&, PpoSums&);
  void (*guard_block)(const PpoOptions&, PpoBlock<T>&);
};

template <class T>
Kernel<T> kernel_of(Isa isa) {
#ifdef VLDAC_X86
  if (isa >= Isa::kAvx512) return {&avx512::ppo_block<T>, &avx512::ppo_guard_block<T>};
  if (isa >= Isa::kAvx2) return {&avx2::ppo_block<T>, &avx2::ppo_guard_block<T>};
#endif
  (void)isa;
  return {&generic::ppo_block<T>, &generic::ppo_guard_block<T>};
}

template <class T>
void fill_column(T (&column)[kPpoBlock], const T* from, size_t count) {
  if (count == kPpoBlock) {
    std::memcpy(column, from, sizeof column);
  } else {
    std::fill_n(std::copy_n(from, count, column), kPpoBlock - count, T{0});
  }
}

template <class T, class Index>
void fill_block(const PpoTokens<T, Index>& in, size_t begin, size_t count, PpoBlock<T>& block) {
  fill_column(block.logprob, in.logprob + begin, count);
  fill_column(block.old_logprob, in.old_logprob + begin, count);
  fill_column(block.weight, in.weight + begin, count);
}

double total_of(const PpoSums& sums, PpoSum which) {
  double total = 0;
  for (double lane : sums.lane[which]) total += lane;
  return total;
}

double most_of(const PpoSums& sums, PpoSum which) {
  double most = 0;
  for (double lane : sums.lane[which])
    if (lane > most || lane != lane) most = lane;
  return most;
}

PpoResult result_of(const PpoSums& sums, double guard_steps, double tiny) {
  double total = total_of(sums, kWeightSum);
  if (total < tiny) total = tiny;
  auto mean = [&](PpoSum which) { return total_of(sums, which) / total; };
  double low = mean(kLowSum), high = mean(kHighSum);
  return {total_of(sums, kLossSum),
          {mean(kRatioSum), most_of(sums, kRatioMax), low + high, low, high, guard_steps, -mean(kRawSum), mean(kOldK3Sum),
           -mean(kDifferenceSum), mean(kRefK3Sum), most_of(sums, kRawMax), total_of(sums, kCapped), total_of(sums, kTokens),
           total_of(sums, kActive)}};
}

}  // namespace

template <class T, class Index>
PpoResult ppo_clip_loss(const PpoTokens<T, Index>& in, const PpoOptions& options, Isa isa, T* coefficient_out) {
  const Kernel<T> kernel = kernel_of<T>(isa);
  const bool has_guard = options.ratio_guard != 0;
  thread_local std::vector<uint8_t> hits;  // [S], the steps that the guard flips
  PpoBlock<T> block{};
  if (has_guard) {
    hits.assign(in.num_steps, 0);
    for (size_t i = 0; i < in.num_tokens; i += kPpoBlock) {
      size_t count = std::min(kPpoBlock, in.num_tokens - i);
      fill_block(in, i, count, block);
      kernel.guard_block(options, block);
      for (size_t j = 0; j < count; ++j) hits[static_cast<size_t>(in.step_index[i + j])] |= block.is_hit[j] != 0;
    }
  }
  PpoSums sums;
  for (size_t i = 0; i < in.num_tokens; i += kPpoBlock) {
    size_t count = std::min(kPpoBlock, in.num_tokens - i);
    fill_block(in, i, count, block);
    if (in.ref_logprob) fill_column(block.ref_logprob, in.ref_logprob + i, count);
    for (size_t j = 0; j < kPpoBlock; ++j) {
      auto step = static_cast<size_t>(j < count ? in.step_index[i + j] : in.step_index[i]);
      block.advantage[j] = j < count ? static_cast<double>(in.advantages[step]) : 0.0;
      block.is_hit[j] = has_guard && j < count && hits[step] ? -1 : 0;
    }
    kernel.block(options, in.ref_logprob != nullptr, count, block, sums);
    std::memcpy(coefficient_out + i, block.coefficient, count * sizeof(T));
  }
  double guard_steps = 0;
  if (has_guard)
    for (uint8_t hit : hits) guard_steps += hit;
  return result_of(sums, guard_steps, std::numeric_limits<T>::min());
}

template PpoResult ppo_clip_loss(const PpoTokens<float, int32_t>&, const PpoOptions&, Isa, float*);
template PpoResult ppo_clip_loss(const PpoTokens<float, int64_t>&, const PpoOptions&, Isa, float*);
template PpoResult ppo_clip_loss(const PpoTokens<double, int32_t>&, const PpoOptions&, Isa, double*);
template PpoResult ppo_clip_loss(const PpoTokens<double, int64_t>&, const PpoOptions&, Isa, double*);

}  // namespace vldac::ops

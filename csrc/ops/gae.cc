#include "ops/gae.h"

#include <cstring>

#define VLDAC_KERNEL "ops/gae_kernel.h"
#include "ops/each_tier.h"

namespace vldac::ops {
namespace {

// Steps begin, begin + stride, ... below end, backwards.
template <class T>
void gae_column(const GaeSteps<T>& in, size_t begin, size_t end, size_t stride, T bootstrap) {
  double carry = 0.0, following = static_cast<double>(bootstrap), decay = in.gamma * in.lambda;
  for (size_t t = (end - begin + stride - 1) / stride; t-- > 0;) {
    size_t at = begin + t * stride;
    double value = in.value[at], at_cut = in.final_value ? static_cast<double>(in.final_value[at]) : 0.0;
    double ahead = in.terminated[at] ? 0.0 : in.truncated[at] ? at_cut : following;
    double kept = in.terminated[at] || in.truncated[at] ? 0.0 : carry;
    carry = in.reward[at] + in.gamma * ahead - value + decay * kept;
    following = value;
    in.advantage_out[at] = static_cast<T>(carry);
    in.returns_out[at] = static_cast<T>(carry + value);
  }
}

}  // namespace

template <class T>
void gae_rectangle(const GaeSteps<T>& in, size_t num_steps, size_t num_columns, Isa isa) {
  if (num_steps == 0) return;
  size_t done = 0;
#ifdef VLDAC_X86
  if (isa >= Isa::kAvx512)
    done = avx512::gae_rectangle(in, num_steps, num_columns);
  else if (isa >= Isa::kAvx2)
    done = avx2::gae_rectangle(in, num_steps, num_columns);
  else
#endif
    done = generic::gae_rectangle(in, num_steps, num_columns);
  (void)isa;
  for (size_t e = done; e < num_columns; ++e) gae_column(in, e, num_steps * num_columns, num_columns, in.bootstrap[e]);
}

template <class T>
void gae_segments(const GaeSteps<T>& in, const int64_t* offsets, size_t num_segments) {
  for (size_t k = 0; k < num_segments; ++k)
    gae_column(in, static_cast<size_t>(offsets[k]), static_cast<size_t>(offsets[k + 1]), 1, in.bootstrap[k]);
}

template void gae_rectangle<float>(const GaeSteps<float>&, size_t, size_t, Isa);
template void gae_rectangle<double>(const GaeSteps<double>&, size_t, size_t, Isa);
template void gae_segments<float>(const GaeSteps<float>&, const int64_t*, size_t);
template void gae_segments<double>(const GaeSteps<double>&, const int64_t*, size_t);

}  // namespace vldac::ops

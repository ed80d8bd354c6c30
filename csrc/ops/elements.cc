// Rows of the element kernels, spread over threads.
#include "ops/elements.h"

#include <algorithm>

#include "ops/pages.h"
#include "ops/parallel.h"

namespace vldac {

namespace rows_tier {
namespace generic {
extern const ElementKernels kElementKernels;
}
#ifdef VLDAC_X86
namespace avx2 {
extern const ElementKernels kElementKernels;
}
namespace avx512 {
extern const ElementKernels kElementKernels;
}
#endif
}  // namespace rows_tier

const ElementKernels& element_kernels(Isa isa) {
#ifdef VLDAC_X86
  if (isa == Isa::kAvx512) return rows_tier::avx512::kElementKernels;
  if (isa == Isa::kAvx2) return rows_tier::avx2::kElementKernels;
#endif
  (void)isa;
  return rows_tier::generic::kElementKernels;
}

namespace {

// Items below which a second thread is not worth waking; bytes from which fresh memory should come in large pages.
constexpr size_t kGrain = 16384, kLarge = size_t{4} << 20;

size_t grain_of(size_t items_per_row) { return std::max<size_t>(1, kGrain / std::max<size_t>(1, items_per_row)); }

void expect_writes(float* block, size_t items) {
  if (items * sizeof(float) >= kLarge) prefer_large_pages(block, items * sizeof(float));
}

}  // namespace

void rms_norm(const ElementKernels& kernels, const InputRows& x, const float* weight, float eps, const OutputRows& y, float* inverse) {
  expect_writes(y.data, y.rows * y.columns);
  parallel_for(x.rows, grain_of(x.columns), [&](size_t i) { inverse[i] = kernels.norm(x.row(i), weight, eps, x.columns, y.row(i)); });
}

void rms_norm_gradient(const ElementKernels& kernels, const InputRows& upstream, const InputRows& x, const float* weight,
                       const float* inverse, const OutputRows& gradient) {
  expect_writes(gradient.data, gradient.rows * gradient.columns);
  parallel_for(x.rows, grain_of(x.columns), [&](size_t i) {
    kernels.norm_gradient(upstream.row(i), x.row(i), weight, inverse[i], x.columns, gradient.row(i));
  });
}

void swiglu(const ElementKernels& kernels, const InputRows& gate, const InputRows& up, const OutputRows& y) {
  expect_writes(y.data, y.rows * y.columns);
  parallel_for(gate.rows, grain_of(gate.columns), [&](size_t i) { kernels.swiglu(gate.row(i), up.row(i), gate.columns, y.row(i)); });
}

void swiglu_gradient(const ElementKernels& kernels, const InputRows& upstream, const InputRows& gate, const InputRows& up,
                     const OutputRows& grad_gate, const OutputRows& grad_up) {
  expect_writes(grad_gate.data, grad_gate.rows * grad_gate.columns);
  expect_writes(grad_up.data, grad_up.rows * grad_up.columns);
  parallel_for(gate.rows, grain_of(gate.columns), [&](size_t i) {
    kernels.swiglu_gradient(upstream.row(i), gate.row(i), up.row(i), gate.columns, grad_gate.row(i), grad_up.row(i));
  });
}

void rotate(const ElementKernels& kernels, const Heads& x, const InputRows& cosine, const InputRows& sine, bool is_inverse, float* y) {
  const size_t half = x.half, width = 2 * half;
  expect_writes(y, x.rows * x.heads * width);
  const float sign = is_inverse ? -1.0f : 1.0f;
  parallel_for(x.rows, grain_of(x.heads * width), [&](size_t i) {
    const float* row = x.data + static_cast<ptrdiff_t>(i) * x.row_stride;
    for (size_t h = 0; h < x.heads; ++h)
      kernels.rotate(row + static_cast<ptrdiff_t>(h) * x.head_stride, cosine.row(i), sine.row(i), sign, half, y + (i * x.heads + h) * width);
  });
}

}  // namespace vldac

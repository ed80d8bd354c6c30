// What a decoder layer does element by element, in float32: RMS norm, SwiGLU, rotary position embedding, and their gradients.
// `ElementKernels` holds what one instruction set does to one row; the functions below it spread rows over threads. A row is
// computed by one thread, so no result depends on their number.
#pragma once

#include <cstddef>

#include "ops/isa.h"

namespace vldac {

// [rows, columns] floats: column stride 1, any row stride (in items).
template <class T>
struct RowsOf {
  T* data;
  size_t rows, columns;
  ptrdiff_t stride;

  T* row(size_t i) const { return data + static_cast<ptrdiff_t>(i) * stride; }
};
using InputRows = RowsOf<const float>;
using OutputRows = RowsOf<float>;

// One instruction set, one row of n items. Outputs may not overlap inputs.
struct ElementKernels {
  // y = weight x / sqrt(mean x^2 + eps); returns 1 / sqrt(...).
  float (*norm)(const float* x, const float* weight, float eps, size_t n, float* y);
  // d loss / d x of an upstream gradient: inverse (weight g - x inverse^2 mean(weight g x)).
  void (*norm_gradient)(const float* upstream, const float* x, const float* weight, float inverse, size_t n, float* gradient);
  // y = gate sigmoid(gate) up
  void (*swiglu)(const float* gate, const float* up, size_t n, float* y);
  void (*swiglu_gradient)(const float* upstream, const float* gate, const float* up, size_t n, float* grad_gate, float* grad_up);
  // Turns the pairs (x[i], x[i + half]) by the angles of cosine [half] and sign * sine [half].
  void (*rotate)(const float* x, const float* cosine, const float* sine, float sign, size_t half, float* y);
};

const ElementKernels& element_kernels(Isa isa);

// inverse: [rows].
void rms_norm(const ElementKernels& kernels, const InputRows& x, const float* weight, float eps, const OutputRows& y, float* inverse);
void rms_norm_gradient(const ElementKernels& kernels, const InputRows& upstream, const InputRows& x, const float* weight,
                       const float* inverse, const OutputRows& gradient);
void swiglu(const ElementKernels& kernels, const InputRows& gate, const InputRows& up, const OutputRows& y);
void swiglu_gradient(const ElementKernels& kernels, const InputRows& upstream, const InputRows& gate, const InputRows& up,
                     const OutputRows& grad_gate, const OutputRows& grad_up);

// [rows, heads, 2 half] floats: the last stride is 1.
struct Heads {
  const float* data;
  size_t rows, heads, half;
  ptrdiff_t row_stride, head_stride;
};

// cosine, sine: [rows, half]; y [rows, heads, 2 half], contiguous. is_inverse: by the angles' negatives (the gradient).
void rotate(const ElementKernels& kernels, const Heads& x, const InputRows& cosine, const InputRows& sine, bool is_inverse, float* y);

}  // namespace vldac

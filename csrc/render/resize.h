// Bicubic resize of 8-bit RGB pictures, the bytes that Pillow's `Image.resize(size, BICUBIC)` gives: a horizontal and a
// vertical pass in fixed point (22 bits), each rounded to 8 bits, with the filter widened where the picture shrinks.
//
// The order is that of Pillow 13: vertical first where the height shrinks, and by more than twice as many pixels as the width.
// Pillow 10 to 12 pass horizontally first always. Rounding between the passes makes the two differ: 80x60 to 84x56 is such a case.
//
// Weights are computed once per (in, out) size. Calls allocate nothing and change nothing: any number of threads may use one
// object, each with scratch memory of its own. Linear in pixels x taps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/isa.h"

namespace vldac {

// The taps of one output coordinate: `count` weights from input coordinate `start` on.
struct ResizeTaps {
  int start = 0, count = 0;
};

// The weights of one axis.
struct ResizeAxis {
  ResizeAxis(int in_size, int out_size);
  int in_size, out_size;
  bool is_identity;
  int stride;                   // weights per output coordinate, a multiple of 4; those past `count` are zero
  std::vector<ResizeTaps> taps;  // [out_size + 1]; a spare one, so that kernels may take two at a time
  std::vector<int32_t> weights;  // [out_size][stride], 22-bit fixed point
  // The same weights as two 16-bit halves, weight = high * 2^15 + low, in the order of the kernels' multiply-add:
  // [out_size + 1][stride / 4][low | high][tap pair][4 times the pair]. Exact, since sums are taken modulo 2^32.
  std::vector<int16_t> halves;
};

class BicubicResize {
 public:
  // Throws std::invalid_argument unless all sizes are from 1 to 65535 pixels.
  BicubicResize(int in_width, int in_height, int out_width, int out_height, Isa isa);

  bool is_identity() const { return horizontal_.is_identity && vertical_.is_identity; }
  size_t scratch_bytes() const;
  // What is done once per picture, [in_height][in_width][3], whose memory is never read past its end: a horizontal first pass.
  void begin(const uint8_t* in, uint8_t* scratch) const noexcept;
  // After begin() with the same arguments: rows [first, first + count) of the result, [count][out_width][3].
  void rows(const uint8_t* in, uint8_t* scratch, int first, int count, uint8_t* out) const noexcept;

 private:
  size_t out_row_bytes() const { return static_cast<size_t>(horizontal_.out_size) * 3; }
  size_t in_row_bytes() const { return static_cast<size_t>(horizontal_.in_size) * 3; }
  // Bytes of the rows that a horizontal first pass leaves for the second.
  size_t wide_bytes() const;
  void horizontal_row(const uint8_t* in, uint8_t* out) const noexcept;
  void vertical_row(const uint8_t* in, size_t row_bytes, int y, uint8_t* out) const noexcept;
  ResizeAxis horizontal_, vertical_;
  bool is_vertical_first_;
  int first_row_, end_row_;  // the input rows under any tap
  size_t reach_;             // bytes from a row's start that the vector kernels of the horizontal pass may read
  [[maybe_unused]] Isa isa_;  // on x86 alone
};

}  // namespace vldac

// Whitening over the masked entries, as kernels/reference.py defines it. Mean and standard deviation in double, in two passes; no
// allocation, one thread.
#pragma once

#include <cstddef>

namespace vldac::ops {

// out [N] = (values - mean) / (std + eps) where mask, else 0; all 0 without spread or with fewer than two entries.
template <class T>
void masked_whiten(const T* values, const bool* mask, size_t count, bool is_unbiased, double eps, T* out);

}  // namespace vldac::ops

// The sampler's noise: 53 bits of SplitMix64, keyed by (seed, position, column), as `counter_uniform` of kernels/reference.py.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace vldac::noise {

inline constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u, kFirst = 0xBF58476D1CE4E5B9u, kSecond = 0x94D049BB133111EBu;

inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * kFirst;
  x = (x ^ (x >> 27)) * kSecond;
  return x ^ (x >> 31);
}

inline uint64_t row_key(int64_t seed, int64_t position) {
  return mix(mix(static_cast<uint64_t>(seed) + kGolden) + (static_cast<uint64_t>(position) + 1) * kGolden);
}

inline uint64_t bits(uint64_t key, size_t column) { return mix(key + (column + 1) * kGolden); }

// -log(-log(u)), u in (0, 1).
inline double gumbel(uint64_t bits) {
  double u = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
  return -std::log(-std::log(u));
}

// The 24 leading bits as a lower bound of -log(u): 1 - u, rounded down, which a float holds exactly.
inline constexpr uint32_t kLeading = 0xFFFFFF;
inline constexpr float kLeadingUnit = 0x1p-24f;
inline float least_exponential(uint64_t bits) { return static_cast<float>(kLeading - static_cast<uint32_t>(bits >> 40)) * kLeadingUnit; }

// A column with least_exponential > bound * e^(z - max) cannot beat `best` = max (z - log(-log u)). Wide enough for the rounding of floats.
inline double race_bound(double max, double best) { return std::exp(max - best) * (1 + 1e-4); }

}  // namespace vldac::noise

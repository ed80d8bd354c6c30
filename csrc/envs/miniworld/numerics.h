// The arithmetic of MiniWorld's worlds, in NumPy's order and rounding: products that NumPy hands to its BLAS are fused (one rounding
// per term), the others are not. Poses, rewards and worlds depend on it to the last bit.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>

namespace vldac::miniworld {

// Metres, y up.
struct Vec3 {
  double x = 0.0, y = 0.0, z = 0.0;
  bool operator==(const Vec3&) const = default;
};

inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec3 operator*(Vec3 a, double s) { return {a.x * s, a.y * s, a.z * s}; }
inline Vec3 operator/(Vec3 a, double s) { return {a.x / s, a.y / s, a.z / s}; }

// np.dot of two vectors of three.
inline double dot(Vec3 a, Vec3 b) { return std::fma(a.z, b.z, std::fma(a.y, b.y, a.x * b.x)); }
// np.linalg.norm of one vector.
inline double norm(Vec3 a) { return std::sqrt(dot(a, a)); }
// np.sum(a * b, axis=1) and np.linalg.norm(a, axis=1) of rows.
inline double row_dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline double row_norm(Vec3 a) { return std::sqrt(row_dot(a, a)); }

inline constexpr Vec3 kYAxis{0.0, 1.0, 0.0}, kZAxis{0.0, 0.0, 1.0};

// Rows of a 3x3 matrix.
using Matrix3 = std::array<Vec3, 3>;

// np.dot(vector, matrix).
inline Vec3 times(Vec3 v, const Matrix3& m) {
  auto column = [&](double a, double b, double c) { return std::fma(v.z, c, std::fma(v.y, b, v.x * a)); };
  return {column(m[0].x, m[1].x, m[2].x), column(m[0].y, m[1].y, m[2].y), column(m[0].z, m[1].z, m[2].z)};
}

// About an axis of length 1, by an angle in radians, for row vectors.
inline Matrix3 rotation(Vec3 axis, double angle) {
  double a = std::cos(angle / 2.0), s = std::sin(angle / 2.0);
  double b = -axis.x * s, c = -axis.y * s, d = -axis.z * s;
  return {Vec3{a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
          Vec3{2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
          Vec3{2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c}};
}

// Of a heading.
inline Vec3 forward_of(double heading) { return {std::cos(heading), 0.0, -std::sin(heading)}; }
inline Vec3 right_of(double heading) { return {std::sin(heading), 0.0, std::cos(heading)}; }

inline constexpr double kDegree = std::numbers::pi / 180;

// A Python float, or a float32 where a mesh's measures came in: NumPy 2 rounds what is computed with one to float32.
struct Length {
  double value = 0.0;
  bool is_single = false;
  static Length single(float value) { return {value, true}; }
};

inline Length operator+(Length a, Length b) {
  if (!a.is_single && !b.is_single) return {a.value + b.value, false};
  return Length::single(static_cast<float>(a.value) + static_cast<float>(b.value));
}

// np.sum of a vector.
inline double pairwise_sum(std::span<const double> values) {
  size_t n = values.size();
  if (n < 8) {
    double sum = 0.0;
    for (double value : values) sum += value;
    return sum;
  }
  if (n <= 128) {
    std::array<double, 8> r;
    for (size_t k = 0; k < 8; ++k) r[k] = values[k];
    size_t i = 8;
    for (; i < n - n % 8; i += 8)
      for (size_t k = 0; k < 8; ++k) r[k] += values[i + k];
    double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < n; ++i) sum += values[i];
    return sum;
  }
  size_t half = n / 2 - (n / 2) % 8;
  return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
}

}  // namespace vldac::miniworld

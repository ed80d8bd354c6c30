// Random numbers equal to NumPy's, bit for bit: SeedSequence and PCG64 (numpy/random/_pcg64, bit_generator.pyx; algorithms
// by M. O'Neill), and Generator.integers / random / uniform / choice for the calls that environments make.
// Not thread-safe: one stream belongs to one environment.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>

namespace vldac {

class SeedSequence {
 public:
  explicit SeedSequence(std::span<const uint64_t> entropy) {
    uint32_t constant = 0x43b0d7e5u;
    auto hash = [&constant](uint32_t value) {
      value ^= constant;
      constant *= 0x931e8875u;
      value *= constant;
      return value ^ (value >> 16);
    };
    auto mix = [](uint32_t x, uint32_t y) {
      uint32_t result = 0xca01f9ddu * x - 0x4973f715u * y;
      return result ^ (result >> 16);
    };
    // Entropy as 32-bit words, low half first; a high half of zero is left out.
    size_t count = 0;
    std::array<uint32_t, 4> first{};
    auto for_each_word = [&entropy](auto&& visit) {
      for (uint64_t value : entropy) {
        visit(static_cast<uint32_t>(value));
        if (value >> 32) visit(static_cast<uint32_t>(value >> 32));
      }
    };
    for_each_word([&](uint32_t word) {
      if (count < 4) first[count] = word;
      ++count;
    });
    for (size_t i = 0; i < 4; ++i) pool_[i] = hash(first[i]);
    for (size_t source = 0; source < 4; ++source)
      for (size_t target = 0; target < 4; ++target)
        if (source != target) pool_[target] = mix(pool_[target], hash(pool_[source]));
    size_t index = 0;
    for_each_word([&](uint32_t word) {
      if (index++ < 4) return;
      for (size_t target = 0; target < 4; ++target) pool_[target] = mix(pool_[target], hash(word));
    });
  }
  SeedSequence(std::initializer_list<uint64_t> entropy) : SeedSequence(std::span(entropy.begin(), entropy.size())) {}

  // Four 64-bit words, as generate_state(4, uint64).
  std::array<uint64_t, 4> state4() const {
    uint32_t constant = 0x8b51f9ddu;
    std::array<uint32_t, 8> words{};
    for (size_t i = 0; i < 8; ++i) {
      uint32_t value = pool_[i % 4] ^ constant;
      constant *= 0x58f38dedu;
      value *= constant;
      words[i] = value ^ (value >> 16);
    }
    std::array<uint64_t, 4> result{};
    for (size_t i = 0; i < 4; ++i) result[i] = words[2 * i] | (static_cast<uint64_t>(words[2 * i + 1]) << 32);
    return result;
  }

 private:
  std::array<uint32_t, 4> pool_{};
};

// PCG64 (XSL-RR 128/64). Plain data, so that a snapshot is a copy of its bytes.
class Pcg64 {
 public:
  Pcg64() = default;
  explicit Pcg64(const SeedSequence& seed) {
    auto words = seed.state4();
    U128 initial = join(words[0], words[1]);
    increment_ = (join(words[2], words[3]) << 1) | 1;
    state_ = 0;
    advance();
    state_ += initial;
    advance();
  }

  uint64_t next64() {
    advance();
    uint64_t value = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
    unsigned rotation = static_cast<unsigned>(state_ >> 122);
    return (value >> rotation) | (value << ((64 - rotation) & 63));
  }

  // NumPy keeps the unused half of a 64-bit draw for the next 32-bit draw.
  uint32_t next32() {
    if (has_half_) {
      has_half_ = 0;
      return half_;
    }
    uint64_t value = next64();
    has_half_ = 1;
    half_ = static_cast<uint32_t>(value >> 32);
    return static_cast<uint32_t>(value);
  }

  // Generator.random(): 53 bits in [0, 1).
  double uniform() { return static_cast<double>(next64() >> 11) * (1.0 / 9007199254740992.0); }

  // Generator.uniform(low, high); of vectors element by element, the last index fastest.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  template <size_t N>
  std::array<double, N> uniform(const std::array<double, N>& low, const std::array<double, N>& high) {
    std::array<double, N> values;
    for (size_t i = 0; i < N; ++i) values[i] = uniform(low[i], high[i]);
    return values;
  }

  // Generator.choice(n, p=...), with the distribution as cumulative_distribution() makes it of p.
  size_t choice(std::span<const double> cumulative) {
    double value = uniform();
    size_t index = 0;
    while (index + 1 < cumulative.size() && cumulative[index] <= value) ++index;
    return index;
  }

  // Generator.integers(low, high), and with low = 0 Generator.choice(high), for a range below 2^32 (Lemire's method, 32-bit).
  int64_t integers(int64_t low, int64_t high) {
    if (high <= low || high - low > 0xffffffffLL) throw std::invalid_argument("integers: expected low < high < low + 2^32");
    uint32_t range = static_cast<uint32_t>(high - low - 1);
    if (range == 0) return low;
    uint32_t exclusive = range + 1;
    uint64_t product = static_cast<uint64_t>(next32()) * exclusive;
    uint32_t leftover = static_cast<uint32_t>(product);
    if (leftover < exclusive) {
      uint32_t threshold = (0xffffffffu - range) % exclusive;
      while (leftover < threshold) {
        product = static_cast<uint64_t>(next32()) * exclusive;
        leftover = static_cast<uint32_t>(product);
      }
    }
    return low + static_cast<int64_t>(product >> 32);
  }

  // Bytes that are no stream of this kind: an even increment may repeat one number for ever, and integers() wait for another.
  bool is_valid() const { return (increment_ & 1) == 1 && has_half_ <= 1 && padding_ == 0; }

 private:
  using U128 = unsigned __int128;
  static U128 join(uint64_t high, uint64_t low) { return (static_cast<U128>(high) << 64) | low; }
  void advance() { state_ = state_ * join(0x2360ed051fc65da4ULL, 0x4385df649fccf645ULL) + increment_; }

  U128 state_ = 0;
  U128 increment_ = 1;
  uint64_t has_half_ = 0;
  uint32_t half_ = 0;
  uint32_t padding_ = 0;
};

// In place: probabilities to the cumulative distribution that Generator.choice(n, p=...) draws from.
inline void cumulative_distribution(std::span<double> values) {
  double sum = 0.0;
  for (double& value : values) value = sum += value;
  for (double& value : values) value /= sum;
}

// Counter-based stream: a value depends on its four keys alone (SplitMix64 finaliser, chained).
inline uint64_t counter_random(uint64_t seed, uint64_t purpose, uint64_t env, uint64_t counter) {
  uint64_t value = 0x9e3779b97f4a7c15ULL;
  for (uint64_t key : {seed, purpose, env, counter}) {
    value += key + 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    value ^= value >> 31;
  }
  return value;
}

}  // namespace vldac

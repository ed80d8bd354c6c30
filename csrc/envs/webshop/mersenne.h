// Python's random module, bit for bit: MT19937 as random.seed(int) sets it up, and random, uniform, shuffle, sample(k = 2) and the
// choices that upstream makes. For the compat mode alone; everything else draws from hashes or from core/rng.h.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace vldac::webshop {

class Mersenne {
 public:
  explicit Mersenne(uint64_t seed) {
    uint32_t words[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
    seed_by_words(words, words[1] ? 2 : 1);
  }

  uint32_t next32() {
    if (at_ == kSize) refill();
    uint32_t y = state_[at_++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
  }
  double random() {
    uint32_t high = next32() >> 5, low = next32() >> 6;
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
  }
  double uniform(double low, double high) { return low + (high - low) * random(); }
  // randbelow(n), n below 2^32.
  uint32_t below(uint32_t n) {
    int bits = std::bit_width(n);
    if (bits == 0) return 0;
    uint32_t value;
    do value = next32() >> (32 - bits);
    while (value >= n);
    return value;
  }
  template <class Values>
  void shuffle(Values& values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[below(static_cast<uint32_t>(i + 1))]);
  }
  // random.sample(range(n), 2) for n of 2 to 21.
  std::pair<uint32_t, uint32_t> sample2(uint32_t n) {
    uint32_t first = below(n), second = below(n - 1);
    return {first, second == first ? n - 1 : second};
  }

 private:
  static constexpr size_t kSize = 624, kShift = 397;

  void seed_by_words(const uint32_t* words, size_t count) {
    state_[0] = 19650218u;
    for (size_t i = 1; i < kSize; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ state_[i - 1] >> 30) + static_cast<uint32_t>(i);
    size_t i = 1, j = 0;
    for (size_t k = kSize; k; --k) {
      state_[i] = (state_[i] ^ (state_[i - 1] ^ state_[i - 1] >> 30) * 1664525u) + words[j] + static_cast<uint32_t>(j);
      if (++i == kSize) state_[0] = state_[kSize - 1], i = 1;
      if (++j == count) j = 0;
    }
    for (size_t k = kSize - 1; k; --k) {
      state_[i] = (state_[i] ^ (state_[i - 1] ^ state_[i - 1] >> 30) * 1566083941u) - static_cast<uint32_t>(i);
      if (++i == kSize) state_[0] = state_[kSize - 1], i = 1;
    }
    state_[0] = 0x80000000u;
    at_ = kSize;
  }
  void refill() {
    for (size_t i = 0; i < kSize; ++i) {
      uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
      state_[i] = state_[(i + kShift) % kSize] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0u);
    }
    at_ = 0;
  }
  std::array<uint32_t, kSize> state_;
  size_t at_ = kSize;
};

}  // namespace vldac::webshop

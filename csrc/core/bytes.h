// Plain values to bytes and back, for snapshots. Reading past the end throws; nothing is ever read as a pointer or a length
// without a check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace vldac {

class Bytes {
 public:
  std::string data;
  size_t cursor = 0;
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    data.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (cursor > data.size() || sizeof(T) > data.size() - cursor) throw std::invalid_argument("environment state is truncated");
    T value;
    std::memcpy(&value, data.data() + cursor, sizeof(T));
    cursor += sizeof(T);
    return value;
  }
  // The next value, which must lie in [low, high].
  template <class T>
  T get_within(T low, T high) {
    T value = get<T>();
    if (value < low || value > high) throw std::invalid_argument("environment state is altered");
    return value;
  }
};

}  // namespace vldac

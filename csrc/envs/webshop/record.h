// How a product lies in the store: numbers in groups of seven bits, texts behind their length. Reading stays within the record and
// throws StoreError where it would not.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "envs/webshop/store.h"

namespace vldac::webshop {

class RecordWriter {
 public:
  void clear() { bytes_.clear(); }
  void number(uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }
  void real(double value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  template <class Texts>
  void texts(const Texts& values) {
    number(values.size());
    for (const auto& value : values) text(value);
  }
  void raw(std::string_view value) { bytes_ += value; }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
      need(1);
      auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw StoreError("a product of the store is altered");
  }
  double real() {
    double value;
    need(sizeof value);
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string_view text() {
    uint64_t size = number();
    need(size);
    std::string_view value = bytes_.substr(at_, size);
    at_ += size;
    return value;
  }
  // Into a vector of views, which is cleared.
  template <class Texts>
  void texts(Texts& out) {
    out.clear();
    for (uint64_t left = number(); left; --left) out.push_back(text());
  }
  std::string_view rest() const { return bytes_.substr(at_); }

 private:
  void need(uint64_t count) const {
    if (count > bytes_.size() - at_) throw StoreError("a product of the store is altered");
  }
  std::string_view bytes_;
  size_t at_ = 0;
};

}  // namespace vldac::webshop

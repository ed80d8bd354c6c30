// Text without heap allocation in the steady state: a bounded string on the stack, and named facts in a buffer that is reused.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace vldac {

// Up to N characters; what does not fit is cut off.
template <size_t N>
class FixedText {
 public:
  FixedText& operator+=(std::string_view more) {
    size_t count = more.size() < N - size_ ? more.size() : N - size_;
    std::memcpy(data_.data() + size_, more.data(), count);
    size_ += count;
    return *this;
  }
  FixedText& operator+=(char more) { return *this += std::string_view(&more, 1); }
  FixedText& operator+=(int64_t number) {
    std::array<char, 24> digits;
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return *this += std::string_view(digits.data(), static_cast<size_t>(end - digits.data()));
  }
  operator std::string_view() const { return {data_.data(), size_}; }
  size_t size() const { return size_; }

 private:
  std::array<char, N> data_;
  size_t size_ = 0;
};

// What is truly on an observation, by name. Names are string literals.
class Facts {
 public:
  struct Fact {
    std::string_view name;
    std::string_view value;
    bool is_number;
  };
  void clear() {
    entries_.clear();
    values_.clear();
    values_.reserve(256);  // at once: lengths vary, and a rare long one must not allocate later
  }
  void text(const char* name, std::string_view value) {
    entries_.push_back({name, values_.size(), value.size(), false});
    values_ += value;
  }
  void number(const char* name, int64_t value) {
    FixedText<24> digits;
    digits += value;
    text(name, digits);
    entries_.back().is_number = true;
  }
  // Texts in a row, ", " between them.
  template <class Symbols>
  void list(const char* name, const Symbols& symbols) {
    entries_.push_back({name, values_.size(), 0, false});
    for (const auto* symbol : symbols) {
      if (values_.size() > entries_.back().start) values_ += ", ";
      values_ += symbol->text;
    }
    entries_.back().size = values_.size() - entries_.back().start;
  }
  size_t size() const { return entries_.size(); }
  Fact at(size_t index) const {
    const Entry& entry = entries_.at(index);
    return {entry.name, std::string_view(values_).substr(entry.start, entry.size), entry.is_number};
  }

 private:
  struct Entry {
    const char* name;
    size_t start, size;
    bool is_number;
  };
  std::vector<Entry> entries_;
  std::string values_;
};

}  // namespace vldac

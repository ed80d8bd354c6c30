// A line of text in memory of fixed size: what does not fit is left out.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

namespace vldac::alfworld {

class Words {
 public:
  void clear() { size_ = 0; }
  Words& operator<<(std::string_view words) {
    size_t count = std::min(words.size(), text_.size() - size_);
    std::memcpy(text_.data() + size_, words.data(), count);
    size_ += count;
    return *this;
  }
  Words& operator<<(int number) {
    char digits[12];
    return *this << std::string_view(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, number).ptr - digits));
  }
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  std::array<char, 2048> text_;
  size_t size_ = 0;
};

}  // namespace vldac::alfworld

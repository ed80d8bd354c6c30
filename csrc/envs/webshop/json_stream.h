// Reads JSON files of many gigabytes value by value, with a buffer of fixed size. What is asked for is taken; everything else is
// skipped. Syntax and UTF-8 are checked as they are read; an error names the file, the byte and what was wrong, and ends the reading.
// As Python's reader it takes NaN and Infinity, and of lone surrogate escapes it makes U+FFFD.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vldac::webshop {

// A file that cannot be used: position is in bytes from its start.
class FileError : public std::runtime_error {
 public:
  FileError(const std::string& path, uint64_t position, const std::string& what)
      : std::runtime_error(path + ", byte " + std::to_string(position) + ": " + what) {}
};

enum class JsonKind : uint8_t { kString, kNumber, kTrue, kFalse, kNull, kArray, kObject };

class JsonStream {
 public:
  explicit JsonStream(const std::string& path);

  // What the next value is, without taking it.
  JsonKind peek();
  void read_string(std::string& out);
  double read_number();
  void skip();
  // visit() is called before each element and has to take it, by one of these functions.
  template <class Visit>
  void each_element(Visit visit) {
    open('[');
    if (!closes(']'))
      do visit();
      while (goes_on(']'));
    --depth_;
  }
  // visit(key) has to take the value. The key lives until the next string is read.
  template <class Visit>
  void each_member(Visit visit) {
    open('{');
    if (!closes('}')) {
      do {
        std::string key = take_key();
        visit(std::string_view(key));
        give_back(std::move(key));
      } while (goes_on('}'));
    }
    --depth_;
  }
  // Nothing but space is left.
  void expect_end();
  uint64_t position() const { return start_of_buffer_ + at_; }
  const std::string& path() const { return path_; }
  [[noreturn]] void fail(const std::string& what) const { throw FileError(path_, position(), what); }

 private:
  static constexpr int kMaxDepth = 64;
  static constexpr size_t kBufferBytes = 1 << 20;
  static constexpr size_t kMaxStringBytes = 16 << 20;

  int peek_byte() {
    if (at_ == size_ && !refill()) return -1;
    return static_cast<unsigned char>(buffer_[at_]);
  }
  bool refill();
  void skip_space();
  void open(char bracket);
  bool closes(char bracket);
  bool goes_on(char bracket);
  std::string take_key();
  void give_back(std::string key) { spare_keys_.push_back(std::move(key)); }
  void take_word(std::string_view word);
  void read_escape(std::string& out);
  uint32_t read_hex4();

  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::string buffer_;
  size_t at_ = 0, size_ = 0;
  uint64_t start_of_buffer_ = 0;
  int depth_ = 0;
  std::vector<std::string> spare_keys_;
  std::string number_, skipped_;
};

}  // namespace vldac::webshop

// The file that a catalogue is built into and mapped from: a header, then sections of plain arrays, each aligned to 64 bytes and with
// a checksum. It is written beside its final name and renamed when it is complete, so that a file of that name is always a whole one.
// A mapped file may be shared by any number of threads and processes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vldac::webshop {

enum class Section : uint32_t {
  kSource,          // a text that says what it was built of
  kRecords,         // products, one after the other (catalogue.cc)
  kRecordOffsets,   // uint64 [products + 1]
  kAsinSlots,       // uint32, open addressing: product + 1, or 0
  kTermText,        // the words of the index, one after the other
  kTermOffsets,     // uint64 [terms + 1]
  kTermSlots,       // uint32, open addressing: term + 1, or 0
  kPostingOffsets,  // uint64 [terms + 1]
  kPostings,        // uint16: place within its window << 8 | count (255: see kLargeCounts), ascending within a term
  kLargeCounts,     // uint64: posting << 16 | count, ascending
  kEntryOffsets,    // uint64 [terms + 1]
  kEntryWindows,    // uint32: windows that have the term, ascending within a term
  kEntryFirsts,     // uint32: the first posting there, counted from the term's first
  kEntryShares,     // uint8: the largest count / (count + norm) there, in 255ths of the term's bound, rounded up
  kDocLengths,      // uint32 [products], by place
  kDocProducts,     // uint32 [products]: the product of a place
  kTermBounds,      // float [terms]: the largest count / (count + norm) of a posting
  kCount
};

// A store that cannot be used: missing, cut off, altered, or of another version.
class StoreError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

uint64_t checksum(std::string_view bytes, uint64_t seed = 0);
inline uint64_t hash_text(std::string_view text) { return checksum(text, 0x5eed); }

class StoreWriter {
 public:
  explicit StoreWriter(std::string path);
  ~StoreWriter();  // without finish(): nothing remains
  void begin(Section section);
  void write(std::string_view bytes);
  void end();
  template <class T>
  void put(Section section, std::span<const T> values) {
    begin(section);
    write({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
    end();
  }
  uint64_t section_bytes() const { return bytes_; }
  void finish();

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void write_raw(std::string_view bytes);
  std::string path_, temporary_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::string pending_;
  uint64_t position_ = 0, bytes_ = 0, sum_ = 0;
  uint32_t open_ = 0;
  struct Entry {
    uint64_t offset = 0, bytes = 0, sum = 0;
  };
  std::vector<Entry> entries_;
  bool is_finished_ = false;
};

class Store {
 public:
  // Checks the header, and every section's checksum where the file is smaller than `max_bytes_checked`.
  explicit Store(const std::string& path, uint64_t max_bytes_checked = uint64_t{256} << 20);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::string_view bytes(Section section) const { return sections_[static_cast<size_t>(section)]; }
  template <class T>
  std::span<const T> values(Section section) const {
    std::string_view view = bytes(section);
    return {reinterpret_cast<const T*>(view.data()), view.size() / sizeof(T)};
  }
  // Reads everything once; throws StoreError where a checksum differs.
  void verify() const;
  const std::string& path() const { return path_; }
  // Of everything but the source: equal for stores of the same content.
  uint64_t content() const;
  uint64_t size() const { return size_; }
  static uint32_t version();

 private:
  std::string path_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
  std::vector<std::string_view> sections_;
  std::vector<uint64_t> sums_;
};

}  // namespace vldac::webshop

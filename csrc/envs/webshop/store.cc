#include "envs/webshop/store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace vldac::webshop {
namespace {

constexpr char kMagic[8] = {'V', 'L', 'S', 'H', 'O', 'P', '\r', '\n'};
constexpr uint32_t kVersion = 2;
constexpr size_t kAlignment = 64, kPendingBytes = 1 << 20;
constexpr size_t kNumSections = static_cast<size_t>(Section::kCount);

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t byte_order;  // 0x01020304 as this machine writes it
  uint64_t file_bytes;
  uint64_t offset[kNumSections], bytes[kNumSections], sum[kNumSections];
  uint64_t header_sum;  // of all that is before it
};
static_assert(sizeof(Header) == 24 + kNumSections * 24 + 8);

std::string reason() { return std::strerror(errno); }

}  // namespace

uint64_t checksum(std::string_view bytes, uint64_t seed) {
  uint64_t sum = seed ^ (0x9e3779b97f4a7c15ULL * (bytes.size() + 1));
  auto mix = [&sum](uint64_t word) { sum = std::rotl((sum ^ word) * 0xbf58476d1ce4e5b9ULL, 29); };
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    mix(word);
  }
  uint64_t last = 0;
  if (at < bytes.size()) std::memcpy(&last, bytes.data() + at, bytes.size() - at);
  mix(last);
  sum ^= sum >> 31;
  sum *= 0x94d049bb133111ebULL;
  return sum ^ (sum >> 29);
}

StoreWriter::StoreWriter(std::string path)
    : path_(std::move(path)), temporary_(path_ + "." + std::to_string(getpid()) + ".part"), entries_(kNumSections) {
  file_.reset(std::fopen(temporary_.c_str(), "wb"));
  if (!file_) throw StoreError(temporary_ + " cannot be written: " + reason());
  Header empty{};
  write_raw({reinterpret_cast<const char*>(&empty), sizeof empty});
}

StoreWriter::~StoreWriter() {
  if (is_finished_) return;
  file_.reset();
  unlink(temporary_.c_str());
}

void StoreWriter::write_raw(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
    throw StoreError(temporary_ + " cannot be written (is the disk full?): " + reason());
  position_ += bytes.size();
}

void StoreWriter::begin(Section section) {
  static const char kZeros[kAlignment] = {};
  if (position_ % kAlignment) write_raw({kZeros, kAlignment - position_ % kAlignment});
  open_ = static_cast<uint32_t>(section);
  entries_[open_].offset = position_;
  bytes_ = sum_ = 0;
  pending_.clear();
}

// The sum goes over pieces of kPendingBytes, as verify() takes them.
void StoreWriter::write(std::string_view bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    size_t count = std::min(bytes.size(), kPendingBytes - pending_.size());
    pending_.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    if (pending_.size() < kPendingBytes) return;
    sum_ = checksum(pending_, sum_);
    write_raw(pending_);
    pending_.clear();
  }
}

void StoreWriter::end() {
  if (!pending_.empty()) {
    sum_ = checksum(pending_, sum_);
    write_raw(pending_);
    pending_.clear();
  }
  entries_[open_].bytes = bytes_;
  entries_[open_].sum = sum_;
}

void StoreWriter::finish() {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.byte_order = 0x01020304;
  header.file_bytes = position_;
  for (size_t i = 0; i < kNumSections; ++i)
    header.offset[i] = entries_[i].offset, header.bytes[i] = entries_[i].bytes, header.sum[i] = entries_[i].sum;
  header.header_sum = checksum({reinterpret_cast<const char*>(&header), offsetof(Header, header_sum)});
  bool is_written = std::fseek(file_.get(), 0, SEEK_SET) == 0 && std::fwrite(&header, sizeof header, 1, file_.get()) == 1 &&
                    std::fflush(file_.get()) == 0 && fsync(fileno(file_.get())) == 0;
  if (!is_written) throw StoreError(temporary_ + " cannot be written (is the disk full?): " + reason());
  file_.reset();
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw StoreError(path_ + " cannot be put in place: " + reason());
  is_finished_ = true;
}

Store::Store(const std::string& path, uint64_t max_bytes_checked) : path_(path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw StoreError(path + " cannot be opened: " + reason());
  struct stat info;
  bool is_known = fstat(file, &info) == 0;
  size_ = is_known ? static_cast<uint64_t>(info.st_size) : 0;
  if (size_ < sizeof(Header)) {
    close(file);
    throw StoreError(path + " is no catalogue store: it is too short");
  }
  void* mapped = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) throw StoreError(path + " cannot be mapped: " + reason());
  data_ = static_cast<const char*>(mapped);
  try {
    Header header;
    std::memcpy(&header, data_, sizeof header);
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) throw StoreError(path + " is no catalogue store");
    if (header.version != kVersion || header.byte_order != 0x01020304)
      throw StoreError(path + " is a catalogue store of another version (" + std::to_string(header.version) + ", this one reads " +
                       std::to_string(kVersion) + ")");
    if (header.header_sum != checksum({data_, offsetof(Header, header_sum)})) throw StoreError(path + " is altered: its header does not add up");
    if (header.file_bytes != size_)
      throw StoreError(path + " is cut off: " + std::to_string(size_) + " of " + std::to_string(header.file_bytes) + " bytes");
    for (size_t i = 0; i < kNumSections; ++i) {
      if (header.offset[i] > size_ || header.bytes[i] > size_ - header.offset[i]) throw StoreError(path + " is altered: a section lies outside");
      sections_.emplace_back(data_ + header.offset[i], header.bytes[i]);
      sums_.push_back(header.sum[i]);
    }
    if (size_ <= max_bytes_checked) verify();
  } catch (...) {
    munmap(mapped, size_);
    throw;
  }
}

Store::~Store() { munmap(const_cast<char*>(data_), size_); }

uint64_t Store::content() const {
  uint64_t sum = version();
  for (size_t i = static_cast<size_t>(Section::kSource) + 1; i < sums_.size(); ++i) sum = checksum({reinterpret_cast<const char*>(&sums_[i]), sizeof sums_[i]}, sum);
  return sum;
}

void Store::verify() const {
  for (size_t i = 0; i < kNumSections; ++i) {
    uint64_t sum = 0;
    for (size_t at = 0; at < sections_[i].size(); at += kPendingBytes) sum = checksum(sections_[i].substr(at, kPendingBytes), sum);
    if (sum != sums_[i]) throw StoreError(path_ + " is altered: section " + std::to_string(i) + " does not add up");
  }
}

uint32_t Store::version() { return kVersion; }

}  // namespace vldac::webshop

// Memory of the batches that the pool hands out. A batch is one 64-byte aligned block of columns; whoever holds a lease (a NumPy
// view does) keeps it from being used again, also after the pool is gone. In the steady state nothing is allocated: batches and
// final frames come back and are used again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/symbols.h"
#include "core/text.h"

namespace vldac {

struct FreeAligned {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedBytes = std::unique_ptr<uint8_t[], FreeAligned>;

inline AlignedBytes aligned_bytes(size_t size) {
  void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64 + 64);
  if (!memory) throw std::bad_alloc();
  return AlignedBytes(static_cast<uint8_t*>(memory));
}

// The columns of B environments' results. Those of an episode that ended are valid where `ended`.
class Batch {
 public:
  Batch(size_t rows, size_t obs_bytes, bool has_text);
  const size_t rows, obs_bytes;
  uint8_t* obs;                             // [B][obs_bytes]
  double* reward;                           // [B]
  uint8_t *terminated, *truncated, *ended;  // [B]
  int32_t* env_id;                          // [B]
  int64_t *episode_id, *elapsed_step;       // [B] of the observation in obs
  int64_t* frame_id;                        // [B] unique in the pool: frames seen by the environment * E + environment
  uint8_t* success;                         // [B]
  double* episode_return;                   // [B]
  int64_t* length;                          // [B]
  int64_t *final_episode_id, *final_frame_id;  // [B]
  std::vector<AlignedBytes> final_obs;      // [B], null where no episode ended
  std::vector<std::string> prompt, fault;   // [B], of the final observation; fault is empty where there was none
  std::vector<Facts> facts;                 // [B], of the final observation
  std::vector<std::string> text, final_text;            // [B], of text environments
  std::vector<std::vector<const Symbol*>> commands;     // [B], admissible with `text`
  std::atomic<uint32_t> written{0}, num_ended{0};
  uint8_t* row(size_t index) const { return obs + index * obs_bytes; }

 private:
  AlignedBytes memory_;
};

class RingFull : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Memory for final observations, one each.
class FrameStore {
 public:
  explicit FrameStore(size_t obs_bytes) : obs_bytes_(obs_bytes) {}
  AlignedBytes take();
  void give(AlignedBytes frame);
  size_t bytes() const;

 private:
  const size_t obs_bytes_;
  mutable std::mutex mutex_;
  std::vector<AlignedBytes> free_;
  size_t count_ = 0;
};

class Ring {
 public:
  Ring(size_t rows, size_t obs_bytes, bool has_text, size_t max_bytes, std::shared_ptr<FrameStore> frames);
  // A free batch, or a new one; throws RingFull where that would exceed the cap and every batch is leased.
  Batch* acquire();
  // Its final observations go back to the store.
  void release(Batch* batch);
  struct Gauge {
    size_t batches, leased, bytes, max_bytes;
  };
  Gauge gauge() const;

 private:
  size_t batch_bytes() const;
  const size_t rows_, obs_bytes_, max_bytes_;
  const bool has_text_;
  const std::shared_ptr<FrameStore> frames_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Batch>> all_;
  std::vector<Batch*> free_;
};

// Holds one batch until it is destroyed or moved from.
class BatchLease {
 public:
  BatchLease() = default;
  BatchLease(std::shared_ptr<Ring> ring, Batch* batch) : ring_(std::move(ring)), batch_(batch) {}
  BatchLease(BatchLease&& other) noexcept : ring_(std::move(other.ring_)), batch_(std::exchange(other.batch_, nullptr)) {}
  BatchLease& operator=(BatchLease&& other) noexcept {
    std::swap(ring_, other.ring_);
    std::swap(batch_, other.batch_);
    return *this;
  }
  ~BatchLease() {
    if (batch_) ring_->release(batch_);
  }
  Batch* get() const { return batch_; }
  Batch* operator->() const { return batch_; }
  explicit operator bool() const { return batch_ != nullptr; }

 private:
  std::shared_ptr<Ring> ring_;
  Batch* batch_ = nullptr;
};

}  // namespace vldac

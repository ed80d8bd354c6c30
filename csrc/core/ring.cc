#include "core/ring.h"

#include <utility>

namespace vldac {

Batch::Batch(size_t rows, size_t obs_bytes, bool has_text)
    : rows(rows), obs_bytes(obs_bytes), final_obs(rows), prompt(rows), fault(rows), facts(rows) {
  if (has_text) text.resize(rows), final_text.resize(rows), commands.resize(rows);
  auto padded = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  constexpr size_t kWideColumns = 8, kByteColumns = 4;  // 64-bit and one-byte ones, and one of 32 bits
  memory_ = aligned_bytes(padded(rows * obs_bytes) + kWideColumns * padded(rows * 8) + padded(rows * 4) + kByteColumns * padded(rows));
  uint8_t* next = memory_.get();
  auto column = [&]<class T>(T*& pointer, size_t count) {
    pointer = reinterpret_cast<T*>(next);
    next += padded(count * sizeof(T));
  };
  column(obs, rows * obs_bytes);
  column(reward, rows);
  column(episode_return, rows);
  for (int64_t** wide : {&episode_id, &elapsed_step, &frame_id, &length, &final_episode_id, &final_frame_id}) column(*wide, rows);
  column(env_id, rows);
  for (uint8_t** bytes : {&terminated, &truncated, &ended, &success}) column(*bytes, rows);
}

AlignedBytes FrameStore::take() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) {
    free_.reserve(++count_);
    return aligned_bytes(obs_bytes_);
  }
  AlignedBytes frame = std::move(free_.back());
  free_.pop_back();
  return frame;
}

void FrameStore::give(AlignedBytes frame) {
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(frame));
}

size_t FrameStore::bytes() const {
  std::lock_guard lock(mutex_);
  return count_ * obs_bytes_;
}

Ring::Ring(size_t rows, size_t obs_bytes, bool has_text, size_t max_bytes, std::shared_ptr<FrameStore> frames)
    : rows_(rows), obs_bytes_(obs_bytes), max_bytes_(max_bytes), has_text_(has_text), frames_(std::move(frames)) {}

size_t Ring::batch_bytes() const { return rows_ * (obs_bytes_ + (has_text_ ? 1024 : 128)); }

Batch* Ring::acquire() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) {
    if (all_.size() > 1 && (all_.size() + 1) * batch_bytes() > max_bytes_)
      throw RingFull(std::to_string(all_.size()) + " batches of " + std::to_string(batch_bytes()) + " bytes, all still held");
    all_.push_back(std::make_unique<Batch>(rows_, obs_bytes_, has_text_));
    free_.reserve(all_.size());
    free_.push_back(all_.back().get());
  }
  Batch* batch = free_.back();
  free_.pop_back();
  batch->written = 0;
  batch->num_ended = 0;
  return batch;
}

void Ring::release(Batch* batch) {
  if (batch->num_ended)
    for (auto& frame : batch->final_obs)
      if (frame) frames_->give(std::move(frame));
  std::lock_guard lock(mutex_);
  free_.push_back(batch);
}

Ring::Gauge Ring::gauge() const {
  std::lock_guard lock(mutex_);
  return {all_.size(), all_.size() - free_.size(), all_.size() * batch_bytes() + frames_->bytes(), max_bytes_};
}

}  // namespace vldac

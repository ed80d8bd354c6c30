// One sender, many takers, no locks: tickets are environment indices, each at most once in the queue.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace vldac {

class TicketQueue {
 public:
  explicit TicketQueue(size_t capacity) {
    size_t size = 1;
    while (size < capacity) size *= 2;
    mask_ = size - 1;
    tickets_ = std::make_unique<std::atomic<uint32_t>[]>(size);
  }
  // Tickets become visible to takers at publish().
  void put(uint32_t ticket) { tickets_[staged_++ & mask_].store(ticket, std::memory_order_relaxed); }
  void publish() { tail_.store(staged_, std::memory_order_release); }
  bool take(uint32_t& ticket) {
    uint64_t head = head_.load(std::memory_order_acquire);
    while (true) {
      if (head == tail_.load(std::memory_order_acquire)) return false;
      // A slot is overwritten only after the head has passed it; then the exchange below fails.
      ticket = tickets_[head & mask_].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
    }
  }

 private:
  std::unique_ptr<std::atomic<uint32_t>[]> tickets_;
  size_t mask_ = 0;
  uint64_t staged_ = 0;
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace vldac

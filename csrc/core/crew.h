// The threads of a pool and what they share: tickets (one per environment, what to do and where the result goes), batches that are
// being filled, and a beat per thread that tells a watchdog what it is doing.
// The threads keep it alive, so that one that hangs outlives its pool harmlessly.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/doorbell.h"
#include "core/ring.h"
#include "core/runner.h"
#include "core/ticket_queue.h"

namespace vldac {

struct Crew {
  enum class Command : uint8_t { kStep, kSeed, kNext, kShow };
  struct Ticket {
    Command command = Command::kShow;
    int64_t action = 0;
    std::string words = {};  // the command, of text environments; its memory is used again
    uint64_t seed = 0;
    Batch* batch = nullptr;  // null: the next row of the pending batches, once the step is done (`ready`)
    size_t row = 0;
  };
  // What a thread is doing; `call` changes with every ticket and is odd while an environment runs.
  struct alignas(64) Beat {
    std::atomic<uint64_t> call{0};
    std::atomic<int64_t> env{-1}, episode{0};
    std::atomic<uint64_t> seed{0};
  };

  Crew(RunnerConfig runner_config, size_t num_threads, size_t batch_size, size_t max_ring_bytes, bool may_caller_step);

  // A thread's life: take tickets until is_stopping.
  void work_loop(size_t thread);
  // Tickets that were put become visible, and as many threads wake as the work is worth.
  void publish(size_t count);
  // On the caller's thread, until the batch is whole or the queue is empty; for when is_caller_cheaper.
  void help(const Batch& batch, size_t rows);

  const RunnerConfig config;
  const size_t batch_size;
  const bool may_caller_step;  // where that is cheaper than waking a thread
  std::vector<std::unique_ptr<Runner>> runners;
  const std::shared_ptr<FrameStore> frames;
  const std::shared_ptr<Ring> ring, full_ring;  // of B and of E rows
  std::vector<Ticket> tickets;
  TicketQueue queue;
  std::vector<std::atomic<Batch*>> pending;  // batch k at k mod size
  std::atomic<uint64_t> ready_rows{0};
  std::vector<Beat> beats;  // the last is the caller's
  Doorbell work, done;
  std::atomic<bool> is_stopping{false};
  std::atomic<bool> is_broken{false};  // an environment cannot go on; `broken` says why
  std::string broken;
  bool is_caller_cheaper = false;

 private:
  void run_timed(uint32_t env, uint64_t count, Beat& beat, uint8_t* scratch);
  void run(uint32_t env, Beat& beat, uint8_t* scratch);
  void break_with(const std::string& what);

  std::vector<uint8_t> caller_scratch_;
  uint64_t caller_count_ = 0;
  std::atomic<float> nanoseconds_{0.0f};  // of one ticket, a moving average
  std::atomic_flag has_broken_ = ATOMIC_FLAG_INIT;
};

}  // namespace vldac

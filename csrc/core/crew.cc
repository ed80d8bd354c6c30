#include "core/crew.h"

#include <algorithm>
#include <chrono>

#include "core/ranges.h"

namespace vldac {

namespace {
using Clock = std::chrono::steady_clock;
constexpr double kWorthWaking = 40'000.0;  // nanoseconds of work for which another thread is woken
constexpr uint64_t kTimedTickets = 16;     // one of so many is timed
}  // namespace

Crew::Crew(RunnerConfig runner_config, size_t num_threads, size_t batch_size, size_t max_ring_bytes, bool may_caller_step)
    : config(std::move(runner_config)),
      batch_size(batch_size),
      may_caller_step(may_caller_step),
      frames(std::make_shared<FrameStore>(config.observer.bytes())),
      ring(std::make_shared<Ring>(batch_size, config.observer.bytes(), config.entry->spec.is_text, max_ring_bytes, frames)),
      full_ring(batch_size == static_cast<size_t>(config.num_envs)
                    ? ring
                    : std::make_shared<Ring>(static_cast<size_t>(config.num_envs), config.observer.bytes(), config.entry->spec.is_text,
                                             max_ring_bytes, frames)),
      tickets(static_cast<size_t>(config.num_envs)),
      queue(static_cast<size_t>(config.num_envs)),
      pending(static_cast<size_t>(config.num_envs) / batch_size + 2),
      beats(num_threads + 1),
      caller_scratch_(config.observer.scratch_bytes()) {
  for (int64_t i = 0; i < config.num_envs; ++i) runners.push_back(std::make_unique<Runner>(config, i));
}

void Crew::work_loop(size_t thread) {
  std::vector<uint8_t> scratch(config.observer.scratch_bytes());
  for (uint64_t count = 0; !is_stopping.load(std::memory_order_acquire);) {
    uint32_t seen = work.count(), env = 0;
    if (queue.take(env)) run_timed(env, count++, beats[thread], scratch.data());
    else work.wait(seen, std::chrono::seconds(1));
  }
}

void Crew::help(const Batch& batch, size_t rows) {
  uint32_t env = 0;
  while (batch.written.load(std::memory_order_acquire) < rows && queue.take(env))
    run_timed(env, caller_count_++, beats.back(), caller_scratch_.data());
}

void Crew::publish(size_t count) {
  queue.publish();
  double expected = static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * static_cast<double>(count);
  is_caller_cheaper = may_caller_step && expected < kWorthWaking;
  if (is_caller_cheaper) return;
  auto wanted = static_cast<size_t>(expected / kWorthWaking) + 1;
  work.ring(static_cast<int>(std::min({wanted, count, beats.size() - 1})));
}

void Crew::run_timed(uint32_t env, uint64_t count, Beat& beat, uint8_t* scratch) {
  if (count % kTimedTickets) return run(env, beat, scratch);
  auto start = Clock::now();
  run(env, beat, scratch);
  auto elapsed = static_cast<float>(std::chrono::duration<double, std::nano>(Clock::now() - start).count());
  float before = nanoseconds_.load(std::memory_order_relaxed);
  nanoseconds_.store(before ? 0.9f * before + 0.1f * std::min(elapsed, 4.0f * before) : elapsed, std::memory_order_relaxed);
}

void Crew::run(uint32_t env, Beat& beat, uint8_t* scratch) {
  const Ticket& ticket = tickets[env];  // nobody writes to it before its row is received
  Runner& runner = *runners[env];
  beat.env.store(env, std::memory_order_relaxed);
  beat.seed.store(runner.current_seed(), std::memory_order_relaxed);
  beat.episode.store(runner.episode(), std::memory_order_relaxed);
  beat.call.fetch_add(1, std::memory_order_release);
  Batch* batch = ticket.batch;
  size_t row = ticket.row;
  try {
    Range range(ticket.command == Command::kStep ? "env step" : "env reset");
    switch (ticket.command) {
      case Command::kStep: runner.step(ticket.action, ticket.words, *frames, scratch); break;
      case Command::kSeed: runner.seed(ticket.seed); break;
      case Command::kNext: runner.begin_next(); break;
      case Command::kShow: runner.show(); break;
    }
  } catch (...) {
    break_with(current_error());
  }
  if (!batch) {
    uint64_t position = ready_rows.fetch_add(1, std::memory_order_acq_rel);
    batch = pending[position / batch_size % pending.size()].load(std::memory_order_acquire);
    row = position % batch_size;
  }
  try {
    Range range("env draw");
    runner.write(*batch, row, *frames, scratch);
  } catch (...) {
    break_with(current_error());
  }
  beat.call.fetch_add(1, std::memory_order_release);
  if (batch->written.fetch_add(1, std::memory_order_acq_rel) + 1 == batch->rows) done.ring(1);
}

void Crew::break_with(const std::string& what) {
  if (has_broken_.test_and_set()) return;
  broken = what;
  is_broken.store(true, std::memory_order_release);
}

}  // namespace vldac

#include "core/pool.h"

#include <algorithm>
#include <numeric>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace vldac {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kFirstSlice = std::chrono::microseconds(500);
constexpr auto kWaitSlice = std::chrono::milliseconds(50);
constexpr double kHangGrace = 1.0;          // seconds beyond the step timeout, for environments that check it themselves
constexpr double kWorthWaking = 40'000.0;   // nanoseconds of work for which another thread is woken
constexpr uint64_t kTimedTickets = 16;      // one of so many is timed

int64_t process_id() {
#if defined(__unix__) || defined(__APPLE__)
  return ::getpid();
#else
  return 0;
#endif
}

}  // namespace

// What the threads share. They keep it alive, so that a thread that hangs outlives its pool harmlessly.
struct Pool::Core {
  struct Ticket {
    Command command = Command::kShow;
    int64_t action = 0;
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

  Core(const PoolConfig& pool, size_t batch_size, size_t observation_bytes, RunnerConfig runner_config)
      : config(std::move(runner_config)),
        batch_size(batch_size),
        frames(std::make_shared<FrameStore>(observation_bytes)),
        ring(std::make_shared<Ring>(batch_size, observation_bytes, pool.max_ring_bytes, frames)),
        full_ring(batch_size == static_cast<size_t>(pool.num_envs)
                      ? ring
                      : std::make_shared<Ring>(static_cast<size_t>(pool.num_envs), observation_bytes, pool.max_ring_bytes, frames)),
        tickets(static_cast<size_t>(pool.num_envs)),
        queue(static_cast<size_t>(pool.num_envs)),
        pending(static_cast<size_t>(pool.num_envs) / batch_size + 2),
        beats(static_cast<size_t>(pool.num_threads) + 1),
        caller_scratch(config.observer.scratch_bytes()) {}

  RunnerConfig config;
  size_t batch_size;
  std::vector<std::unique_ptr<Runner>> runners;
  std::shared_ptr<FrameStore> frames;
  std::shared_ptr<Ring> ring, full_ring;  // of B and of E rows
  std::vector<Ticket> tickets;
  TicketQueue queue;
  std::vector<std::atomic<Batch*>> pending;  // batch k at k mod size
  std::atomic<uint64_t> ready_rows{0};
  std::vector<Beat> beats;  // the last is the caller's
  std::vector<uint8_t> caller_scratch;
  uint64_t caller_count = 0;
  Doorbell work, done;
  std::atomic<bool> is_stopping{false};
  std::atomic<float> nanoseconds{0.0f};  // of one ticket, a moving average
  std::atomic<bool> is_broken{false};
  std::string broken;  // written once, before is_broken
  std::atomic_flag has_broken = ATOMIC_FLAG_INIT;

  void work_loop(size_t thread) {
    std::vector<uint8_t> scratch(config.observer.scratch_bytes());
    for (uint64_t count = 0; !is_stopping.load(std::memory_order_acquire);) {
      uint32_t seen = work.count(), env = 0;
      if (queue.take(env)) run_timed(env, count++, beats[thread], scratch.data());
      else work.wait(seen, std::chrono::seconds(1));
    }
  }

  // On the caller's thread, until the batch is whole or the queue is empty.
  void help(const Batch& batch, size_t rows) {
    uint32_t env = 0;
    while (batch.written.load(std::memory_order_acquire) < rows && queue.take(env))
      run_timed(env, caller_count++, beats.back(), caller_scratch.data());
  }

  void run_timed(uint32_t env, uint64_t count, Beat& beat, uint8_t* scratch) {
    if (count % kTimedTickets) return run(env, beat, scratch);
    auto start = Clock::now();
    run(env, beat, scratch);
    auto elapsed = static_cast<float>(std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    float before = nanoseconds.load(std::memory_order_relaxed);
    nanoseconds.store(before ? 0.9f * before + 0.1f * std::min(elapsed, 4.0f * before) : elapsed, std::memory_order_relaxed);
  }

  void run(uint32_t env, Beat& beat, uint8_t* scratch) {
    Ticket& ticket = tickets[env];
    Runner& runner = *runners[env];
    beat.env.store(env, std::memory_order_relaxed);
    beat.seed.store(runner.current_seed(), std::memory_order_relaxed);
    beat.episode.store(runner.episode(), std::memory_order_relaxed);
    beat.call.fetch_add(1, std::memory_order_release);
    Batch* batch = ticket.batch;
    size_t row = ticket.row;
    try {
      switch (ticket.command) {
        case Command::kStep: runner.step(ticket.action, *frames, scratch); break;
        case Command::kSeed: runner.seed(ticket.seed); break;
        case Command::kNext: runner.begin_next(); break;
        case Command::kShow: runner.show(); break;
      }
    } catch (const std::exception& error) {
      break_with(error.what());
    }
    if (!batch) {
      uint64_t position = ready_rows.fetch_add(1, std::memory_order_acq_rel);
      batch = pending[position / batch_size % pending.size()].load(std::memory_order_acquire);
      row = position % batch_size;
    }
    try {
      runner.write(*batch, row, *frames, scratch);
    } catch (const std::exception& error) {
      break_with(error.what());
    }
    beat.call.fetch_add(1, std::memory_order_release);
    if (batch->written.fetch_add(1, std::memory_order_acq_rel) + 1 == batch->rows) done.ring(1);
  }

  void break_with(const char* what) {
    if (has_broken.test_and_set()) return;
    broken = what;
    is_broken.store(true, std::memory_order_release);
  }

  void publish(size_t count) {
    queue.publish();
    double expected = static_cast<double>(nanoseconds.load(std::memory_order_relaxed)) * static_cast<double>(count);
    is_caller_cheaper = config.entry->spec.is_bounded && expected < kWorthWaking;
    if (is_caller_cheaper) return;
    auto wanted = static_cast<size_t>(expected / kWorthWaking) + 1;
    work.ring(static_cast<int>(std::min({wanted, count, beats.size() - 1})));
  }
  bool is_caller_cheaper = false;
};

// Holds the pool for one call; a second caller is refused.
class Pool::Exclusive {
 public:
  explicit Exclusive(Pool& pool) : pool_(pool) {
    if (pool.is_busy_.exchange(true, std::memory_order_acquire))
      throw PoolMisuse("another thread is in a call of this environment");
    try {
      pool.check_usable();
    } catch (...) {
      pool.is_busy_.store(false, std::memory_order_release);
      throw;
    }
  }
  ~Exclusive() { pool_.is_busy_.store(false, std::memory_order_release); }

 private:
  Pool& pool_;
};

Pool::Pool(PoolConfig config) : config_(std::move(config)), process_(process_id()) {
  const EnvEntry& entry = find_env(config_.env_id);
  auto within = [](const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high)
      throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(low) + " to " + std::to_string(high) +
                                  ", got " + std::to_string(value));
  };
  within("num_envs", config_.num_envs, 1, 1 << 20);
  within("num_threads", config_.num_threads, 1, 4096);
  if (config_.batch_size == 0) config_.batch_size = config_.num_envs;
  within("batch_size", config_.batch_size, 1, config_.num_envs);
  within("width", config_.width, 1, 1 << 14);
  within("height", config_.height, 1, 1 << 14);
  batch_size_ = static_cast<size_t>(config_.batch_size);
  config_.num_threads = std::min(config_.num_threads, config_.num_envs);
  config_.options = with_defaults(entry.spec, config_.options);
  num_actions_ = static_cast<int64_t>(entry.spec.actions(config_.options).size());
  if (config_.patches && (config_.patches->spec().in_width != config_.width || config_.patches->spec().in_height != config_.height ||
                          entry.spec.observation.kind != ObsKind::kImage))
    throw std::invalid_argument("patches: expected an emitter of this environment's pictures");
  Observer observer(entry.spec.observation, config_.width, config_.height, config_.patches);
  core_ = std::make_shared<Core>(
      config_, batch_size_, observer.bytes(),
      RunnerConfig{&entry, config_.options, observer, PromptTemplate(config_.prompt), config_.autoreset, config_.is_stream,
                   config_.max_episode_steps, config_.step_timeout, config_.num_envs});
  for (int i = 0; i < config_.num_envs; ++i) core_->runners.push_back(std::make_unique<Runner>(core_->config, i));
  Facts facts;
  core_->runners[0]->env().facts(facts);
  core_->config.prompt.check(facts);
  in_flight_.resize(num_envs());
  pending_.resize(core_->pending.size());
  sightings_.resize(static_cast<size_t>(config_.num_threads));
  for (size_t i = 0; i < sightings_.size(); ++i)
    threads_.emplace_back([core = core_, i] { core->work_loop(i); });
}

Pool::~Pool() {
  is_busy_ = false;  // whoever destroys the pool is its only user
  close();
}

void Pool::close() {
  if (is_closed_) return;
  if (process_ != process_id()) {  // in a forked child: the threads are the parent's, only their handles are here
    new auto(std::move(threads_));
    new auto(std::move(core_));
    is_closed_ = true;
    return;
  }
  if (is_busy_.exchange(true)) throw PoolMisuse("close: another thread is in a call of this environment");
  is_closed_ = true;
  core_->is_stopping.store(true, std::memory_order_release);
  core_->work.ring(static_cast<int>(threads_.size()));
  for (auto& thread : threads_) {
    if (is_hung_) thread.detach();
    else thread.join();
  }
  threads_.clear();
  is_busy_.store(false);
}

size_t Pool::obs_bytes() const { return core_->config.observer.bytes(); }

void Pool::check_usable() const {
  if (process_ != process_id()) throw PoolMisuse("this process is a fork of the one that made the environment; its threads are not here");
  if (is_closed_) throw PoolMisuse("the environment is closed");
  if (is_hung_) throw PoolMisuse("an environment hangs; its thread cannot be stopped");
  if (core_->is_broken.load(std::memory_order_acquire)) throw EnvBroken(core_->broken);
}

void Pool::check_ids(std::span<const int64_t> env_ids) const {
  for (int64_t id : env_ids) {
    if (id < 0 || id >= config_.num_envs)
      throw std::invalid_argument("environment ids: expected 0 to " + std::to_string(config_.num_envs - 1) + ", got " + std::to_string(id));
    if (in_flight_[static_cast<size_t>(id)])
      throw PoolMisuse("environment " + std::to_string(id) + " is in flight: receive it first");
  }
}

void Pool::check_actions(std::span<const int64_t> actions) const {
  for (int64_t action : actions)
    if (action < 0 || action >= num_actions_)
      throw std::invalid_argument("actions: expected 0 to " + std::to_string(num_actions_ - 1) + ", got " + std::to_string(action));
}

void Pool::require_none_in_flight(const char* call) const {
  if (in_flight_count_ || all_)
    throw PoolMisuse(std::string(call) + ": " + std::to_string(in_flight_count_) + " environments are in flight: receive them first");
}

BatchLease Pool::reset(std::span<const uint64_t> seeds, std::span<const uint8_t> mask) {
  Exclusive guard(*this);
  if (!seeds.empty() && seeds.size() != num_envs()) throw std::invalid_argument("reset: expected one seed per environment");
  if (!mask.empty() && mask.size() != num_envs()) throw std::invalid_argument("reset: expected one mask entry per environment");
  if (!is_reset_ && (seeds.empty() || !mask.empty())) throw PoolMisuse("the first reset needs seeds for all environments");
  if (!mask.empty()) require_none_in_flight("reset with a mask");
  // A whole reset forgets what is under way.
  if (all_) receive_all();
  for (; next_batch_ * batch_size_ < sent_rows_; ++next_batch_) {
    size_t slot = next_batch_ % pending_.size();
    wait_for(*pending_[slot].get(), std::min(batch_size_, static_cast<size_t>(sent_rows_ - next_batch_ * batch_size_)), -1.0);
    pending_[slot] = {};
  }
  std::fill(in_flight_.begin(), in_flight_.end(), 0);
  in_flight_count_ = 0;
  sent_rows_ = next_batch_ = 0;
  core_->ready_rows = 0;
  BatchLease lease(core_->full_ring, core_->full_ring->acquire());
  for (size_t i = 0; i < num_envs(); ++i) {
    bool is_chosen = mask.empty() || mask[i];
    core_->tickets[i].command = !is_chosen ? Command::kShow : seeds.empty() ? Command::kNext : Command::kSeed;
    if (is_chosen && !seeds.empty()) core_->tickets[i].seed = seeds[i];
  }
  is_reset_ = true;
  start_all(std::move(lease));
  return receive_all();
}

BatchLease Pool::observe() {
  Exclusive guard(*this);
  if (!is_reset_) throw PoolMisuse("the environments have not been reset");
  require_none_in_flight("observe");
  BatchLease lease(core_->full_ring, core_->full_ring->acquire());
  for (auto& ticket : core_->tickets) ticket.command = Command::kShow;
  start_all(std::move(lease));
  return receive_all();
}

BatchLease Pool::step(std::span<const int64_t> actions) {
  Exclusive guard(*this);
  if (!is_reset_) throw PoolMisuse("the environments have not been reset");
  if (actions.size() != num_envs()) throw std::invalid_argument("step: expected one action per environment");
  require_none_in_flight("step");
  check_actions(actions);
  if (config_.autoreset == Autoreset::kDisabled)
    for (size_t i = 0; i < num_envs(); ++i)
      if (core_->runners[i]->is_over())
        throw PoolMisuse("the episode of environment " + std::to_string(i) + " is over: reset it (reset_mask) before it is stepped");
  BatchLease lease(core_->full_ring, core_->full_ring->acquire());
  for (size_t i = 0; i < num_envs(); ++i) {
    core_->tickets[i].command = Command::kStep;
    core_->tickets[i].action = actions[i];
  }
  start_all(std::move(lease));
  return receive_all();
}

void Pool::start_all(BatchLease lease) {
  all_ = std::move(lease);
  for (size_t i = 0; i < num_envs(); ++i) {
    core_->tickets[i].batch = all_.get();
    core_->tickets[i].row = i;
    core_->queue.put(static_cast<uint32_t>(i));
  }
  core_->publish(num_envs());
}

BatchLease Pool::receive_all() {
  wait_for(*all_.get(), num_envs(), -1.0);
  BatchLease lease = std::move(all_);
  all_ = {};
  check_usable();
  return lease;
}

void Pool::send(std::span<const int64_t> actions, std::span<const int64_t> env_ids) {
  Exclusive guard(*this);
  if (!is_reset_) throw PoolMisuse("the environments have not been reset");
  if (all_) throw PoolMisuse("send: a step or reset was interrupted: receive it first");
  if (actions.size() != env_ids.size()) throw std::invalid_argument("send: expected one action per environment id");
  check_ids(env_ids);
  check_actions(actions);
  for (size_t i = 0; i < env_ids.size(); ++i) {
    auto env = static_cast<size_t>(env_ids[i]);
    if (in_flight_[env]) {  // twice in env_ids
      for (size_t k = 0; k < i; ++k) in_flight_[static_cast<size_t>(env_ids[k])] = 0;
      throw std::invalid_argument("send: environment " + std::to_string(env) + " is named twice");
    }
    in_flight_[env] = 1;
  }
  auto undo = [&] {
    for (int64_t id : env_ids) in_flight_[static_cast<size_t>(id)] = 0;
  };
  if (config_.autoreset == Autoreset::kDisabled)
    for (int64_t id : env_ids)
      if (core_->runners[static_cast<size_t>(id)]->is_over()) {
        undo();
        throw PoolMisuse("the episode of environment " + std::to_string(id) + " is over: reset it (reset_mask) before it is stepped");
      }
  // Memory for every batch that these rows touch, before anything moves.
  uint64_t first = (sent_rows_ + batch_size_ - 1) / batch_size_, last = (sent_rows_ + env_ids.size() + batch_size_ - 1) / batch_size_;
  for (uint64_t k = first; k < last; ++k) {
    try {
      pending_[k % pending_.size()] = BatchLease(core_->ring, core_->ring->acquire());
    } catch (...) {
      while (k-- > first) pending_[k % pending_.size()] = {};
      undo();
      throw;
    }
    core_->pending[k % pending_.size()].store(pending_[k % pending_.size()].get(), std::memory_order_release);
  }
  in_flight_count_ += env_ids.size();
  for (size_t i = 0; i < env_ids.size(); ++i, ++sent_rows_) {
    auto& ticket = core_->tickets[static_cast<size_t>(env_ids[i])];
    ticket.command = Command::kStep;
    ticket.action = actions[i];
    ticket.batch = config_.is_ready_order ? nullptr : pending_[sent_rows_ / batch_size_ % pending_.size()].get();
    ticket.row = sent_rows_ % batch_size_;
    core_->queue.put(static_cast<uint32_t>(env_ids[i]));
  }
  core_->publish(env_ids.size());
}

BatchLease Pool::recv(double seconds) {
  Exclusive guard(*this);
  if (all_) return receive_all();
  if (sent_rows_ < (next_batch_ + 1) * batch_size_)
    throw PoolMisuse("recv: a batch needs " + std::to_string(batch_size_) + " environments, " + std::to_string(in_flight_count_) +
                     " are in flight: send more");
  BatchLease& head = pending_[next_batch_ % pending_.size()];
  wait_for(*head.get(), batch_size_, seconds);
  check_usable();
  BatchLease lease = std::move(head);
  head = {};
  ++next_batch_;
  mark_idle(*lease.get());
  return lease;
}

void Pool::mark_idle(const Batch& batch) {
  for (size_t row = 0; row < batch.rows; ++row) in_flight_[static_cast<size_t>(batch.env_id[row])] = 0;
  in_flight_count_ -= batch.rows;
}

void Pool::wait_for(Batch& batch, size_t rows, double seconds) {
  auto start = Clock::now();
  bool is_first = true;
  if (core_->is_caller_cheaper) core_->help(batch, rows);
  while (true) {
    uint32_t seen = core_->done.count();
    if (batch.written.load(std::memory_order_acquire) >= rows) return;
    if (core_->is_broken.load(std::memory_order_acquire)) throw EnvBroken(core_->broken);
    std::chrono::nanoseconds slice = is_first ? kFirstSlice : kWaitSlice;
    if (seconds >= 0.0) {
      auto left = std::chrono::duration<double>(seconds) - std::chrono::duration<double>(Clock::now() - start);
      if (left.count() <= 0.0) throw PoolTimeout("no batch within " + std::to_string(seconds) + " s");
      slice = std::min(slice, std::chrono::duration_cast<std::chrono::nanoseconds>(left));
    }
    core_->done.wait(seen, slice);
    if (batch.written.load(std::memory_order_acquire) >= rows) return;
    // Slower than expected: every thread shall help.
    if (std::exchange(is_first, false)) core_->work.ring(static_cast<int>(threads_.size()));
    look_for_hang();
    if (poll_) poll_();
  }
}

void Pool::look_for_hang() {
  auto now = Clock::now();
  for (size_t i = 0; i < sightings_.size(); ++i) {
    const auto& beat = core_->beats[i];
    uint64_t call = beat.call.load(std::memory_order_acquire);
    if (call != sightings_[i].call) {
      sightings_[i] = {call, now};
    } else if (call % 2) {
      double seconds = std::chrono::duration<double>(now - sightings_[i].since).count();
      if (seconds <= config_.step_timeout + kHangGrace) continue;
      is_hung_ = true;
      throw EnvHang("environment " + std::to_string(beat.env.load()) + ", seed " + std::to_string(beat.seed.load()) + ", episode " +
                    std::to_string(beat.episode.load()) + ": one call took more than " + std::to_string(seconds) + " s");
    }
  }
}

const Env& Pool::idle_env(size_t index) {
  check_usable();
  if (all_ || in_flight_.at(index)) throw PoolMisuse("environment " + std::to_string(index) + " is in flight: receive it first");
  return core_->runners[index]->env();
}

void Pool::prompts(std::span<const int64_t> env_ids, std::string& text, std::vector<int64_t>& offsets) {
  Exclusive guard(*this);
  check_ids(env_ids);
  if (all_) throw PoolMisuse("prompts: a step or reset was interrupted: receive it first");
  offsets.assign(1, 0);
  for (int64_t id : env_ids) {
    core_->runners[static_cast<size_t>(id)]->prompt(text);
    offsets.push_back(static_cast<int64_t>(text.size()));
  }
}

template <class Read>
std::vector<int64_t> Pool::read_all(const char* call, Read&& read) {
  Exclusive guard(*this);
  require_none_in_flight(call);
  std::vector<int64_t> values;
  for (const auto& runner : core_->runners) values.push_back(read(*runner));
  return values;
}

std::vector<int64_t> Pool::frame_ids() {
  return read_all("frame_ids", [](const Runner& runner) { return runner.frame_id(); });
}

std::vector<int64_t> Pool::episode_ids() {
  return read_all("episode_ids", [](const Runner& runner) { return runner.episode(); });
}

int64_t Pool::fault_count() {
  auto counts = read_all("fault_count", [](const Runner& runner) { return runner.fault_count(); });
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

Ring::Gauge Pool::gauge() const {
  auto gauge = core_->ring->gauge();
  if (core_->full_ring != core_->ring) {
    auto more = core_->full_ring->gauge();
    gauge.batches += more.batches;
    gauge.leased += more.leased;
    gauge.bytes += more.bytes;
    gauge.max_bytes += more.max_bytes;
  }
  return gauge;
}

namespace {
constexpr uint32_t kMagic = 0x43414456u, kVersion = 2u;
constexpr size_t kMaxStateBytes = size_t{1} << 32;
uint64_t checksum(const char* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<uint8_t>(data[i])) * 0x100000001b3ULL;
  return hash;
}
}  // namespace

// Layout: magic, version, hash of id and options, number of environments, then each environment's stream, counters and own
// state; a checksum at the end.
std::string Pool::save() {
  Exclusive guard(*this);
  require_none_in_flight("save");
  std::string identity = config_.env_id;
  for (const auto& [name, value] : config_.options) identity += ' ' + name + '=' + std::to_string(value);
  Bytes out;
  out.put(kMagic);
  out.put(kVersion);
  out.put(checksum(identity.data(), identity.size()));
  out.put(static_cast<uint64_t>(num_envs()));
  for (const auto& runner : core_->runners) runner->save(out);
  out.put(checksum(out.data.data(), out.data.size()));
  return std::move(out.data);
}

// All or nothing: the environments are replaced only after the whole state was read.
void Pool::load(const std::string& state) {
  Exclusive guard(*this);
  require_none_in_flight("load");
  if (state.size() < 8) throw std::invalid_argument("environment state is truncated");
  if (state.size() > kMaxStateBytes) throw std::invalid_argument("environment state is larger than any real one");
  Bytes in{state.substr(0, state.size() - 8), 0};
  uint64_t expected;
  std::memcpy(&expected, state.data() + state.size() - 8, 8);
  if (checksum(in.data.data(), in.data.size()) != expected) throw std::invalid_argument("environment state is altered");
  if (in.get<uint32_t>() != kMagic || in.get<uint32_t>() != kVersion)
    throw std::invalid_argument("environment state is of another format");
  std::string identity = config_.env_id;
  for (const auto& [name, value] : config_.options) identity += ' ' + name + '=' + std::to_string(value);
  if (in.get<uint64_t>() != checksum(identity.data(), identity.size()))
    throw std::invalid_argument("environment state is of another environment id or of other options");
  if (in.get<uint64_t>() != num_envs()) throw std::invalid_argument("environment state has another number of environments");
  std::vector<std::unique_ptr<Runner>> runners;
  for (int i = 0; i < config_.num_envs; ++i) {
    runners.push_back(std::make_unique<Runner>(core_->config, i));
    runners.back()->load(in);
  }
  if (in.cursor != in.data.size()) throw std::invalid_argument("environment state has bytes left over");
  core_->runners.swap(runners);
  is_reset_ = true;
}

}  // namespace vldac

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
constexpr size_t kMaxCommandBytes = 65536;
constexpr double kHangGrace = 1.0;  // seconds beyond the step timeout, for environments that check it themselves

int64_t process_id() {
#if defined(__unix__) || defined(__APPLE__)
  return ::getpid();
#else
  return 0;
#endif
}

}  // namespace

Pool::Exclusive::Exclusive(Pool& pool) : pool_(pool) {
  if (pool.is_busy_.exchange(true, std::memory_order_acquire))
    throw PoolMisuse("another thread is in a call of this environment");
  try {
    pool.check_usable();
  } catch (...) {
    pool.is_busy_.store(false, std::memory_order_release);
    throw;
  }
}

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
  const ObsSpec observed = entry.spec.observed(config_.options);
  if (config_.patches && (config_.patches->spec().in_width != config_.width || config_.patches->spec().in_height != config_.height ||
                          observed.kind != ObsKind::kImage))
    throw std::invalid_argument("patches: expected an emitter of this environment's pictures");
  Observer observer(observed, config_.width, config_.height, config_.patches);
  crew_ = std::make_shared<Crew>(
      RunnerConfig{&entry, config_.options, observer, PromptTemplate(config_.prompt), config_.autoreset, config_.is_stream,
                   config_.max_episode_steps, config_.step_timeout, config_.num_envs, config_.failure_reward},
      static_cast<size_t>(config_.num_threads), batch_size_, config_.max_ring_bytes,
      config_.may_caller_step && entry.spec.is_bounded);
  Facts facts;
  crew_->runners[0]->env().facts(facts);
  crew_->config.prompt.check(facts);
  in_flight_.resize(num_envs());
  pending_.resize(crew_->pending.size());
  sightings_.resize(static_cast<size_t>(config_.num_threads));
  for (size_t i = 0; i < sightings_.size(); ++i)
    threads_.emplace_back([crew = crew_, i] { crew->work_loop(i); });
}

Pool::~Pool() {
  is_busy_ = false;  // whoever destroys the pool is its only user
  close();
}

void Pool::close() {
  if (is_closed_) return;
  if (process_ != process_id()) {  // in a forked child: the threads are the parent's, and so may be every lock; let all lie
    new auto(std::move(threads_));
    new auto(std::move(crew_));
    new auto(std::move(pending_));
    new auto(std::move(all_));
    is_closed_ = true;
    return;
  }
  if (is_busy_.exchange(true)) throw PoolMisuse("close: another thread is in a call of this environment");
  is_closed_ = true;
  crew_->is_stopping.store(true, std::memory_order_release);
  crew_->work.ring(static_cast<int>(threads_.size()));
  for (auto& thread : threads_) {
    if (is_hung_) thread.detach();
    else thread.join();
  }
  threads_.clear();
  is_busy_.store(false);
}

size_t Pool::obs_bytes() const { return crew_->config.observer.bytes(); }

void Pool::check_usable() const {
  if (process_ != process_id()) throw PoolMisuse("this process is a fork of the one that made the environment; its threads are not here");
  if (is_closed_) throw PoolMisuse("the environment is closed");
  if (is_hung_) throw PoolMisuse("an environment hangs; its thread cannot be stopped");
  if (crew_->is_broken.load(std::memory_order_acquire)) throw EnvBroken(crew_->broken);
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

void Pool::check_actions(std::span<const std::string_view> commands) const {
  for (std::string_view command : commands)
    if (command.size() > kMaxCommandBytes)
      throw std::invalid_argument("commands: expected at most " + std::to_string(kMaxCommandBytes) + " bytes, got " + std::to_string(command.size()));
}

namespace {
void give(Crew::Ticket& ticket, int64_t action) { ticket.action = action; }
void give(Crew::Ticket& ticket, std::string_view command) { ticket.words.assign(command); }
void check_kind(const EnvSpec& spec, bool is_command) {
  if (spec.is_text != is_command) throw std::invalid_argument(spec.is_text ? "actions: expected commands, one text each" : "actions: expected numbers");
}
}  // namespace

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
  BatchLease lease(crew_->full_ring, crew_->full_ring->acquire());
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
  crew_->ready_rows = 0;
  for (size_t i = 0; i < num_envs(); ++i) {
    bool is_chosen = mask.empty() || mask[i];
    crew_->tickets[i].command = !is_chosen ? Command::kShow : seeds.empty() ? Command::kNext : Command::kSeed;
    if (is_chosen && !seeds.empty()) crew_->tickets[i].seed = seeds[i];
  }
  is_reset_ = true;
  start_all(std::move(lease));
  return receive_all();
}

BatchLease Pool::observe() {
  Exclusive guard(*this);
  if (!is_reset_) throw PoolMisuse("the environments have not been reset");
  require_none_in_flight("observe");
  BatchLease lease(crew_->full_ring, crew_->full_ring->acquire());
  for (auto& ticket : crew_->tickets) ticket.command = Command::kShow;
  start_all(std::move(lease));
  return receive_all();
}

BatchLease Pool::step(std::span<const int64_t> actions) { return step_all(actions); }
BatchLease Pool::step(std::span<const std::string_view> commands) { return step_all(commands); }
void Pool::send(std::span<const int64_t> actions, std::span<const int64_t> env_ids) { send_some(actions, env_ids); }
void Pool::send(std::span<const std::string_view> commands, std::span<const int64_t> env_ids) { send_some(commands, env_ids); }

template <class Action>
BatchLease Pool::step_all(std::span<const Action> actions) {
  Exclusive guard(*this);
  check_kind(crew_->config.entry->spec, std::is_same_v<Action, std::string_view>);
  if (!is_reset_) throw PoolMisuse("the environments have not been reset");
  if (actions.size() != num_envs()) throw std::invalid_argument("step: expected one action per environment");
  require_none_in_flight("step");
  check_actions(actions);
  if (config_.autoreset == Autoreset::kDisabled)
    for (size_t i = 0; i < num_envs(); ++i)
      if (crew_->runners[i]->is_over())
        throw PoolMisuse("the episode of environment " + std::to_string(i) + " is over: reset it (reset_mask) before it is stepped");
  BatchLease lease(crew_->full_ring, crew_->full_ring->acquire());
  for (size_t i = 0; i < num_envs(); ++i) {
    crew_->tickets[i].command = Command::kStep;
    give(crew_->tickets[i], actions[i]);
  }
  start_all(std::move(lease));
  return receive_all();
}

void Pool::start_all(BatchLease lease) {
  all_ = std::move(lease);
  for (size_t i = 0; i < num_envs(); ++i) {
    crew_->tickets[i].batch = all_.get();
    crew_->tickets[i].row = i;
    crew_->queue.put(static_cast<uint32_t>(i));
  }
  crew_->publish(num_envs());
}

BatchLease Pool::receive_all(double seconds) {
  wait_for(*all_.get(), num_envs(), seconds);
  BatchLease lease = std::move(all_);
  all_ = {};
  check_usable();
  return lease;
}

template <class Action>
void Pool::send_some(std::span<const Action> actions, std::span<const int64_t> env_ids) {
  Exclusive guard(*this);
  check_kind(crew_->config.entry->spec, std::is_same_v<Action, std::string_view>);
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
      if (crew_->runners[static_cast<size_t>(id)]->is_over()) {
        undo();
        throw PoolMisuse("the episode of environment " + std::to_string(id) + " is over: reset it (reset_mask) before it is stepped");
      }
  // Memory for every batch that these rows touch, before anything moves.
  uint64_t first = (sent_rows_ + batch_size_ - 1) / batch_size_, last = (sent_rows_ + env_ids.size() + batch_size_ - 1) / batch_size_;
  for (uint64_t k = first; k < last; ++k) {
    try {
      pending_[k % pending_.size()] = BatchLease(crew_->ring, crew_->ring->acquire());
    } catch (...) {
      while (k-- > first) pending_[k % pending_.size()] = {};
      undo();
      throw;
    }
    crew_->pending[k % pending_.size()].store(pending_[k % pending_.size()].get(), std::memory_order_release);
  }
  in_flight_count_ += env_ids.size();
  for (size_t i = 0; i < env_ids.size(); ++i, ++sent_rows_) {
    auto& ticket = crew_->tickets[static_cast<size_t>(env_ids[i])];
    ticket.command = Command::kStep;
    give(ticket, actions[i]);
    ticket.batch = config_.is_ready_order ? nullptr : pending_[sent_rows_ / batch_size_ % pending_.size()].get();
    ticket.row = sent_rows_ % batch_size_;
    crew_->queue.put(static_cast<uint32_t>(env_ids[i]));
  }
  crew_->publish(env_ids.size());
}

BatchLease Pool::recv(double seconds) {
  Exclusive guard(*this);
  if (all_) return receive_all(seconds);
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
  if (crew_->is_caller_cheaper) crew_->help(batch, rows);
  while (true) {
    uint32_t seen = crew_->done.count();
    if (batch.written.load(std::memory_order_acquire) >= rows) return;
    if (crew_->is_broken.load(std::memory_order_acquire)) throw EnvBroken(crew_->broken);
    std::chrono::nanoseconds slice = is_first ? kFirstSlice : kWaitSlice;
    if (seconds >= 0.0) {
      auto left = std::chrono::duration<double>(seconds) - std::chrono::duration<double>(Clock::now() - start);
      if (left.count() <= 0.0) throw PoolTimeout("no batch within " + std::to_string(seconds) + " s");
      slice = std::min(slice, std::chrono::duration_cast<std::chrono::nanoseconds>(left));
    }
    crew_->done.wait(seen, slice);
    if (batch.written.load(std::memory_order_acquire) >= rows) return;
    // Slower than expected: every thread shall help.
    if (std::exchange(is_first, false)) crew_->work.ring(static_cast<int>(threads_.size()));
    look_for_hang();
    if (poll_) poll_();
  }
}

void Pool::look_for_hang() {
  auto now = Clock::now();
  for (size_t i = 0; i < sightings_.size(); ++i) {
    const auto& beat = crew_->beats[i];
    uint64_t call = beat.call.load(std::memory_order_acquire);
    if (call != sightings_[i].call) {
      sightings_[i] = {call, now};
    } else if (call % 2) {
      double limit = config_.step_timeout + kHangGrace;
      if (std::chrono::duration<double>(now - sightings_[i].since).count() <= limit) continue;
      is_hung_ = true;
      throw EnvHang("environment " + std::to_string(beat.env.load()) + ", seed " + std::to_string(beat.seed.load()) + ", episode " +
                    std::to_string(beat.episode.load()) + ": one call took more than " + std::to_string(limit) + " s");
    }
  }
}

void Pool::visit(const std::function<void(size_t, const Env&)>& look) {
  Exclusive guard(*this);
  require_none_in_flight("a look at the environments");
  for (size_t i = 0; i < num_envs(); ++i) look(i, crew_->runners[i]->env());
}

void Pool::visit(std::span<const int64_t> env_ids, const std::function<void(size_t, const Env&)>& look) {
  Exclusive guard(*this);
  check_ids(env_ids);
  if (all_) throw PoolMisuse("a look at the environments: a step or reset was interrupted: receive it first");
  for (size_t row = 0; row < env_ids.size(); ++row) look(row, crew_->runners[static_cast<size_t>(env_ids[row])]->env());
}

void Pool::prompts(std::span<const int64_t> env_ids, std::string& text, std::vector<int64_t>& offsets) {
  Exclusive guard(*this);
  check_ids(env_ids);
  if (all_) throw PoolMisuse("prompts: a step or reset was interrupted: receive it first");
  offsets.assign(1, 0);
  for (int64_t id : env_ids) {
    crew_->runners[static_cast<size_t>(id)]->prompt(text);
    offsets.push_back(static_cast<int64_t>(text.size()));
  }
}

template <class Read>
std::vector<int64_t> Pool::read_all(const char* call, Read&& read) {
  Exclusive guard(*this);
  require_none_in_flight(call);
  std::vector<int64_t> values;
  for (const auto& runner : crew_->runners) values.push_back(read(*runner));
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
  auto gauge = crew_->ring->gauge();
  if (crew_->full_ring != crew_->ring) {
    auto more = crew_->full_ring->gauge();
    gauge.batches += more.batches;
    gauge.leased += more.leased;
    gauge.bytes += more.bytes;
    gauge.max_bytes += more.max_bytes;
  }
  return gauge;
}

}  // namespace vldac

// A batch of environments stepped by a fixed set of threads.
//
// A caller sends actions and receives batches of B rows: in `fifo` order row by row as they were sent (reproducible), in `ready`
// order as they finish (fastest). step() and reset() send all E and receive all E, row i environment i. Every environment has
// its own random stream, so that results do not depend on the number of threads, nor on B.
//
// Environments run on the pool's threads, not on the caller's: the caller can always be interrupted, and a watchdog names an
// environment that does not come back. (Those that declare every call short may run on the caller's, where that is cheaper than
// waking a thread.) One caller at a time; a second one is refused, not queued.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/crew.h"

namespace vldac {

struct PoolConfig {
  std::string env_id;
  Options options = {};
  int num_envs = 1;
  int num_threads = 1;
  int batch_size = 0;  // 0: num_envs
  int width = 300, height = 300;
  Autoreset autoreset = Autoreset::kSameStep;
  bool is_stream = false;
  bool is_ready_order = false;
  int64_t max_episode_steps = 0;  // 0: none
  double step_timeout = 60.0;     // seconds
  size_t max_ring_bytes = size_t{1} << 30;
  bool may_caller_step = true;    // environments that declare every call short, where that is cheaper than waking a thread
  std::string prompt = {};
  std::shared_ptr<const PatchEmitter> patches = {};  // null: plain pixels
  double failure_reward = std::numeric_limits<double>::quiet_NaN();  // see RunnerConfig
};

// A call that the pool's present state does not allow; nothing was done.
class PoolMisuse : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// recv() did not get its batch in time; it may be asked again.
class PoolTimeout : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An environment did not come back within the step timeout and its own budget checks. The pool is of no further use.
class EnvHang : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Pool {
 public:
  explicit Pool(PoolConfig config);
  ~Pool();
  Pool(const Pool&) = delete;

  size_t num_envs() const { return config_.num_envs; }
  size_t batch_size() const { return batch_size_; }
  size_t obs_bytes() const;
  const PoolConfig& config() const { return config_; }
  // Called about 20 times a second while a call waits; it may throw to interrupt the wait (nothing is lost: recv() goes on).
  void on_wait(std::function<void()> poll) { poll_ = std::move(poll); }

  // Seed environment i with seeds[i] and start its episode 0; without seeds the next episode starts. mask selects environments.
  BatchLease reset(std::span<const uint64_t> seeds, std::span<const uint8_t> mask);
  BatchLease step(std::span<const int64_t> actions);
  void send(std::span<const int64_t> actions, std::span<const int64_t> env_ids);
  // Text environments: commands instead of actions.
  BatchLease step(std::span<const std::string_view> commands);
  void send(std::span<const std::string_view> commands, std::span<const int64_t> env_ids);
  // Negative seconds: wait as long as it takes.
  BatchLease recv(double seconds = -1.0);
  // The present observations of all environments.
  BatchLease observe();
  // The environments' prompts in turn, and where each begins (n + 1 offsets).
  void prompts(std::span<const int64_t> env_ids, std::string& text, std::vector<int64_t>& offsets);
  // Look at every environment, one after the other; none may be in flight.
  void visit(const std::function<void(size_t, const Env&)>& look);
  // Look at some, look(row, environment); the others may be in flight.
  void visit(std::span<const int64_t> env_ids, const std::function<void(size_t, const Env&)>& look);
  // Of the present observations; see Runner::frame_id.
  std::vector<int64_t> frame_ids();
  std::vector<int64_t> episode_ids();
  int64_t fault_count();
  Ring::Gauge gauge() const;

  std::string save();
  void load(const std::string& state);
  // Idempotent. Waits for steps in progress; abandons a thread that hangs.
  void close();

 private:
  // Holds the pool for one call; a second caller is refused, and so is every call of a pool that cannot be used.
  class Exclusive {
   public:
    explicit Exclusive(Pool& pool);
    ~Exclusive() { pool_.is_busy_.store(false, std::memory_order_release); }

   private:
    Pool& pool_;
  };
  using Command = Crew::Command;
  void check_usable() const;
  void check_ids(std::span<const int64_t> env_ids) const;
  void check_actions(std::span<const int64_t> actions) const;
  void check_actions(std::span<const std::string_view> commands) const;
  template <class Action>
  BatchLease step_all(std::span<const Action> actions);
  template <class Action>
  void send_some(std::span<const Action> actions, std::span<const int64_t> env_ids);
  void require_none_in_flight(const char* call) const;
  void start_all(BatchLease lease);
  BatchLease receive_all(double seconds = -1.0);
  void wait_for(Batch& batch, size_t rows, double seconds);
  void look_for_hang();
  void mark_idle(const Batch& batch);
  template <class Read>
  std::vector<int64_t> read_all(const char* call, Read&& read);

  PoolConfig config_;
  size_t batch_size_;
  int64_t num_actions_ = 0;
  std::shared_ptr<Crew> crew_;
  std::vector<std::thread> threads_;
  std::function<void()> poll_;
  std::atomic<bool> is_busy_{false};
  bool is_closed_ = false, is_reset_ = false, is_hung_ = false;
  int64_t process_;
  std::vector<uint8_t> in_flight_;
  size_t in_flight_count_ = 0;
  uint64_t sent_rows_ = 0, next_batch_ = 0;
  BatchLease all_;  // of an interrupted step() or reset()
  std::vector<BatchLease> pending_;
  struct Sighting {
    uint64_t call = 0;
    std::chrono::steady_clock::time_point since;
  };
  std::vector<Sighting> sightings_;
};

}  // namespace vldac

// A batch of environments stepped by a fixed set of threads, with same-step autoreset: the observation after an episode's
// last step is already the next episode's first, and the final picture and facts are kept beside it.
// Results do not depend on the number of threads: every environment has its own random stream.
// One caller at a time. An exception inside one environment becomes a fault of that environment alone.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "core/env.h"

namespace vldac {

class WorkerThreads {
 public:
  explicit WorkerThreads(int count);
  ~WorkerThreads();
  // Run body(i) for i in [0, size) and wait.
  void run(size_t size, const std::function<void(size_t)>& body);

 private:
  void work();
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable start_, finished_;
  const std::function<void(size_t)>* body_ = nullptr;
  size_t size_ = 0, next_ = 0, pending_ = 0;
  bool is_stopping_ = false;
};

struct Slot {
  std::unique_ptr<Env> env;
  Pcg64 rng;
  uint64_t seed = 0;
  int64_t episode = 0;
  int64_t length = 0;
  double episode_return = 0.0;
};

struct Outcome {
  StepResult result;
  bool ended = false;
  bool success = false;
  double episode_return = 0.0;
  int64_t length = 0;
  Facts final_facts;
  std::string fault;
};

class Pool {
 public:
  Pool(std::string id, int num_envs, int num_threads, int width, int height, bool is_stream, int64_t max_episode_steps);
  int size() const { return static_cast<int>(slots_.size()); }
  size_t image_bytes() const { return static_cast<size_t>(width_) * height_ * 3; }
  // Seed environment i with seeds[i] and start its episode 0; empty seeds go on with the present streams. mask selects.
  void reset(const std::vector<uint64_t>& seeds, const std::vector<bool>& mask, uint8_t* images);
  // images and final_images: [E][height][width][3]; final_images is written only where an episode ended.
  const std::vector<Outcome>& step(const int64_t* actions, uint8_t* images, uint8_t* final_images);
  void render(uint8_t* images);
  const Env& env(int index) const { return *slots_.at(index).env; }
  std::string save() const;
  void load(const std::string& state);

 private:
  void begin_episode(Slot& slot);
  void step_one(size_t index, int64_t action, uint8_t* image, uint8_t* final_image);
  std::string id_;
  int width_, height_;
  bool is_stream_;
  int64_t max_episode_steps_;
  std::vector<Slot> slots_;
  std::vector<Outcome> outcomes_;
  WorkerThreads threads_;
};

}  // namespace vldac

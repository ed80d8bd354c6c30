#include "core/pool.h"

#include <algorithm>

namespace vldac {

WorkerThreads::WorkerThreads(int count) {
  for (int i = 1; i < count; ++i) threads_.emplace_back([this] { work(); });
}

WorkerThreads::~WorkerThreads() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  start_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkerThreads::run(size_t size, const std::function<void(size_t)>& body) {
  if (threads_.empty()) {
    for (size_t i = 0; i < size; ++i) body(i);
    return;
  }
  std::unique_lock lock(mutex_);
  body_ = &body;
  size_ = pending_ = size;
  next_ = 0;
  start_.notify_all();
  while (next_ < size_) {
    size_t index = next_++;
    lock.unlock();
    body(index);
    lock.lock();
    --pending_;
  }
  finished_.wait(lock, [this] { return pending_ == 0; });
  body_ = nullptr;
}

void WorkerThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    start_.wait(lock, [this] { return is_stopping_ || (body_ && next_ < size_); });
    if (is_stopping_) return;
    const auto* body = body_;
    size_t index = next_++;
    lock.unlock();
    (*body)(index);
    lock.lock();
    if (--pending_ == 0) finished_.notify_one();
  }
}

Pool::Pool(std::string id, int num_envs, int num_threads, int width, int height, bool is_stream, int64_t max_episode_steps)
    : id_(std::move(id)),
      width_(width),
      height_(height),
      is_stream_(is_stream),
      max_episode_steps_(max_episode_steps),
      slots_(static_cast<size_t>(num_envs)),
      outcomes_(static_cast<size_t>(num_envs)),
      threads_(std::min(num_threads, num_envs)) {
  for (auto& slot : slots_) slot.env = find_env(id_).make(with_defaults(find_env(id_).spec, {}));
}

// Episode 0 uses SeedSequence(seed) as upstream does; episode e >= 1 uses SeedSequence([seed, e]) and can be replayed alone.
void Pool::begin_episode(Slot& slot) {
  slot.length = 0;
  slot.episode_return = 0.0;
  if (slot.episode == 0) {
    slot.rng = Pcg64(SeedSequence({slot.seed}));
  } else if (!is_stream_) {
    slot.rng = Pcg64(SeedSequence({slot.seed, static_cast<uint64_t>(slot.episode)}));
  }
  Context context(slot.rng, 60.0);
  slot.env->reset(context);
}

void Pool::reset(const std::vector<uint64_t>& seeds, const std::vector<bool>& mask, uint8_t* images) {
  threads_.run(slots_.size(), [&](size_t i) {
    Slot& slot = slots_[i];
    if (mask.empty() || mask[i]) {
      if (seeds.empty()) {
        ++slot.episode;
      } else {
        slot.seed = seeds[i];
        slot.episode = 0;
      }
      begin_episode(slot);
    }
    slot.env->render(images + i * image_bytes(), width_, height_);
  });
}

void Pool::render(uint8_t* images) {
  threads_.run(slots_.size(), [&](size_t i) { slots_[i].env->render(images + i * image_bytes(), width_, height_); });
}

void Pool::step_one(size_t index, int64_t action, uint8_t* image, uint8_t* final_image) {
  Slot& slot = slots_[index];
  Outcome& outcome = outcomes_[index];
  outcome = Outcome{};
  try {
    Context context(slot.rng, 60.0);
    outcome.result = slot.env->step(action, context);
  } catch (const std::exception& error) {
    outcome.result = {0.0, false, true};
    outcome.fault = error.what();
  }
  ++slot.length;
  slot.episode_return += outcome.result.reward;
  if (!outcome.result.terminated && max_episode_steps_ > 0 && slot.length >= max_episode_steps_)
    outcome.result.truncated = true;
  outcome.ended = outcome.result.terminated || outcome.result.truncated;
  if (outcome.ended) {
    outcome.success = outcome.fault.empty() && slot.env->success();
    outcome.episode_return = slot.episode_return;
    outcome.length = slot.length;
    slot.env->facts(outcome.final_facts);
    slot.env->render(final_image, width_, height_);
    if (!outcome.fault.empty()) slot.env = find_env(id_).make(with_defaults(find_env(id_).spec, {}));
    ++slot.episode;
    begin_episode(slot);
  }
  slot.env->render(image, width_, height_);
}

const std::vector<Outcome>& Pool::step(const int64_t* actions, uint8_t* images, uint8_t* final_images) {
  threads_.run(slots_.size(), [&](size_t i) {
    step_one(i, actions[i], images + i * image_bytes(), final_images + i * image_bytes());
  });
  return outcomes_;
}

namespace {
constexpr uint32_t kMagic = 0x43414456u, kVersion = 1u;
uint64_t checksum(const char* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<uint8_t>(data[i])) * 0x100000001b3ULL;
  return hash;
}
}  // namespace

// Layout: magic, version, id hash, number of environments, then per environment stream, seed, counters and its own state;
// a checksum at the end.
std::string Pool::save() const {
  Bytes out;
  out.put(kMagic);
  out.put(kVersion);
  out.put(checksum(id_.data(), id_.size()));
  out.put(static_cast<uint64_t>(slots_.size()));
  for (const auto& slot : slots_) {
    out.put(slot.rng);
    out.put(slot.seed);
    out.put(slot.episode);
    out.put(slot.length);
    out.put(slot.episode_return);
    slot.env->save(out);
  }
  out.put(checksum(out.data.data(), out.data.size()));
  return out.data;
}

void Pool::load(const std::string& state) {
  if (state.size() < 8) throw std::invalid_argument("environment state is truncated");
  Bytes in{state.substr(0, state.size() - 8), 0};
  uint64_t expected;
  std::memcpy(&expected, state.data() + state.size() - 8, 8);
  if (checksum(in.data.data(), in.data.size()) != expected) throw std::invalid_argument("environment state is altered");
  if (in.get<uint32_t>() != kMagic || in.get<uint32_t>() != kVersion)
    throw std::invalid_argument("environment state is of another format");
  if (in.get<uint64_t>() != checksum(id_.data(), id_.size()))
    throw std::invalid_argument("environment state is of another environment id");
  if (in.get<uint64_t>() != slots_.size()) throw std::invalid_argument("environment state has another number of environments");
  for (auto& slot : slots_) {
    slot.rng = in.get<Pcg64>();
    slot.seed = in.get<uint64_t>();
    slot.episode = in.get<int64_t>();
    slot.length = in.get<int64_t>();
    slot.episode_return = in.get<double>();
    slot.env->load(in);
  }
}

}  // namespace vldac

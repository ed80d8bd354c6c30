#include "core/runner.h"

#include <cmath>
#include <cstring>
#include <utility>

namespace vldac {

namespace {
constexpr int kMaxStarts = 8;  // episodes in a row that may fail to start before the environment counts as broken
}

std::string current_error() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

Runner::Runner(const RunnerConfig& config, int64_t index)
    : config_(&config), index_(index), env_(config.entry->make(config.options)) {}

// Episode 0 uses SeedSequence(seed) as upstream does; episode e >= 1 uses SeedSequence([seed, e]) and can be replayed alone.
void Runner::start() {
  for (int attempt = 0;; ++attempt) {
    length_ = 0;
    episode_return_ = 0.0;
    is_over_ = false;
    if (episode_ == 0) rng_ = Pcg64(SeedSequence({seed_}));
    else if (!config_->is_stream) rng_ = Pcg64(SeedSequence({seed_, static_cast<uint64_t>(episode_)}));
    std::string message;
    try {
      Context context(rng_, config_->step_budget, seed_, episode_);
      return env_->reset(context);
    } catch (...) {
      message = current_error();
    }
    ++fault_count_;
    if (attempt + 1 == kMaxStarts)
      throw EnvBroken("environment " + std::to_string(index_) + ", seed " + std::to_string(seed_) + ": " +
                      std::to_string(kMaxStarts) + " episodes in a row could not start, the last with: " + message);
    env_ = config_->entry->make(config_->options);
    ++episode_;
  }
}

void Runner::seed(uint64_t seed) {
  show();
  ++frames_;
  seed_ = seed;
  episode_ = 0;
  start();
}

void Runner::begin_next() {
  show();
  ++frames_;
  ++episode_;
  start();
}

void Runner::fail(const std::string& what) {
  outcome_.result = {0.0, false, true};
  ++fault_count_;
  fault_ = what;
  fault_ += " (environment " + std::to_string(index_) + ", seed " + std::to_string(seed_) + ", episode " +
            std::to_string(episode_) + ", step " + std::to_string(length_) + ")";
}

void Runner::step(int64_t action, std::string_view command, FrameStore& frames, uint8_t* scratch) {
  if (is_over_) return begin_next();  // NEXT_STEP; the action is ignored
  outcome_ = Outcome{};
  outcome_.is_step = true;
  fault_.clear();
  ++frames_;
  try {
    Context context(rng_, config_->step_budget, seed_, episode_);
    outcome_.result = config_->entry->spec.is_text ? env_->step_command(command, context) : env_->step(action, context);
    ++length_;
    if (!std::isfinite(outcome_.result.reward)) fail("a reward that is no finite number");
  } catch (...) {
    ++length_;
    fail(current_error());
  }
  auto& result = outcome_.result;
  if (!result.terminated && config_->max_episode_steps > 0 && length_ >= config_->max_episode_steps) result.truncated = true;
  bool is_end = result.terminated || result.truncated;
  if (is_end && fault_.empty() && !(result.reward > 0) && !std::isnan(config_->failure_reward)) result.reward = config_->failure_reward;
  episode_return_ += result.reward;
  if (is_end) end(frames, scratch);
}

// Keep what is known of the episode that ended; then go on as the autoreset mode says.
void Runner::end(FrameStore& frames, uint8_t* scratch) {
  outcome_.ended = true;
  outcome_.episode_return = episode_return_;
  outcome_.length = length_;
  outcome_.episode = episode_;
  outcome_.frame = frame_id();
  final_prompt_.clear();
  final_text_.clear();
  final_facts_.clear();
  bool is_same_step = config_->autoreset == Autoreset::kSameStep;
  if (is_same_step) {
    outcome_.final_obs = frames.take();
    ++frames_;
  }
  try {
    outcome_.success = fault_.empty() && env_->success();
    prompt(final_prompt_);
    std::swap(facts_, final_facts_);
    final_text_.assign(env_->text());
    if (is_same_step) config_->observer(*env_, outcome_.final_obs.get(), scratch);
  } catch (...) {
    if (fault_.empty()) {
      episode_return_ -= outcome_.result.reward;
      outcome_.episode_return = episode_return_;
      fail(current_error());
    }
    outcome_.success = false;
    if (is_same_step) std::memset(outcome_.final_obs.get(), 0, config_->observer.bytes());
  }
  if (!fault_.empty()) env_ = config_->entry->make(config_->options);
  if (is_same_step) {
    ++episode_;
    start();
  } else {
    is_over_ = true;
    // A faulty environment was built anew: there is no last picture of it, but there must be a picture.
    if (!fault_.empty()) start(), is_over_ = true;
  }
}

void Runner::write(Batch& batch, size_t row, FrameStore& frames, uint8_t* scratch) {
  for (int attempt = 0;; ++attempt) {
    try {
      config_->observer(*env_, batch.row(row), scratch);
      break;
    } catch (...) {
      // It cannot be drawn: a step that led here is a fault, and the next episode's first picture takes its place.
      std::string message = current_error();
      if (attempt + 1 == kMaxStarts)
        throw EnvBroken("environment " + std::to_string(index_) + ": " + std::to_string(kMaxStarts) +
                        " pictures in a row could not be drawn, the last with: " + message);
      if (outcome_.is_step && !outcome_.ended) {
        episode_return_ -= outcome_.result.reward;
        fail(message);
        end(frames, scratch);
      } else {
        env_ = config_->entry->make(config_->options);
        ++episode_;
        ++fault_count_;
        start();
      }
    }
  }
  batch.reward[row] = outcome_.result.reward;
  batch.terminated[row] = outcome_.result.terminated;
  batch.truncated[row] = outcome_.result.truncated;
  batch.ended[row] = outcome_.ended;
  batch.env_id[row] = static_cast<int32_t>(index_);
  batch.episode_id[row] = episode_;
  batch.elapsed_step[row] = length_;
  batch.frame_id[row] = frame_id();
  if (config_->entry->spec.is_text) {
    batch.text[row].assign(env_->text());
    auto commands = env_->commands();
    batch.commands[row].assign(commands.begin(), commands.end());
  }
  if (!outcome_.ended) return;
  batch.success[row] = outcome_.success;
  batch.episode_return[row] = outcome_.episode_return;
  batch.length[row] = outcome_.length;
  batch.final_episode_id[row] = outcome_.episode;
  batch.final_frame_id[row] = outcome_.frame;
  batch.final_obs[row] = std::move(outcome_.final_obs);
  batch.prompt[row].swap(final_prompt_);
  batch.fault[row].swap(fault_);
  if (config_->entry->spec.is_text) batch.final_text[row].swap(final_text_);
  std::swap(batch.facts[row], final_facts_);
  batch.num_ended.fetch_add(1, std::memory_order_relaxed);
}

void Runner::prompt(std::string& out) {
  facts_.clear();
  env_->facts(facts_);
  config_->prompt.render(facts_, out);
}

void Runner::save(Bytes& out) const {
  out.put(rng_);
  out.put(seed_);
  out.put(episode_);
  out.put(length_);
  out.put(frames_);
  out.put(fault_count_);
  out.put(episode_return_);
  out.put(static_cast<uint8_t>(is_over_));
  env_->save(out);
}

void Runner::load(Bytes& in) {
  constexpr int64_t kMost = int64_t{1} << 40;
  rng_ = in.get<Pcg64>();
  if (!rng_.is_valid()) throw std::invalid_argument("environment state is altered");
  seed_ = in.get<uint64_t>();
  for (int64_t* counter : {&episode_, &length_, &frames_, &fault_count_}) *counter = in.get_within<int64_t>(0, kMost);
  episode_return_ = in.get<double>();
  is_over_ = in.get_within<uint8_t>(0, 1) != 0;
  env_->load(in);
}

}  // namespace vldac

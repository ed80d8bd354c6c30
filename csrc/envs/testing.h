// Environments for tests and benchmarks, not listed: a CartPole, and one that misbehaves on request.
#pragma once

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "core/env.h"

namespace vldac {

// Gymnasium's CartPole-v1 (Barto, Sutton and Anderson 1983; explicit Euler), observation float32 [4].
class CartPole final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "test/CartPole-v0",
            .action_names = {"left", "right"},
            .max_episode_steps = 500,
            .task_episode_steps = 500,
            .observation = {ObsKind::kFloat32, 4, {}},
            .is_bounded = true,
            .is_listed = false};
  }
  explicit CartPole(const Options&) {}

  void reset(Context& context) override {
    for (double& value : state_) value = -0.05 + 0.1 * context.rng.uniform();
  }
  StepResult step(int64_t action, Context&) override {
    auto& [x, x_dot, theta, theta_dot] = state_;
    double force = action == 1 ? 10.0 : -10.0, cosine = std::cos(theta), sine = std::sin(theta);
    double push = (force + 0.05 * (theta_dot * theta_dot) * sine) / 1.1;
    double theta_acc = (9.8 * sine - cosine * push) / (0.5 * (4.0 / 3.0 - 0.1 * (cosine * cosine) / 1.1));
    double x_acc = push - 0.05 * theta_acc * cosine / 1.1;
    x += 0.02 * x_dot;
    x_dot += 0.02 * x_acc;
    theta += 0.02 * theta_dot;
    theta_dot += 0.02 * theta_acc;
    bool is_down = x < -2.4 || x > 2.4 || theta < -kLimit || theta > kLimit;
    return {1.0, is_down, false};
  }
  bool success() const override { return false; }
  void measure(void* values) const override {
    float row[4];
    for (int i = 0; i < 4; ++i) row[i] = static_cast<float>(state_[static_cast<size_t>(i)]);
    std::memcpy(values, row, sizeof row);
  }
  void save(Bytes& out) const override { out.put(state_); }
  void load(Bytes& in) override { state_ = in.get<decltype(state_)>(); }

 private:
  static constexpr double kLimit = 12 * 2 * M_PI / 360;
  std::array<double, 4> state_{};
};

// Counts to 10; misbehaves when its random draw says so, or always at a given step.
class Misbehaving final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "test/Misbehaving-v0",
            .action_names = {"wait", "go"},
            .max_episode_steps = 10,
            .task_episode_steps = 10,
            .options = {{"kind", 0, "0 throw, 1 NaN, 2 sleep, 3 loop with budget checks, 4 throw in reset, 5 throw in render, "
                         "6 throw no std::exception in render, 7 the same in step"},
                        {"at_step", 3, "the step of the episode at which it happens; 0: never"},
                        {"odds", 1, "probability that an episode is such a one"},
                        {"jitter_us", 0, "mean microseconds of sleep in every step"}},
            .is_listed = false};
  }
  explicit Misbehaving(const Options& options) : options_(options) {}

  void reset(Context& context) override {
    count_ = 0;
    is_bad_ = context.rng.uniform() < options_.at("odds");
    if (is_bad_ && is(4)) throw std::runtime_error("reset failed on purpose");
  }
  StepResult step(int64_t, Context& context) override {
    ++count_;
    if (double mean = options_.at("jitter_us"); mean > 0)
      std::this_thread::sleep_for(std::chrono::duration<double, std::micro>(-mean * std::log(1.0 - context.rng.uniform())));
    if (is_bad_ && count_ == static_cast<int64_t>(options_.at("at_step"))) {
      if (is(0)) throw std::runtime_error("failed on purpose");
      if (is(7)) throw 7;
      if (is(1)) return {std::numeric_limits<double>::quiet_NaN(), false, false};
      if (is(2)) std::this_thread::sleep_for(std::chrono::seconds(3600));
      while (is(3)) context.check();
    }
    return {1.0, false, false};
  }
  bool success() const override { return count_ >= 10; }
  void facts(Facts& out) const override { out.number("count", count_); }
  void render(uint8_t* pixels, int width, int height) const override {
    if (is_bad_ && is(5) && count_ == static_cast<int64_t>(options_.at("at_step"))) throw std::runtime_error("cannot draw");
    if (is_bad_ && is(6) && count_ == static_cast<int64_t>(options_.at("at_step"))) throw 6;
    std::memset(pixels, static_cast<int>(count_), static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  }
  void save(Bytes& out) const override {
    out.put(count_);
    out.put(is_bad_);
  }
  void load(Bytes& in) override {
    count_ = in.get_within<int64_t>(0, 1000);
    is_bad_ = in.get_within<uint8_t>(0, 1);
  }

 private:
  bool is(int kind) const { return options_.at("kind") == kind; }
  Options options_;
  int64_t count_ = 0;
  uint8_t is_bad_ = 0;
};

}  // namespace vldac

// gym_cards/NumberLine-v0 (RL4VLM gym_cards): move a number to its target on 0..5.
// Start and target uniform on 0..5; if equal, target = (target + 1) mod 5, as upstream (max_position 5). Actions 0 '-', 1 '+',
// clamped. Reward +1 on arrival (ends), 0 if the distance shrank, else -1. Truncates after 10 steps. Upstream draws from
// Python's global generator; here from the environment's own stream.
#pragma once

#include <cstdlib>

#include "core/env.h"
#include "render/canvas.h"

namespace vldac {

class NumberLine final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "gym_cards/NumberLine-v0", .action_names = {"-", "+"}, .task_episode_steps = 10, .fields = {"current", "target"}, .is_bounded = true};
  }
  explicit NumberLine(const Options&) {}

  void reset(Context& context) override {
    current_ = context.rng.integers(0, kMax + 1);
    target_ = context.rng.integers(0, kMax + 1);
    if (target_ == current_) target_ = (target_ + 1) % kMax;
    steps_ = 0;
  }

  StepResult step(int64_t action, Context&) override {
    if (action != 0 && action != 1) throw std::invalid_argument("NumberLine: expected action 0 or 1");
    int64_t before = std::llabs(target_ - current_);
    current_ += action == 1 ? 1 : -1;
    current_ = current_ < 0 ? 0 : current_ > kMax ? kMax : current_;
    ++steps_;
    int64_t after = std::llabs(target_ - current_);
    if (after == 0) return {1.0, true, false};
    return {after < before ? 0.0 : -1.0, false, steps_ >= 2 * kMax};
  }

  bool success() const override { return current_ == target_; }
  int64_t oracle_action() const override { return target_ > current_ ? 1 : 0; }
  void facts(Facts& out) const override {
    out.number("current", current_);
    out.number("target", target_);
  }

  void render(uint8_t* pixels, int width, int height) const override {
    Canvas canvas(pixels, width, height);
    canvas.fill({255, 255, 255});
    // Two lines; the labels shrink to one letter where the picture is small, so that the digits stay legible.
    bool is_small = width < 200;
    double size = height * (is_small ? 0.40 : 0.12);
    const char* labels[2] = {is_small ? "T:" : "Target: ", is_small ? "C:" : "Current: "};
    int64_t numbers[2] = {target_, current_};
    for (int line = 0; line < 2; ++line) {
      double top = height * (is_small ? 0.06 + 0.48 * line : 0.20 + 0.40 * line);
      FixedText<32> words;
      words += labels[line];
      words += numbers[line];
      canvas.text_until(width * 0.98, width * (is_small ? 0.08 : 0.10), top, size, {0, 0, 0}, words);
    }
  }

  void save(Bytes& out) const override {
    out.put(current_);
    out.put(target_);
    out.put(steps_);
  }
  void load(Bytes& in) override {
    current_ = in.get_within<int64_t>(0, kMax);
    target_ = in.get_within<int64_t>(0, kMax);
    steps_ = in.get_within<int64_t>(0, 2 * kMax);
  }

 private:
  static constexpr int64_t kMax = 5;
  int64_t current_ = 0, target_ = 1, steps_ = 0;
};

}  // namespace vldac

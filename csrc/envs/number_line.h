// gym_cards/NumberLine-v0 (RL4VLM gym_cards): move a number to its target on 0..max_position.
// Start and target uniform; if equal, target = (target + 1) mod max_position, as upstream. Actions 0 '-', 1 '+', clamped.
// Reward +1 on arrival (ends), 0 if the distance shrank, else -1. Truncates after 2 x max_position steps. Upstream draws from
// Python's global generator; here from the environment's own stream.
#pragma once

#include <cstdlib>

#include "core/env.h"
#include "render/glyphs.h"
#include "render/stage.h"

namespace vldac {

// At 300x300 the text is upstream's, pixel by pixel.
class NumberLineArt {
 public:
  NumberLineArt(int width, int height, int64_t max_position)
      : stage_{width, height},
        background_(width, kWhite),
        digits_(Weight::kBold, 36.0 * (stage_.is_small() ? 1.0 : stage_.scale())),
        black_(kWhite, kBlack) {
    for (int line = 0; line < 2; ++line) {
      const char* label = line == 0 ? "Target: " : "Current: ";
      if (stage_.is_small()) {
        for (int64_t number = 0; number <= max_position; ++number)
          lines_[line].push_back(
              Sprite::captured(width, height, kWhite, [&](const Picture& picture) { draw_small(picture, line, number); }));
        continue;
      }
      lines_[line].push_back(Sprite::captured(width, height, kWhite, [&](const Picture& picture) {
        digits_.draw(picture, int64_t{64} * stage_.x(30), stage_.y(kTop[line]), black_, label);
      }));
      number_left_[line] = int64_t{64} * stage_.x(30) + digits_.advance(label);
    }
  }

  void draw(const Picture& picture, int64_t target, int64_t current) const {
    int64_t numbers[2] = {target, current};
    Placed sprites[2];
    for (size_t line = 0; line < 2; ++line)
      sprites[line] = {&lines_[line][stage_.is_small() ? static_cast<size_t>(numbers[line]) : 0]};
    background_.compose(picture, sprites);
    if (stage_.is_small()) return;
    for (size_t line = 0; line < 2; ++line) {
      FixedText<24> words;
      words += numbers[line];
      digits_.draw(picture, number_left_[line], stage_.y(kTop[line]), black_, words);
    }
  }

 private:
  static constexpr Color kWhite{255, 255, 255}, kBlack{0, 0, 0};
  static constexpr double kTop[2] = {60, 180};

  // The labels shrink to one letter, so that the digits stay legible.
  static void draw_small(const Picture& picture, int line, int64_t number) {
    double width = picture.width, height = picture.height;
    FixedText<32> words;
    words += line == 0 ? "T:" : "C:";
    words += number;
    Canvas(picture.pixels, picture.width, picture.height)
        .text_until(width * 0.98, width * 0.08, height * (0.06 + 0.48 * line), height * 0.40, kBlack, words);
  }

  Stage stage_;
  Background background_;
  GlyphSet digits_;
  Blend black_;
  std::array<std::vector<Sprite>, 2> lines_;
  std::array<int64_t, 2> number_left_{};
};

class NumberLine final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "gym_cards/NumberLine-v0",
            .action_names = {"-", "+"},
            .task_episode_steps = 10,
            .fields = {"current", "target"},
            .options = {{"max_position", 5, "the largest number on the line, 2 to 99"}},
            .is_bounded = true};
  }
  explicit NumberLine(const Options& options) : max_(static_cast<int64_t>(options.at("max_position"))) {
    if (max_ < 2 || max_ > 99 || static_cast<double>(max_) != options.at("max_position"))
      throw std::invalid_argument("NumberLine: expected a max_position in 2..99");
  }

  void reset(Context& context) override {
    current_ = context.rng.integers(0, max_ + 1);
    target_ = context.rng.integers(0, max_ + 1);
    if (target_ == current_) target_ = (target_ + 1) % max_;
    steps_ = 0;
  }

  StepResult step(int64_t action, Context&) override {
    if (action != 0 && action != 1) throw std::invalid_argument("NumberLine: expected action 0 or 1");
    int64_t before = std::llabs(target_ - current_);
    current_ = std::clamp<int64_t>(current_ + (action == 1 ? 1 : -1), 0, max_);
    ++steps_;
    int64_t after = std::llabs(target_ - current_);
    if (after == 0) return {1.0, true, false};
    return {after < before ? 0.0 : -1.0, false, steps_ >= 2 * max_};
  }

  bool success() const override { return current_ == target_; }
  int64_t oracle_action() const override { return target_ > current_ ? 1 : 0; }
  void facts(Facts& out) const override {
    out.number("current", current_);
    out.number("target", target_);
  }
  void render(uint8_t* pixels, int width, int height) const override {
    art_.get(width, height, max_).draw({pixels, width, height}, target_, current_);
  }

  void save(Bytes& out) const override {
    out.put(current_);
    out.put(target_);
    out.put(steps_);
  }
  void load(Bytes& in) override {
    current_ = in.get_within<int64_t>(0, max_);
    target_ = in.get_within<int64_t>(0, max_);
    steps_ = in.get_within<int64_t>(0, 2 * max_);
  }

 private:
  int64_t max_, current_ = 0, target_ = 1, steps_ = 0;
  mutable SharedArt<NumberLineArt> art_;
};

}  // namespace vldac

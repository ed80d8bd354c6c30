// A whole native environment, to copy: name the colour of the picture, three pictures an episode.
//
// 1. Copy this file, rename the class, and write its rules.
// 2. Name it in csrc/envs/registry.cc: one include, one line.
// 3. Give it prompts in envs/prompts.py if a model shall play it.
// 4. Build, then `python -m vldac.envs.conformance YOUR-ID`: determinism, snapshots, autoreset, faults.
//
// The pool does the rest: threads, batches, seeds, autoreset, statistics, faults, snapshots, patches.
#pragma once

#include <array>

#include "core/env.h"
#include "render/canvas.h"

namespace vldac {

class NameTheColour final : public Env {
 public:
  // What never changes. `fields` are the facts that a response to the "short" prompt names; `options` arrive in the constructor,
  // bools as 0 and 1. is_bounded: no call ever takes long.
  static EnvSpec spec() {
    return {.id = "test/Template-v0",
            .action_names = {"red", "green", "blue"},
            .max_episode_steps = 100,
            .task_episode_steps = 10,
            .fields = {"colour"},
            .options = {{"pictures", 3, "pictures in an episode"}},
            .is_bounded = true,
            .is_listed = false};
  }
  explicit NameTheColour(const Options& options) : pictures_(static_cast<int64_t>(options.at("pictures"))) {
    if (pictures_ < 1 || pictures_ > 1000) throw std::invalid_argument("pictures: expected 1 to 1000");
  }

  // All chance comes from context.rng, never from elsewhere: then results depend on nothing but the seed.
  void reset(Context& context) override {
    shown_ = right_ = 0;
    colour_ = context.rng.integers(0, 3);
  }

  // The pool has checked the action's range. It truncates at the step limit, so say `truncated` only for limits of your own.
  StepResult step(int64_t action, Context& context) override {
    double reward = action == colour_ ? 1.0 : 0.0;
    right_ += action == colour_;
    ++shown_;
    colour_ = context.rng.integers(0, 3);
    return {.reward = reward, .terminated = shown_ == pictures_};
  }

  // Of the episode that has just ended.
  bool success() const override { return right_ == pictures_; }

  // A scripted expert, where there is one.
  int64_t oracle_action() const override { return colour_; }

  // What is truly on the picture, by the names that prompts use in {slots}.
  void facts(Facts& out) const override {
    out.text("colour", kNames[static_cast<size_t>(colour_)]);
    out.number("shown", shown_);
  }

  // Any size must work. Draw everything: the memory holds an older picture. No allocation, no state.
  void render(uint8_t* pixels, int width, int height) const override {
    constexpr Color kColours[] = {{220, 40, 40}, {40, 180, 60}, {50, 80, 220}};
    Canvas canvas(pixels, width, height);
    canvas.fill({255, 255, 255});
    canvas.rectangle(width * 0.2, height * 0.2, width * 0.8, height * 0.8, kColours[colour_]);
  }

  // Everything that changes, in order; load() refuses what cannot be.
  void save(Bytes& out) const override {
    out.put(colour_);
    out.put(shown_);
    out.put(right_);
  }
  void load(Bytes& in) override {
    colour_ = in.get_within<int64_t>(0, 2);
    shown_ = in.get_within<int64_t>(0, pictures_);
    right_ = in.get_within<int64_t>(0, shown_);
  }

 private:
  static constexpr std::array<const char*, 3> kNames{"red", "green", "blue"};
  int64_t pictures_;
  int64_t colour_ = 0, shown_ = 0, right_ = 0;
};

}  // namespace vldac

// A text environment for tests: one of three doors hums; open it, and it ends well. Wrong doors stay open, and say so.
#pragma once

#include <cstring>

#include "core/env.h"

namespace vldac {

class Doors final : public Env {
 public:
  static EnvSpec spec() {
    return {.id = "test/Doors-v0",
            .action_names = {},
            .max_episode_steps = 8,
            .task_episode_steps = 8,
            .fields = {"humming"},
            .options = {{"picture", 1, "0: text alone"}},
            .observation = {.width = 56, .height = 56},
            .is_bounded = true,
            .is_listed = false,
            .is_text = true,
            .observation_with = [](const Options& options) {
              return ObsSpec{.kind = options.at("picture") != 0.0 ? ObsKind::kImage : ObsKind::kNone, .width = 56, .height = 56};
            }};
  }
  explicit Doors(const Options&) { list(); }

  void reset(Context& context) override {
    right_ = context.rng.integers(1, 4);
    open_ = 0;
    is_won_ = false;
    say("You stand before three doors. Door ", right_, " hums.");
    list();
  }
  StepResult step_command(std::string_view command, Context&) override {
    int64_t door = 0;
    for (const Symbol* known : commands_)
      if (command == known->text && known != look()) door = known->text.back() - '0';
    bool is_look = command == look()->text;
    if (is_look) say("Door ", right_, " hums.");
    else if (door == 0) text_.assign("Nothing happens.");
    else say("You open door ", door, door == right_ ? ". Light!" : ". A wall.");
    if (door) open_ |= 1 << door;
    is_won_ = door == right_;
    list();
    return {is_won_ ? 1.0 : door || is_look ? 0.0 : -1.0, is_won_ != 0, false};
  }
  bool success() const override { return is_won_ != 0; }
  std::string_view text() const override { return text_; }
  std::span<const Symbol* const> commands() const override { return commands_; }
  const Symbol* oracle_command() const override { return intern("open door " + std::to_string(right_)); }
  void facts(Facts& out) const override {
    out.number("humming", right_);
    out.text("observation", text_);
    out.list("commands", commands_);
    out.text("task_type", right_ == 1 ? "left" : "other");
  }
  // The humming door is bright.
  void render(uint8_t* pixels, int width, int height) const override {
    std::memset(pixels, 40, static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
    for (int y = height / 4; y < height; ++y)
      for (int door = 0; door < 3; ++door)
        std::memset(pixels + (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(width * (3 * door + 1) / 9)) * 3,
                    door + 1 == right_ ? 230 : 110, static_cast<size_t>(width) * 2 / 9 * 3);
  }
  void save(Bytes& out) const override {
    out.put(right_);
    out.put(open_);
    out.put(is_won_);
    out.put(static_cast<uint8_t>(text_.size()));
    for (char c : text_) out.put(c);
  }
  void load(Bytes& in) override {
    right_ = in.get_within<int64_t>(1, 3);
    open_ = in.get_within<uint8_t>(0, 15);
    is_won_ = in.get_within<uint8_t>(0, 1);
    text_.resize(in.get<uint8_t>());
    for (char& c : text_) c = in.get<char>();
    list();
  }

 private:
  static const Symbol* look() {
    static const Symbol* const only = intern("look");
    return only;
  }
  void say(std::string_view before, int64_t number, std::string_view after) {
    FixedText<96> words;
    words += before, words += number, words += after;
    text_.assign(std::string_view(words));
  }
  void list() {
    static const Symbol* const all[] = {intern("open door 1"), intern("open door 2"), intern("open door 3")};
    commands_.clear();
    commands_.push_back(look());
    for (int door = 1; door <= 3; ++door)
      if (!(open_ >> door & 1)) commands_.push_back(all[door - 1]);
  }
  int64_t right_ = 1;
  uint8_t open_ = 0, is_won_ = 0;
  std::string text_;
  std::vector<const Symbol*> commands_;
};

}  // namespace vldac

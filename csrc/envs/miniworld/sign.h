// A U-shaped maze with boxes and keys of three colours: go to the one whose colour is written on the wall and whose shape is the goal.
// Environment of Liu et al., 2020 (arXiv 2008.02790).
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class Sign final : public MiniWorld {
 public:
  static EnvEntry entry(const char* id) {
    EnvSpec spec = spec_of({.id = id,
                            .num_actions = 4,
                            .max_episode_steps = 20,
                            .options = {{"size", 10, "width of the maze, metres"},
                                        {"own_max_episode_steps", 20, "upstream's max_episode_steps"},
                                        {"color_index", 0, "what the sign says: 0 blue, 1 red, 2 green"},
                                        {"goal", 0, "the shape to go to: 0 box, 1 key"}},
                            .has_fixed_domain = true});
    spec.observation.shown_options = {{"goal", 2}};
    return {spec, [](const Options& options) { return std::make_unique<Sign>(options); }};
  }
  explicit Sign(const Options& options)
      : MiniWorld(options, whole_option(options, "own_max_episode_steps", 1, 1'000'000'000)),
        size_(number_option(options, "size", 2, 1000)),
        colour_(static_cast<size_t>(whole_option(options, "color_index", 0, 2))),
        shape_(static_cast<size_t>(whole_option(options, "goal", 0, 1))) {}

  int goal() const override { return objects_[shape_][colour_]; }
  Errand errand() const override { return {.kind = Errand::Kind::kReach, .target = goal(), .avoids_others = true}; }
  void facts(Facts& out) const override {
    MiniWorld::facts(out);
    out.text("goal_object", shape_ == 0 ? "box" : "key");
    out.text("sign", kWords[colour_]);
  }

 protected:
  void generate(World& world, Context& context) override {
    constexpr double kGap = 0.25;
    double middle_z = size_ * 0.65 + kGap, middle_x = size_ * 3 / 5;
    size_t top = world.add_room(0, size_, 0, size_ * 0.65);
    size_t left = world.add_room(0, middle_x, middle_z, size_ * 1.3), right = world.add_room(middle_x, size_, middle_z, size_ * 1.3);
    world.connect(top, left, {.min_x = 0, .max_x = middle_x});
    world.connect(left, right, {.min_z = middle_z, .max_z = size_ * 1.3});
    constexpr Colour kOrder[] = {Colour::kBlue, Colour::kRed, Colour::kGreen};
    constexpr Vec3 kPlaces[2][3] = {{{1, 0, 1}, {9, 0, 1}, {9, 0, 5}}, {{5, 0, 1}, {1, 0, 5}, {1, 0, 9}}};
    for (size_t shape = 0; shape < 2; ++shape)
      for (size_t i = 0; i < 3; ++i) {
        Entity object = shape == 0 ? Entity::box(kOrder[i]) : Entity::key(kOrder[i], 0.6);
        objects_[shape][i] = world.place(object, context, {.position = kPlaces[shape][i]});
      }
    world.add(Entity::text_frame({size_, 1.35, size_ + kGap}, std::numbers::pi, kWords[colour_], 1));
    world.place_agent(context, {.min_x = 4, .max_x = 5, .min_z = 4, .max_z = 6});
  }
  // The fourth action ends the episode, and moves back as well; in VL-DAC's task it only moves back.
  void judge(int64_t action, StepResult& result, World& world, Context&) override {
    if (action == 3 && !is_task()) result.terminated = true;
    for (size_t shape = 0; shape < 2; ++shape)
      for (size_t i = 0; i < 3; ++i) {
        if (!world.is_near_agent(objects_[shape][i])) continue;
        has_succeeded_ = shape == shape_ && i == colour_;
        result.terminated = true;
        result.reward = has_succeeded_ ? 1.0 : -1.0;
      }
  }

 private:
  static constexpr const char* kWords[] = {"BLUE", "RED", "GREEN"};
  double size_;
  size_t colour_, shape_;
  std::array<std::array<int, 3>, 2> objects_{};
};

}  // namespace vldac::miniworld

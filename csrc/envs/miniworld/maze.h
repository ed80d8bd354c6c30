// A maze of square rooms, made by a recursive backtracker, and a red box in it.
#pragma once

#include "envs/miniworld/miniworld.h"

namespace vldac::miniworld {

class Maze final : public GoTo {
 public:
  // max_episode_steps 0: 24 for each room.
  static EnvEntry entry(const char* id, int64_t size, int64_t max_episode_steps = 0, bool is_fast = false) {
    auto side = static_cast<double>(size);
    return {spec_of({.id = id,
                     .num_actions = 3,
                     .max_episode_steps = max_episode_steps ? max_episode_steps : size * size * 24,
                     .options = {{"num_rows", side, "rooms along z, 1 to 32"},
                                 {"num_cols", side, "rooms along x, 1 to 32"},
                                 {"room_size", 3, "length of a room's sides, metres"},
                                 {"own_max_episode_steps", static_cast<double>(max_episode_steps),
                                  "upstream's max_episode_steps; 0: 24 for each room"}},
                     .is_fast = is_fast}),
            [](const Options& options) { return std::make_unique<Maze>(options); }};
  }
  explicit Maze(const Options& options)
      : GoTo(options, horizon_of(options)),
        rows_(rooms_of(options, "num_rows")),
        columns_(rooms_of(options, "num_cols")),
        room_size_(number_option(options, "room_size", 1, 1000)) {}

 protected:
  void generate(World& world, Context& context) override {
    constexpr double kGap = 0.25;
    for (int64_t j = 0; j < rows_; ++j)
      for (int64_t i = 0; i < columns_; ++i) {
        double x = static_cast<double>(i) * (room_size_ + kGap), z = static_cast<double>(j) * (room_size_ + kGap);
        world.add_room(x, x + room_size_, z, z + room_size_, {.wall = Surface::kBrickWall});
      }
    visited_.assign(static_cast<size_t>(rows_ * columns_), false);
    visit(0, 0, world, context);
    goal_ = world.place(Entity::box(Colour::kRed), context);
    world.place_agent(context);
  }

 private:
  static int64_t rooms_of(const Options& options, const char* name) { return whole_option(options, name, 1, 32); }
  static int64_t horizon_of(const Options& options) {
    int64_t own = whole_option(options, "own_max_episode_steps", 0, 1'000'000'000);
    return own ? own : rooms_of(options, "num_rows") * rooms_of(options, "num_cols") * 24;
  }
  size_t room_at(int64_t i, int64_t j) const { return static_cast<size_t>(j * columns_ + i); }

  // Opens ways to the neighbours that nobody has been to, in a random order.
  void visit(int64_t i, int64_t j, World& world, Context& context) {
    struct Direction {
      int8_t dj, di;
    };
    std::array<Direction, 4> left{{{0, 1}, {0, -1}, {-1, 0}, {1, 0}}}, order;
    visited_[room_at(i, j)] = true;
    for (size_t count = 4; count > 0; --count) {
      auto chosen = static_cast<size_t>(context.rng.integers(0, static_cast<int64_t>(count)));
      order[4 - count] = left[chosen];
      for (size_t k = chosen; k + 1 < count; ++k) left[k] = left[k + 1];
    }
    for (auto [dj, di] : order) {
      int64_t ni = i + di, nj = j + dj;
      if (ni < 0 || ni >= columns_ || nj < 0 || nj >= rows_ || visited_[room_at(ni, nj)]) continue;
      const Room& room = world.rooms()[room_at(i, j)];
      Opening opening;
      if (di == 0) opening = {.min_x = room.min_x, .max_x = room.max_x};
      else opening = {.min_z = room.min_z, .max_z = room.max_z};
      world.connect(room_at(i, j), room_at(ni, nj), opening);
      visit(ni, nj, world, context);
    }
  }

  int64_t rows_, columns_;
  double room_size_;
  std::vector<bool> visited_;
};

}  // namespace vldac::miniworld

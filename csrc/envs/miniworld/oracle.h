// The scripted expert: the shortest way to a thing on the free floor, turned into actions. It knows the whole world.
//
// A field holds, for every cell of a grid, the steps from there to where the errand is done, around walls and things. It is made when
// the errand or the world has changed, at most kMaxCells cells large; only environments that are asked for an expert have one. An
// action looks along every heading that turns can reach, goes as far as that is free, and takes the way that costs fewest actions.
#pragma once

#include <cstdint>
#include <vector>

#include "envs/miniworld/world.h"

namespace vldac::miniworld {

// What is to be done next.
struct Errand {
  enum class Kind : uint8_t {
    kNone,   // nothing that the expert knows how to do
    kReach,  // be near `target`
    kPick,   // pick up `target`, or with may_pick_any whatever comes first
    kBring,  // put what is carried near `target`
  };
  Kind kind = Kind::kNone;
  int target = World::kNone;
  bool may_pick_any = false;
  bool avoids_others = false;               // never come near anything else
  std::optional<size_t> forbidden_room = {};  // never stand in it
};

class Oracle {
 public:
  static constexpr int64_t kNoAction = -1;
  // The action now, of the package's numbers.
  int64_t action(const World& world, const Errand& errand);

 private:
  static constexpr int kMaxSide = 320;  // cells
  static constexpr double kCell = 0.1;  // metres, more in large worlds
  struct Plan {
    double cost;
    int64_t action;
  };
  struct Point {
    double x, z;
  };

  void update(const World& world, const Errand& errand);
  void measure(const World& world, const Errand& errand);
  void block(const World& world, const Errand& errand);
  void block_circle(Point centre, double radius);
  void block_segment(const Segment& segment, double radius);
  void spread(const World& world, const Errand& errand);
  void head();
  bool is_goal(const World& world, const Errand& errand, Point at) const;
  bool is_done_facing(const World& world, const Errand& errand, double heading) const;
  bool can_pick(const World& world, const Errand& errand, Vec3 from, double heading) const;
  bool is_free(const World& world, Vec3 agent, double heading) const;
  double turns_at(Point at, double heading) const;
  Point centre(int column, int row) const { return {min_x_ + (column + 0.5) * cell_, min_z_ + (row + 0.5) * cell_}; }
  // The cell of a point, or -1 outside of the grid.
  int cell_at(Point at) const;

  uint64_t key_ = 0;  // of the errand and the world that the field was made for
  double min_x_ = 0.0, min_z_ = 0.0, cell_ = kCell, step_ = 0.0, turn_ = 0.0;
  int columns_ = 0, rows_ = 0;
  Point target_{};
  bool must_face_ = false;
  std::vector<float> steps_;    // to the goal: kBlocked for cells that are not free, kFar where there is no way
  std::vector<float> heading_;  // along the way to the goal
  std::vector<int> next_;       // cell on the way to the goal
  std::vector<std::pair<float, int>> queue_;
};

}  // namespace vldac::miniworld

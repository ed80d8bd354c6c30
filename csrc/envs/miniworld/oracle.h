// The scripted expert: the shortest way to a thing on the free floor, turned into actions. It knows the whole world.
//
// A field holds, for every cell of a grid, the steps from there to where the errand is done, around walls and things. With it as the
// guide, A* looks for the fewest actions, moving exactly as the world does; the plan is followed while the agent is where it says.
// Where steps are random, or A* finds no plan among kMaxNodes poses, an action looks along every heading that turns can reach, goes as
// far as that is free, and takes the way that costs fewest actions. Field and plan are made anew when the errand or the world has
// changed, at most kMaxSide x kMaxSide cells; only environments that are asked for an expert have them.
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
  // The action now, of the package's numbers; kNoAction also where steps are below 1 cm or turns below a degree.
  int64_t action(const World& world, const Errand& errand);

 private:
  static constexpr int kMaxSide = 320;  // cells
  static constexpr double kCell = 0.1;  // metres, more in large worlds
  static constexpr size_t kMaxNodes = 40'000;
  struct Point {
    double x, z;
  };
  // A pose on the way, its heading `turns` turns from the first one, and how it was reached.
  struct Node {
    double x, z;
    int turns;
    float cost;
    int parent;
    int8_t action;
  };
  struct Stop {
    double x, z, heading;
    int8_t action;
  };

  // The field.
  bool update(const World& world, const Errand& errand);
  void measure(const World& world, const Errand& errand);
  void block(const World& world, const Errand& errand);
  void block_circle(Point centre, double radius);
  void block_segment(const Segment& segment, double radius);
  std::vector<int> sow(const World& world, const Errand& errand);
  void sow_around(const World& world, const Errand& errand, const Entity& target, std::vector<int>& cells);
  void spread(const std::vector<int>& cells);
  void head(const std::vector<int>& next);
  bool is_goal(const World& world, const Errand& errand, const Entity& target, Point at) const;
  double turns_at(Point at, double heading) const;
  float estimate(Point at, double heading) const;

  // The plan, and the way without one.
  void plan(const World& world, const Errand& errand);
  int64_t planned(const World& world) const;
  int64_t greedy(const World& world, const Errand& errand) const;
  bool is_done_at(const World& world, const Errand& errand, Vec3 from, double heading) const;
  bool can_pick(const World& world, const Errand& errand, Vec3 from, double heading) const;
  bool is_allowed(const World& world, const Errand& errand, Vec3 at) const;
  bool is_free(const World& world, Vec3 agent, double heading) const;
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
  std::vector<Stop> plan_;
};

}  // namespace vldac::miniworld

#include "envs/miniworld/oracle.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <unordered_set>

namespace vldac::miniworld {

namespace {

constexpr float kBlocked = -1.0f, kFar = 1e9f;
constexpr double kMargin = 0.03;  // metres that ways keep from things, beyond the agent's radius
constexpr double kLeastStep = 0.01, kLeastTurn = kDegree;  // with smaller ones a search would have no end
constexpr int kMaxLeg = 160;      // steps straight ahead that an action considers
constexpr double kPickLow = 0.03, kPickHigh = 0.15;  // metres inside of the range in which a thing can be picked up

class Fingerprint {
 public:
  void add(double value) { add(std::bit_cast<uint64_t>(value)); }
  void add(uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15u;
    hash_ ^= hash_ >> 29;
  }
  void add(Vec3 point) { add(point.x), add(point.z); }
  uint64_t value() const { return hash_ | 1; }

 private:
  uint64_t hash_ = 0x243F6A8885A308D3u;
};

double distance(Vec3 a, Vec3 b) { return std::hypot(a.x - b.x, a.z - b.z); }

// Of a held thing's middle, before the agent's.
double held_distance(const World& world, const Entity& held) {
  return 1.05 * (world.agent().radius.value + held.radius.value + world.max_forward_step());
}

bool is_frame(const Entity& entity) { return entity.kind == EntityKind::kImageFrame || entity.kind == EntityKind::kTextFrame; }

double near_distance(const World& world, const Entity& a, const Entity& b) {
  return a.radius.value + b.radius.value + 1.1 * world.max_forward_step();
}

}  // namespace

int64_t Oracle::action(const World& world, const Errand& errand) {
  step_ = world.params().of(Domain::kForwardStep).initial;
  turn_ = world.params().of(Domain::kTurnStep).initial * kDegree;
  if (errand.kind == Errand::Kind::kNone || step_ < kLeastStep || turn_ < kLeastTurn) return kNoAction;
  bool is_new = update(world, errand);
  if (world.is_random()) return greedy(world, errand);
  int64_t next = is_new ? kNoAction : planned(world);
  if (next == kNoAction && (is_new || !plan_.empty())) {  // an empty plan: A* has given up on this errand
    plan(world, errand);
    next = planned(world);
  }
  return next != kNoAction ? next : greedy(world, errand);
}

// What the plan says here.
int64_t Oracle::planned(const World& world) const {
  constexpr double kSame = 1e-6;
  auto [x, z, heading] = std::tuple{world.agent().position.x, world.agent().position.z, world.agent().heading};
  for (const Stop& stop : plan_) {
    bool is_here = std::abs(stop.x - x) < kSame && std::abs(stop.z - z) < kSame && std::abs(stop.heading - heading) < kSame;
    if (is_here) return stop.action;
  }
  return kNoAction;
}

// A* over poses that the agent's own moves reach. Positions closer than a third of a step count as one.
void Oracle::plan(const World& world, const Errand& errand) {
  plan_.clear();
  std::vector<Node> nodes;
  std::unordered_set<uint64_t> seen;
  std::vector<std::pair<float, int>> queue;
  const Entity& agent = world.agent();
  double around = 2 * std::numbers::pi / turn_;
  bool is_round = std::abs(around - std::round(around)) < 1e-9;  // whole turns lead back to the same heading
  int whole = static_cast<int>(std::round(around));
  auto heading_of = [&](int turns) { return agent.heading + turns * turn_; };
  auto is_later = [](const auto& a, const auto& b) { return a.first > b.first; };
  auto push = [&](const Node& node) {
    auto part = [&](double value) { return static_cast<uint64_t>(static_cast<int64_t>(std::floor(value / (step_ / 3)))) & 0xFFFFFF; };
    int turns = is_round ? (node.turns % whole + whole) % whole : node.turns;
    if (!seen.insert(part(node.x) << 40 | part(node.z) << 16 | (static_cast<uint64_t>(turns) & 0xFFFF)).second) return;
    float left = estimate({node.x, node.z}, heading_of(node.turns));
    queue.push_back({node.cost + left, static_cast<int>(nodes.size())});
    std::push_heap(queue.begin(), queue.end(), is_later);
    nodes.push_back(node);
  };
  push({agent.position.x, agent.position.z, 0, 0.0f, -1, 0});
  while (!queue.empty() && nodes.size() < kMaxNodes) {
    std::pop_heap(queue.begin(), queue.end(), is_later);
    int index = queue.back().second;
    queue.pop_back();
    Node node = nodes[static_cast<size_t>(index)];
    Vec3 from{node.x, 0, node.z};
    double heading = heading_of(node.turns);
    if (is_done_at(world, errand, from, heading)) {
      if (errand.kind != Errand::Kind::kReach)
        plan_.push_back({node.x, node.z, heading, static_cast<int8_t>(errand.kind == Errand::Kind::kPick ? 4 : 5)});
      while (node.parent >= 0) {
        int8_t action = node.action;
        node = nodes[static_cast<size_t>(node.parent)];
        plan_.push_back({node.x, node.z, heading_of(node.turns), action});
      }
      return;
    }
    for (int side : {1, -1})
      if (world.carrying() == World::kNone || is_free(world, from, heading + side * turn_))
        push({node.x, node.z, node.turns + side, node.cost + 1, index, static_cast<int8_t>(side > 0 ? 0 : 1)});
    Vec3 next = from + forward_of(heading) * step_;
    if (is_allowed(world, errand, next) && is_free(world, next, heading))
      push({next.x, next.z, node.turns, node.cost + 1, index, 2});
  }
}

// How many actions are left from a pose, roughly.
float Oracle::estimate(Point at, double heading) const {
  int cell = cell_at(at);
  float left = cell < 0 ? kBlocked : steps_[static_cast<size_t>(cell)];
  if (left == kBlocked || left == kFar) return static_cast<float>(std::hypot(target_.x - at.x, target_.z - at.z) / step_);
  return left + static_cast<float>(turns_at(at, heading));
}

// Whether the agent may stand there, for all that the errand forbids.
bool Oracle::is_allowed(const World& world, const Errand& errand, Vec3 at) const {
  if (errand.forbidden_room && world.rooms()[*errand.forbidden_room].contains(at)) return false;
  if (!errand.avoids_others) return true;
  for (int number : world.order())
    if (number != world.agent_number() && number != errand.target && !is_frame(world.entity(number)) &&
        distance(at, world.entity(number).position) < near_distance(world, world.agent(), world.entity(number)) + 1e-6)
      return false;
  return true;
}

int64_t Oracle::greedy(const World& world, const Errand& errand) const {
  const Entity& agent = world.agent();
  double least = kFar;
  int64_t best = 2;
  // Headings by number of turns, to the left and to the right, as far as turning is not blocked.
  for (int side : {1, -1}) {
    int64_t turning = side > 0 ? 0 : 1;
    for (int turns = side > 0 ? 0 : 1; turns * turn_ <= std::numbers::pi + 1e-9; ++turns) {
      double heading = agent.heading + side * turns * turn_;
      if (turns > 0 && world.carrying() != World::kNone && !is_free(world, agent.position, heading)) break;
      auto consider = [&](double cost, int64_t action) {
        if (cost >= least) return;
        least = cost;
        best = turns > 0 ? turning : action;
      };
      if (errand.kind != Errand::Kind::kReach && is_done_at(world, errand, agent.position, heading))
        consider(turns + 1, errand.kind == Errand::Kind::kBring ? 5 : 4);
      Vec3 forward = forward_of(heading);
      for (int leg = 1; leg <= kMaxLeg; ++leg) {
        Vec3 next = agent.position + forward * (leg * step_);
        // The first steps exactly, as the world will; the others on the grid.
        if (leg <= 2 && !(is_allowed(world, errand, next) && is_free(world, next, heading))) break;
        int cell = cell_at({next.x, next.z});
        float left = cell < 0 ? kBlocked : steps_[static_cast<size_t>(cell)];
        if (left == kBlocked && leg > 2) break;
        if (left == kBlocked || left == kFar) continue;
        if (errand.kind == Errand::Kind::kReach && left < 1.0f)  // exactly where it ends
          left = is_done_at(world, errand, next, heading) ? 0.0f : 1.0f;
        consider(turns + leg + left + turns_at({next.x, next.z}, heading), 2);
        if (left == 0.0f && !must_face_) break;
      }
    }
  }
  return best;
}

// How many turns lie between a heading and the way on from a point; at the goal of picking and bringing, to face the target.
double Oracle::turns_at(Point at, double heading) const {
  auto cell = static_cast<size_t>(cell_at(at));
  if (steps_[cell] <= 0.0f && !must_face_) return 0.0;
  return std::abs(std::remainder(heading_[cell] - heading, 2 * std::numbers::pi)) / turn_;
}

// The way's heading at every cell: to the cell some hops ahead.
void Oracle::head(const std::vector<int>& next) {
  constexpr int kHops = 6;
  for (int cell = 0; cell < columns_ * rows_; ++cell) {
    float left = steps_[static_cast<size_t>(cell)];
    if (left <= 0.0f || left == kFar) continue;
    int ahead = cell;
    for (int hop = 0; hop < kHops && next[static_cast<size_t>(ahead)] >= 0; ++hop) ahead = next[static_cast<size_t>(ahead)];
    int columns = ahead % columns_ - cell % columns_, rows = ahead / columns_ - cell / columns_;
    heading_[static_cast<size_t>(cell)] = static_cast<float>(std::atan2(-rows, columns));
  }
}

// Makes field anew where the errand or the world has changed, and says whether.
bool Oracle::update(const World& world, const Errand& errand) {
  Fingerprint print;
  int target = errand.may_pick_any ? World::kNone : errand.target;
  for (int part : {static_cast<int>(errand.kind), target, world.carrying()}) print.add(static_cast<uint64_t>(part));
  for (const Segment& segment : world.segments()) print.add(segment.a), print.add(segment.b);
  for (int number : world.order())
    if (number != world.agent_number() && number != world.carrying()) print.add(world.entity(number).position);
  if (print.value() == key_) return false;
  key_ = print.value();
  measure(world, errand);
  block(world, errand);
  spread(sow(world, errand));
  return true;
}

// The grid covers all rooms but the forbidden one.
void Oracle::measure(const World& world, const Errand& errand) {
  double max_x = -1e300, max_z = -1e300;
  min_x_ = min_z_ = 1e300;
  for (size_t i = 0; i < world.rooms().size(); ++i) {
    if (errand.forbidden_room == i) continue;
    const Room& room = world.rooms()[i];
    min_x_ = std::min(min_x_, room.min_x), max_x = std::max(max_x, room.max_x);
    min_z_ = std::min(min_z_, room.min_z), max_z = std::max(max_z, room.max_z);
  }
  cell_ = std::max(kCell, std::max(max_x - min_x_, max_z - min_z_) / kMaxSide);
  columns_ = std::clamp(static_cast<int>(std::ceil((max_x - min_x_) / cell_)), 1, kMaxSide);
  rows_ = std::clamp(static_cast<int>(std::ceil((max_z - min_z_) / cell_)), 1, kMaxSide);
  steps_.assign(static_cast<size_t>(columns_) * static_cast<size_t>(rows_), kFar);
  heading_.assign(steps_.size(), 0.0f);
  const Entity& target = world.entity(errand.target);
  target_ = {target.position.x, target.position.z};
  must_face_ = errand.kind != Errand::Kind::kReach;
}

int Oracle::cell_at(Point at) const {
  double column = std::floor((at.x - min_x_) / cell_), row = std::floor((at.z - min_z_) / cell_);
  if (!(column >= 0 && column < columns_ && row >= 0 && row < rows_)) return -1;
  return static_cast<int>(row) * columns_ + static_cast<int>(column);
}

void Oracle::block(const World& world, const Errand& errand) {
  const Entity& agent = world.agent();
  double radius = agent.radius.value;
  if (world.carrying() != World::kNone) radius = std::max(radius, world.entity(world.carrying()).radius.value);
  for (const Segment& segment : world.segments()) block_segment(segment, radius + kMargin);
  for (int number : world.order()) {
    if (number == world.agent_number() || number == world.carrying()) continue;
    const Entity& entity = world.entity(number);
    double reach = radius + entity.radius.value + kMargin;
    if (errand.avoids_others && number != errand.target && !is_frame(entity)) reach = near_distance(world, agent, entity) + kMargin;
    block_circle({entity.position.x, entity.position.z}, reach);
  }
  if (!errand.forbidden_room) return;
  const Room& room = world.rooms()[*errand.forbidden_room];
  for (int row = 0; row < rows_; ++row)
    for (int column = 0; column < columns_; ++column) {
      Point at = centre(column, row);
      bool is_inside_x = at.x > room.min_x - cell_ && at.x < room.max_x + cell_;
      bool is_inside = is_inside_x && at.z > room.min_z - cell_ && at.z < room.max_z + cell_;
      if (is_inside) steps_[static_cast<size_t>(row * columns_ + column)] = kBlocked;
    }
}

void Oracle::block_circle(Point middle, double radius) {
  block_segment({{middle.x, 0, middle.z}, {middle.x, 0, middle.z}}, radius);
}

void Oracle::block_segment(const Segment& segment, double radius) {
  auto [a, b] = segment;
  auto first = [&](double low, double origin) {
    return static_cast<int>(std::floor(std::clamp((low - radius - origin) / cell_, 0.0, 1e6)));
  };
  auto last = [&](double high, double origin, int count) {
    return static_cast<int>(std::floor(std::clamp((high + radius - origin) / cell_, -1.0, count - 1.0)));
  };
  Vec3 along = b - a;
  double square = along.x * along.x + along.z * along.z;
  for (int row = first(std::min(a.z, b.z), min_z_); row <= last(std::max(a.z, b.z), min_z_, rows_); ++row)
    for (int column = first(std::min(a.x, b.x), min_x_); column <= last(std::max(a.x, b.x), min_x_, columns_); ++column) {
      Point at = centre(column, row);
      double share = square > 0 ? std::clamp(((at.x - a.x) * along.x + (at.z - a.z) * along.z) / square, 0.0, 1.0) : 0.0;
      if (std::hypot(a.x + share * along.x - at.x, a.z + share * along.z - at.z) < radius)
        steps_[static_cast<size_t>(row * columns_ + column)] = kBlocked;
    }
}

// Dijkstra's algorithm from the goal's cells over steps to the sixteen nearest directions.
void Oracle::spread(const std::vector<int>& cells) {
  struct Move {
    int column, row;
    float cost;
  };
  std::array<Move, 16> moves;
  size_t count = 0;
  for (int row = -2; row <= 2; ++row)
    for (int column = -2; column <= 2; ++column) {
      bool is_direction = (row || column) && !((row % 2 == 0) && (column % 2 == 0));
      if (is_direction) moves[count++] = {column, row, static_cast<float>(std::hypot(row, column) * cell_ / step_)};
    }
  std::vector<int> next_cells(steps_.size(), -1);
  std::vector<std::pair<float, int>> queue;
  for (int cell : cells) queue.push_back({0.0f, cell});
  auto is_later = [](const auto& a, const auto& b) { return a.first > b.first; };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), is_later);
    auto [cost, cell] = queue.back();
    queue.pop_back();
    if (cost > steps_[static_cast<size_t>(cell)]) continue;
    int row = cell / columns_, column = cell % columns_;
    for (size_t i = 0; i < count; ++i) {
      int next_row = row + moves[i].row, next_column = column + moves[i].column;
      if (next_row < 0 || next_row >= rows_ || next_column < 0 || next_column >= columns_) continue;
      int next = next_row * columns_ + next_column;
      float total = cost + moves[i].cost;
      if (steps_[static_cast<size_t>(next)] <= total) continue;  // blocked cells too: they are negative
      steps_[static_cast<size_t>(next)] = total;
      next_cells[static_cast<size_t>(next)] = cell;
      queue.push_back({total, next});
      std::push_heap(queue.begin(), queue.end(), is_later);
    }
  }
  head(next_cells);
}

// The free cells where the errand ends.
std::vector<int> Oracle::sow(const World& world, const Errand& errand) {
  std::vector<int> cells;
  for (int number : world.order()) {
    const Entity& entity = world.entity(number);
    bool is_target = errand.may_pick_any ? !entity.is_static && number != world.agent_number() : number == errand.target;
    if (is_target) sow_around(world, errand, entity, cells);
  }
  return cells;
}

void Oracle::sow_around(const World& world, const Errand& errand, const Entity& target, std::vector<int>& cells) {
  constexpr double kReach = 5.0;  // metres; enough for anything that fits into a room
  auto [x, y, z] = target.position;
  auto cell_of = [&](double value, double origin, int count) {
    return static_cast<int>(std::clamp(std::floor((value - origin) / cell_), 0.0, count - 1.0));
  };
  for (int row = cell_of(z - kReach, min_z_, rows_); row <= cell_of(z + kReach, min_z_, rows_); ++row)
    for (int column = cell_of(x - kReach, min_x_, columns_); column <= cell_of(x + kReach, min_x_, columns_); ++column) {
      auto cell = static_cast<size_t>(row * columns_ + column);
      Point at = centre(column, row);
      if (steps_[cell] != kFar || !is_goal(world, errand, target, at)) continue;
      steps_[cell] = 0.0f;
      heading_[cell] = static_cast<float>(std::atan2(at.z - z, x - at.x));
      cells.push_back(static_cast<int>(cell));
    }
}

// Whether the errand is done at a place, or needs only that the agent faces the target there.
bool Oracle::is_goal(const World& world, const Errand& errand, const Entity& target, Point at) const {
  const Entity& agent = world.agent();
  Vec3 from{at.x, 0, at.z};
  double away = distance(from, target.position);
  if (errand.kind == Errand::Kind::kReach) return away < near_distance(world, agent, target) - 0.02;
  if (errand.kind == Errand::Kind::kBring) {
    const Entity& held = world.entity(world.carrying());
    double touching = held_distance(world, held) + held.radius.value + target.radius.value;
    return away > touching && away < touching + 1.1 * world.max_forward_step() - 0.02;
  }
  double reach = 2.7 * agent.radius.value + target.radius.value;  // of the probe, and how far it goes ahead
  if (away >= reach - kPickHigh || away <= agent.radius.value + target.radius.value + kPickLow) return false;
  return can_pick(world, errand, from, std::atan2(at.z - target.position.z, target.position.x - at.x));
}

// Whether the errand is done at a pose, or by picking up or dropping there.
bool Oracle::is_done_at(const World& world, const Errand& errand, Vec3 from, double heading) const {
  const Entity &agent = world.agent(), &target = world.entity(errand.target);
  constexpr double kSure = 1e-6;
  if (errand.kind == Errand::Kind::kReach) return distance(from, target.position) < near_distance(world, agent, target) - kSure;
  if (errand.kind == Errand::Kind::kPick) return world.carrying() == World::kNone && can_pick(world, errand, from, heading);
  if (world.carrying() == World::kNone) return false;
  const Entity& held = world.entity(world.carrying());
  Vec3 put = from + forward_of(heading) * held_distance(world, held);
  return distance(put, target.position) < near_distance(world, held, target) - kSure;
}

// What the package's pick-up would find.
bool Oracle::can_pick(const World& world, const Errand& errand, Vec3 from, double heading) const {
  double radius = world.agent().radius.value;
  World::Hit hit = world.intersect(world.agent_number(), from + forward_of(heading) * (1.5 * radius), {1.2 * radius});
  if (!hit.is_any || hit.entity == World::kNone || world.entity(hit.entity).is_static) return false;
  return errand.may_pick_any || hit.entity == errand.target;
}

// Whether the agent can stand there, with what it carries.
bool Oracle::is_free(const World& world, Vec3 agent, double heading) const {
  if (world.intersect(world.agent_number(), agent, world.agent().radius).is_any) return false;
  if (world.carrying() == World::kNone) return true;
  const Entity& held = world.entity(world.carrying());
  return !world.intersect(world.carrying(), agent + forward_of(heading) * held_distance(world, held), held.radius).is_any;
}

}  // namespace vldac::miniworld

// A world of rooms and entities, its generation and its physics, with the draws and the rounding of the miniworld package (2.1,
// NumPy 2): the same seed gives the same world and the same poses.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/env.h"
#include "envs/miniworld/domain.h"
#include "envs/miniworld/entity.h"
#include "envs/miniworld/room.h"

namespace vldac::miniworld {

// A piece of wall between two heights, a rectangle.
struct WallPiece {
  Vec3 from, to;  // on the floor, in the direction of the outline
  Vec3 normal;    // into the room
  double start, end, min_y, max_y;
  uint32_t room;
};

// What stops the agent, on the floor.
struct Segment {
  Vec3 a, b;
};

// Where an entity may be placed. Without a position one is drawn: in `room` or, by area, in any.
struct Where {
  std::optional<size_t> room = {};
  std::optional<Vec3> position = {};
  std::optional<double> heading = {};
  std::optional<double> min_x = {}, max_x = {}, min_z = {}, max_z = {};
};

// Moves of one step, metres and degrees.
struct Motion {
  double forward, drift, turn;
};

struct Sky {
  std::array<double, 3> colour{}, light_position{}, light_colour{}, ambient{};
};

class World {
 public:
  // What a circle runs into.
  struct Hit {
    bool is_any = false;
    int entity = -1;  // -1: a wall
  };
  static constexpr int kNone = -1;
  static constexpr double kFarthest = 1e6;  // metres or radians that a saved pose can have

  World(const DomainParams& params, bool is_random) : params_(params), is_random_(is_random) {}

  // Generation: begin, then rooms, then entities, then finish. Once an entity is placed, no room can be added.
  void begin();
  size_t add_room(std::span<const Vec3> outline, const RoomStyle& style = {});
  size_t add_room(double min_x, double max_x, double min_z, double max_z, const RoomStyle& style = {});
  void connect(size_t a, size_t b, const Opening& opening);
  // Both return the entity's number. place() throws std::runtime_error where no free spot is found.
  int place(const Entity& entity, Context& context, const Where& where = {});
  int add(const Entity& entity);
  void place_agent(Context& context, const Where& where = {});
  void finish(Context& context);

  // Takes an entity out of the world, or puts it somewhere else as if it were new.
  void remove(int entity);
  void replace(int entity, Context& context);

  Motion draw_motion(Pcg64& rng) const;
  // One action of the package: 0, 1 turn; 2, 3 move; 4 pick up; 5 drop; others do nothing.
  void act(int64_t action, const Motion& motion);

  Hit intersect(int entity, Vec3 position, Length radius) const;
  bool is_near(int a, int b) const;
  bool is_near_agent(int entity) const { return is_near(entity, agent_); }

  std::span<const Room> rooms() const { return rooms_; }
  std::span<const WallPiece> walls() const { return walls_; }
  std::span<const Segment> segments() const { return segments_; }
  // All that were placed, by number; and the numbers of those that are in the world, in the package's order.
  std::span<const Entity> entities() const { return entities_; }
  std::span<const int> order() const { return order_; }
  bool is_made() const { return agent_ != kNone; }
  const Entity& agent() const { return entities_[static_cast<size_t>(agent_)]; }
  const Entity& entity(int number) const { return entities_[static_cast<size_t>(number)]; }
  int agent_number() const { return agent_; }
  int carrying() const { return carrying_; }
  const Sky& sky() const { return sky_; }
  const DomainParams& params() const { return params_; }
  bool is_random() const { return is_random_; }
  double max_forward_step() const { return params_.of(Domain::kForwardStep).high; }
  Vec3 camera_position() const;
  Vec3 camera_direction() const;

  AgentBody body;  // its radius may be changed between begin() and place_agent()

  void save(Bytes& out) const;
  // Over a world that was generated from the same stream. Throws std::invalid_argument for what cannot be.
  void load(Bytes& in);

 private:
  void make_static(Context& context);
  void make_walls(uint32_t room);
  void add_piece(const WallPiece& piece);
  // A free position and a heading.
  void settle(Entity& entity, int number, Context& context, const Where& where);
  Vec3 carried_position(Vec3 agent_position, const Entity& entity) const;
  void move(double forward, double drift);
  void turn(double degrees);
  Pcg64* random(Context& context) const { return is_random_ ? &context.rng : nullptr; }

  DomainParams params_;
  bool is_random_;
  bool is_static_made_ = false;
  std::vector<Room> rooms_;
  std::vector<WallPiece> walls_;
  std::vector<Segment> segments_;
  std::vector<double> room_distribution_;
  std::vector<Entity> entities_;
  std::vector<int> order_;
  int agent_ = kNone, carrying_ = kNone;
  Sky sky_;
};

}  // namespace vldac::miniworld

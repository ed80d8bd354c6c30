#include "envs/miniworld/world.h"

#include <algorithm>
#include <cmath>

namespace vldac::miniworld {

namespace {

constexpr int kMaxTries = 1'000'000;  // of placing one entity; real worlds need a handful

// Whether a circle reaches a segment: the distance to its nearest point, as the package computes it.
bool reaches(Vec3 point, double radius, const Segment& segment) {
  // Most are far: a box around the circle, wide enough for any rounding, spares the division.
  double reach = radius + 1e-6;
  if (std::min(segment.a.x, segment.b.x) > point.x + reach || std::max(segment.a.x, segment.b.x) < point.x - reach ||
      std::min(segment.a.z, segment.b.z) > point.z + reach || std::max(segment.a.z, segment.b.z) < point.z - reach)
    return false;
  Vec3 ab = segment.b - segment.a, ap = point - segment.a;
  double along = std::clamp(row_dot(ap, ab) / row_dot(ab, ab), 0.0, 1.0);
  return row_norm(segment.a + ab * along - point) < radius;
}

}  // namespace

void World::begin() {
  rooms_.clear();
  walls_.clear();
  segments_.clear();
  room_distribution_.clear();
  entities_.clear();
  order_.clear();
  is_static_made_ = false;
  agent_ = carrying_ = kNone;
  body = {};
}

size_t World::add_room(std::span<const Vec3> outline, const RoomStyle& style) {
  if (is_static_made_) throw std::logic_error("world: no room can be added after an entity");
  rooms_.emplace_back(outline, style);
  return rooms_.size() - 1;
}

size_t World::add_room(double min_x, double max_x, double min_z, double max_z, const RoomStyle& style) {
  std::array<Vec3, 4> outline{Vec3{max_x, 0, max_z}, Vec3{max_x, 0, min_z}, Vec3{min_x, 0, min_z}, Vec3{min_x, 0, max_z}};
  return add_room(outline, style);
}

// Openings in the first pair of walls that face each other, and a room between them unless they touch.
void World::connect(size_t number_a, size_t number_b, const Opening& opening) {
  Room &a = rooms_[number_a], &b = rooms_[number_b];
  for (size_t wall_a = 0; wall_a < a.num_walls(); ++wall_a)
    for (size_t wall_b = 0; wall_b < b.num_walls(); ++wall_b) {
      Vec3 normal = a.edge_normal(wall_a);
      if (dot(normal, b.edge_normal(wall_b)) > -0.9 || dot(normal, b.corner(wall_b) - a.corner(wall_a)) > 0.05) continue;
      auto [start_a, end_a] = a.add_portal(wall_a, opening);
      auto [start_b, end_b] = b.add_portal(wall_b, opening);
      Vec3 from_a = a.corner(wall_a) + a.edge_direction(wall_a) * start_a, to_a = a.corner(wall_a) + a.edge_direction(wall_a) * end_a;
      Vec3 from_b = b.corner(wall_b) + b.edge_direction(wall_b) * start_b, to_b = b.corner(wall_b) + b.edge_direction(wall_b) * end_b;
      if (norm(from_a - to_b) < 0.001) return;
      RoomStyle style = a.style;
      if (opening.max_y != Opening::kNone) style.wall_height = opening.max_y;
      Room passage(std::array{from_b, to_a, from_a, to_b}, style);
      passage.add_portal(1, 0.0, norm(to_a - from_a), style.wall_height);
      passage.add_portal(3, 0.0, norm(to_b - from_b), style.wall_height);
      rooms_.push_back(passage);
      return;
    }
  throw std::logic_error("world: rooms without walls that face each other");
}

void World::make_static(Context& context) {
  is_static_made_ = true;
  Pcg64* rng = random(context);
  auto variant = [&](Surface surface) { return rng ? static_cast<int8_t>(rng->integers(0, facts_of(surface).variants)) : int8_t{0}; };
  for (size_t i = 0; i < rooms_.size(); ++i) {
    Room& room = rooms_[i];
    room.wall_variant = variant(room.style.wall);
    room.floor_variant = variant(room.style.floor);
    room.ceiling_variant = variant(room.style.ceiling);
    make_walls(static_cast<uint32_t>(i));
    room_distribution_.push_back(room.area());
  }
  double sum = pairwise_sum(room_distribution_);
  for (double& area : room_distribution_) area /= sum;
  cumulative_distribution(room_distribution_);
}

void World::make_walls(uint32_t number) {
  const Room& room = rooms_[number];
  double top = room.style.wall_height;
  for (size_t wall = 0; wall < room.num_walls(); ++wall) {
    Vec3 from = room.corner(wall), edge = room.corner(wall + 1) - from;
    double width = norm(edge);
    Vec3 side = edge / width;
    auto piece = [&](double start, double end, double min_y, double max_y) {
      if (start == end || min_y == max_y) return;
      Vec3 p0 = from + side * start, p1 = from + side * end, along = p1 - p0;
      Vec3 normal{along.z, 0.0, -along.x};
      walls_.push_back({p0, p1, normal / norm(normal), start, end, min_y, max_y, number});
      if (min_y == 0) segments_.push_back({p1, p0});
    };
    auto portals = room.portals(wall);
    piece(0.0, portals.empty() ? width : portals[0].start, 0.0, top);
    for (size_t i = 0; i < portals.size(); ++i) {
      const Portal& portal = portals[i];
      piece(portal.start, portal.end, 0.0, portal.min_y);
      piece(portal.start, portal.end, portal.max_y, top);
      piece(portal.end, i + 1 < portals.size() ? portals[i + 1].start : width, 0.0, top);
    }
  }
}

int World::add(const Entity& entity) {
  int number = static_cast<int>(entities_.size());
  entities_.push_back(entity);
  order_.push_back(number);
  return number;
}

int World::place(const Entity& prototype, Context& context, const Where& where) {
  Entity entity = prototype;
  if (!is_static_made_) make_static(context);
  settle(entity, kNone, context, where);
  return add(entity);
}

void World::place_agent(Context& context, const Where& where) {
  Entity agent;
  agent.kind = EntityKind::kAgent;
  agent.radius.value = body.radius;
  agent.height = body.height;
  agent_ = place(agent, context, where);
}

void World::settle(Entity& entity, int number, Context& context, const Where& where) {
  constexpr double kPi = std::numbers::pi;
  Pcg64& rng = context.rng;
  if (where.position) {
    entity.heading = where.heading ? *where.heading : rng.uniform(-kPi, kPi);
    entity.position = *where.position;
    return;
  }
  for (int tries = 1;; ++tries) {
    const Room& room = rooms_[where.room ? *where.room : rng.choice(room_distribution_)];
    double margin = entity.radius.value;
    auto [x, y, z] = rng.uniform<3>({where.min_x.value_or(room.min_x) - margin, 0.0, where.min_z.value_or(room.min_z) - margin},
                                    {where.max_x.value_or(room.max_x) + margin, 0.0, where.max_z.value_or(room.max_z) + margin});
    Vec3 position{x, y, z};
    if (room.contains(position) && !intersect(number, position, entity.radius).is_any) {
      entity.position = position;
      break;
    }
    if (tries % 256 == 0) context.check();
    if (tries == kMaxTries) throw std::runtime_error("place: no free spot in a million tries; the world is too small for what is in it");
  }
  entity.heading = where.heading ? *where.heading : rng.uniform(-kPi, kPi);
}

void World::finish(Context& context) {
  Pcg64* rng = random(context);
  sky_.colour = params_.sample3(rng, Domain::kSkyColour);
  sky_.light_position = params_.sample3(rng, Domain::kLightPos);
  sky_.light_colour = params_.sample3(rng, Domain::kLightColour);
  sky_.ambient = params_.sample3(rng, Domain::kLightAmbient);
  for (int number : order_) {
    Entity& entity = entities_[static_cast<size_t>(number)];
    if (entity.kind == EntityKind::kBox) {
      auto bias = params_.sample3(rng, Domain::kObjColourBias);
      for (size_t i = 0; i < 3; ++i) entity.rgb[i] = std::clamp(facts_of(entity.colour).rgb[i] + bias[i], 0.0, 1.0);
    } else if (entity.kind == EntityKind::kTextFrame) {
      for (size_t i = 0; i < std::string_view(entity.text).size(); ++i)
        entity.variants.at(i) = rng ? static_cast<int8_t>(rng->integers(0, facts_of(Surface::kLetterB).variants)) : int8_t{0};
    } else if (entity.kind == EntityKind::kAgent) {
      body.cam_height = params_.sample(rng, Domain::kCamHeight);
      body.cam_fwd_disp = params_.sample(rng, Domain::kCamFwdDisp);
      body.cam_pitch = params_.sample(rng, Domain::kCamPitch);
      body.cam_fov_y = params_.sample(rng, Domain::kCamFovY);
    }
  }
}

void World::remove(int number) {
  std::erase(order_, number);
  if (carrying_ == number) carrying_ = kNone;
}

void World::replace(int number, Context& context) {
  remove(number);
  settle(entities_[static_cast<size_t>(number)], number, context, {});
  order_.push_back(number);
}

World::Hit World::intersect(int self, Vec3 position, Length radius) const {
  position.y = 0.0;
  for (const Segment& segment : segments_)
    if (reaches(position, radius.value, segment)) return {true, kNone};
  for (int number : order_) {
    if (number == self) continue;
    const Entity& other = entity(number);
    Vec3 offset{other.position.x - position.x, 0.0, other.position.z - position.z};
    if (norm(offset) < (radius + other.radius).value) return {true, number};
  }
  return {};
}

bool World::is_near(int a, int b) const {
  const Entity &first = entity(a), &second = entity(b);
  return norm(first.position - second.position) < (first.radius + second.radius + Length{1.1 * max_forward_step()}).value;
}

Motion World::draw_motion(Pcg64& stream) const {
  Pcg64* rng = is_random_ ? &stream : nullptr;
  Motion motion;
  motion.forward = params_.sample(rng, Domain::kForwardStep);
  motion.drift = params_.sample(rng, Domain::kForwardDrift);
  motion.turn = params_.sample(rng, Domain::kTurnStep);
  return motion;
}

Vec3 World::carried_position(Vec3 agent_position, const Entity& held) const {
  Length distance = agent().radius + held.radius + Length{max_forward_step()};
  Vec3 position = agent_position + forward_of(agent().heading) * 1.05 * distance.value;
  double y = std::max(body.cam_height - held.height - 0.3, 0.0);
  return position + kYAxis * y;
}

void World::move(double forward, double drift) {
  Entity& agent = entities_[static_cast<size_t>(agent_)];
  Vec3 next = agent.position + forward_of(agent.heading) * forward + right_of(agent.heading) * drift;
  if (intersect(agent_, next, agent.radius).is_any) return;
  if (carrying_ != kNone) {
    Entity& held = entities_[static_cast<size_t>(carrying_)];
    Vec3 next_held = carried_position(next, held);
    if (intersect(carrying_, next_held, held.radius).is_any) return;
    held.position = next_held;
  }
  agent.position = next;
}

void World::turn(double degrees) {
  Entity& agent = entities_[static_cast<size_t>(agent_)];
  double before = agent.heading;
  agent.heading += degrees * kDegree;
  if (carrying_ == kNone) return;
  Entity& held = entities_[static_cast<size_t>(carrying_)];
  Vec3 next = carried_position(agent.position, held);
  if (intersect(carrying_, next, held.radius).is_any) {
    agent.heading = before;
    return;
  }
  held.position = next;
  held.heading = agent.heading;
}

void World::act(int64_t action, const Motion& motion) {
  if (action == 0 || action == 1) {
    turn(action == 0 ? motion.turn : -motion.turn);
  } else if (action == 2 || action == 3) {
    move(action == 2 ? motion.forward : -motion.forward, motion.drift);
  } else if (action == 4) {
    double radius = agent().radius.value;
    Hit hit = intersect(agent_, agent().position + forward_of(agent().heading) * 1.5 * radius, Length{1.2 * radius});
    if (carrying_ == kNone && hit.entity != kNone && !entity(hit.entity).is_static) carrying_ = hit.entity;
  } else if (action == 5 && carrying_ != kNone) {
    entities_[static_cast<size_t>(carrying_)].position.y = 0.0;
    carrying_ = kNone;
  }
  if (carrying_ != kNone) {
    Entity& held = entities_[static_cast<size_t>(carrying_)];
    held.position = carried_position(agent().position, held);
    held.heading = agent().heading;
  }
}

Vec3 World::camera_position() const {
  return agent().position + times({body.cam_fwd_disp, body.cam_height, 0.0}, rotation(kYAxis, agent().heading));
}

Vec3 World::camera_direction() const {
  Vec3 tilted = times({1.0, 0.0, 0.0}, rotation(kZAxis, body.cam_pitch * std::numbers::pi / 180));
  return times(tilted, rotation(kYAxis, agent().heading));
}

void World::save(Bytes& out) const {
  out.put(static_cast<uint16_t>(order_.size()));
  for (int number : order_) out.put(static_cast<uint16_t>(number));
  out.put(static_cast<int16_t>(carrying_));
  for (const Entity& entity : entities_) {
    if (entity.is_static) continue;
    out.put(entity.position);
    out.put(entity.heading);
  }
}

void World::load(Bytes& in) {
  auto refuse = [](bool is_altered) {
    if (is_altered) throw std::invalid_argument("environment state is altered");
  };
  auto last = static_cast<uint16_t>(entities_.size() - 1);
  size_t count = in.get_within<uint16_t>(1, static_cast<uint16_t>(entities_.size()));
  order_.clear();
  for (size_t i = 0; i < count; ++i) {
    int number = in.get_within<uint16_t>(0, last);
    refuse(std::find(order_.begin(), order_.end(), number) != order_.end());
    order_.push_back(number);
  }
  auto is_here = [&](int number) { return std::find(order_.begin(), order_.end(), number) != order_.end(); };
  refuse(!is_here(agent_));
  carrying_ = in.get_within<int16_t>(kNone, static_cast<int16_t>(last));
  refuse(carrying_ != kNone && (carrying_ == agent_ || entity(carrying_).is_static || !is_here(carrying_)));
  for (Entity& entity : entities_) {
    if (entity.is_static) continue;
    entity.position = in.get<Vec3>();
    entity.heading = in.get<double>();
    for (double value : {entity.position.x, entity.position.y, entity.position.z, entity.heading})
      refuse(!(std::abs(value) <= kFarthest));
  }
}

}  // namespace vldac::miniworld

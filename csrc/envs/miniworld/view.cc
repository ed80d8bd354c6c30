#include "envs/miniworld/view.h"

#include <algorithm>

namespace vldac::miniworld {

namespace {

constexpr double kTexelsPerMetre = 512;
constexpr double kGlobalAmbient = 0.2;  // OpenGL's own
constexpr Vec3f kWhite{1, 1, 1}, kBlack{0, 0, 0}, kRed{1, 0, 0};

float f(double value) { return static_cast<float>(value); }
Vec3f f(Vec3 v) { return {f(v.x), f(v.y), f(v.z)}; }
Vec3f f(const std::array<double, 3>& v) { return {f(v[0]), f(v[1]), f(v[2])}; }
Vec3d d(Vec3 v) { return {v.x, v.y, v.z}; }
SceneVertex vertex(Vec3 at, double u = 0.0, double v = 0.0) { return {f(at.x), f(at.y), f(at.z), f(u), f(v)}; }

Surface letter(char c) {
  constexpr std::string_view kLetters = "BDEGLNRU";
  size_t index = kLetters.find(c);
  if (index == kLetters.npos) throw std::logic_error("text frame: no texture of this letter");
  return static_cast<Surface>(static_cast<size_t>(Surface::kLetterB) + index);
}

}  // namespace

const Texture* View::texture(Surface surface, int variant) {
  const Texture*& found = textures_[static_cast<size_t>(surface)].at(static_cast<size_t>(variant));
  if (!found) {
    // A set with fewer variants than the package shows one of those it has: the world is the same.
    const char* name = facts_of(surface).name;
    found = &assets_->texture(name, static_cast<size_t>(variant) % std::max<size_t>(assets_->variants(name), 1));
  }
  return found;
}

const Mesh* View::mesh(MeshName name) {
  const Mesh*& found = meshes_[static_cast<size_t>(name)];
  if (!found) found = &assets_->mesh(facts_of(name).name);
  return found;
}

void View::require_assets() const {
  if (!assets_)
    throw std::runtime_error("pictures: expected the textures and meshes named \"" + set_name_ + "\", found none; vldac.envs.make installs them");
}

void View::add_polygon(const Texture* texture, Vec3 normal, Vec3f colour, std::span<const SceneVertex> corners) {
  scene_.polygons.push_back(
      {static_cast<uint32_t>(scene_.vertices.size()), static_cast<uint32_t>(corners.size()), texture, f(normal), colour});
  scene_.vertices.insert(scene_.vertices.end(), corners.begin(), corners.end());
}

void View::add_room(const World& world, size_t number) {
  const Room& room = world.rooms()[number];
  std::array<SceneVertex, Room::kMaxWalls> corners;
  std::span<const SceneVertex> outline(corners.data(), room.num_walls());
  auto scaled = [&](const Texture* texture, Vec3 at) {
    return vertex(at, at.x * (kTexelsPerMetre / texture->width()), at.z * (kTexelsPerMetre / texture->height()));
  };
  const Texture* floor = texture(room.style.floor, room.floor_variant);
  for (size_t i = 0; i < room.num_walls(); ++i) corners[i] = scaled(floor, room.corner(i));
  add_polygon(floor, {0, 1, 0}, kWhite, outline);
  if (room.style.has_ceiling) {
    const Texture* ceiling = texture(room.style.ceiling, room.ceiling_variant);
    for (size_t i = 0; i < room.num_walls(); ++i)
      corners[i] = scaled(ceiling, room.corner(room.num_walls() - 1 - i) + kYAxis * room.style.wall_height);
    add_polygon(ceiling, {0, -1, 0}, kWhite, outline);
  }
}

// A picture or letters on a board that points to local +x, with black sides.
void View::add_frame(const Entity& frame) {
  Matrix3 turn = {Vec3{std::cos(frame.heading), 0, -std::sin(frame.heading)}, Vec3{0, 1, 0},
                  Vec3{std::sin(frame.heading), 0, std::cos(frame.heading)}};
  double hy = frame.height / 2, hz = frame.width / 2, depth = frame.depth;
  auto quad = [&](const Texture* texture, Vec3 normal, const std::array<Vec3, 4>& corners) {
    constexpr double kU[] = {1, 0, 0, 1}, kV[] = {1, 1, 0, 0};
    std::array<SceneVertex, 4> vertices;
    for (size_t i = 0; i < 4; ++i) vertices[i] = vertex(frame.position + times(corners[i], turn), kU[i], kV[i]);
    add_polygon(texture, times(normal, turn), texture ? kWhite : kBlack, vertices);
  };
  auto front = [&](const Texture* texture, double z0, double z1) {
    quad(texture, {1, 0, 0}, {Vec3{depth, hy, z0}, Vec3{depth, hy, z1}, Vec3{depth, -hy, z1}, Vec3{depth, -hy, z0}});
  };
  if (frame.kind == EntityKind::kImageFrame) {
    front(texture(frame.picture, 0), -hz, hz);
  } else {
    std::string_view text = frame.text;
    for (size_t i = 0; i < text.size(); ++i) {
      double z0 = hz - frame.height * static_cast<double>(i + 1);
      front(texture(letter(text[i]), frame.variants.at(i)), z0, z0 + frame.height);
    }
  }
  quad(nullptr, {0, 0, -1}, {Vec3{0, hy, -hz}, Vec3{depth, hy, -hz}, Vec3{depth, -hy, -hz}, Vec3{0, -hy, -hz}});
  quad(nullptr, {0, 0, 1}, {Vec3{depth, hy, hz}, Vec3{0, hy, hz}, Vec3{0, -hy, hz}, Vec3{depth, -hy, hz}});
  quad(nullptr, {0, 1, 0}, {Vec3{depth, hy, hz}, Vec3{depth, hy, -hz}, Vec3{0, hy, -hz}, Vec3{0, hy, hz}});
  quad(nullptr, {0, -1, 0}, {Vec3{depth, -hy, -hz}, Vec3{depth, -hy, hz}, Vec3{0, -hy, hz}, Vec3{0, -hy, -hz}});
}

SceneItem View::item_of(const Entity& entity, Vec3 position, double heading) {
  SceneItem item;
  item.position = d(position);
  item.heading = heading;
  if (entity.kind == EntityKind::kBox) {
    item.size = d(entity.size);
    item.colour = f(entity.rgb);
  } else {
    item.mesh = mesh(entity.mesh);
    item.scale = entity.scale;
  }
  return item;
}

void View::build(const World& world) {
  if (!assets_ && has_assets(set_name_)) assets_ = find_assets(set_name_);
  scene_.vertices.clear();
  scene_.polygons.clear();
  scene_.items.clear();
  num_still_ = 0;
  if (assets_) {
    const Sky& sky = world.sky();
    scene_.sky = f(sky.colour);
    for (size_t i = 0; i < 3; ++i) scene_.ambient[i] = f(kGlobalAmbient + sky.ambient[i]);
    scene_.diffuse = f(sky.light_colour);
    // The package adds [1] to the light's position to make it homogeneous, which adds 1 to every coordinate and makes it a direction.
    Vec3 light{sky.light_position[0] + 1, sky.light_position[1] + 1, sky.light_position[2] + 1};
    scene_.light = f(light / norm(light));
    size_t next_wall = 0;
    for (size_t room = 0; room < world.rooms().size(); ++room) {
      add_room(world, room);
      const Texture* texture_of_walls = texture(world.rooms()[room].style.wall, world.rooms()[room].wall_variant);
      double u = kTexelsPerMetre / texture_of_walls->width(), v = kTexelsPerMetre / texture_of_walls->height();
      for (; next_wall < world.walls().size() && world.walls()[next_wall].room == room; ++next_wall) {
        const WallPiece& wall = world.walls()[next_wall];
        double min_u = wall.start * u, max_u = (wall.start + (wall.end - wall.start)) * u;
        double min_v = wall.min_y * v, max_v = (wall.min_y + (wall.max_y - wall.min_y)) * v;
        std::array corners{vertex(wall.from + kYAxis * wall.min_y, min_u, min_v), vertex(wall.from + kYAxis * wall.max_y, min_u, max_v),
                           vertex(wall.to + kYAxis * wall.max_y, max_u, max_v), vertex(wall.to + kYAxis * wall.min_y, max_u, min_v)};
        add_polygon(texture_of_walls, wall.normal, kWhite, corners);
      }
    }
    for (int number : world.order()) {
      const Entity& entity = world.entity(number);
      if (entity.kind == EntityKind::kImageFrame || entity.kind == EntityKind::kTextFrame) add_frame(entity);
      else if (entity.is_static) scene_.items.push_back(item_of(entity, entity.position, entity.heading));
    }
    num_still_ = scene_.items.size();
    // Room for the agent on the map, so that drawing never allocates.
    scene_.vertices.reserve(scene_.vertices.size() + 3);
    scene_.polygons.reserve(scene_.polygons.size() + 1);
  }
  show(world);
}

void View::show(const World& world) {
  shown_.clear();
  for (int number : world.order()) {
    const Entity& entity = world.entity(number);
    if (!entity.is_static && number != world.agent_number()) shown_.push_back({number, entity.position, entity.heading});
  }
  place_items(world);
}

void View::place_items(const World& world) {
  if (!assets_) return;
  scene_.items.resize(num_still_);
  for (const Shown& shown : shown_) scene_.items.push_back(item_of(world.entity(shown.number), shown.position, shown.heading));
}

Camera View::camera(const World& world) const {
  return {.eye = d(world.camera_position()), .forward = d(world.camera_direction()), .fov_y = world.body.cam_fov_y};
}

// The floor plan and a metre around it, widened to the picture's aspect.
TopCamera View::top_camera(const World& world, int width, int height) const {
  TopCamera camera{1e300, -1e300, 1e300, -1e300};
  for (const Room& room : world.rooms()) {
    camera.min_x = std::min(camera.min_x, room.min_x - 1);
    camera.max_x = std::max(camera.max_x, room.max_x + 1);
    camera.min_z = std::min(camera.min_z, room.min_z - 1);
    camera.max_z = std::max(camera.max_z, room.max_z + 1);
  }
  double x = camera.max_x - camera.min_x, z = camera.max_z - camera.min_z, aspect = static_cast<double>(width) / height;
  if (x / z > aspect) {
    double more = x / aspect - z;
    camera.min_z -= more / 2;
    camera.max_z += more / 2;
  } else if (x / z < aspect) {
    double more = z * aspect - x;
    camera.min_x -= more / 2;
    camera.max_x += more / 2;
  }
  return camera;
}

void View::draw(const World& world, uint8_t* pixels, int width, int height) const {
  require_assets();
  rasterizer_.draw(scene_, camera(world), pixels, width, height);
}

void View::draw_depth(const World& world, float* metres, int width, int height) const {
  require_assets();
  rasterizer_.depth(scene_, camera(world), metres, width, height);
}

void View::draw_map(const World& world, uint8_t* pixels, int width, int height) const {
  require_assets();
  const Entity& agent = world.agent();
  Vec3 tip = agent.position + kYAxis * agent.height, ahead = forward_of(agent.heading) * agent.radius.value;
  Vec3 right = right_of(agent.heading) * agent.radius.value;
  for (Vec3 corner : {tip + ahead, tip + (right * -1.0 - ahead) * 0.75, tip + (right - ahead) * 0.75})
    scene_.vertices.push_back(vertex(corner));
  scene_.polygons.push_back({static_cast<uint32_t>(scene_.vertices.size() - 3), 3, nullptr, {0, 1, 0}, kRed});
  rasterizer_.draw(scene_, top_camera(world, width, height), pixels, width, height);
  scene_.polygons.pop_back();
  scene_.vertices.resize(scene_.vertices.size() - 3);
}

MapFrame View::map_frame(const World& world, int width, int height) const {
  TopCamera camera = top_camera(world, width, height);
  return {camera.min_x, camera.min_z, width / (camera.max_x - camera.min_x), height / (camera.max_z - camera.min_z)};
}

void View::save(Bytes& out) const {
  out.put(static_cast<uint16_t>(shown_.size()));
  for (const Shown& shown : shown_) {
    out.put(static_cast<uint16_t>(shown.number));
    out.put(shown.position);
    out.put(shown.heading);
  }
}

void View::load(Bytes& in, const World& world) {
  auto count = static_cast<uint16_t>(world.entities().size());
  size_t num_shown = in.get_within<uint16_t>(0, count);
  shown_.clear();
  for (size_t i = 0; i < num_shown; ++i) {
    Shown shown;
    shown.number = in.get_within<uint16_t>(0, static_cast<uint16_t>(count - 1));
    shown.position = in.get<Vec3>();
    shown.heading = in.get<double>();
    if (world.entity(shown.number).is_static || shown.number == world.agent_number()) throw std::invalid_argument("environment state is altered");
    for (double value : {shown.position.x, shown.position.y, shown.position.z, shown.heading})
      if (!(std::abs(value) <= World::kFarthest)) throw std::invalid_argument("environment state is altered");
    shown_.push_back(shown);
  }
  place_items(world);
}

}  // namespace vldac::miniworld

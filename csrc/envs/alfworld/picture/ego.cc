#include "envs/alfworld/picture/ego.h"

#include <algorithm>
#include <numeric>

namespace vldac::alfworld {
namespace {

constexpr double kEye = 1.65;  // the agent's origin is 0.9 m above the floor, the camera 0.75 m above that
constexpr double kFov = 60;    // degrees, from top to bottom
constexpr double kWall = 2.7;
// How far from the eye what is faced is drawn, what is held, and where the rest of the room may begin.
constexpr double kNear = 0.4, kHand = 0.17, kRoom = 0.75;
// What is faced, and its contents, stay within these shares of the picture; below is what is held.
constexpr double kSide = 0.94, kTop = 0.94, kBottom = -0.5;
constexpr double kFill = 0.88;  // perspective makes near parts larger than the middle that is reckoned with

double radians(double degrees) { return degrees * M_PI / 180; }

struct Cell {
  double x, y, half_width, half_height;  // on a picture at distance 1
};

class Ego {
 public:
  Ego(const RoomPlan& plan, const RoomState& state, bool has_decals, int width, int height, const Vec3f* flat, EgoScene& ego)
      : plan_(plan), room_(plan.room()), state_(state), has_decals_(has_decals), width_(width), height_(height), ego_(ego),
        stage_(ego.scene, flat), meshes_(ObjectMeshes::of(flat != nullptr)) {
    half_y_ = std::tan(radians(kFov / 2)), half_x_ = half_y_ * width / height;
  }

  void build() {
    ego_.scene.vertices.clear(), ego_.scene.polygons.clear(), ego_.scene.items.clear(), ego_.plates.clear();
    light();
    sort_contents();
    find_faced();
    choose_camera();
    ego_.camera = {.eye = {0, eye_y_, 0}, .forward = {0, -std::sin(pitch_), -std::cos(pitch_)}, .fov_y = kFov, .near = 0.04, .far = 60};
    hold();
    for (size_t i = 0; i < ego_.faced.size(); ++i) face(i);
    walls();
    rest();
  }

 private:
  // -- what there is ----------------------------------------------------------------------------------------------------------------

  void light() {
    bool is_lit = false;
    for (uint8_t bits : state_.object_state) is_lit |= (bits & kOn) != 0;
    Scene& scene = ego_.scene;
    scene.light = {-0.35f, 0.78f, 0.52f};
    if (stage_.is_flat()) {
      scene.sky = {0.5f, 0.5f, 0.5f}, scene.ambient = {1, 1, 1}, scene.diffuse = {0, 0, 0};
    } else if (is_lit) {
      scene.sky = plan_.style().wall, scene.ambient = {0.86f, 0.8f, 0.6f}, scene.diffuse = {0.52f, 0.48f, 0.34f};
    } else {
      scene.sky = plan_.style().wall, scene.ambient = {0.64f, 0.64f, 0.66f}, scene.diffuse = {0.42f, 0.41f, 0.39f};
    }
  }

  // Objects by receptacle, each in the room's order. Some are in several.
  void sort_contents() {
    ego_.contents.clear(), ego_.first_content.clear();
    for (size_t i = 0; i < room_.receptacles.size(); ++i) {
      ego_.first_content.push_back(static_cast<uint32_t>(ego_.contents.size()));
      state_.contents.each(i, [&](size_t object) { ego_.contents.push_back(static_cast<uint16_t>(object)); });
    }
    ego_.first_content.push_back(static_cast<uint32_t>(ego_.contents.size()));
  }
  std::span<const uint16_t> contents_of(size_t receptacle) const {
    return {ego_.contents.data() + ego_.first_content[receptacle], ego_.first_content[receptacle + 1] - ego_.first_content[receptacle]};
  }

  void find_faced() {
    ego_.faced.clear();
    for (size_t i = 0; i < room_.receptacles.size(); ++i)
      if (plan_.is_faced(i, state_)) ego_.faced.push_back(static_cast<uint16_t>(i));
    if (state_.location < room_.locations.size() && room_.locations[state_.location].is_known) pose_ = room_.locations[state_.location];
    yaw_ = quarters_between(0, pose_.yaw) * 90;
    std::ranges::sort(ego_.faced, [&](uint16_t a, uint16_t b) {
      double x = place(a).right, y = place(b).right;
      double up = room_.receptacles[a].position[1], other = room_.receptacles[b].position[1];
      if (std::abs(x - y) > 0.15) return x < y;
      if (up != other) return up > other;
      return a < b;
    });
  }

  struct Place {
    double right, ahead;  // of the agent
  };
  // Of a point in the room, before the eye is moved.
  Place place_of(double x, double z) const {
    double dx = x - pose_.x, dz = z - pose_.z;
    switch (yaw_) {
      case 0: return {dx, dz};
      case 90: return {-dz, dx};
      case 180: return {-dx, -dz};
      default: return {dz, -dx};
    }
  }
  Place place(size_t receptacle) const {
    const auto& position = room_.receptacles[receptacle].position;
    return place_of(position[0], position[2]);
  }
  // Not farther off than somebody would reach: the middle of a long counter can be.
  Place near_place(size_t receptacle) const {
    if (!plan_.piece(receptacle).is_known) return {0, 0.9};
    Place at = place(receptacle);
    return {std::clamp(at.right, -0.6, 0.6), std::clamp(at.ahead, 0.5, 1.5)};
  }

  // -- the eye ----------------------------------------------------------------------------------------------------------------------

  struct Range {
    double low, high;
  };
  // From how far above its level (in degrees) a receptacle is looked at.
  static Range elevations(Laying laying) {
    if (laying == Laying::kTop) return {36, 46};
    return {-12, 16};
  }

  void choose_camera() {
    size_t count = ego_.faced.size();
    if (count == 0) {
      look_around();
      return;
    }
    if (count > 1) {
      bool has_top = false;
      double right = 0, ahead = 0;
      for (uint16_t i : ego_.faced) {
        has_top |= region(i, plan_.piece(i).look->size).laying == Laying::kTop;
        right += near_place(i).right / static_cast<double>(count), ahead += near_place(i).ahead / static_cast<double>(count);
      }
      pitch_ = radians(has_top ? 42 : 8), eye_y_ = kEye;
      shift_ = {right, ahead - 1.3};
      near_limit_ = 1.0;
      return;
    }
    uint16_t only = ego_.faced[0];
    const auto& piece = plan_.piece(only);
    Focus focus = focus_of(*piece.look, piece.look->size, false);
    Range range = elevations(region(only, piece.look->size).laying);
    double middle = piece.base + (focus.y0 + focus.y1) / 2, distance = 1;
    Cell cell = cell_of(0);
    pitch_ = radians((range.low + range.high) / 2);
    for (int round = 0; round < 3; ++round) {
      distance = 1 / fit(focus, cell);
      double rise = std::clamp((kEye - middle) / distance, -1.0, 1.0);
      pitch_ = std::clamp(std::asin(rise) + std::atan(cell.y), radians(range.low), radians(range.high));
    }
    Vec3d way = direction(cell.x, cell.y);
    double z = (focus.z0 + focus.z1) / 2;
    eye_y_ = middle - distance * way[1];
    Place at = near_place(only);
    shift_ = {at.right - distance * way[0], at.ahead - z + distance * way[2]};
    near_limit_ = std::max(kRoom, -distance * way[2] - 0.4);
  }

  // In the middle of the room: from the wall behind the agent, and to the side that shows most where its own shows less than half of that.
  void look_around() {
    size_t counts[4], best = 0;
    double backs[4];
    for (size_t turn = 0; turn < 4; ++turn) {
      yaw_ = (quarters_between(0, pose_.yaw) + static_cast<int>(turn)) % 4 * 90;
      Place a = place_of(plan_.min_x(), plan_.min_z()), b = place_of(plan_.max_x(), plan_.max_z());
      backs[turn] = std::max(0.0, -std::min(a.ahead, b.ahead) - 0.15), counts[turn] = 0;
      for (size_t i = 0; i < room_.receptacles.size(); ++i) {
        if (!plan_.piece(i).is_known) continue;
        Place at = place(i);
        double ahead = at.ahead + backs[turn];
        counts[turn] += ahead > 0.8 && std::abs(at.right) < half_x_ * ahead;
      }
      if (counts[turn] > counts[best]) best = turn;
    }
    size_t turn = counts[0] * 2 >= counts[best] ? 0 : best;
    yaw_ = (quarters_between(0, pose_.yaw) + static_cast<int>(turn)) % 4 * 90;
    shift_ = {0, -backs[turn]};
    pitch_ = radians(20), eye_y_ = kEye + 0.1, near_limit_ = 0.6;
  }

  Region region(size_t receptacle, const Size& size) const {
    return region_of(*plan_.piece(receptacle).look, size, state_.is_open[receptacle]);
  }
  // From the eye through (x, y) of a picture at distance 1.
  Vec3d direction(double x, double y) const {
    double c = std::cos(pitch_), s = std::sin(pitch_);
    return {x, -s + y * c, -c - y * s};
  }
  double elevation(double y) const { return pitch_ - std::atan(y); }

  // Up to three in a row; wider and higher where there is much to see.
  Cell cell_of(size_t i) const {
    size_t count = ego_.faced.size();
    size_t rows = count <= 3 ? 1 : count <= 8 ? 2 : static_cast<size_t>(std::ceil(std::sqrt(count)));
    size_t columns = (count + rows - 1) / rows, row = i / columns, first = row * columns, last = std::min(count, first + columns);
    Share across = share(first, last, i, [&](size_t k) { return weight(k); });
    Share down = share(0, rows, row, [&](size_t r) {
      double most = 0;
      for (size_t k = r * columns; k < std::min(count, (r + 1) * columns); ++k) most = std::max(most, weight(k));
      return std::sqrt(most);
    });
    double high = (kTop - kBottom) * half_y_, wide = 2 * kSide * half_x_;
    // A row that is not full does not get wider.
    if (last - first < columns && rows > 1) wide *= static_cast<double>(last - first) / static_cast<double>(columns);
    return {(across.middle - 0.5) * wide, kTop * half_y_ - down.middle * high, across.size * wide / 2, down.size * high / 2};
  }
  double weight(size_t i) const {
    uint16_t receptacle = ego_.faced[i];
    size_t shown = plan_.shows_contents(receptacle, state_) ? contents_of(receptacle).size() : 0;
    return shown <= 5 ? 1 : shown <= 10 ? 1.75 : shown <= 15 ? 3 : 4;
  }
  struct Share {
    double middle, size;
  };
  // Of a whole of 1 that parts `first` to `last` take up by their weights, the part that `i` takes.
  static Share share(size_t first, size_t last, size_t i, auto&& weight_of) {
    double before = 0, total = 0;
    for (size_t k = first; k < last; ++k) {
      if (k < i) before += weight_of(k);
      total += weight_of(k);
    }
    return {(before + weight_of(i) / 2) / total, weight_of(i) / total};
  }
  // How large a metre at distance 1 is drawn so that the focus fills the cell.
  double fit(const Focus& focus, const Cell& cell) const {
    constexpr double kLargest = 1 / 0.7;
    double a = std::abs(elevation(cell.y));
    double high = (focus.y1 - focus.y0) * std::cos(a) + (focus.z1 - focus.z0) * std::sin(a);
    return std::min({2 * cell.half_width * kFill / focus.width, 2 * cell.half_height * kFill / high, kLargest});
  }

  // -- what is near -----------------------------------------------------------------------------------------------------------------

  // Narrow cells get narrower and deeper or higher models: contents stay large.
  Size size_in(const ReceptacleLook& look, const Cell& cell, Laying laying) const {
    Size size = look.size;
    double shape = cell.half_width / cell.half_height;
    if (shape > 0.75 || look.body == Body::kDish || look.body == Body::kBurner) return size;
    if (laying == Laying::kTop) {
      size.width *= 0.66;
      if (look.body != Body::kDrawer) size.depth *= 1.2;
    } else {
      size.width *= 0.7, size.height *= look.body == Body::kFridge ? 1 : 1.25;
    }
    return size;
  }

  void face(size_t i) {
    uint16_t receptacle = ego_.faced[i];
    const ReceptacleLook& look = *plan_.piece(receptacle).look;
    bool is_open = state_.is_open[receptacle] != 0;
    Cell cell = cell_of(i);
    Size size = size_in(look, cell, region(receptacle, look.size).laying);
    Region region = region_of(look, size, is_open);
    Focus focus = focus_of(look, size, is_open);
    double scale = kNear * fit(focus, cell);
    Vec3d way = direction(cell.x, cell.y);
    double y = (focus.y0 + focus.y1) / 2, z = (focus.z0 + focus.z1) / 2;
    Frame frame{{way[0] * kNear, eye_y_ + way[1] * kNear - y * scale, way[2] * kNear - z * scale}, scale, 0};
    auto contents = plan_.shows_contents(receptacle, state_) ? contents_of(receptacle) : std::span<const uint16_t>();
    Slots slots(region, static_cast<int>(contents.size()), elevation(cell.y), least_levels(look));
    stage_.begin(receptacle);
    draw_receptacle(stage_, frame, look, size, is_open, slots.levels(), meshes_);
    if (has_decals_)
      plate(frame, focus.plate, ego_.faced.size() > 1 ? LabelArt::kSmallReceptacle : LabelArt::kReceptacle, room_.receptacles[receptacle].number, receptacle, 1e9);
    for (size_t k = 0; k < contents.size(); ++k) {
      Vec3d at = slots.at(static_cast<int>(k));
      put(frame, contents[k], at, slots.size());
      if (has_decals_) {
        Vec3d tag{at[0] + slots.size() * 0.42, at[1] + slots.size() * 0.12, at[2] + slots.size() * 0.3};
        plate(frame, tag, LabelArt::kObject, room_.objects[contents[k]].number, room_.receptacles.size() + contents[k], pixels(frame, slots.size()));
      }
    }
  }

  static int least_levels(const ReceptacleLook& look) { return look.body == Body::kFridge ? 3 : look.body == Body::kCabinet ? 2 : 1; }

  void hold() {
    if (state_.held >= room_.objects.size()) return;
    double least = std::min(half_x_, half_y_), size = 0.5 * least * kHand;
    Vec3d way = direction(half_x_ - 0.42 * least, -half_y_ + 0.2 * least);
    Frame frame{{way[0] * kHand, eye_y_ + way[1] * kHand, way[2] * kHand}, size, 0};
    stage_.begin(Stage::kNothing);
    if (!stage_.is_flat()) stage_.mesh(frame, meshes_.mark(ObjectMeshes::kHand), {0, -0.14, 0.1}, 0.62);
    put(frame, state_.held, {0, 0, 0}, 1.0);
    if (has_decals_) plate(frame, {-0.42, 0.1, 0.3}, LabelArt::kObject, room_.objects[state_.held].number, room_.receptacles.size() + state_.held, 1e9);
  }

  // An object, its state shown by colour and mark.
  void put(const Frame& frame, size_t object, Vec3d at, double room) {
    size_t look = plan_.look_of(object);
    uint8_t bits = state_.object_state[object];
    double size = room * object_looks()[look].size;
    const Mesh& mesh = bits & kSliced ? meshes_.sliced(look) : bits & kOn ? meshes_.lit(look) : meshes_.whole(look);
    Vec3f tint = bits & kHot ? Vec3f{1.15f, 0.72f, 0.55f} : bits & kCool ? Vec3f{0.62f, 0.82f, 1.15f} : bits & kOn ? Vec3f{1.3f, 1.25f, 1.1f} : Vec3f{1, 1, 1};
    stage_.begin(room_.receptacles.size() + object);
    stage_.mesh(frame, mesh, at, size, tint);
    double mark = 0.4 * room;
    if (bits & (kHot | kCool))
      stage_.mesh(frame, meshes_.mark(bits & kHot ? ObjectMeshes::kHotMark : ObjectMeshes::kColdMark), {at[0] - 0.34 * room, at[1] + 0.6 * room, at[2] + 0.25 * room}, mark);
    if (bits & kClean)
      stage_.mesh(frame, meshes_.mark(ObjectMeshes::kCleanMark), {at[0] + 0.34 * room, at[1] + 0.58 * room, at[2] + 0.3 * room}, mark);
  }

  void plate(const Frame& frame, Vec3d at, LabelArt::Kind kind, int number, size_t thing, double most) {
    Vec3d p = frame.at(at[0], at[1], at[2]);
    double c = std::cos(pitch_), s = std::sin(pitch_), y = p[1] - eye_y_;
    double depth = -s * y - c * p[2], up = c * y - s * p[2];
    ego_.plates.push_back({kind, number, thing, (1 + p[0] / depth / half_x_) * width_ / 2, (1 - up / depth / half_y_) * height_ / 2, most});
  }
  // About how many a length at a near frame's origin takes.
  double pixels(const Frame& frame, double length) const { return length * frame.scale / kNear / half_y_ * height_ / 2; }

  // -- the room ---------------------------------------------------------------------------------------------------------------------

  Vec3d in_view(double x, double y, double z) const {
    Place at = place_of(x, z);
    return {at.right - shift_.right, y, shift_.ahead - at.ahead};
  }

  void walls() {
    Vec3d a = in_view(plan_.min_x(), 0, plan_.min_z()), b = in_view(plan_.max_x(), 0, plan_.max_z());
    // Also where the eye was moved out of the room.
    auto x0 = static_cast<float>(std::min({a[0], b[0], -0.4})), x1 = static_cast<float>(std::max({a[0], b[0], 0.4}));
    auto z0 = static_cast<float>(std::min({a[2], b[2], -0.6})), z1 = static_cast<float>(std::max({a[2], b[2], 0.4}));
    const RoomStyle& style = plan_.style();
    stage_.begin(Stage::kNothing);
    // Tiles lie in the room, whichever way it is looked at.
    auto u = static_cast<float>(shift_.right), v = static_cast<float>(-shift_.ahead);
    auto corner = [&](float x, float z) { return SceneVertex{x, 0, z, x + u, v - z}; };
    stage_.polygon(style.tiles, {0, 1, 0}, {1, 1, 1}, {corner(x0, z1), corner(x1, z1), corner(x1, z0), corner(x0, z0)});
    auto wall = [&](float from_x, float from_z, float to_x, float to_z, Vec3f normal) {
      auto strip = [&](float y0, float y1, const Vec3f& colour) {
        stage_.polygon(nullptr, normal, colour, {{from_x, y0, from_z, 0, 0}, {to_x, y0, to_z, 0, 0}, {to_x, y1, to_z, 0, 0}, {from_x, y1, from_z, 0, 0}});
      };
      strip(0, 0.1f, style.skirting);
      strip(0.1f, static_cast<float>(kWall), style.wall);
    };
    wall(x0, z0, x1, z0, {0, 0, 1});
    wall(x1, z0, x1, z1, {-1, 0, 0});
    wall(x0, z1, x0, z0, {1, 0, 0});
    auto high = static_cast<float>(kWall);
    stage_.polygon(nullptr, {0, -1, 0}, {1, 1, 1}, {{x0, high, z0, 0, 0}, {x1, high, z0, 0, 0}, {x1, high, z1, 0, 0}, {x0, high, z1, 0, 0}});
  }

  // A ball lies beside the picture, or nearer than the room may begin.
  bool is_out(const Vec3d& middle, double radius) const {
    double c = std::cos(pitch_), s = std::sin(pitch_), y = middle[1] - eye_y_;
    double depth = -s * y - c * middle[2], up = c * y - s * middle[2];
    if (depth - radius < 0.3 || -middle[2] < near_limit_ || -middle[2] - radius < (ego_.faced.empty() ? 0.3 : kRoom)) return true;
    return std::abs(middle[0]) - half_x_ * depth > radius * std::sqrt(1 + half_x_ * half_x_) ||
           std::abs(up) - half_y_ * depth > radius * std::sqrt(1 + half_y_ * half_y_);
  }

  void rest() {
    ego_.far.clear();
    for (size_t i = 0; i < room_.receptacles.size(); ++i) {
      const auto& piece = plan_.piece(i);
      if (plan_.is_faced(i, state_) || !piece.is_known) continue;
      const auto& position = room_.receptacles[i].position;
      Vec3d middle = in_view(position[0], piece.base + piece.size.height / 2, position[2]);
      double radius = std::hypot(piece.size.width, piece.size.height, piece.size.depth) / 2;
      if (!is_out(middle, radius)) ego_.far.push_back({-middle[2], static_cast<uint16_t>(i)});
    }
    std::ranges::sort(ego_.far, [](const auto& a, const auto& b) { return a.depth != b.depth ? a.depth < b.depth : a.receptacle < b.receptacle; });
    for (const auto& far : ego_.far) far_piece(far.receptacle);
    loose_objects();
  }

  void far_piece(size_t receptacle) {
    const auto& piece = plan_.piece(receptacle);
    const auto& position = room_.receptacles[receptacle].position;
    bool is_open = state_.is_open[receptacle] != 0;
    Frame frame{in_view(position[0], piece.base, position[2]), 1, (4 - quarters_between(yaw_, piece.yaw)) % 4};
    auto contents = plan_.shows_contents(receptacle, state_) ? contents_of(receptacle) : std::span<const uint16_t>();
    Region region = region_of(*piece.look, piece.size, is_open);
    Slots slots(region, static_cast<int>(contents.size()), radians(30), least_levels(*piece.look));
    stage_.begin(receptacle);
    draw_receptacle(stage_, frame, *piece.look, piece.size, is_open, slots.levels(), meshes_);
    if (has_decals_) far_plate(frame, focus_of(*piece.look, piece.size, is_open).plate, piece.size, receptacle);
    double size = std::min(slots.size(), 0.2);
    for (size_t k = 0; k < contents.size(); ++k) put(frame, contents[k], slots.at(static_cast<int>(k)), size);
  }

  void far_plate(const Frame& frame, Vec3d at, const Size& size, size_t receptacle) {
    double half = std::min({0.08, size.height * 0.3, size.width * 0.3}), z = at[2] + 0.015;
    auto corner = [&](double x, double y, float u, float v) {
      Vec3d p = frame.at(at[0] + x * half, at[1] + y * half, z);
      return SceneVertex{static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]), u, v};
    };
    Vec3f normal{static_cast<float>(frame.sine()), 0, static_cast<float>(frame.cosine())};
    stage_.polygon(plan_.number_of(receptacle), normal, {1.1f, 1.1f, 1.1f}, {corner(-1, -1, 0.02f, 0.02f), corner(1, -1, 0.98f, 0.02f), corner(1, 1, 0.98f, 0.98f), corner(-1, 1, 0.02f, 0.98f)});
  }

  // What is in no receptacle stands where its id says.
  void loose_objects() {
    for (size_t object = 0; object < room_.objects.size(); ++object) {
      const auto& position = room_.objects[object].position;
      if (state_.receptacle_of[object] != kNone || object == state_.held || (position[0] == 0 && position[2] == 0)) continue;
      double size = object_looks()[plan_.look_of(object)].shape == "floor lamp" ? 1.5 : 0.4;
      double y = size > 1 ? 0 : std::max(0.0, position[1] - size / 2);
      if (is_out(in_view(position[0], y + size / 2, position[2]), size)) continue;
      put({in_view(position[0], y, position[2]), 1, 0}, object, {0, 0, 0}, size);
    }
  }

  const RoomPlan& plan_;
  const Room& room_;
  const RoomState& state_;
  bool has_decals_;
  int width_, height_;
  EgoScene& ego_;
  Stage stage_;
  const ObjectMeshes& meshes_;
  Pose pose_{};
  int yaw_ = 0;
  double pitch_ = 0, eye_y_ = kEye, half_x_ = 0, half_y_ = 0, near_limit_ = 0;
  Place shift_{0, 0};  // from the agent to the eye
};

}  // namespace

void build_ego(const RoomPlan& plan, const RoomState& state, bool has_decals, int width, int height, const Vec3f* flat, EgoScene& ego) {
  Ego(plan, state, has_decals, width, height, flat, ego).build();
}

}  // namespace vldac::alfworld

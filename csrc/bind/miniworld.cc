// One MiniWorld environment without a pool, seen from inside: for tests and for people who study its worlds.
#include "bind/bind.h"
#include "envs/miniworld/miniworld.h"

namespace vldac::bind {
namespace {

using namespace miniworld;

py::array_t<double> array_of(std::initializer_list<py::ssize_t> shape, const std::vector<double>& values) {
  py::array_t<double> result{std::vector<py::ssize_t>(shape)};
  std::copy(values.begin(), values.end(), result.mutable_data());
  return result;
}

void append(std::vector<double>& out, Vec3 v) { out.insert(out.end(), {v.x, v.y, v.z}); }
py::tuple tuple_of(Vec3 v) { return py::make_tuple(v.x, v.y, v.z); }
py::tuple tuple_of(const std::array<double, 3>& v) { return py::make_tuple(v[0], v[1], v[2]); }

py::dict dict_of(const Room& room) {
  std::vector<double> outline;
  py::list portals;
  for (size_t i = 0; i < room.num_walls(); ++i) {
    append(outline, room.corner(i));
    py::list of_wall;
    for (const Portal& portal : room.portals(i)) of_wall.append(py::make_tuple(portal.start, portal.end, portal.min_y, portal.max_y));
    portals.append(of_wall);
  }
  py::dict named;
  named["outline"] = array_of({static_cast<py::ssize_t>(room.num_walls()), 3}, outline);
  named["portals"] = portals;
  named["wall_height"] = room.style.wall_height;
  named["has_ceiling"] = room.style.has_ceiling;
  named["wall"] = py::make_tuple(facts_of(room.style.wall).name, int{room.wall_variant});
  named["floor"] = py::make_tuple(facts_of(room.style.floor).name, int{room.floor_variant});
  named["ceiling"] = py::make_tuple(facts_of(room.style.ceiling).name, int{room.ceiling_variant});
  return named;
}

py::dict dict_of(const Entity& entity) {
  constexpr const char* kKinds[] = {"box", "mesh", "image_frame", "text_frame", "agent"};
  py::dict named;
  named["kind"] = kKinds[static_cast<size_t>(entity.kind)];
  named["is_static"] = entity.is_static;
  named["position"] = tuple_of(entity.position);
  named["heading"] = entity.heading;
  named["radius"] = entity.radius.value;
  named["height"] = entity.height;
  if (entity.kind == EntityKind::kBox) {
    named["size"] = tuple_of(entity.size);
    named["colour"] = tuple_of(entity.rgb);
  } else if (entity.kind == EntityKind::kMesh) {
    named["mesh"] = facts_of(entity.mesh).name;
    named["scale"] = static_cast<double>(entity.scale);
  } else if (entity.kind == EntityKind::kTextFrame) {
    named["text"] = entity.text;
  }
  return named;
}

class WorldProbe {
 public:
  WorldProbe(const std::string& env_id, const Options& options) {
    const EnvEntry& entry = find_env(env_id);
    auto env = entry.make(with_defaults(entry.spec, options));
    auto* world = dynamic_cast<MiniWorld*>(env.get());
    if (!world) throw std::invalid_argument("WorldProbe: expected the id of a MiniWorld environment, got " + env_id);
    env.release();
    env_.reset(world);
  }
  // Without a seed the stream goes on.
  void reset(std::optional<uint64_t> seed) {
    if (seed) stream_ = Pcg64(SeedSequence({*seed}));
    Context context(stream_, kBudget);
    env_->reset(context);
  }
  py::tuple step(int64_t action) {
    require_world();
    Context context(stream_, kBudget);
    StepResult result = env_->step(action, context);
    return py::make_tuple(result.reward, result.terminated, result.truncated);
  }
  // [in the world, 5]: number, x, y, z, heading; in the package's order.
  py::array_t<double> poses() const {
    std::vector<double> rows;
    for (int number : world().order()) {
      const Entity& entity = world().entity(number);
      rows.push_back(number);
      append(rows, entity.position);
      rows.push_back(entity.heading);
    }
    return array_of({static_cast<py::ssize_t>(world().order().size()), 5}, rows);
  }
  py::dict snapshot() const {
    require_world();
    py::list rooms, entities;
    for (const Room& room : world().rooms()) rooms.append(dict_of(room));
    for (int number : world().order()) entities.append(dict_of(world().entity(number)));
    std::vector<double> segments, walls;
    for (const Segment& segment : world().segments()) {
      append(segments, segment.a);
      append(segments, segment.b);
    }
    for (const WallPiece& wall : world().walls()) {
      append(walls, wall.from + kYAxis * wall.min_y);
      append(walls, wall.to + kYAxis * wall.max_y);
      append(walls, wall.normal);
    }
    py::dict named, sky, camera;
    sky["sky_color"] = tuple_of(world().sky().colour);
    sky["light_pos"] = tuple_of(world().sky().light_position);
    sky["light_color"] = tuple_of(world().sky().light_colour);
    sky["light_ambient"] = tuple_of(world().sky().ambient);
    camera["cam_height"] = world().body.cam_height;
    camera["cam_fwd_disp"] = world().body.cam_fwd_disp;
    camera["cam_pitch"] = world().body.cam_pitch;
    camera["cam_fov_y"] = world().body.cam_fov_y;
    camera["position"] = tuple_of(world().camera_position());
    camera["direction"] = tuple_of(world().camera_direction());
    named["rooms"] = rooms;
    named["segments"] = array_of({static_cast<py::ssize_t>(world().segments().size()), 2, 3}, segments);
    named["walls"] = array_of({static_cast<py::ssize_t>(world().walls().size()), 3, 3}, walls);
    named["entities"] = entities;
    named["sky"] = sky;
    named["camera"] = camera;
    named["max_forward_step"] = world().max_forward_step();
    return named;
  }
  std::optional<int> carrying() const {
    return world().carrying() == World::kNone ? std::nullopt : std::optional<int>(world().carrying());
  }
  bool success() const { return env_->success(); }

 private:
  static constexpr double kBudget = 10.0;  // seconds
  const World& world() const { return env_->world(); }
  void require_world() const {
    if (!world().is_made()) throw std::invalid_argument("WorldProbe: reset it first");
  }
  std::unique_ptr<MiniWorld> env_;
  Pcg64 stream_{SeedSequence({0})};
};

}  // namespace

void bind_miniworld(py::module_& module) {
  py::class_<WorldProbe>(module, "WorldProbe")
      .def(py::init<const std::string&, const Options&>(), py::arg("env_id"), py::arg("options"))
      .def("reset", &WorldProbe::reset, py::arg("seed"))
      .def("step", &WorldProbe::step, py::arg("action"))
      .def("poses", &WorldProbe::poses)
      .def("snapshot", &WorldProbe::snapshot)
      .def_property_readonly("carrying", &WorldProbe::carrying)
      .def_property_readonly("success", &WorldProbe::success);
}

}  // namespace vldac::bind

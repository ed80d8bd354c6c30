// Pictures of ALFWorld rooms: for tests and for people.
#include <algorithm>
#include <optional>

#include "bind/bind.h"
#include "envs/alfworld/picture/object_looks.h"
#include "envs/alfworld/picture/receptacle_looks.h"
#include "envs/alfworld/picture/room_painter.h"

namespace vldac::bind {
namespace {

using namespace vldac::alfworld;

// Numbers of things come as int or None.
uint16_t index_of(const py::handle& value, size_t count, const char* what) {
  if (value.is_none()) return kNone;
  auto index = value.cast<int64_t>();
  if (index < 0 || index >= static_cast<int64_t>(count)) throw std::invalid_argument(std::string(what) + ": expected None or 0 to " + std::to_string(count) + " - 1, got " + std::to_string(index));
  return static_cast<uint16_t>(index);
}

int number_of(const std::string& name) {
  size_t blank = name.rfind(' ');
  int number = 0;
  for (size_t i = blank == std::string::npos ? name.size() : blank + 1; i < name.size(); ++i) {
    if (name[i] < '0' || name[i] > '9' || number > 9999) throw std::invalid_argument("a name: expected \"type number\", got \"" + name + "\"");
    number = number * 10 + name[i] - '0';
  }
  return number;
}

// From what AlfworldGame.room() returns.
std::shared_ptr<const Room> room_of(const py::dict& given) {
  auto room = std::make_shared<Room>();
  auto dict_in = [](const py::handle& item) { return py::reinterpret_borrow<py::dict>(item); };
  for (const auto& item : given["locations"]) {
    Pose pose;
    if (py::object at = dict_in(item)["pose"]; !at.is_none()) {
      std::tie(pose.x, pose.z, pose.yaw, pose.pitch) = at.cast<std::tuple<float, float, int, int>>();
      pose.is_known = true;
    }
    room->locations.push_back(pose);
  }
  auto fill = [&](auto& thing, const py::dict& one) {
    thing.type = one["type"].cast<std::string>(), thing.name = one["name"].cast<std::string>(), thing.number = number_of(thing.name);
    thing.position = one["position"].cast<std::array<float, 3>>();
  };
  for (const auto& item : given["receptacles"]) {
    Receptacle receptacle;
    fill(receptacle, dict_in(item));
    receptacle.location = index_of(dict_in(item)["location"], room->locations.size(), "a receptacle's location");
    auto flags = dict_in(item)["flags"].cast<std::vector<std::string>>();
    receptacle.is_openable = std::find(flags.begin(), flags.end(), "openable") != flags.end();
    room->receptacles.push_back(std::move(receptacle));
  }
  for (const auto& item : given["objects"]) {
    Object object;
    fill(object, dict_in(item));
    room->objects.push_back(std::move(object));
  }
  room->start = index_of(given["start"], room->locations.size(), "the start");
  return room;
}

class Painter {
 public:
  explicit Painter(const py::dict& room) : painter_(room_of(room)) {}

  py::array_t<uint8_t> draw(const RoomState& state, const std::string& mode, int width, int height, bool decals) const {
    auto known = mode_of(mode);
    if (!known) throw std::invalid_argument("mode: expected \"ego\", \"schematic\" or \"panel\", got \"" + mode + "\"");
    py::array_t<uint8_t> picture({std::max(height, 1), std::max(width, 1), 3});
    uint8_t* pixels = picture.mutable_data();
    py::gil_scoped_release release;
    painter_.draw(state, *known, pixels, width, height, decals);
    return picture;
  }
  py::array_t<int32_t> ids(const RoomState& state, int width, int height, bool decals) const {
    py::array_t<int32_t> numbers({std::max(height, 1), std::max(width, 1)});
    int32_t* out = numbers.mutable_data();
    py::gil_scoped_release release;
    painter_.things(state, out, width, height, decals);
    return numbers;
  }
  // From what AlfworldPlayer.state() returns.
  RoomState state_of(const py::dict& given) const {
    constexpr std::pair<std::string_view, uint8_t> kBits[] = {{"clean", kClean}, {"hot", kHot}, {"cool", kCool}, {"on", kOn}, {"toggled", kToggled}, {"sliced", kSliced}};
    const Room& room = painter_.room();
    size_t receptacles = room.receptacles.size(), objects = room.objects.size();
    RoomState state;
    state.location = index_of(given["location"], room.locations.size(), "the location");
    state.held = index_of(given["held"], objects, "what is held");
    state.receptacle_of.assign(objects, kNone);
    state.contents.resize(receptacles, objects);
    auto contents = given["contents"].cast<std::vector<std::vector<size_t>>>();
    if (contents.size() != receptacles) throw std::invalid_argument("contents: expected a list for each of " + std::to_string(receptacles) + " receptacles, got " + std::to_string(contents.size()));
    for (size_t r = 0; r < receptacles; ++r)
      for (size_t object : contents[r]) {
        if (object >= objects) throw std::invalid_argument("contents: expected objects 0 to " + std::to_string(objects) + " - 1, got " + std::to_string(object));
        state.contents.set(r, object);
        state.receptacle_of[object] = static_cast<uint16_t>(r);
      }
    for (const auto& names : given["object_state"].cast<std::vector<std::vector<std::string>>>()) {
      uint8_t bits = 0;
      for (const auto& name : names) {
        const auto* found = std::find_if(std::begin(kBits), std::end(kBits), [&](const auto& one) { return one.first == name; });
        if (found == std::end(kBits)) throw std::invalid_argument("object_state: expected clean, hot, cool, on, toggled or sliced, got \"" + name + "\"");
        bits |= found->second;
      }
      state.object_state.push_back(bits);
    }
    for (bool is_open : given["is_open"].cast<std::vector<bool>>()) state.is_open.push_back(is_open);
    return state;
  }

 private:
  RoomPainter painter_;
};

}  // namespace

void bind_alfworld_picture(py::module_& module) {
  py::class_<RoomState>(module, "AlfworldRoomState");
  auto painter = py::class_<Painter>(module, "AlfworldPainter").def(py::init<const py::dict&>(), py::arg("room")).def("state", &Painter::state_of, py::arg("state"));
  auto size_and_decals = [](auto&& define) { define(py::arg("width"), py::arg("height"), py::arg("decals") = true); };
  size_and_decals([&](auto... rest) {
    painter.def("draw", &Painter::draw, py::arg("state"), py::arg("mode"), rest...).def("ids", &Painter::ids, py::arg("state"), rest...);
    module.def(
        "alfworld_picture",
        [](const py::dict& room, const py::dict& state, const std::string& mode, int width, int height, bool decals) {
          Painter own(room);
          return own.draw(own.state_of(state), mode, width, height, decals);
        },
        py::arg("room"), py::arg("state"), py::arg("mode"), rest...);
    module.def(
        "alfworld_picture_ids",
        [](const py::dict& room, const py::dict& state, int width, int height, bool decals) {
          Painter own(room);
          return own.ids(own.state_of(state), width, height, decals);
        },
        py::arg("room"), py::arg("state"), rest...);
  });
  module.def("alfworld_object_looks", [] {
    py::list rows;
    for (const auto& look : object_looks()) rows.append(py::make_tuple(look.type, look.shape, look.first, look.second, look.size));
    return rows;
  });
  module.def("alfworld_receptacle_looks", [] {
    py::list rows;
    for (const auto& look : receptacle_looks()) rows.append(py::make_tuple(look.type, std::array<double, 3>{look.size.width, look.size.height, look.size.depth}, look.main, look.trim));
    return rows;
  });
}

}  // namespace vldac::bind

// ALFWorld games outside a pool: for tests, the generator and people who study them.
#include <fstream>

#include "bind/bind.h"
#include "envs/alfworld/expert.h"
#include "envs/alfworld/player.h"

namespace vldac::bind {
namespace {

using namespace alfworld;

py::object number_or_none(uint16_t index) { return index == kNone ? py::object(py::none()) : py::object(py::int_(index)); }
py::str str_of(std::string_view text) {
  PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<py::ssize_t>(text.size()), "replace");
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

py::list rows_of(const BitTable& table, size_t rows) {
  py::list result;
  for (size_t r = 0; r < rows; ++r) {
    py::list row;
    table.each(r, [&](size_t c) { row.append(c); });
    result.append(row);
  }
  return result;
}

py::dict dict_of(const Room& room) {
  py::list locations, receptacles, objects;
  for (const Pose& pose : room.locations) {
    py::dict one;
    one["name"] = pose.name;
    one["pose"] = pose.is_known ? py::object(py::make_tuple(pose.x, pose.z, pose.yaw, pose.pitch)) : py::object(py::none());
    locations.append(one);
  }
  for (const Receptacle& receptacle : room.receptacles) {
    py::dict one;
    one["type"] = receptacle.type;
    one["name"] = receptacle.name;
    one["position"] = py::make_tuple(receptacle.position[0], receptacle.position[1], receptacle.position[2]);
    one["location"] = number_or_none(receptacle.location);
    py::list flags;
    if (receptacle.is_openable) flags.append("openable");
    if (receptacle.is_sink) flags.append("sink");
    if (receptacle.is_microwave) flags.append("microwave");
    if (receptacle.is_fridge) flags.append("fridge");
    one["flags"] = flags;
    receptacles.append(one);
  }
  for (const Object& object : room.objects) {
    py::dict one;
    one["type"] = object.type;
    one["name"] = object.name;
    one["position"] = py::make_tuple(object.position[0], object.position[1], object.position[2]);
    one["contents"] = object.contents;
    py::list flags;
    for (auto [is, name] : {std::pair{object.is_pickupable, "pickupable"}, {object.is_cleanable, "cleanable"}, {object.is_heatable, "heatable"},
                            {object.is_coolable, "coolable"}, {object.is_toggleable, "toggleable"}, {object.is_sliceable, "sliceable"},
                            {object.is_receptacle, "receptacle"}, {object.is_knife, "knife"}})
      if (is) flags.append(name);
    one["flags"] = flags;
    objects.append(one);
  }
  py::dict named;
  named["locations"] = locations;
  named["receptacles"] = receptacles;
  named["objects"] = objects;
  named["start"] = number_or_none(room.start);
  named["fits"] = rows_of(room.fits, room.receptacles.size());
  return named;
}

py::dict dict_of(const RoomState& state, const Room& room) {
  constexpr std::pair<uint8_t, const char*> kBits[] = {{kClean, "clean"}, {kHot, "hot"}, {kCool, "cool"}, {kOn, "on"}, {kToggled, "toggled"}, {kSliced, "sliced"}};
  py::list receptacle_of, object_state;
  for (uint16_t r : state.receptacle_of) receptacle_of.append(number_or_none(r));
  for (uint8_t bits : state.object_state) {
    py::list names;
    for (auto [bit, name] : kBits)
      if (bits & bit) names.append(name);
    object_state.append(names);
  }
  py::list is_open;
  for (uint8_t open : state.is_open) is_open.append(open != 0);
  py::dict named;
  named["location"] = number_or_none(state.location);
  named["held"] = number_or_none(state.held);
  named["receptacle_of"] = receptacle_of;
  named["object_state"] = object_state;
  named["is_open"] = is_open;
  named["contents"] = rows_of(state.contents, room.receptacles.size());
  named["taken"] = rows_of(state.taken, room.receptacles.size());
  named["at"] = rows_of(state.at, room.locations.size());
  return named;
}

py::dict dict_of(const Task& task) {
  py::dict named;
  named["kind"] = name_of(task.kind);
  named["number"] = static_cast<int>(task.kind);
  named["is_sliced"] = task.is_sliced;
  named["object"] = task.object;
  named["receptacle"] = task.receptacle;
  named["lamp"] = task.lamp;
  named["targets"] = task.targets;
  named["places"] = task.places;
  named["lamps"] = task.lamps;
  return named;
}

Layer layer_of(const std::string& name) {
  if (name == "auto") return Layer::kAuto;
  if (name == "fast") return Layer::kFast;
  if (name == "generic") return Layer::kGeneric;
  throw std::invalid_argument("layer must be 'auto', 'fast' or 'generic', got '" + name + "'");
}

}  // namespace

void bind_alfworld(py::module_& module) {
  // pybind11 holds what is shared without const; every method here is.
  py::class_<Game, std::shared_ptr<Game>>(module, "AlfworldGame")
      .def_static("load", [](const std::string& path) { return std::const_pointer_cast<Game>(Game::load(path)); }, py::arg("path"),
                  py::call_guard<py::gil_scoped_release>())
      .def_static("parse", [](const py::bytes& data, const std::string& name) {
        std::string bytes = data;
        py::gil_scoped_release release;
        return std::const_pointer_cast<Game>(Game::parse(bytes, name));
      }, py::arg("data"), py::arg("name"))
      .def_property_readonly("name", &Game::name)
      .def_property_readonly("content_hash", &Game::content_hash)
      .def_property_readonly("task_text", [](const Game& game) { return str_of(game.task_text()); })
      .def_property_readonly("solvable", &Game::solvable)
      .def_property_readonly("walkthrough", &Game::walkthrough)
      .def_property_readonly("is_fast", [](const Game& game) { return game.house() != nullptr; })
      .def_property_readonly("why_not_fast", &Game::why_not_fast)
      .def("task", [](const Game& game) { return dict_of(game.task()); })
      .def("room", [](const Game& game) { return dict_of(game.room()); })
      .def("start", [](const Game& game) { return dict_of(game.start(), game.room()); });

  py::class_<Player>(module, "AlfworldPlayer")
      .def(py::init([](const std::shared_ptr<Game>& game, const std::string& layer) { return play(game, layer_of(layer)); }), py::arg("game"),
           py::arg("layer") = "auto")
      .def("reset", [](Player& player) {
        player.reset();
        return str_of(player.text());
      })
      .def("step", [](Player& player, std::string_view command) {
        player.step(command);
        return str_of(player.text());
      }, py::arg("command"))
      .def_property_readonly("text", [](const Player& player) { return str_of(player.text()); })
      .def("commands", [](const Player& player) {
        py::list result;
        for (const Symbol* symbol : player.commands()) result.append(str_of(symbol->text));
        return result;
      })
      .def_property_readonly("score", &Player::score)
      .def_property_readonly("won", &Player::won)
      .def_property_readonly("done", &Player::done)
      .def_property_readonly("is_fast", &Player::is_fast)
      .def("expert", [](const Player& player) -> py::object {
        const Symbol* command = next_command(player);
        return command ? py::object(str_of(command->text)) : py::object(py::none());
      })
      .def("plan_length", [](const Player& player) { return plan_length(player); })
      .def("conditions", [](const Player& player) {
        Conditions conditions = player.conditions();
        return py::make_tuple(conditions.met, conditions.all);
      })
      .def("state", [](const Player& player) { return dict_of(player.state(), player.room()); })
      .def("room", [](const Player& player) { return dict_of(player.room()); })
      .def("save", [](const Player& player) {
        Bytes out;
        player.save(out);
        return py::bytes(out.data);
      })
      .def("load", [](Player& player, const py::bytes& state) {
        Bytes in;
        in.data = state;
        player.load(in);
        if (in.cursor != in.data.size()) throw std::invalid_argument("environment state is longer than it should be");
      }, py::arg("state"));
}

}  // namespace vldac::bind

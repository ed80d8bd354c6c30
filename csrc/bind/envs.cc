// Environments: the pool, its batches as NumPy views, and what environments there are.
#include <algorithm>

#include "bind/bind.h"
#include "bind/dlpack.h"
#include "bind/utf8.h"
#include "core/forms.h"
#include "core/pool.h"

namespace vldac::bind {
namespace {

template <class T, int Flags>
std::span<const T> view_of(const py::array_t<T, Flags>& array) {
  return {array.data(), static_cast<size_t>(array.size())};
}

py::dict dict_of(const Facts& facts) {
  py::dict named;
  for (size_t k = 0; k < facts.size(); ++k) {
    auto [name, value, is_number] = facts.at(k);
    py::str words(value.data(), value.size());
    named[py::str(name.data(), name.size())] = is_number ? py::object(py::int_(words)) : py::object(words);
  }
  return named;
}

// One Python string per process and symbol, made when it is first asked for and kept as long as the symbol: for ever.
py::list list_of(std::span<const Symbol* const> symbols) {
  py::list result(symbols.size());
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (!symbols[i]->face) symbols[i]->face = py::str(symbols[i]->text).release().ptr();
    PyList_SET_ITEM(result.ptr(), static_cast<py::ssize_t>(i), py::handle(static_cast<PyObject*>(symbols[i]->face)).inc_ref().ptr());
  }
  return result;
}

// What an observation looks like from Python.
struct ObsLayout {
  py::dtype dtype;  // uint16 where bfloat16: NumPy has none
  std::vector<py::ssize_t> shape;
  bool is_bfloat16 = false;
};

// One received batch. Its arrays are views that keep it, and so its memory, until the last of them is gone.
class PyBatch {
 public:
  PyBatch(BatchLease lease, std::shared_ptr<const ObsLayout> layout)
      : lease_(std::make_shared<BatchLease>(std::move(lease))), layout_(std::move(layout)) {}
  size_t rows() const { return (*lease_)->rows; }
  size_t num_ended() const { return (*lease_)->num_ended; }
  template <class T>
  static py::array column(const py::object& self, T* data) {
    return py::array(py::dtype::of<T>(), {static_cast<py::ssize_t>(self.cast<PyBatch&>().rows())}, {}, data, self);
  }
  static py::array flags(const py::object& self, const uint8_t* data) {
    return py::array(py::dtype::of<bool>(), {static_cast<py::ssize_t>(self.cast<PyBatch&>().rows())}, {}, data, self);
  }
  static py::object obs(const py::object& self) {
    auto& batch = self.cast<PyBatch&>();
    auto shape = batch.layout_->shape;
    shape.insert(shape.begin(), static_cast<py::ssize_t>(batch.rows()));
    return view(self, shape, (*batch.lease_)->obs);
  }
  static py::object final_obs(const py::object& self, size_t row) {
    auto& batch = self.cast<PyBatch&>();
    if (row >= batch.rows() || !batch->ended[row] || !batch->final_obs[row]) return py::none();
    return view(self, batch.layout_->shape, batch->final_obs[row].get());
  }
  // Of text environments, all rows.
  py::list texts() const {
    py::list result((*lease_)->text.size());
    for (size_t row = 0; row < (*lease_)->text.size(); ++row) result[row] = py::str((*lease_)->text[row]);
    return result;
  }
  py::list commands() const {
    py::list result((*lease_)->commands.size());
    for (size_t row = 0; row < (*lease_)->commands.size(); ++row) result[row] = list_of((*lease_)->commands[row]);
    return result;
  }
  py::object text(const std::vector<std::string>& column, size_t row, bool is_none_if_empty) const {
    if (row >= column.size() || !(*lease_)->ended[row] || (is_none_if_empty && column[row].empty())) return py::none();
    return py::str(column[row]);
  }
  py::object facts(size_t row) const {
    if (row >= rows() || !(*lease_)->ended[row]) return py::none();
    return dict_of((*lease_)->facts[row]);
  }
  Batch* operator->() const { return lease_->get(); }

 private:
  static py::object view(const py::object& self, const std::vector<py::ssize_t>& shape, uint8_t* memory) {
    auto& batch = self.cast<PyBatch&>();
    if (!batch.layout_->is_bfloat16) return py::array(batch.layout_->dtype, shape, {}, memory, self);
    std::shared_ptr<void> shared(batch.lease_, memory);
    return py::cast(SharedArray{std::move(shared), {shape.begin(), shape.end()}, dlpack::kBfloat16});
  }
  std::shared_ptr<BatchLease> lease_;
  std::shared_ptr<const ObsLayout> layout_;
};

class PyPool {
 public:
  PyPool(const std::string& env_id, const Options& options, int num_envs, int num_threads, int batch_size, int width, int height,
         const std::string& autoreset, bool is_stream, bool is_ready_order, int64_t max_episode_steps, double step_timeout,
         size_t max_ring_bytes, bool may_caller_step, const std::string& prompt, std::shared_ptr<PatchEmitter> patches,
         double failure_reward)
      : pool_({env_id, options, num_envs, num_threads, batch_size, width, height,
               autoreset == "NextStep"   ? Autoreset::kNextStep
               : autoreset == "Disabled" ? Autoreset::kDisabled
                                         : Autoreset::kSameStep,
               is_stream, is_ready_order, max_episode_steps, step_timeout, max_ring_bytes, may_caller_step, prompt, patches,
               failure_reward}) {
    const EnvSpec& spec = find_env(env_id).spec;
    const ObsSpec obs = spec.observed(with_defaults(spec, options));
    auto size = [](auto value) { return static_cast<py::ssize_t>(value); };
    if (patches) {
      auto format = patches->spec().format;
      *layout_ = {format == PatchFormat::kFloat32 ? py::dtype::of<float>()
                 : format == PatchFormat::kUint8 ? py::dtype::of<uint8_t>()
                                                 : py::dtype::of<uint16_t>(),
                 {size(patches->rows()), size(patches->columns())},
                 format == PatchFormat::kBfloat16};
    } else if (obs.kind == ObsKind::kImage) {
      *layout_ = {py::dtype::of<uint8_t>(), {height, width, 3}};
    } else {
      *layout_ = {obs.kind == ObsKind::kInt32 ? py::dtype::of<int32_t>() : py::dtype::of<float>(), {size(obs.size)}};
    }
    pool_.on_wait([] {
      py::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals()) throw py::error_already_set();
    });
  }

  py::object reset(const Array<uint64_t>& seeds, const Array<uint8_t>& mask) {
    return call([&] { return pool_.reset(view_of(seeds), view_of(mask)); });
  }
  py::object step(const SafeArray<int64_t>& actions) {
    return call([&] { return pool_.step(view_of(actions)); });
  }
  py::object step_commands(const py::sequence& commands) {
    Utf8Batch texts(commands, "step");
    return call([&] { return pool_.step(std::span<const std::string_view>(texts.views())); });
  }
  void send_commands(const py::sequence& commands, const SafeArray<int64_t>& env_ids) {
    Utf8Batch texts(commands, "send");
    py::gil_scoped_release release;
    pool_.send(std::span<const std::string_view>(texts.views()), view_of(env_ids));
  }
  // Random admissible commands in all environments, `rounds` times, without Python in between; the number of episodes that ended. For
  // benchmarks and soak tests.
  int64_t play_commands(int64_t rounds, uint64_t seed) {
    py::gil_scoped_release release;
    Pcg64 stream(SeedSequence({seed}));
    std::vector<std::string_view> chosen(pool_.num_envs());
    std::vector<std::string> filled(pool_.num_envs());
    BatchLease batch = pool_.observe();
    int64_t ended = 0;
    for (int64_t round = 0; round < rounds; ++round) {
      for (size_t i = 0; i < chosen.size(); ++i) {
        const auto& known = batch->commands.at(i);
        chosen[i] = known.empty() ? std::string_view() : std::string_view(known[stream.next64() % known.size()]->text);
        if (!form_of(chosen[i])) continue;
        int64_t id = batch->env_id[i];
        pool_.visit({&id, 1}, [&](size_t, const Env& env) { fill_form(chosen[i], env.words(), stream.next64(), filled.at(i)); });
        chosen[i] = filled[i];
      }
      batch = pool_.step(std::span<const std::string_view>(chosen));
      ended += batch->num_ended;
    }
    return ended;
  }
  // Admissible now, per environment.
  py::list commands(const SafeArray<int64_t>& env_ids) {
    py::list result;
    pool_.visit(view_of(env_ids), [&](size_t, const Env& env) { result.append(list_of(env.commands())); });
    return result;
  }
  // Where those who play at random find words for commands that take any, per environment.
  py::list words(const SafeArray<int64_t>& env_ids) {
    py::list result;
    pool_.visit(view_of(env_ids), [&](size_t, const Env& env) { result.append(py::str(env.words().data(), env.words().size())); });
    return result;
  }
  // Where commands point to on pictures of that size: [R, 4] int64 (x, y, width, height) pixels; -1 where one points nowhere.
  py::array_t<int64_t> locate(const SafeArray<int64_t>& env_ids, const py::sequence& commands, int width, int height) {
    Utf8Batch texts(commands, "locate");
    if (static_cast<py::ssize_t>(texts.views().size()) != env_ids.size()) throw std::invalid_argument("locate: expected one command per environment");
    auto result = py::array_t<int64_t>(std::vector<py::ssize_t>{env_ids.size(), 4});
    int64_t* values = result.mutable_data();
    std::fill(values, values + result.size(), -1);
    visit(env_ids, width, height, [&](size_t row, const Env& env) {
      PixelRect box;
      if (!env.locate(texts.views()[row], width, height, box)) return;
      values[4 * row] = box.x, values[4 * row + 1] = box.y, values[4 * row + 2] = box.width, values[4 * row + 3] = box.height;
    });
    return result;
  }
  py::list oracle_commands() {
    py::list result;
    pool_.visit([&](size_t, const Env& env) {
      const Symbol* command = env.oracle_command();
      result.append(command ? py::object(list_of({&command, 1})[0]) : py::none());
    });
    return result;
  }
  void send(const SafeArray<int64_t>& actions, const SafeArray<int64_t>& env_ids) {
    py::gil_scoped_release release;
    pool_.send(view_of(actions), view_of(env_ids));
  }
  py::object recv(double seconds) {
    return call([&] { return pool_.recv(seconds); });
  }
  py::object observe() {
    return call([&] { return pool_.observe(); });
  }

  py::tuple prompts(const SafeArray<int64_t>& env_ids) {
    std::string text;
    std::vector<int64_t> offsets;
    pool_.prompts(view_of(env_ids), text, offsets);
    return py::make_tuple(py::array_t<uint8_t>(text.size(), reinterpret_cast<const uint8_t*>(text.data())),
                          py::array_t<int64_t>(offsets.size(), offsets.data()));
  }

  py::list facts() {
    py::list result;
    pool_.visit([&](size_t, const Env& env) {
      Facts facts;
      env.facts(facts);
      result.append(dict_of(facts));
    });
    return result;
  }

  py::array_t<int64_t> oracle_actions() {
    py::array_t<int64_t> result(pool_.num_envs());
    int64_t* actions = result.mutable_data();
    pool_.visit([&](size_t i, const Env& env) { actions[i] = env.oracle_action(); });
    return result;
  }

  // Drawn anew at any size, for people: what the agent sees, or the map with the place of its pixels.
  py::array_t<uint8_t> pictures(const SafeArray<int64_t>& env_ids, int width, int height) {
    auto result = py::array_t<uint8_t>(std::vector<py::ssize_t>{env_ids.size(), height, width, 3});
    uint8_t* pixels = result.mutable_data();
    size_t bytes = static_cast<size_t>(width) * static_cast<size_t>(height) * 3;
    visit(env_ids, width, height, [&](size_t row, const Env& env) { env.render(pixels + row * bytes, width, height); });
    return result;
  }
  py::tuple maps(const SafeArray<int64_t>& env_ids, int width, int height) {
    auto result = py::array_t<uint8_t>(std::vector<py::ssize_t>{env_ids.size(), height, width, 3});
    auto frames = py::array_t<double>(std::vector<py::ssize_t>{env_ids.size(), 4});
    uint8_t* pixels = result.mutable_data();
    double* values = frames.mutable_data();
    size_t bytes = static_cast<size_t>(width) * static_cast<size_t>(height) * 3;
    visit(env_ids, width, height, [&](size_t row, const Env& env) {
      env.render_map(pixels + row * bytes, width, height);
      auto frame = env.map_frame(width, height);
      double four[] = {frame.min_x, frame.min_z, frame.scale_x, frame.scale_z};
      std::copy(std::begin(four), std::end(four), values + row * 4);
    });
    return py::make_tuple(result, frames);
  }
  py::array_t<float> depths(const SafeArray<int64_t>& env_ids, int width, int height) {
    auto result = py::array_t<float>(std::vector<py::ssize_t>{env_ids.size(), height, width, 1});
    float* metres = result.mutable_data();
    size_t count = static_cast<size_t>(width) * static_cast<size_t>(height);
    visit(env_ids, width, height, [&](size_t row, const Env& env) { env.render_depth(metres + row * count, width, height); });
    return result;
  }
  py::array_t<double> poses(const SafeArray<int64_t>& env_ids) {
    auto result = py::array_t<double>(std::vector<py::ssize_t>{env_ids.size(), 3});
    double* values = result.mutable_data();
    pool_.visit(view_of(env_ids), [&](size_t row, const Env& env) {
      auto pose = env.pose();
      std::copy(pose.begin(), pose.end(), values + row * 3);
    });
    return result;
  }
  bool has_map() {
    bool has = true;
    pool_.visit([&](size_t, const Env& env) { has = has && env.has_map(); });
    return has;
  }

  py::bytes save() { return py::bytes(pool_.save()); }
  void load(const std::string& state) {
    py::gil_scoped_release release;
    pool_.load(state);
  }
  void close() {
    py::gil_scoped_release release;
    pool_.close();
  }
  py::dict gauge() const {
    auto gauge = pool_.gauge();
    py::dict result;
    result["batches"] = gauge.batches;
    result["held"] = gauge.leased;
    result["bytes"] = gauge.bytes;
    result["max_bytes"] = gauge.max_bytes;
    return result;
  }
  py::array_t<int64_t> frame_ids() { return array_of(pool_.frame_ids()); }
  py::array_t<int64_t> episode_ids() { return array_of(pool_.episode_ids()); }
  int64_t fault_count() { return pool_.fault_count(); }

 private:
  static py::array_t<int64_t> array_of(const std::vector<int64_t>& values) { return py::array_t<int64_t>(values.size(), values.data()); }
  template <class Look>
  void visit(const SafeArray<int64_t>& env_ids, int width, int height, Look&& look) {
    if (width < 1 || height < 1 || width > (1 << 14) || height > (1 << 14)) throw std::invalid_argument("a picture's sides: expected 1 to 16384 pixels");
    auto ids = view_of(env_ids);
    py::gil_scoped_release release;
    pool_.visit(ids, look);
  }
  template <class Call>
  py::object call(Call&& make) {
    BatchLease lease;
    {
      py::gil_scoped_release release;
      lease = make();
    }
    return py::cast(std::make_unique<PyBatch>(std::move(lease), layout_));
  }
  Pool pool_;
  std::shared_ptr<ObsLayout> layout_ = std::make_shared<ObsLayout>();  // batches outlive the pool
};

}  // namespace

void bind_envs(py::module_& module) {
  py::register_exception<PoolMisuse>(module, "PoolMisuse", PyExc_RuntimeError);
  py::register_exception<PoolTimeout>(module, "PoolTimeout", PyExc_TimeoutError);
  py::register_exception<EnvHang>(module, "EnvHang", PyExc_RuntimeError);
  py::register_exception<EnvBroken>(module, "EnvBroken", PyExc_RuntimeError);
  py::register_exception<RingFull>(module, "RingFull", PyExc_RuntimeError);

  py::class_<PyBatch> batch(module, "Batch");
  batch.def_property_readonly("rows", &PyBatch::rows)
      .def_property_readonly("num_ended", &PyBatch::num_ended)
      .def_property_readonly("obs", &PyBatch::obs)
      .def("final_obs", &PyBatch::final_obs, py::arg("row"))
      .def("prompt", [](const PyBatch& self, size_t row) { return self.text(self->prompt, row, false); }, py::arg("row"))
      .def("texts", &PyBatch::texts)
      .def("commands", &PyBatch::commands)
      .def("final_text", [](const PyBatch& self, size_t row) { return self.text(self->final_text, row, false); }, py::arg("row"))
      .def("fault", [](const PyBatch& self, size_t row) { return self.text(self->fault, row, true); }, py::arg("row"));
  batch.def("facts", &PyBatch::facts, py::arg("row"));
  auto column = [&batch](const char* name, auto member) {
    batch.def_property_readonly(name, [member](const py::object& self) {
      return PyBatch::column(self, self.cast<PyBatch&>().operator->()->*member);
    });
  };
  auto flags = [&batch](const char* name, uint8_t* Batch::*member) {
    batch.def_property_readonly(name, [member](const py::object& self) {
      return PyBatch::flags(self, self.cast<PyBatch&>().operator->()->*member);
    });
  };
  column("reward", &Batch::reward);
  column("env_id", &Batch::env_id);
  column("episode_id", &Batch::episode_id);
  column("elapsed_step", &Batch::elapsed_step);
  column("frame_id", &Batch::frame_id);
  column("episode_return", &Batch::episode_return);
  column("length", &Batch::length);
  column("final_episode_id", &Batch::final_episode_id);
  column("final_frame_id", &Batch::final_frame_id);
  flags("terminated", &Batch::terminated);
  flags("truncated", &Batch::truncated);
  flags("ended", &Batch::ended);
  flags("success", &Batch::success);

  py::class_<PyPool>(module, "Pool")
      .def(py::init<const std::string&, const Options&, int, int, int, int, int, const std::string&, bool, bool, int64_t, double, size_t, bool,
                    const std::string&, std::shared_ptr<PatchEmitter>, double>(),
           py::arg("env_id"), py::arg("options"), py::arg("num_envs"), py::arg("num_threads"), py::arg("batch_size"), py::arg("width"),
           py::arg("height"), py::arg("autoreset"), py::arg("is_stream"), py::arg("is_ready_order"), py::arg("max_episode_steps"),
           py::arg("step_timeout"), py::arg("max_ring_bytes"), py::arg("may_caller_step"), py::arg("prompt"), py::arg("patches"),
           py::arg("failure_reward"))
      .def("reset", &PyPool::reset, py::arg("seeds"), py::arg("mask"))
      .def("step", &PyPool::step, py::arg("actions"))
      .def("send", &PyPool::send, py::arg("actions"), py::arg("env_ids"))
      .def("step_commands", &PyPool::step_commands, py::arg("commands"))
      .def("send_commands", &PyPool::send_commands, py::arg("commands"), py::arg("env_ids"))
      .def("commands", &PyPool::commands, py::arg("env_ids"))
      .def("words", &PyPool::words, py::arg("env_ids"))
      .def("locate", &PyPool::locate, py::arg("env_ids"), py::arg("commands"), py::arg("width"), py::arg("height"))
      .def("play_commands", &PyPool::play_commands, py::arg("rounds"), py::arg("seed"))
      .def("oracle_commands", &PyPool::oracle_commands)
      .def("recv", &PyPool::recv, py::arg("seconds"))
      .def("observe", &PyPool::observe)
      .def("prompts", &PyPool::prompts, py::arg("env_ids"))
      .def("facts", &PyPool::facts)
      .def("oracle_actions", &PyPool::oracle_actions)
      .def("pictures", &PyPool::pictures, py::arg("env_ids"), py::arg("width"), py::arg("height"))
      .def("maps", &PyPool::maps, py::arg("env_ids"), py::arg("width"), py::arg("height"))
      .def("depths", &PyPool::depths, py::arg("env_ids"), py::arg("width"), py::arg("height"))
      .def("poses", &PyPool::poses, py::arg("env_ids"))
      .def("has_map", &PyPool::has_map)
      .def("save", &PyPool::save)
      .def("load", &PyPool::load, py::arg("state"))
      .def("close", &PyPool::close)
      .def("frame_ids", &PyPool::frame_ids)
      .def("episode_ids", &PyPool::episode_ids)
      .def("fault_count", &PyPool::fault_count)
      .def_property_readonly("gauge", &PyPool::gauge);

  py::class_<Option>(module, "EnvOption")
      .def_readonly("name", &Option::name)
      .def_readonly("initial", &Option::initial)
      .def_readonly("help", &Option::help);
  py::class_<EnvSpec>(module, "EnvSpec")
      .def_readonly("id", &EnvSpec::id)
      .def_readonly("action_names", &EnvSpec::action_names)
      .def("actions", [](const EnvSpec& spec, const Options& given) { return spec.actions(with_defaults(spec, given)); }, py::arg("options"))
      .def_readonly("max_episode_steps", &EnvSpec::max_episode_steps)
      .def_readonly("task_episode_steps", &EnvSpec::task_episode_steps)
      .def_readonly("fields", &EnvSpec::fields)
      .def_readonly("options", &EnvSpec::options)
      .def_readonly("is_listed", &EnvSpec::is_listed)
      .def_readonly("limits_itself", &EnvSpec::limits_itself)
      .def_readonly("task_failure_reward", &EnvSpec::task_failure_reward)
      .def_readonly("assets", &EnvSpec::assets)
      .def_property_readonly("image_size",
                             [](const EnvSpec& spec) { return std::make_pair(spec.observation.width, spec.observation.height); })
      .def_property_readonly("shown_options", [](const EnvSpec& spec) { return spec.observation.shown_options; })
      .def_readonly("is_text", &EnvSpec::is_text)
      .def(
          "observation",
          [](const EnvSpec& spec, const Options& given) {
            constexpr const char* kNames[] = {"image", "int32", "float32", "none"};
            return kNames[static_cast<size_t>(spec.observed(with_defaults(spec, given)).kind)];
          },
          py::arg("options"))
      .def_property_readonly("observation_size", [](const EnvSpec& spec) { return spec.observation.size; })
      .def_property_readonly("cardinality", [](const EnvSpec& spec) { return spec.observation.cardinality; });
  module.def("env_specs", [] {
    std::vector<EnvSpec> specs;
    for (const auto& entry : registry()) specs.push_back(entry.spec);
    return specs;
  });
}

}  // namespace vldac::bind

// Environments: the pool, their ids and action names.
#include "bind/bind.h"
#include "core/pool.h"

namespace vldac::bind {
namespace {

class PyPool {
 public:
  PyPool(const std::string& id, int num_envs, int num_threads, int width, int height, bool is_stream, int64_t max_steps)
      : pool_(id, num_envs, num_threads, width, height, is_stream, max_steps), width_(width), height_(height) {}

  py::array_t<uint8_t> reset(const std::vector<uint64_t>& seeds, const std::vector<bool>& mask) {
    if (!seeds.empty() && static_cast<int>(seeds.size()) != pool_.size())
      throw std::invalid_argument("reset: expected one seed per environment");
    if (!mask.empty() && static_cast<int>(mask.size()) != pool_.size())
      throw std::invalid_argument("reset: expected one mask entry per environment");
    auto images = image_batch();
    {
      py::gil_scoped_release release;
      pool_.reset(seeds, mask, images.mutable_data());
    }
    return images;
  }

  py::tuple step(const Array<int64_t>& actions) {
    if (actions.ndim() != 1 || actions.shape(0) != pool_.size())
      throw std::invalid_argument("step: expected actions of shape [num_envs]");
    auto images = image_batch(), final_images = image_batch();
    const std::vector<Outcome>* outcomes;
    {
      const int64_t* chosen = actions.data();
      uint8_t *pixels = images.mutable_data(), *final_pixels = final_images.mutable_data();
      py::gil_scoped_release release;
      outcomes = &pool_.step(chosen, pixels, final_pixels);
    }
    auto count = static_cast<size_t>(pool_.size());
    py::array_t<double> reward(count), episode_return(count);
    py::array_t<bool> terminated(count), truncated(count), success(count);
    py::array_t<int64_t> length(count);
    py::list final_facts, faults;
    for (size_t i = 0; i < count; ++i) {
      const auto& outcome = (*outcomes)[i];
      reward.mutable_data()[i] = outcome.result.reward;
      terminated.mutable_data()[i] = outcome.result.terminated;
      truncated.mutable_data()[i] = outcome.result.truncated;
      success.mutable_data()[i] = outcome.success;
      episode_return.mutable_data()[i] = outcome.episode_return;
      length.mutable_data()[i] = outcome.length;
      final_facts.append(facts_of(outcome.final_facts));
      faults.append(outcome.fault);
    }
    return py::make_tuple(images, reward, terminated, truncated, final_images, success, episode_return, length, final_facts, faults);
  }

  py::array_t<uint8_t> render() {
    auto images = image_batch();
    uint8_t* pixels = images.mutable_data();
    py::gil_scoped_release release;
    pool_.render(pixels);
    return images;
  }

  py::list facts() const {
    py::list result;
    for (int i = 0; i < pool_.size(); ++i) {
      Facts facts;
      pool_.env(i).facts(facts);
      result.append(facts_of(facts));
    }
    return result;
  }

  py::array_t<int64_t> oracle_actions() const {
    py::array_t<int64_t> result(static_cast<size_t>(pool_.size()));
    for (int i = 0; i < pool_.size(); ++i) result.mutable_data()[i] = pool_.env(i).oracle_action();
    return result;
  }

  py::bytes save() const { return py::bytes(pool_.save()); }
  void load(const std::string& state) { pool_.load(state); }

 private:
  static py::dict facts_of(const Facts& facts) {
    py::dict result;
    for (size_t i = 0; i < facts.size(); ++i) {
      auto [name, value, is_number] = facts.at(i);
      py::str words(value.data(), value.size());
      result[py::str(name.data(), name.size())] = is_number ? py::object(py::int_(words)) : py::object(words);
    }
    return result;
  }
  py::array_t<uint8_t> image_batch() const {
    return py::array_t<uint8_t>({static_cast<size_t>(pool_.size()), static_cast<size_t>(height_), static_cast<size_t>(width_), size_t{3}});
  }
  Pool pool_;
  int width_, height_;
};

}  // namespace

void bind_envs(py::module_& module) {
  py::class_<PyPool>(module, "Pool")
      .def(py::init<const std::string&, int, int, int, int, bool, int64_t>(), py::arg("env_id"), py::arg("num_envs"),
           py::arg("num_threads"), py::arg("width"), py::arg("height"), py::arg("is_stream"), py::arg("max_episode_steps"))
      .def("reset", &PyPool::reset, py::arg("seeds"), py::arg("mask"))
      .def("step", &PyPool::step, py::arg("actions"))
      .def("render", &PyPool::render)
      .def("facts", &PyPool::facts)
      .def("oracle_actions", &PyPool::oracle_actions)
      .def("save", &PyPool::save)
      .def("load", &PyPool::load, py::arg("state"));
  py::class_<Option>(module, "EnvOption")
      .def_readonly("name", &Option::name)
      .def_readonly("initial", &Option::initial)
      .def_readonly("help", &Option::help);
  py::class_<EnvSpec>(module, "EnvSpec")
      .def_readonly("id", &EnvSpec::id)
      .def_readonly("action_names", &EnvSpec::action_names)
      .def_readonly("max_episode_steps", &EnvSpec::max_episode_steps)
      .def_readonly("task_episode_steps", &EnvSpec::task_episode_steps)
      .def_readonly("fields", &EnvSpec::fields)
      .def_readonly("options", &EnvSpec::options)
      .def_readonly("is_listed", &EnvSpec::is_listed);
  module.def("env_specs", [] {
    std::vector<EnvSpec> specs;
    for (const auto& entry : registry()) specs.push_back(entry.spec);
    return specs;
  });
}

}  // namespace vldac::bind

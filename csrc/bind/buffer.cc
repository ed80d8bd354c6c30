// The rollout buffer. Columns are NumPy views of its memory: writing through them is how a checkpoint is restored.
#include "bind/bind.h"
#include "core/rollout_buffer.h"

namespace vldac::bind {
namespace {

// A view of `data` that keeps `owner` alive.
template <class T, class Element = T>
py::array view(py::handle owner, std::vector<T>& data, std::vector<py::ssize_t> shape) {
  static_assert(sizeof(T) == sizeof(Element));
  return py::array(py::dtype::of<Element>(), std::move(shape), data.data(), owner);
}

class PyRolloutBuffer {
 public:
  PyRolloutBuffer(size_t num_envs, size_t steps, size_t height, size_t width, size_t num_images, size_t max_tokens)
      : PyRolloutBuffer(RolloutBuffer({num_envs, steps, num_images, max_tokens, height * width * 3}), height, width) {}
  PyRolloutBuffer(RolloutBuffer buffer, size_t height, size_t width)
      : buffer(std::move(buffer)), height(height), width(width) {}

  void begin(const Array<int64_t>& env_ids, const Array<uint8_t>& frames) {
    check_frames(env_ids, frames);
    for (py::ssize_t i = 0; i < env_ids.size(); ++i) buffer.begin(env(env_ids, i), frames.data() + i * frame_bytes());
  }

  // tokens and logprob: flat over the rows, offsets [R + 1].
  void respond(const Array<int64_t>& env_ids, const Array<int64_t>& tokens, const Array<float>& logprob,
               const Array<int64_t>& offsets, const Array<int64_t>& action, const Array<uint8_t>& status,
               const Array<bool>& is_valid, const Array<bool>& has_end, const Array<float>& entropy, const Array<double>& value) {
    auto rows = env_ids.size();
    if (offsets.size() != rows + 1 || action.size() != rows || status.size() != rows || is_valid.size() != rows ||
        has_end.size() != rows || entropy.size() != rows || value.size() != rows || tokens.size() != logprob.size())
      throw std::invalid_argument("RolloutBuffer.respond: expected one entry per environment and one log-prob per token");
    for (py::ssize_t i = 0; i < rows; ++i) {
      int64_t start = offsets.at(i), end = offsets.at(i + 1);
      if (start < 0 || end < start || end > tokens.size())
        throw std::invalid_argument("RolloutBuffer.respond: expected token offsets that do not decrease");
      buffer.respond(env(env_ids, i), {tokens.data() + start, logprob.data() + start, end - start, action.at(i), status.at(i),
                                       is_valid.at(i), has_end.at(i), entropy.at(i), value.at(i)});
    }
  }

  void observe(const Array<int64_t>& env_ids, const Array<double>& reward, const Array<bool>& terminated,
               const Array<bool>& truncated, const Array<double>& final_value, const Array<bool>& success,
               const Array<bool>& fault, const Array<uint8_t>& frames) {
    auto rows = env_ids.size();
    check_frames(env_ids, frames);
    if (reward.size() != rows || terminated.size() != rows || truncated.size() != rows || final_value.size() != rows ||
        success.size() != rows || fault.size() != rows)
      throw std::invalid_argument("RolloutBuffer.observe: expected one entry per environment");
    for (py::ssize_t i = 0; i < rows; ++i)
      buffer.observe(env(env_ids, i), {reward.at(i), final_value.at(i), terminated.at(i), truncated.at(i), success.at(i),
                                       fault.at(i), frames.data() + i * frame_bytes()});
  }

  PyRolloutBuffer next() const { return PyRolloutBuffer(buffer.next(), height, width); }

  RolloutBuffer buffer;
  size_t height, width;

 private:
  static size_t env(const Array<int64_t>& env_ids, py::ssize_t i) {
    int64_t value = env_ids.at(i);
    if (value < 0) throw std::invalid_argument("RolloutBuffer: expected environment numbers of at least 0");
    return static_cast<size_t>(value);
  }
  py::ssize_t frame_bytes() const { return static_cast<py::ssize_t>(buffer.shape().frame_bytes); }
  void check_frames(const Array<int64_t>& env_ids, const Array<uint8_t>& frames) const {
    if (frames.size() != env_ids.size() * frame_bytes())
      throw std::invalid_argument("RolloutBuffer: expected one frame of " + std::to_string(height) + " x " + std::to_string(width) +
                                  " x 3 bytes per environment");
  }
};

using Class = py::class_<PyRolloutBuffer>;

template <class T, class Element = T>
void column(Class& type, const char* name, std::vector<T> RolloutBuffer::* member) {
  type.def_property_readonly(name, [member](py::object self) {
    auto& buffer = self.cast<PyRolloutBuffer&>().buffer;
    return view<T, Element>(self, buffer.*member, {static_cast<py::ssize_t>(buffer.num_steps())});
  });
}

template <class T>
void token_column(Class& type, const char* name, std::vector<T> RolloutBuffer::* member) {
  type.def_property_readonly(name, [member](py::object self) {
    auto& buffer = self.cast<PyRolloutBuffer&>().buffer;
    auto width = static_cast<py::ssize_t>(buffer.shape().max_tokens);
    return view(self, buffer.*member, {static_cast<py::ssize_t>(buffer.num_steps()), width});
  });
}

template <class T>
void env_column(Class& type, const char* name, std::vector<T> RolloutBuffer::* member) {
  type.def_property_readonly(name, [member](py::object self) {
    auto& buffer = self.cast<PyRolloutBuffer&>().buffer;
    return view(self, buffer.*member, {static_cast<py::ssize_t>(buffer.shape().num_envs)});
  });
}

}  // namespace

void bind_buffer(py::module_& module) {
  Class type(module, "RolloutBuffer");
  type.def(py::init<size_t, size_t, size_t, size_t, size_t, size_t>(), py::arg("num_envs"), py::arg("steps"), py::arg("height"),
           py::arg("width"), py::arg("num_images"), py::arg("max_tokens"))
      .def("begin", &PyRolloutBuffer::begin, py::arg("env_ids"), py::arg("frames"))
      .def("respond", &PyRolloutBuffer::respond, py::arg("env_ids"), py::arg("tokens"), py::arg("logprob"), py::arg("offsets"),
           py::arg("action"), py::arg("status"), py::arg("is_valid"), py::arg("has_end"), py::arg("entropy"), py::arg("value"))
      .def("observe", &PyRolloutBuffer::observe, py::arg("env_ids"), py::arg("reward"), py::arg("terminated"),
           py::arg("truncated"), py::arg("final_value"), py::arg("success"), py::arg("fault"), py::arg("frames"))
      .def("next", &PyRolloutBuffer::next)
      .def_property_readonly("is_full", [](const PyRolloutBuffer& self) { return self.buffer.is_full(); })
      .def_property_readonly("num_envs", [](const PyRolloutBuffer& self) { return self.buffer.shape().num_envs; })
      .def_property_readonly("steps", [](const PyRolloutBuffer& self) { return self.buffer.shape().steps; })
      .def_property_readonly("num_images", [](const PyRolloutBuffer& self) { return self.buffer.shape().num_images; })
      .def_property_readonly("frames", [](py::object self) {
        auto& own = self.cast<PyRolloutBuffer&>();
        auto envs = static_cast<py::ssize_t>(own.buffer.shape().num_envs), slots = static_cast<py::ssize_t>(own.buffer.slots());
        return view(self, own.buffer.frames, {envs, slots, static_cast<py::ssize_t>(own.height), static_cast<py::ssize_t>(own.width), 3});
      });
  token_column(type, "tokens", &RolloutBuffer::tokens);
  token_column(type, "logprob", &RolloutBuffer::logprob);
  column(type, "num_tokens", &RolloutBuffer::num_tokens);
  column(type, "episode", &RolloutBuffer::episode);
  column(type, "index", &RolloutBuffer::index);
  column(type, "action", &RolloutBuffer::action);
  column(type, "shown", &RolloutBuffer::shown);
  column(type, "status", &RolloutBuffer::status);
  column<uint8_t, bool>(type, "is_valid", &RolloutBuffer::is_valid);
  column<uint8_t, bool>(type, "has_end", &RolloutBuffer::has_end);
  column<uint8_t, bool>(type, "terminated", &RolloutBuffer::terminated);
  column<uint8_t, bool>(type, "truncated", &RolloutBuffer::truncated);
  column<uint8_t, bool>(type, "success", &RolloutBuffer::success);
  column<uint8_t, bool>(type, "fault", &RolloutBuffer::fault);
  column(type, "entropy", &RolloutBuffer::entropy);
  column(type, "reward", &RolloutBuffer::reward);
  column(type, "value", &RolloutBuffer::value);
  column(type, "final_value", &RolloutBuffer::final_value);
  env_column(type, "filled", &RolloutBuffer::filled);
  env_column(type, "next_episode", &RolloutBuffer::next_episode);
  env_column(type, "next_index", &RolloutBuffer::next_index);
  env_column(type, "next_shown", &RolloutBuffer::next_shown);
}

}  // namespace vldac::bind

// Functions over arrays and text: packing, parsing, random streams.
#include "bind/bind.h"
#include "bind/utf8.h"
#include "core/action_parse.h"
#include "core/forms.h"
#include "core/pack.h"
#include "core/ranges.h"
#include "core/rng.h"

namespace vldac::bind {
namespace {

py::tuple parse_views(const std::vector<std::string_view>& texts, const ActionNames& names, ParseMode mode) {
  py::array_t<int64_t> actions(texts.size());
  py::array_t<uint8_t> statuses(texts.size());
  int64_t* action = actions.mutable_data();
  uint8_t* status = statuses.mutable_data();
  {
    py::gil_scoped_release release;
    parse_actions(texts.data(), texts.size(), names, mode, action, status);
  }
  return py::make_tuple(actions, statuses);
}

// Where parsed is negative a uniform action below num_actions, drawn from (seed, environment, counter) alone.
py::array_t<int64_t> resolve_actions(const SafeArray<int64_t>& parsed, int64_t num_actions, uint64_t seed, const SafeArray<int64_t>& env_ids,
                                     const SafeArray<int64_t>& counters) {
  constexpr uint64_t kFallback = 2;  // purpose of the stream, as in vldac/seeding.py
  auto rows = parsed.size();
  if (env_ids.size() != rows || counters.size() != rows || num_actions < 1)
    throw std::invalid_argument("resolve_actions: expected parsed, env_ids and counters of one length, and an action");
  py::array_t<int64_t> chosen(rows);
  for (py::ssize_t i = 0; i < rows; ++i) {
    auto env = static_cast<uint64_t>(env_ids.data()[i]), counter = static_cast<uint64_t>(counters.data()[i]);
    uint64_t drawn = counter_random(seed, kFallback, env, counter) % static_cast<uint64_t>(num_actions);
    chosen.mutable_data()[i] = parsed.data()[i] >= 0 ? parsed.data()[i] : static_cast<int64_t>(drawn);
  }
  return chosen;
}

py::tuple parse_strings(const py::sequence& texts, const ActionNames& names, const std::string& mode) {
  return parse_views(Utf8Batch(texts, "parse_actions").views(), names, parse_mode(mode));
}

// Responses in a text environment that share their names: as parse_actions, and what was said where the action is a form, else "".
py::tuple parse_commands(const py::sequence& texts, const ActionNames& names, const std::string& mode) {
  Utf8Batch batch(texts, "parse_commands");
  py::array_t<int64_t> actions(batch.views().size());
  py::array_t<uint8_t> statuses(batch.views().size());
  py::list said;
  for (size_t i = 0; i < batch.views().size(); ++i) {
    Listener listener(names);
    ParsedAction parsed = parse_action(batch.views()[i], listener, parse_mode(mode));
    actions.mutable_data()[i] = parsed.action;
    statuses.mutable_data()[i] = static_cast<uint8_t>(parsed.status);
    std::string_view words = parsed.action >= 0 ? listener.said() : std::string_view();
    said.append(py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(words.data(), static_cast<py::ssize_t>(words.size()), "replace")));
  }
  return py::make_tuple(actions, statuses, said);
}

std::string fill(const std::string& command, const std::string& text, uint64_t number) {
  std::string out;
  fill_form(command, text, number, out);
  return out;
}

py::tuple parse_buffer(const Array<uint8_t>& data, const Array<int64_t>& offsets, const ActionNames& names, const std::string& mode) {
  if (data.ndim() != 1 || offsets.ndim() != 1 || offsets.shape(0) < 1)
    throw std::invalid_argument("parse_buffer: expected data of shape [N] and offsets of shape [R + 1]");
  auto count = static_cast<size_t>(offsets.shape(0)) - 1;
  const char* bytes = reinterpret_cast<const char*>(data.data());
  const int64_t* offset = offsets.data();
  std::vector<std::string_view> views;
  views.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    int64_t from = offset[i], to = offset[i + 1];
    if (from < 0 || from > to || to > data.shape(0))
      throw std::invalid_argument("parse_buffer: expected offsets that do not decrease, within 0 and the data's length");
    views.emplace_back(bytes + from, static_cast<size_t>(to - from));
  }
  return parse_views(views, names, parse_mode(mode));
}

size_t parse_work(const std::string& text, const ActionNames& names, const std::string& mode) {
  return parse_action(text, names, parse_mode(mode)).work;
}

py::tuple plan(const Array<int64_t>& lengths, int64_t shared, int64_t max_rows, int64_t max_tokens) {
  MicrobatchPlan result = plan_microbatches(lengths.data(), static_cast<size_t>(lengths.size()), shared, max_rows, max_tokens);
  return py::make_tuple(py::array_t<int64_t>(result.order.size(), result.order.data()),
                        py::array_t<int64_t>(result.offsets.size(), result.offsets.data()));
}

}  // namespace

void bind_ops(py::module_& module) {
  module.def(
      "set_range_functions",
      [](uintptr_t push, uintptr_t pop) {
        range_functions.pop = reinterpret_cast<RangeFunctions::Pop>(pop);
        range_functions.push = reinterpret_cast<RangeFunctions::Push>(push);
      },
      py::arg("push"), py::arg("pop"));
  py::class_<Pcg64>(module, "Pcg64")
      .def(py::init([](const std::vector<uint64_t>& entropy) { return Pcg64(SeedSequence(entropy)); }), py::arg("entropy"))
      .def("uniform", [](Pcg64& self, double low, double high) { return self.uniform(low, high); }, py::arg("low") = 0.0,
           py::arg("high") = 1.0)
      .def("choice",
           [](Pcg64& self, std::vector<double> probabilities) {
             if (probabilities.empty()) throw std::invalid_argument("choice: expected at least one probability");
             cumulative_distribution(probabilities);
             return self.choice(probabilities);
           },
           py::arg("probabilities"))
      .def("integers", &Pcg64::integers, py::arg("low"), py::arg("high"));
  module.def("resolve_actions", &resolve_actions, py::arg("parsed"), py::arg("num_actions"), py::arg("seed"), py::arg("env_ids"),
             py::arg("counters"));
  module.def("counter_random", &counter_random, py::arg("seed"), py::arg("purpose"), py::arg("env"), py::arg("counter"));
  py::class_<ActionNames>(module, "ActionNames")
      .def(py::init<std::vector<std::string>, const Synonyms&, bool, bool>(), py::arg("names"), py::arg("synonyms"), py::arg("accepts_index"),
           py::arg("finds_inside"));
  module.def("parse_actions", &parse_strings, py::arg("texts"), py::arg("names"), py::arg("mode"));
  module.def("parse_commands", &parse_commands, py::arg("texts"), py::arg("names"), py::arg("mode"));
  module.def("fill_form", &fill, py::arg("command"), py::arg("text"), py::arg("number"));
  module.def("parse_buffer", &parse_buffer, py::arg("data"), py::arg("offsets"), py::arg("names"), py::arg("mode"));
  module.def("parse_work", &parse_work, py::arg("text"), py::arg("names"), py::arg("mode"));
  module.def("plan_microbatches", &plan, py::arg("lengths"), py::kw_only(), py::arg("shared"), py::arg("max_rows"),
             py::arg("max_tokens"));
}

}  // namespace vldac::bind

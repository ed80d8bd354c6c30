// Functions over arrays and text: advantages, packing, parsing, random streams.
#include "bind/bind.h"
#include "core/action_parse.h"
#include "core/gae.h"
#include "core/pack.h"
#include "core/rng.h"

namespace vldac::bind {
namespace {

py::tuple gae_arrays(const Array<double>& reward, const Array<double>& value, const Array<double>& final_value, const Array<bool>& terminated,
              const Array<bool>& truncated, const Array<int64_t>& offsets, const Array<double>& bootstrap, double gamma, double lam) {
  auto steps = reward.shape(0);
  auto segments = bootstrap.shape(0);
  if (value.shape(0) != steps || final_value.shape(0) != steps || terminated.shape(0) != steps || truncated.shape(0) != steps)
    throw std::invalid_argument("gae: expected reward, value, final_value, terminated and truncated of one length");
  if (offsets.shape(0) != segments + 1 || offsets.at(0) != 0 || offsets.at(segments) != steps)
    throw std::invalid_argument("gae: expected segment offsets from 0 to the number of steps, one more than bootstraps");
  for (py::ssize_t k = 0; k < segments; ++k)
    if (offsets.at(k) > offsets.at(k + 1)) throw std::invalid_argument("gae: expected segment offsets that do not decrease");
  py::array_t<double> advantage(steps), returns(steps);
  GaeInput input{reward.data(), value.data(), final_value.data(), terminated.data(), truncated.data(), offsets.data(),
                        bootstrap.data(), static_cast<size_t>(segments), gamma, lam};
  double *advantage_out = advantage.mutable_data(), *returns_out = returns.mutable_data();
  {
    py::gil_scoped_release release;
    gae(input, advantage_out, returns_out);
  }
  return py::make_tuple(advantage, returns);
}

py::tuple parse_actions(const std::vector<std::string>& texts, const std::vector<std::string>& names) {
  py::array_t<int64_t> actions(texts.size());
  py::array_t<uint8_t> statuses(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    auto parsed = parse_action(texts[i], names);
    actions.mutable_data()[i] = parsed.action;
    statuses.mutable_data()[i] = static_cast<uint8_t>(parsed.status);
  }
  return py::make_tuple(actions, statuses);
}

py::tuple plan(const Array<int64_t>& lengths, int64_t max_rows, int64_t max_tokens) {
  MicrobatchPlan result = plan_microbatches(lengths.data(), static_cast<size_t>(lengths.size()), max_rows, max_tokens);
  return py::make_tuple(py::array_t<int64_t>(result.order.size(), result.order.data()),
                        py::array_t<int64_t>(result.offsets.size(), result.offsets.data()));
}

}  // namespace

void bind_ops(py::module_& module) {
  py::class_<Pcg64>(module, "Pcg64")
      .def(py::init([](const std::vector<uint64_t>& entropy) { return Pcg64(SeedSequence(entropy)); }), py::arg("entropy"))
      .def("uniform", &Pcg64::uniform)
      .def("integers", &Pcg64::integers, py::arg("low"), py::arg("high"));
  module.def("counter_random", &counter_random, py::arg("seed"), py::arg("purpose"), py::arg("env"), py::arg("counter"));
  module.def("gae", &gae_arrays, py::arg("reward"), py::arg("value"), py::arg("final_value"), py::arg("terminated"),
             py::arg("truncated"), py::arg("segment_offsets"), py::arg("bootstrap"), py::arg("gamma"), py::arg("lam"));
  module.def("parse_actions", &parse_actions, py::arg("texts"), py::arg("names"));
  module.def("plan_microbatches", &plan, py::arg("lengths"), py::arg("max_rows"), py::arg("max_tokens"));
}

}  // namespace vldac::bind

// The kernels over vectors (losses, advantages, whitening). Arguments are contiguous and of exactly one dtype; kernels/cpp_vectors.py
// is their only caller. Nothing is converted: a wrong dtype is a TypeError.
#include <optional>

#include "bind/bind.h"
#include "ops/gae.h"
#include "ops/ppo_loss.h"
#include "ops/value_loss.h"
#include "ops/whiten.h"

namespace vldac::bind {
namespace {

template <class T>
using Exact = py::array_t<T, py::array::c_style>;

void require(bool holds, const char* message) {
  if (!holds) throw std::invalid_argument(message);
}

Isa kernel_isa() {
  static const Isa isa = chosen_isa();
  return isa;
}

template <class T>
const T* data_or_null(const std::optional<Exact<T>>& array) {
  return array ? array->data() : nullptr;
}

template <class T>
py::array_t<T> scalar(double value) {
  py::array_t<T> result{std::vector<py::ssize_t>{}};
  *result.mutable_data() = static_cast<T>(value);
  return result;
}

ops::KlEstimator kl_estimator(const std::string& name) {
  if (name == "k1") return ops::KlEstimator::kK1;
  if (name == "k2") return ops::KlEstimator::kK2;
  require(name == "k3", "ppo_clip_loss: expected the estimator k1, k2 or k3");
  return ops::KlEstimator::kK3;
}

template <class T, class Index>
py::tuple ppo_clip_loss(const Exact<T>& logprob, const Exact<T>& old_logprob, const Exact<T>& advantages, const Exact<Index>& step_index,
                        const Exact<T>& token_weight, const std::optional<Exact<T>>& ref_logprob, double clip_low, double clip_high,
                        double kl_coef, const std::string& estimator, double ratio_guard, double dual_clip, double log_ratio_cap) {
  py::ssize_t tokens = logprob.size(), steps = advantages.size();
  require(old_logprob.size() == tokens && step_index.size() == tokens && token_weight.size() == tokens &&
              (!ref_logprob || ref_logprob->size() == tokens),
          "ppo_clip_loss: expected one entry per token in each argument but the advantages");
  ops::PpoTokens<T, Index> in{logprob.data(),    old_logprob.data(), token_weight.data(),         data_or_null(ref_logprob),
                              advantages.data(), step_index.data(),  static_cast<size_t>(tokens), static_cast<size_t>(steps)};
  ops::PpoOptions options{clip_low, clip_high, kl_coef, ratio_guard, dual_clip, log_ratio_cap, kl_estimator(estimator)};
  Isa isa = kernel_isa();
  py::array_t<T> coefficient(tokens), stats(ops::kPpoStats);
  T* coefficient_out = coefficient.mutable_data();
  bool is_inside = true;
  ops::PpoResult result;
  {
    py::gil_scoped_release release;
    for (py::ssize_t i = 0; i < tokens; ++i) is_inside &= in.step_index[i] >= 0 && in.step_index[i] < steps;
    if (is_inside) result = ops::ppo_clip_loss(in, options, isa, coefficient_out);
  }
  if (!is_inside) throw py::index_error("ppo_clip_loss: expected step_index in [0, " + std::to_string(steps) + ")");
  std::copy(result.stats.begin(), result.stats.end(), stats.mutable_data());
  return py::make_tuple(scalar<T>(result.loss), stats, coefficient);
}

template <class T>
py::tuple value_loss(const Exact<T>& value, const std::optional<Exact<T>>& old_value, const Exact<T>& returns, const Exact<T>& step_weight,
                     double clip, double huber, double coef) {
  py::ssize_t steps = value.size();
  require(returns.size() == steps && step_weight.size() == steps && (!old_value || old_value->size() == steps),
          "value_loss: expected one entry per step in each argument");
  require(clip == 0 || old_value, "value_loss: expected old_value where clip is given");
  ops::ValueSteps<T> in{value.data(), data_or_null(old_value), returns.data(), step_weight.data(), static_cast<size_t>(steps),
                        clip,         huber,                   coef};
  py::array_t<T> coefficient(steps), stats(3);
  ops::ValueResult result = ops::value_loss(in, coefficient.mutable_data());
  T* out = stats.mutable_data();
  out[0] = static_cast<T>(result.error_mean);
  out[1] = static_cast<T>(result.error_abs_max);
  out[2] = static_cast<T>(result.clip_frac);
  return py::make_tuple(scalar<T>(result.loss), stats, coefficient);
}

template <class T>
py::tuple gae(const Exact<T>& reward, const Exact<T>& value, const Exact<T>& bootstrap, const Exact<bool>& terminated,
              const Exact<bool>& truncated, const std::optional<Exact<T>>& final_value,
              const std::optional<Exact<int64_t>>& segment_offsets, double gamma, double lam) {
  py::ssize_t steps = reward.size(), last = bootstrap.size();
  require(value.size() == steps && terminated.size() == steps && truncated.size() == steps &&
              (!final_value || final_value->size() == steps),
          "gae: expected one entry per step in each argument but bootstrap");
  if (segment_offsets) {
    const int64_t* offset = segment_offsets->data();
    require(segment_offsets->size() == last + 1 && offset[0] == 0 && offset[last] == steps,
            "gae: expected segment offsets from 0 to the number of steps, one more than bootstraps");
    for (py::ssize_t k = 0; k < last; ++k) require(offset[k] <= offset[k + 1], "gae: expected segment offsets that do not decrease");
  } else {
    require(reward.ndim() == 2 && reward.shape(1) == last, "gae: expected reward of shape [T, E] and bootstrap of shape [E]");
  }
  std::vector<py::ssize_t> shape(reward.shape(), reward.shape() + reward.ndim());
  py::array_t<T> advantage(shape), returns(shape);
  ops::GaeSteps<T> in{reward.data(),    value.data(), data_or_null(final_value),   terminated.data(),
                      truncated.data(), bootstrap.data(), gamma,                  lam,
                      advantage.mutable_data(), returns.mutable_data()};
  Isa isa = kernel_isa();
  const int64_t* offsets = data_or_null(segment_offsets);
  {
    py::gil_scoped_release release;
    if (offsets)
      ops::gae_segments(in, offsets, static_cast<size_t>(last));
    else if (last > 0)
      ops::gae_rectangle(in, static_cast<size_t>(steps / last), static_cast<size_t>(last), isa);
  }
  return py::make_tuple(advantage, returns);
}

template <class T>
py::array_t<T> masked_whiten(const Exact<T>& values, const Exact<bool>& mask, bool unbiased, double eps) {
  require(values.size() == mask.size(), "masked_whiten: expected a mask of the values' shape");
  py::array_t<T> out(std::vector<py::ssize_t>(values.shape(), values.shape() + values.ndim()));
  ops::masked_whiten(values.data(), mask.data(), static_cast<size_t>(values.size()), unbiased, eps, out.mutable_data());
  return out;
}

template <class T, class Index>
void define_ppo(py::module_& module) {
  module.def("ppo_clip_loss", &ppo_clip_loss<T, Index>, py::arg("logprob").noconvert(), py::arg("old_logprob").noconvert(),
             py::arg("advantages").noconvert(), py::arg("step_index").noconvert(), py::arg("token_weight").noconvert(),
             py::arg("ref_logprob").noconvert(), py::arg("clip_low"), py::arg("clip_high"), py::arg("kl_coef"),
             py::arg("kl_estimator"), py::arg("ratio_guard"), py::arg("dual_clip"), py::arg("log_ratio_cap"));
}

template <class T>
void define_all(py::module_& module) {
  define_ppo<T, int32_t>(module);
  define_ppo<T, int64_t>(module);
  module.def("value_loss", &value_loss<T>, py::arg("value").noconvert(), py::arg("old_value").noconvert(), py::arg("returns").noconvert(),
             py::arg("step_weight").noconvert(), py::arg("clip"), py::arg("huber"), py::arg("coef"));
  module.def("step_gae", &gae<T>, py::arg("reward").noconvert(), py::arg("value").noconvert(), py::arg("bootstrap").noconvert(),
             py::arg("terminated").noconvert(), py::arg("truncated").noconvert(), py::arg("final_value").noconvert(),
             py::arg("segment_offsets").noconvert(), py::arg("gamma"), py::arg("lam"));
  module.def("masked_whiten", &masked_whiten<T>, py::arg("values").noconvert(), py::arg("mask").noconvert(), py::arg("unbiased"),
             py::arg("eps"));
}

}  // namespace

void bind_kernel_vectors(py::module_& module) {
  define_all<float>(module);
  define_all<double>(module);
  module.def("kernel_isa", [] { return std::string(isa_name(kernel_isa())); });
}

}  // namespace vldac::bind

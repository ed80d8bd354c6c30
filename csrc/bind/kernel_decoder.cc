// The C++ tier's operations of decoder layers (csrc/ops): DLPack capsules in, results written into tensors that the caller allocated.
#include "bind/bind.h"
#include "bind/tensor_view.h"
#include "ops/elements.h"

namespace vldac::bind {
namespace {

// [rows, columns] float32, column stride 1.
template <class T>
RowsOf<T> rows_of(const TensorView& view) {
  if (!view.is<float>()) view.fail("float32");
  if (view.dims() != 2) view.fail("two dimensions");
  if (view.size(0) > 0 && view.size(1) > 1 && view.stride(1) != 1) view.fail("column stride 1");
  return {reinterpret_cast<float*>(view.bytes()), view.size(0), view.size(1), view.stride(0)};
}

template <class T>
RowsOf<T> rows_of(const py::object& capsule, const char* name, size_t rows, size_t columns) {
  TensorView view(capsule, name);
  auto result = rows_of<T>(view);
  if (result.rows != rows || result.columns != columns) view.fail("[" + std::to_string(rows) + ", " + std::to_string(columns) + "]");
  return result;
}

InputRows input_of(const py::object& capsule, const char* name) { return rows_of<const float>(TensorView(capsule, name)); }

float* floats_of(const py::object& capsule, const char* name, size_t count) { return TensorView(capsule, name).items<float>(count); }

// One instruction set; every method releases the GIL.
class PyDecoderKernels {
 public:
  explicit PyDecoderKernels(const std::optional<std::string>& isa) : isa_(isa ? parse_isa(*isa) : chosen_isa()) {}

  std::string isa() const { return std::string(isa_name(isa_)); }

  void rms_norm(const py::object& x, const py::object& weight, double eps, const py::object& y, const py::object& inverse) const {
    auto rows = input_of(x, "x");
    auto out = rows_of<float>(y, "y", rows.rows, rows.columns);
    const float* scale = floats_of(weight, "weight", rows.columns);
    float* inverses = floats_of(inverse, "inverse", rows.rows);
    py::gil_scoped_release release;
    vldac::rms_norm(element_kernels(isa_), rows, scale, static_cast<float>(eps), out, inverses);
  }

  void rms_norm_gradient(const py::object& upstream, const py::object& x, const py::object& weight, const py::object& inverse,
                         const py::object& gradient) const {
    auto rows = input_of(x, "x");
    auto above = rows_of<const float>(upstream, "upstream", rows.rows, rows.columns);
    auto out = rows_of<float>(gradient, "gradient", rows.rows, rows.columns);
    const float *scale = floats_of(weight, "weight", rows.columns), *inverses = floats_of(inverse, "inverse", rows.rows);
    py::gil_scoped_release release;
    vldac::rms_norm_gradient(element_kernels(isa_), above, rows, scale, inverses, out);
  }

  void swiglu(const py::object& gate, const py::object& up, const py::object& y) const {
    auto gates = input_of(gate, "gate");
    auto ups = rows_of<const float>(up, "up", gates.rows, gates.columns);
    auto out = rows_of<float>(y, "y", gates.rows, gates.columns);
    py::gil_scoped_release release;
    vldac::swiglu(element_kernels(isa_), gates, ups, out);
  }

  void swiglu_gradient(const py::object& upstream, const py::object& gate, const py::object& up, const py::object& grad_gate,
                       const py::object& grad_up) const {
    auto gates = input_of(gate, "gate");
    auto above = rows_of<const float>(upstream, "upstream", gates.rows, gates.columns);
    auto ups = rows_of<const float>(up, "up", gates.rows, gates.columns);
    auto for_gate = rows_of<float>(grad_gate, "grad_gate", gates.rows, gates.columns);
    auto for_up = rows_of<float>(grad_up, "grad_up", gates.rows, gates.columns);
    py::gil_scoped_release release;
    vldac::swiglu_gradient(element_kernels(isa_), above, gates, ups, for_gate, for_up);
  }

  void rotate(const py::object& x, const py::object& cosine, const py::object& sine, bool is_inverse, const py::object& y) const {
    TensorView view(x, "x");
    if (!view.is<float>()) view.fail("float32");
    if (view.dims() != 3 || view.size(2) % 2 != 0) view.fail("three dimensions, the last one even");
    if (view.count() > 0 && view.stride(2) != 1) view.fail("a last stride of 1");
    Heads heads{reinterpret_cast<const float*>(view.bytes()), view.size(0), view.size(1), view.size(2) / 2, view.stride(0), view.stride(1)};
    auto cosines = rows_of<const float>(cosine, "cosine", heads.rows, heads.half);
    auto sines = rows_of<const float>(sine, "sine", heads.rows, heads.half);
    float* out = floats_of(y, "y", heads.rows * heads.heads * heads.half * 2);
    py::gil_scoped_release release;
    vldac::rotate(element_kernels(isa_), heads, cosines, sines, is_inverse, out);
  }

 private:
  Isa isa_;
};

}  // namespace

void bind_kernel_decoder(py::module_& module) {
  py::class_<PyDecoderKernels>(module, "DecoderKernels")
      .def(py::init<const std::optional<std::string>&>(), py::arg("isa") = py::none())
      .def_property_readonly("isa", &PyDecoderKernels::isa)
      .def("rms_norm", &PyDecoderKernels::rms_norm, py::arg("x"), py::arg("weight"), py::arg("eps"), py::arg("y"), py::arg("inverse"))
      .def("rms_norm_gradient", &PyDecoderKernels::rms_norm_gradient, py::arg("upstream"), py::arg("x"), py::arg("weight"),
           py::arg("inverse"), py::arg("gradient"))
      .def("swiglu", &PyDecoderKernels::swiglu, py::arg("gate"), py::arg("up"), py::arg("y"))
      .def("swiglu_gradient", &PyDecoderKernels::swiglu_gradient, py::arg("upstream"), py::arg("gate"), py::arg("up"),
           py::arg("grad_gate"), py::arg("grad_up"))
      .def("rotate", &PyDecoderKernels::rotate, py::arg("x"), py::arg("cosine"), py::arg("sine"), py::arg("is_inverse"), py::arg("y"));
}

}  // namespace vldac::bind

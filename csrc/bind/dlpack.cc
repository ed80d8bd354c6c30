// DlpackArray: memory that C++ owns, for torch.from_dlpack and its kin.
#include "bind/dlpack.h"

#include <memory>
#include <optional>
#include <type_traits>

namespace vldac::bind {
namespace {

// What a capsule points at, with the memory behind it.
template <class Managed>
struct Loan {
  Managed managed{};
  std::vector<int64_t> shape, strides;
  std::shared_ptr<void> memory;
};

template <class Managed>
constexpr bool kIsVersioned = std::is_same_v<Managed, dlpack::ManagedTensorVersioned>;

// The name of a capsule that nobody has consumed yet.
template <class Managed>
constexpr const char* kFresh = kIsVersioned<Managed> ? "dltensor_versioned" : "dltensor";

// A consumer renames the capsule and takes over; one that was never consumed gives the memory back itself.
template <class Managed>
void drop(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kFresh<Managed>)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, kFresh<Managed>));
  managed->deleter(managed);
}

template <class Managed>
py::capsule lend(const SharedArray& array) {
  auto loan = std::make_unique<Loan<Managed>>();
  loan->shape = array.shape;
  loan->memory = array.memory;
  loan->strides.assign(array.shape.size(), 1);
  for (size_t i = array.shape.size(); i-- > 1;) loan->strides[i - 1] = loan->strides[i] * array.shape[i];
  loan->managed.tensor = {array.memory.get(),  dlpack::kCpu,         static_cast<int32_t>(array.shape.size()), array.dtype,
                          loan->shape.data(), loan->strides.data(), 0};
  loan->managed.manager = loan.get();
  loan->managed.deleter = [](Managed* managed) { delete static_cast<Loan<Managed>*>(managed->manager); };
  if constexpr (kIsVersioned<Managed>) {
    loan->managed.version = {1, 0};
    loan->managed.flags = array.is_read_only ? dlpack::kReadOnly : 0;
  }
  py::capsule capsule(&loan->managed, kFresh<Managed>, &drop<Managed>);
  loan.release();
  return capsule;
}

py::capsule to_dlpack(const SharedArray& array, const py::object& stream, const std::optional<std::pair<int, int>>& max_version,
                      const std::optional<std::pair<int, int>>& dl_device, const std::optional<bool>& copy) {
  if (!stream.is_none()) throw std::invalid_argument("DlpackArray: expected stream=None, since the memory is the CPU's");
  if (dl_device && *dl_device != std::pair(dlpack::kCpu.type, dlpack::kCpu.id))
    throw py::buffer_error("DlpackArray: expected the device (1, 0), the CPU; copy the array there first");
  if (copy.value_or(false)) throw py::buffer_error("DlpackArray: expected copy=None or False; clone the tensor that you make of it");
  if (max_version && max_version->first >= 1) return lend<dlpack::ManagedTensorVersioned>(array);
  return lend<dlpack::ManagedTensor>(array);
}

}  // namespace

void bind_dlpack(py::module_& module) {
  py::class_<SharedArray>(module, "DlpackArray")
      .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
           py::arg("dl_device") = py::none(), py::arg("copy") = py::none())
      .def("__dlpack_device__", [](const SharedArray&) { return std::pair(dlpack::kCpu.type, dlpack::kCpu.id); })
      .def_property_readonly("shape", [](const SharedArray& self) {
        py::tuple shape(self.shape.size());
        for (size_t i = 0; i < self.shape.size(); ++i) shape[i] = self.shape[i];
        return shape;
      });
}

}  // namespace vldac::bind

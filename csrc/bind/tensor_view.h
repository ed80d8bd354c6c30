// Reads a DLPack capsule: what a tensor's memory looks like, for the length of one call. The capsule is not consumed, so its
// producer's deleter runs when Python drops it, and the view must not outlive it. CPU memory only.
//
// Python passes `torch.utils.dlpack.to_dlpack(tensor.detach())`, or None for an argument that is left out.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "bind/dlpack.h"

namespace vldac::bind {

namespace dlpack {

inline constexpr DataType kFloat16{2, 16, 1};

template <class T>
constexpr DataType type_of();
template <>
constexpr DataType type_of<float>() { return kFloat32; }
template <>
constexpr DataType type_of<double>() { return kFloat64; }
template <>
constexpr DataType type_of<int64_t>() { return kInt64; }
template <>
constexpr DataType type_of<bool>() { return kBool; }

}  // namespace dlpack

class TensorView {
 public:
  // name: the argument, for messages. Throws std::invalid_argument.
  TensorView(const py::object& capsule, std::string name) : name_(std::move(name)) {
    if (!PyCapsule_IsValid(capsule.ptr(), "dltensor")) fail("a fresh DLPack capsule of a CPU tensor");
    tensor_ = &static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"))->tensor;
    if (tensor_->device.type != dlpack::kCpu.type) fail("a tensor on the CPU");
  }

  int dims() const { return tensor_->ndim; }
  size_t size(int dim) const { return static_cast<size_t>(tensor_->shape[dim]); }
  // In items. A dimension of at most one item may say anything.
  ptrdiff_t stride(int dim) const {
    if (tensor_->strides) return static_cast<ptrdiff_t>(tensor_->strides[dim]);
    ptrdiff_t stride = 1;
    for (int i = dim + 1; i < dims(); ++i) stride *= static_cast<ptrdiff_t>(tensor_->shape[i]);
    return stride;
  }
  size_t count() const {
    size_t items = 1;
    for (int i = 0; i < dims(); ++i) items *= size(i);
    return items;
  }
  dlpack::DataType dtype() const { return tensor_->dtype; }
  std::byte* bytes() const { return static_cast<std::byte*>(tensor_->data) + tensor_->byte_offset; }
  template <class T>
  bool is() const {
    return dtype() == dlpack::type_of<T>();
  }

  bool is_contiguous() const {
    ptrdiff_t expected = 1;
    for (int i = dims() - 1; i >= 0; --i) {
      if (size(i) > 1 && stride(i) != expected) return false;
      expected *= static_cast<ptrdiff_t>(size(i));
    }
    return true;
  }

  // The items of a contiguous tensor of that type and count.
  template <class T>
  T* items(size_t expected) const {
    if (!is<T>()) fail("another dtype");
    if (count() != expected) fail(std::to_string(expected) + " items, got " + std::to_string(count()));
    if (!is_contiguous()) fail("contiguous memory");
    return reinterpret_cast<T*>(bytes());
  }

  [[noreturn]] void fail(const std::string& expected) const { throw std::invalid_argument(name_ + ": expected " + expected); }

 private:
  std::string name_;
  const dlpack::Tensor* tensor_;
};

// The items of an argument that may be None (nullptr).
template <class T>
T* optional_items(const py::object& capsule, const char* name, size_t expected) {
  return capsule.is_none() ? nullptr : TensorView(capsule, name).items<T>(expected);
}

}  // namespace vldac::bind

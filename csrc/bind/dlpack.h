// DLPack, the part that is needed here: the ABI's structs (version 1.0, own definition), and a Python object that lends memory
// to any consumer of `__dlpack__` without a copy. NumPy has no bfloat16, so that such arrays leave through this door only.
//
// Memory is owned by a shared_ptr. Every capsule and every tensor made of it holds one; it is dropped without the GIL, on
// whatever thread the consumer frees its tensor, so its deleter must not touch Python.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "bind/bind.h"

namespace vldac::bind {

namespace dlpack {

struct Device {
  int32_t type, id;
};

struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
  bool operator==(const DataType&) const = default;
};

struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t *shape, *strides;  // strides in items
  uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* manager;
  void (*deleter)(ManagedTensor*);
};

struct Version {
  uint32_t major, minor;
};

struct ManagedTensorVersioned {
  Version version;
  void* manager;
  void (*deleter)(ManagedTensorVersioned*);
  uint64_t flags;
  Tensor tensor;
};

inline constexpr Device kCpu{1, 0};
inline constexpr DataType kInt64{0, 64, 1}, kUint8{1, 8, 1}, kFloat32{2, 32, 1}, kFloat64{2, 64, 1}, kBfloat16{4, 16, 1}, kBool{6, 8, 1};
inline constexpr uint64_t kReadOnly = 1;

}  // namespace dlpack

// Contiguous, row-major memory on the CPU.
struct SharedArray {
  std::shared_ptr<void> memory;  // points at the first item; a part of a block shares it through the aliasing constructor
  std::vector<int64_t> shape;
  dlpack::DataType dtype;
  bool is_read_only = false;  // told to those who ask for version 1; the others cannot hear it
};

// The Python class `DlpackArray`: `__dlpack__`, `__dlpack_device__`, `shape`. A SharedArray cast to Python is one.
void bind_dlpack(py::module_& module);

}  // namespace vldac::bind

// Frames to model inputs: the patch emitter, the resize behind it, and the instruction sets that they may use.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>

#include "bind/bind.h"
#include "bind/dlpack.h"
#include "render/patches.h"

namespace vldac::bind {
namespace {

constexpr size_t kAlignment = 64;

// A view of contiguous [N, height, width, 3] uint8 frames. Other dtypes are refused: cast to bytes, pixels from 0 to 1 are black.
Array<uint8_t> frames_of(const py::array& images, int height, int width) {
  if (!images.dtype().is(py::dtype::of<uint8_t>()) || images.ndim() != 4 || images.shape(1) != height || images.shape(2) != width || images.shape(3) != 3)
    throw std::invalid_argument("expected uint8 images of shape [N, " + std::to_string(height) + ", " + std::to_string(width) + ", 3]");
  return Array<uint8_t>::ensure(images);
}

// Memory of `bytes` that begins on a cache line.
std::shared_ptr<void> allocate(size_t bytes) {
  size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (!memory) throw std::bad_alloc();
  return {memory, std::free};
}

void emit_all(const PatchEmitter& emitter, const Array<uint8_t>& frames, void* out) {
  const uint8_t* from = frames.data();
  auto* to = static_cast<uint8_t*>(out);
  auto count = static_cast<size_t>(frames.shape(0));
  py::gil_scoped_release release;
  std::vector<uint8_t> scratch(emitter.scratch_bytes());
  for (size_t i = 0; i < count; ++i) emitter.emit(from + i * emitter.in_frame_bytes(), to + i * emitter.frame_bytes(), scratch.data());
}

py::object emit(const PatchEmitter& emitter, const py::array& images) {
  auto frames = frames_of(images, emitter.spec().in_height, emitter.spec().in_width);
  auto rows = frames.shape(0) * static_cast<py::ssize_t>(emitter.rows()), columns = static_cast<py::ssize_t>(emitter.columns());
  if (emitter.spec().format == PatchFormat::kBfloat16) {
    SharedArray array{allocate(rows * columns * emitter.item_bytes()), {rows, columns}, dlpack::kBfloat16};
    emit_all(emitter, frames, array.memory.get());
    return py::cast(std::move(array));
  }
  auto dtype = emitter.spec().format == PatchFormat::kFloat32 ? py::dtype::of<float>() : py::dtype::of<uint8_t>();
  py::array patches(dtype, {rows, columns});
  emit_all(emitter, frames, patches.mutable_data());
  return patches;
}

void emit_into(const PatchEmitter& emitter, const py::array& images, py::array& out) {
  auto frames = frames_of(images, emitter.spec().in_height, emitter.spec().in_width);
  auto dtype = emitter.spec().format == PatchFormat::kFloat32 ? py::dtype::of<float>() : py::dtype::of<uint8_t>();
  if (emitter.spec().format == PatchFormat::kBfloat16) dtype = py::dtype::of<uint16_t>();
  auto rows = frames.shape(0) * static_cast<py::ssize_t>(emitter.rows()), columns = static_cast<py::ssize_t>(emitter.columns());
  if (!out.dtype().is(dtype) || out.ndim() != 2 || out.shape(0) != rows || out.shape(1) != columns || !(out.flags() & py::array::c_style) || !out.writeable())
    throw std::invalid_argument("PatchEmitter.emit_into: expected a contiguous, writable " + std::string(py::str(dtype)) + " array of shape [" +
                                std::to_string(rows) + ", " + std::to_string(columns) + "]");
  emit_all(emitter, frames, out.mutable_data());
}

py::array_t<uint8_t> resize_bicubic(const py::array& images, int width, int height) {
  if (images.ndim() != 4) throw std::invalid_argument("resize_bicubic: expected uint8 images of shape [N, height, width, 3]");
  auto from_height = static_cast<int>(images.shape(1)), from_width = static_cast<int>(images.shape(2));
  auto frames = frames_of(images, from_height, from_width);
  BicubicResize resize(from_width, from_height, width, height, chosen_isa());
  py::array_t<uint8_t> out({frames.shape(0), static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width), py::ssize_t{3}});
  const uint8_t* from = frames.data();
  uint8_t* to = out.mutable_data();
  auto count = static_cast<size_t>(frames.shape(0)), from_bytes = static_cast<size_t>(from_height) * from_width * 3;
  {
    py::gil_scoped_release release;
    std::vector<uint8_t> scratch(resize.scratch_bytes());
    for (size_t i = 0; i < count; ++i) {
      resize.begin(from + i * from_bytes, scratch.data());
      resize.rows(from + i * from_bytes, scratch.data(), 0, height, to + i * static_cast<size_t>(width) * height * 3);
    }
  }
  return out;
}

}  // namespace

void bind_vision(py::module_& module) {
  bind_dlpack(module);
  py::class_<PatchEmitter, std::shared_ptr<PatchEmitter>>(module, "PatchEmitter")
      .def(py::init([](int patch, int merge, int temporal, std::array<double, 3> mean, std::array<double, 3> std, int width, int height,
                       int out_width, int out_height, const std::string& format) {
             return std::make_shared<PatchEmitter>(
                 PatchSpec{patch, merge, temporal, mean, std, width, height, out_width, out_height, parse_patch_format(format)});
           }),
           py::arg("patch"), py::arg("merge"), py::arg("temporal"), py::arg("mean"), py::arg("std"), py::arg("width"), py::arg("height"),
           py::arg("out_width"), py::arg("out_height"), py::arg("format"))
      .def("emit", &emit, py::arg("images"))
      .def("emit_into", &emit_into, py::arg("images"), py::arg("out"))
      .def_property_readonly("rows", &PatchEmitter::rows)
      .def_property_readonly("columns", &PatchEmitter::columns)
      .def_property_readonly("grid",
                             [](const PatchEmitter& self) {
                               return py::make_tuple(1, self.spec().out_height / self.spec().patch, self.spec().out_width / self.spec().patch);
                             })
      .def_property_readonly("isa", [](const PatchEmitter& self) { return std::string(isa_name(self.isa())); });
  module.def("resize_bicubic", &resize_bicubic, py::arg("images"), py::arg("width"), py::arg("height"));
  module.def("isa_tiers", &supported_isas);
}

}  // namespace vldac::bind

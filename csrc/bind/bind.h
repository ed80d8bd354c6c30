// What every binding file shares. Bindings only convert, release the GIL and translate exceptions (std::invalid_argument becomes
// ValueError).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace vldac::bind {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

// Converts only where nothing can be lost: integers of any width to int64, but no fractions.
template <class T>
using SafeArray = py::array_t<T, py::array::c_style>;

void bind_envs(py::module_& module);
void bind_buffer(py::module_& module);
void bind_ops(py::module_& module);
void bind_kernel_rows(py::module_& module);
void bind_kernel_attention(py::module_& module);
void bind_kernel_decoder(py::module_& module);
void bind_vision(py::module_& module);
void bind_cards(py::module_& module);
void bind_miniworld(py::module_& module);
void bind_scene(py::module_& module);
void bind_webshop_page(py::module_& module);
void bind_alfworld_panel(py::module_& module);
void bind_alfworld(py::module_& module);
void bind_alfworld_picture(py::module_& module);
void bind_kernel_vectors(py::module_& module);
void bind_webshop(py::module_& module);

}  // namespace vldac::bind

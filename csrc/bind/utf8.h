// Python's strings as UTF-8.
#pragma once

#include "bind/bind.h"

namespace vldac::bind {

// The UTF-8 of every string, without a copy; a string with lone surrogates, which has none, is read as its encoding with "?" for them.
class Utf8Batch {
 public:
  Utf8Batch(const py::sequence& texts, const char* where) : strings_(py::tuple(texts)) {
    views_.reserve(strings_.size());
    for (py::handle text : strings_) {
      if (!PyUnicode_Check(text.ptr())) throw py::type_error(std::string(where) + ": expected strings");
      Py_ssize_t size = 0;
      const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
      if (!data) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw py::error_already_set();
        PyErr_Clear();
        auto bytes = py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "replace"));
        if (!bytes) throw py::error_already_set();
        data = PyBytes_AS_STRING(bytes.ptr());
        size = PyBytes_GET_SIZE(bytes.ptr());
        replaced_.push_back(std::move(bytes));
      }
      views_.emplace_back(data, static_cast<size_t>(size));
    }
  }
  const std::vector<std::string_view>& views() const { return views_; }

 private:
  py::tuple strings_;  // keeps the strings alive while the GIL is released
  std::vector<py::bytes> replaced_;
  std::vector<std::string_view> views_;
};

}  // namespace vldac::bind

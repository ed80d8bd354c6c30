// The C++ tier's row operations (csrc/ops): DLPack capsules in, results written into tensors that the caller allocated.
#include "bind/bind.h"
#include "bind/tensor_view.h"
#include "ops/parallel.h"
#include "ops/rows.h"

namespace vldac::bind {
namespace {

bool is_bfloat16(const TensorView& view) { return view.dtype() == dlpack::kBfloat16; }
bool is_half(const TensorView& view) { return view.dtype() == dlpack::kFloat16; }

Element element_of(const TensorView& logits) {
  if (logits.is<float>() || logits.is<double>()) return Element::kWide;
  if (is_bfloat16(logits)) return Element::kBfloat16;
  if (is_half(logits)) return Element::kHalf;
  logits.fail("float32, bfloat16, float16 or float64");
}

// [rows, columns], column stride 1.
Matrix matrix_of(const TensorView& view) {
  if (view.dims() != 2) view.fail("two dimensions");
  if (view.size(0) > 0 && view.size(1) == 0) view.fail("at least one column");
  if (view.size(1) > 1 && view.stride(1) != 1) view.fail("column stride 1");
  auto bytes = static_cast<ptrdiff_t>(view.dtype().bits / 8);
  return {view.bytes(), view.size(0), view.size(1), view.stride(0) * bytes};
}

// What every method is told of its logits, checked against their shape.
template <class F>
class Options {
 public:
  Options(const Matrix& logits, const py::object& column_bias, const py::object& temperature, double softcap, size_t first = 0,
          size_t vocabulary = 0) {
    if (vocabulary == 0) vocabulary = logits.columns;
    const F* bias = optional_items<F>(column_bias, "column_bias", vocabulary);
    TensorView degrees(temperature, "temperature");
    size_t count = degrees.count();
    if (count != 1 && count != logits.rows) degrees.fail("one item, or one per row");
    value = {bias ? bias + first : nullptr, degrees.items<F>(count), count == 1 ? size_t{0} : size_t{1}, static_cast<F>(softcap), nullptr, 0};
  }

  // Targets in [0, vocabulary), or ignore_index.
  void set_target(const py::object& target, int64_t ignore_index, size_t rows, size_t vocabulary) {
    value.target = TensorView(target, "target").items<int64_t>(rows);
    value.ignore_index = ignore_index;
    for (size_t i = 0; i < rows; ++i) {
      int64_t id = value.target[i];
      if (id != ignore_index && static_cast<uint64_t>(id) >= vocabulary)
        throw std::invalid_argument("target: expected ids in [0, " + std::to_string(vocabulary) + ") or " + std::to_string(ignore_index) +
                                    ", got " + std::to_string(id));
    }
  }

  RowOptions<F> value;
};

template <class F>
F* items(const py::object& capsule, const char* name, size_t count) {
  return TensorView(capsule, name).items<F>(count);
}

template <class F>
RowResults<F> results_of(const py::object& logprob, const py::object& entropy, const py::object& lse, size_t rows) {
  return {items<F>(logprob, "logprob", rows), items<F>(entropy, "entropy", rows), items<F>(lse, "lse", rows)};
}

TileState* states_of(const py::object& states, size_t rows) {
  return reinterpret_cast<TileState*>(items<double>(states, "states", rows * kTileStateDoubles));
}

// One instruction set; every method picks float or double by the dtype of its logits and releases the GIL.
class PyRowKernels {
 public:
  explicit PyRowKernels(const std::optional<std::string>& isa) : isa_(isa ? parse_isa(*isa) : chosen_isa()) {}

  std::string isa() const { return std::string(isa_name(isa_)); }

  void log_softmax(const py::object& logits, const py::object& target, const py::object& column_bias, const py::object& temperature,
                   int64_t ignore_index, const py::object& logprob, const py::object& entropy, const py::object& lse) const {
    TensorView view(logits, "logits");
    visit(view, [&]<class F>(F) {
      Matrix matrix = matrix_of(view);
      Options<F> options(matrix, column_bias, temperature, 0);
      options.set_target(target, ignore_index, matrix.rows, matrix.columns);
      auto results = results_of<F>(logprob, entropy, lse, matrix.rows);
      Element element = element_of(view);
      py::gil_scoped_release release;
      log_softmax_rows(row_kernels<F>(isa_), element, matrix, options.value, results);
    });
  }

  // The gradient of columns first_column ... of a vocabulary, of which `logits` are the logits.
  void gradient(const py::object& grad_logprob, const py::object& grad_entropy, const py::object& logits, int64_t first_column,
                int64_t vocabulary, const py::object& target, const py::object& column_bias, const py::object& temperature, double softcap,
                int64_t ignore_index, const py::object& lse, const py::object& entropy, const py::object& out) const {
    TensorView view(logits, "logits"), out_view(out, "out");
    visit(view, [&]<class F>(F) {
      Matrix matrix = matrix_of(view), to = matrix_of(out_view);
      size_t first = check_tile(matrix, first_column, vocabulary), rows = matrix.rows;
      if (to.rows != rows || to.columns != matrix.columns || out_view.dtype() != view.dtype()) out_view.fail("the shape and dtype of logits");
      Options<F> options(matrix, column_bias, temperature, softcap, first, static_cast<size_t>(vocabulary));
      options.set_target(target, ignore_index, rows, static_cast<size_t>(vocabulary));
      Upstream<F> upstream{items<F>(grad_logprob, "grad_logprob", rows), optional_items<F>(grad_entropy, "grad_entropy", rows),
                           items<F>(lse, "lse", rows), items<F>(entropy, "entropy", rows)};
      Element element = element_of(view);
      py::gil_scoped_release release;
      gradient_rows(row_kernels<F>(isa_), element, matrix, to, first, options.value, upstream);
    });
  }

  void fold_tile(const py::object& tile, int64_t first_column, int64_t vocabulary, const py::object& target, const py::object& column_bias,
                 const py::object& temperature, double softcap, int64_t ignore_index, const py::object& states, const py::object& total) const {
    TensorView view(tile, "tile");
    if (element_of(view) != Element::kWide) view.fail("float32 or float64");
    visit(view, [&]<class F>(F) {
      Matrix matrix = matrix_of(view);
      size_t first = check_tile(matrix, first_column, vocabulary);
      Options<F> options(matrix, column_bias, temperature, softcap, first, static_cast<size_t>(vocabulary));
      options.set_target(target, ignore_index, matrix.rows, static_cast<size_t>(vocabulary));
      TileState* rows = states_of(states, matrix.rows);
      size_t hidden = 0;
      F* sums = total_of<F>(total, matrix.rows, hidden);
      py::gil_scoped_release release;
      fold_tiles(row_kernels<F>(isa_), matrix, first, options.value, rows, sums, hidden);
    });
  }

  void finish_tiles(const py::object& target, const py::object& temperature, double softcap, int64_t ignore_index, const py::object& states,
                    const py::object& logprob, const py::object& entropy, const py::object& lse, const py::object& total,
                    const py::object& picked) const {
    TensorView view(logprob, "logprob");
    visit(view, [&]<class F>(F) {
      size_t rows = view.count(), hidden = 0;
      Options<F> options(Matrix{nullptr, rows, 1, 0}, py::none(), temperature, softcap);
      options.value.target = items<int64_t>(target, "target", rows);
      options.value.ignore_index = ignore_index;
      auto results = results_of<F>(logprob, entropy, lse, rows);
      const TileState* state = states_of(states, rows);
      F* sums = total_of<F>(total, rows, hidden);
      const F* chosen = sums ? items<F>(picked, "picked", rows * hidden) : nullptr;
      py::gil_scoped_release release;
      vldac::finish_tiles(rows, options.value, state, results, sums, chosen, hidden);
    });
  }

  void sample(const py::object& logits, const py::object& column_bias, const py::object& temperature, const py::object& top_k,
              const py::object& top_p, double min_p, const py::object& seed, const py::object& position, const py::object& greedy,
              const py::object& token, const py::object& logprob_raw, const py::object& logprob_processed, const py::object& entropy,
              const py::object& valid) const {
    TensorView view(logits, "logits");
    visit(view, [&]<class F>(F) {
      Matrix matrix = matrix_of(view);
      size_t rows = matrix.rows;
      Options<F> options(matrix, column_bias, temperature, 0);
      Truncation<F> truncation{optional_items<int64_t>(top_k, "top_k", rows), optional_items<F>(top_p, "top_p", rows), min_p};
      const int64_t *seeds = items<int64_t>(seed, "seed", rows), *positions = items<int64_t>(position, "position", rows);
      const bool* is_greedy = items<bool>(greedy, "greedy", rows);
      SampleResults<F> results{items<int64_t>(token, "token", rows), items<F>(logprob_raw, "logprob_raw", rows),
                               items<F>(logprob_processed, "logprob_processed", rows), items<F>(entropy, "entropy", rows),
                               items<bool>(valid, "valid", rows)};
      Element element = element_of(view);
      py::gil_scoped_release release;
      sample_rows(row_kernels<F>(isa_), element, matrix, options.value, truncation, seeds, positions, is_greedy, results);
    });
  }

 private:
  // Calls body with a value of the type that results have.
  template <class Body>
  static void visit(const TensorView& view, Body&& body) {
    if (view.is<double>())
      body(double{});
    else
      body(float{});
  }

  static size_t check_tile(const Matrix& tile, int64_t first_column, int64_t vocabulary) {
    if (first_column < 0 || vocabulary < 0 || static_cast<uint64_t>(first_column) + tile.columns > static_cast<uint64_t>(vocabulary))
      throw std::invalid_argument("first_column: expected a tile within the vocabulary");
    return static_cast<size_t>(first_column);
  }

  // [rows, hidden], or nullptr.
  template <class F>
  static F* total_of(const py::object& total, size_t rows, size_t& hidden) {
    if (total.is_none()) return nullptr;
    TensorView view(total, "total");
    if (view.dims() != 2) view.fail("two dimensions");
    hidden = view.size(1);
    return view.items<F>(rows * hidden);
  }

  Isa isa_;
};

}  // namespace

void bind_kernel_rows(py::module_& module) {
  module.def(
      "set_thread_pool",
      [](uintptr_t parallel_for, uintptr_t num_threads) {
        set_thread_pool({reinterpret_cast<decltype(ThreadPool::parallel_for)>(parallel_for),
                         reinterpret_cast<decltype(ThreadPool::num_threads)>(num_threads)});
      },
      py::arg("parallel_for"), py::arg("num_threads"));
  module.def("has_thread_pool", &has_thread_pool);
  module.def("pool_threads", &pool_threads);
  py::class_<PyRowKernels>(module, "RowKernels")
      .def(py::init<const std::optional<std::string>&>(), py::arg("isa") = py::none())
      .def_property_readonly("isa", &PyRowKernels::isa)
      .def("log_softmax", &PyRowKernels::log_softmax, py::arg("logits"), py::arg("target"), py::arg("column_bias"), py::arg("temperature"),
           py::arg("ignore_index"), py::arg("logprob"), py::arg("entropy"), py::arg("lse"))
      .def("gradient", &PyRowKernels::gradient, py::arg("grad_logprob"), py::arg("grad_entropy"), py::arg("logits"), py::arg("first_column"),
           py::arg("vocabulary"), py::arg("target"), py::arg("column_bias"), py::arg("temperature"), py::arg("softcap"),
           py::arg("ignore_index"), py::arg("lse"), py::arg("entropy"), py::arg("out"))
      .def("fold_tile", &PyRowKernels::fold_tile, py::arg("tile"), py::arg("first_column"), py::arg("vocabulary"), py::arg("target"),
           py::arg("column_bias"), py::arg("temperature"), py::arg("softcap"), py::arg("ignore_index"), py::arg("states"), py::arg("total"))
      .def("finish_tiles", &PyRowKernels::finish_tiles, py::arg("target"), py::arg("temperature"), py::arg("softcap"), py::arg("ignore_index"),
           py::arg("states"), py::arg("logprob"), py::arg("entropy"), py::arg("lse"), py::arg("total"), py::arg("picked"))
      .def("sample", &PyRowKernels::sample, py::arg("logits"), py::arg("column_bias"), py::arg("temperature"), py::arg("top_k"),
           py::arg("top_p"), py::arg("min_p"), py::arg("seed"), py::arg("position"), py::arg("greedy"), py::arg("token"),
           py::arg("logprob_raw"), py::arg("logprob_processed"), py::arg("entropy"), py::arg("valid"));
}

}  // namespace vldac::bind

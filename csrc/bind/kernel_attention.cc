// The C++ tier's attention (csrc/ops/attention.h): DLPack capsules in, results written into tensors that the caller allocated.
#include "bind/bind.h"
#include "bind/tensor_view.h"
#include "ops/attention.h"

namespace vldac::bind {
namespace {

// [..., rows, heads, width] float32: the last stride is 1.
template <class T = const float>
HeadsOf<T> heads_of(const TensorView& view, int dims) {
  if (!view.is<float>()) view.fail("float32");
  if (view.dims() != dims) view.fail(std::to_string(dims) + " dimensions");
  if (view.count() > 0 && view.size(dims - 1) > 1 && view.stride(dims - 1) != 1) view.fail("a last stride of 1");
  return {reinterpret_cast<float*>(view.bytes()), view.stride(dims - 3), view.stride(dims - 2)};
}

void expect_shape(const TensorView& view, std::initializer_list<size_t> shape) {
  int i = 0;
  for (size_t size : shape)
    if (view.size(i++) != size) view.fail("another shape");
}

AttentionSizes sizes_of(const TensorView& query, size_t kv_heads, double scale) {
  AttentionSizes sizes{query.size(1), kv_heads, query.size(2), static_cast<float>(scale)};
  if (sizes.width == 0 || sizes.width % kWidthStep != 0) query.fail("a width that is a multiple of " + std::to_string(kWidthStep));
  if (kv_heads == 0 || sizes.heads % kv_heads != 0) query.fail("a multiple of the heads of the keys");
  return sizes;
}

// [count, kv heads, width] each, or None.
KeyValues prefix_of(const py::object& key, const py::object& value, const AttentionSizes& sizes) {
  if (key.is_none()) return {{nullptr, 0, 0}, {nullptr, 0, 0}, 0};
  TensorView keys(key, "prefix_key"), values(value, "prefix_value");
  KeyValues prefix{heads_of(keys, 3), heads_of(values, 3), keys.size(0)};
  expect_shape(keys, {prefix.count, sizes.kv_heads, sizes.width});
  expect_shape(values, {prefix.count, sizes.kv_heads, sizes.width});
  return prefix;
}

// [count + 1] int64 that rise from 0 to `end`.
const int64_t* offsets_of(const py::object& offsets, const char* name, size_t end, size_t& rows) {
  TensorView view(offsets, name);
  size_t count = view.count();
  const int64_t* items = view.items<int64_t>(count);
  if (count == 0 || items[0] != 0 || static_cast<uint64_t>(items[count - 1]) != end) view.fail("offsets from 0 to " + std::to_string(end));
  for (size_t i = 1; i < count; ++i)
    if (items[i] < items[i - 1]) view.fail("offsets that do not decrease");
  rows = count - 1;
  return items;
}

// A tensor of the shape of `like`.
template <class T>
HeadsOf<T> same_heads(const py::object& capsule, const char* name, const TensorView& like) {
  TensorView view(capsule, name);
  auto heads = heads_of<T>(view, 3);
  expect_shape(view, {like.size(0), like.size(1), like.size(2)});
  return heads;
}

PackedProblem packed_of(const TensorView& query, const TensorView& key, const py::object& value, const py::object& prefix_key,
                        const py::object& prefix_value, const py::object& offsets, const py::object& query_offsets, double scale) {
  PackedProblem problem{};
  problem.query = heads_of(query, 3);
  problem.own = {heads_of(key, 3), same_heads<const float>(value, "value", key), key.size(0)};
  problem.sizes = sizes_of(query, key.size(1), scale);
  if (key.size(2) != problem.sizes.width) key.fail("the width of query");
  problem.prefix = prefix_of(prefix_key, prefix_value, problem.sizes);
  size_t query_rows = 0;
  problem.offsets = offsets_of(offsets, "offsets", key.size(0), problem.rows);
  problem.query_offsets = offsets_of(query_offsets, "query_offsets", query.size(0), query_rows);
  if (query_rows != problem.rows) throw std::invalid_argument("query_offsets: expected as many as offsets");
  for (size_t row = 0; row < problem.rows; ++row)
    if (problem.queries(row) > problem.tokens(row)) throw std::invalid_argument("query_offsets: expected no more queries than tokens in a row");
  return problem;
}

class PyAttentionKernels {
 public:
  explicit PyAttentionKernels(const std::optional<std::string>& isa) : isa_(isa ? parse_isa(*isa) : chosen_isa()) {}

  std::string isa() const { return std::string(isa_name(isa_)); }

  void slot_attention(const py::object& query, const py::object& key_cache, const py::object& value_cache, const py::object& slot,
                      const py::object& length, const py::object& prefix_key, const py::object& prefix_value, double scale,
                      const py::object& out) const {
    TensorView queries(query, "query"), keys(key_cache, "key_cache"), values(value_cache, "value_cache"), results(out, "out");
    SlotProblem problem{};
    problem.query = heads_of(queries, 3);
    problem.cache = {heads_of(keys, 4), heads_of(values, 4), keys.size(1)};
    problem.out = heads_of<float>(results, 3);
    problem.rows = queries.size(0);
    problem.sizes = sizes_of(queries, keys.size(2), scale);
    size_t slots = keys.size(0), capacity = keys.size(1);
    for (const TensorView* view : {&keys, &values}) expect_shape(*view, {slots, capacity, problem.sizes.kv_heads, problem.sizes.width});
    expect_shape(results, {problem.rows, problem.sizes.heads, problem.sizes.width});
    problem.key_slot_stride = keys.stride(0);
    problem.value_slot_stride = values.stride(0);
    problem.prefix = prefix_of(prefix_key, prefix_value, problem.sizes);
    problem.slot = TensorView(slot, "slot").items<int64_t>(problem.rows);
    problem.length = TensorView(length, "length").items<int64_t>(problem.rows);
    for (size_t i = 0; i < problem.rows; ++i) {
      if (static_cast<uint64_t>(problem.slot[i]) >= slots) throw std::invalid_argument("slot: expected slots of the cache");
      if (static_cast<uint64_t>(problem.length[i]) > capacity) throw std::invalid_argument("length: expected lengths within the cache");
    }
    py::gil_scoped_release release;
    vldac::slot_attention(attention_kernels(isa_), problem);
  }

  void packed_attention(const py::object& query, const py::object& key, const py::object& value, const py::object& prefix_key,
                        const py::object& prefix_value, const py::object& offsets, const py::object& query_offsets, double scale,
                        const py::object& out, const py::object& lse) const {
    TensorView queries(query, "query"), keys(key, "key");
    PackedProblem problem = packed_of(queries, keys, value, prefix_key, prefix_value, offsets, query_offsets, scale);
    PackedResults results{same_heads<float>(out, "out", queries), TensorView(lse, "lse").items<float>(queries.size(0) * queries.size(1))};
    py::gil_scoped_release release;
    vldac::packed_attention(attention_kernels(isa_), problem, results);
  }

  void packed_attention_gradient(const py::object& upstream, const py::object& query, const py::object& key, const py::object& value,
                                 const py::object& prefix_key, const py::object& prefix_value, const py::object& offsets,
                                 const py::object& query_offsets, double scale, const py::object& out, const py::object& lse,
                                 const py::object& grad_query, const py::object& grad_key, const py::object& grad_value,
                                 const py::object& grad_prefix_key, const py::object& grad_prefix_value) const {
    TensorView queries(query, "query"), keys(key, "key");
    PackedProblem problem = packed_of(queries, keys, value, prefix_key, prefix_value, offsets, query_offsets, scale);
    PackedUpstream above{same_heads<const float>(upstream, "upstream", queries), same_heads<const float>(out, "out", queries),
                         TensorView(lse, "lse").items<float>(queries.size(0) * queries.size(1))};
    PackedGradients gradients{};
    gradients.query = same_heads<float>(grad_query, "grad_query", queries);
    gradients.key = same_heads<float>(grad_key, "grad_key", keys);
    gradients.value = same_heads<float>(grad_value, "grad_value", keys);
    if (!prefix_key.is_none()) {
      TensorView prefix(prefix_key, "prefix_key");
      gradients.prefix_key = same_heads<float>(grad_prefix_key, "grad_prefix_key", prefix);
      gradients.prefix_value = same_heads<float>(grad_prefix_value, "grad_prefix_value", prefix);
    }
    py::gil_scoped_release release;
    vldac::packed_attention_gradient(attention_kernels(isa_), problem, above, gradients);
  }

 private:
  Isa isa_;
};

}  // namespace

void bind_kernel_attention(py::module_& module) {
  py::class_<PyAttentionKernels>(module, "AttentionKernels")
      .def(py::init<const std::optional<std::string>&>(), py::arg("isa") = py::none())
      .def_property_readonly("isa", &PyAttentionKernels::isa)
      .def("slot_attention", &PyAttentionKernels::slot_attention, py::arg("query"), py::arg("key_cache"), py::arg("value_cache"),
           py::arg("slot"), py::arg("length"), py::arg("prefix_key"), py::arg("prefix_value"), py::arg("scale"), py::arg("out"))
      .def("packed_attention", &PyAttentionKernels::packed_attention, py::arg("query"), py::arg("key"), py::arg("value"), py::arg("prefix_key"),
           py::arg("prefix_value"), py::arg("offsets"), py::arg("query_offsets"), py::arg("scale"), py::arg("out"), py::arg("lse"))
      .def("packed_attention_gradient", &PyAttentionKernels::packed_attention_gradient, py::arg("upstream"), py::arg("query"), py::arg("key"),
           py::arg("value"), py::arg("prefix_key"), py::arg("prefix_value"), py::arg("offsets"), py::arg("query_offsets"), py::arg("scale"),
           py::arg("out"), py::arg("lse"), py::arg("grad_query"), py::arg("grad_key"), py::arg("grad_value"), py::arg("grad_prefix_key"),
           py::arg("grad_prefix_value"));
}

}  // namespace vldac::bind

// Textures, meshes and scenes of the rasteriser: assets come in here, and tests draw scenes of their own.
#include <array>
#include <optional>

#include "bind/bind.h"
#include "render/raster/assets.h"

namespace vldac::bind {
namespace {

using Rgb = SafeArray<uint8_t>;

std::shared_ptr<const Texture> texture_of(const py::array& rgb) {
  if (!rgb.dtype().is(py::dtype::of<uint8_t>()) || rgb.ndim() != 3 || rgb.shape(2) != 3)
    throw std::invalid_argument("texture: expected uint8 of shape [height, width, 3]");
  auto rows = Rgb::ensure(rgb);
  auto height = static_cast<size_t>(rows.shape(0)), row_bytes = static_cast<size_t>(rows.shape(1)) * 3;
  if (height > Texture::kMaxSize || row_bytes > Texture::kMaxSize * 3)
    throw std::invalid_argument("texture: expected at most " + std::to_string(Texture::kMaxSize) + " texels a side");
  std::vector<uint8_t> flipped(height * row_bytes);
  for (size_t y = 0; y < height; ++y) std::copy_n(rows.data() + (height - 1 - y) * row_bytes, row_bytes, flipped.data() + y * row_bytes);
  return std::make_shared<const Texture>(static_cast<int>(rows.shape(1)), static_cast<int>(height), flipped);
}

std::span<const float> span_of(const Array<float>& values, py::ssize_t width, const char* what) {
  if (values.ndim() != 2 || values.shape(1) != width)
    throw std::invalid_argument(std::string("mesh: expected ") + what + " of shape [corners, " + std::to_string(width) + "]");
  return {values.data(), static_cast<size_t>(values.size())};
}

using ChunkOf = std::tuple<uint32_t, uint32_t, std::optional<py::array>>;

void add_mesh(AssetSet& set, const std::string& name, const Array<float>& positions, const Array<float>& normals, const Array<float>& uvs,
              const Array<float>& colours, const std::vector<ChunkOf>& chunks) {
  std::vector<MeshChunk> parts;
  for (const auto& [first, count, rgb] : chunks) parts.push_back({first, count, rgb ? texture_of(*rgb) : nullptr});
  set.add_mesh(name, std::make_shared<const Mesh>(span_of(positions, 3, "positions"), span_of(normals, 3, "normals"), span_of(uvs, 2, "uvs"),
                                                  span_of(colours, 3, "colours"), std::move(parts)));
}

// All levels of a texture as arrays [height, width, 3], the top row first.
py::list mip_levels(const py::array& rgb) {
  auto texture = texture_of(rgb);
  py::list result;
  for (const auto& level : texture->levels()) {
    py::array_t<uint8_t> array({level.height, level.width, 3});
    uint8_t* out = array.mutable_data();
    for (int y = level.height - 1; y >= 0; --y)
      for (int x = 0; x < level.width; ++x)
        for (int shift = 0; shift < 24; shift += 8) *out++ = static_cast<uint8_t>(texture->texels()[level.offset + y * level.stride + x] >> shift);
    result.append(array);
  }
  return result;
}

}  // namespace

void bind_scene(py::module_& module) {
  py::class_<AssetSet>(module, "AssetSet")
      .def(py::init<>())
      .def("add_texture", [](AssetSet& self, const std::string& name, const py::array& rgb) { self.add_texture(name, texture_of(rgb)); },
           py::arg("name"), py::arg("rgb"))
      .def("add_mesh", &add_mesh, py::arg("name"), py::arg("positions"), py::arg("normals"), py::arg("uvs"), py::arg("colours"),
           py::arg("chunks"))
      .def("variants", &AssetSet::variants, py::arg("name"))
      .def("mesh_extent",
           [](const AssetSet& self, const std::string& name) {
             const float* extent = self.mesh(name).extent();
             return std::array<float, 3>{extent[0], extent[1], extent[2]};
           },
           py::arg("name"))
      .def_property_readonly("bytes", &AssetSet::bytes);
  module.def("install_assets", [](const std::string& name, const AssetSet& assets) { install_assets(name, assets); }, py::arg("name"),
             py::arg("assets"));
  module.def("has_assets", &has_assets, py::arg("name"));
  module.def("mip_levels", &mip_levels, py::arg("rgb"));
}

}  // namespace vldac::bind

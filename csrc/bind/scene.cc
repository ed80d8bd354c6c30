// Textures, meshes and scenes of the rasteriser: assets come in here, and tests draw scenes of their own.
#include <array>
#include <optional>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "bind/bind.h"
#include "render/raster/assets.h"
#include "render/raster/rasterizer.h"

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

// A scene of its own and the assets that it shows.
struct OwnScene {
  std::shared_ptr<const AssetSet> assets;
  Scene scene;

  explicit OwnScene(const AssetSet& set) : assets(std::make_shared<const AssetSet>(set)) {}

  void set_light(const Vec3f& sky, const Vec3f& light, const Vec3f& ambient, const Vec3f& diffuse) {
    scene.sky = sky, scene.light = light, scene.ambient = ambient, scene.diffuse = diffuse;
  }

  void add_polygon(const Array<float>& vertices, const Vec3f& normal, const Vec3f& colour, const std::string& texture, size_t variant) {
    if (vertices.ndim() != 2 || vertices.shape(1) != 5) throw std::invalid_argument("scene: expected vertices of shape [corners, 5]");
    const Texture* surface = texture.empty() ? nullptr : &assets->texture(texture, variant);
    auto count = static_cast<uint32_t>(vertices.shape(0));
    scene.polygons.push_back({static_cast<uint32_t>(scene.vertices.size()), count, surface, normal, colour});
    const float* row = vertices.data();
    for (uint32_t i = 0; i < count; ++i, row += 5) scene.vertices.push_back({row[0], row[1], row[2], row[3], row[4]});
  }

  void add_box(const Vec3d& position, double heading, const Vec3d& size, const Vec3f& colour) {
    scene.items.push_back({nullptr, position, heading, 1.0, size, colour});
  }

  void add_mesh(const std::string& name, const Vec3d& position, double heading, double scale) {
    scene.items.push_back({&assets->mesh(name), position, heading, scale, {}, {1, 1, 1}});
  }
};

template <class T>
py::array_t<T> picture(int width, int height, int channels) {
  if (width < 1 || height < 1) throw std::invalid_argument("scene: expected a width and a height of at least 1");
  return channels ? py::array_t<T>({height, width, channels}) : py::array_t<T>({height, width});
}

py::array_t<uint8_t> draw_scene(const OwnScene& self, const Vec3d& eye, const Vec3d& forward, double fov_y, int width, int height) {
  auto rgb = picture<uint8_t>(width, height, 3);
  uint8_t* out = rgb.mutable_data();
  {
    py::gil_scoped_release release;
    Rasterizer().draw(self.scene, Camera{.eye = eye, .forward = forward, .fov_y = fov_y}, out, width, height);
  }
  return rgb;
}

py::array_t<uint8_t> draw_scene_top(const OwnScene& self, double min_x, double max_x, double min_z, double max_z, int width, int height) {
  auto rgb = picture<uint8_t>(width, height, 3);
  Rasterizer().draw(self.scene, TopCamera{min_x, max_x, min_z, max_z}, rgb.mutable_data(), width, height);
  return rgb;
}

py::array_t<float> scene_depth(const OwnScene& self, const Vec3d& eye, const Vec3d& forward, double fov_y, int width, int height) {
  auto metres = picture<float>(width, height, 0);
  Rasterizer().depth(self.scene, Camera{.eye = eye, .forward = forward, .fov_y = fov_y}, metres.mutable_data(), width, height);
  return metres;
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
  py::class_<OwnScene>(module, "Scene")
      .def(py::init<const AssetSet&>(), py::arg("assets"))
      .def("set_light", &OwnScene::set_light, py::arg("sky"), py::arg("light"), py::arg("ambient"), py::arg("diffuse"))
      .def("add_polygon", &OwnScene::add_polygon, py::arg("vertices"), py::arg("normal"), py::arg("colour"), py::arg("texture"), py::arg("variant"))
      .def("add_box", &OwnScene::add_box, py::arg("position"), py::arg("heading"), py::arg("size"), py::arg("colour"))
      .def("add_mesh", &OwnScene::add_mesh, py::arg("name"), py::arg("position"), py::arg("heading"), py::arg("scale"))
      .def("draw", &draw_scene, py::arg("eye"), py::arg("forward"), py::arg("fov_y"), py::arg("width"), py::arg("height"))
      .def("draw_top", &draw_scene_top, py::arg("min_x"), py::arg("max_x"), py::arg("min_z"), py::arg("max_z"), py::arg("width"), py::arg("height"))
      .def("depth", &scene_depth, py::arg("eye"), py::arg("forward"), py::arg("fov_y"), py::arg("width"), py::arg("height"));
  module.def("install_assets",
             [](const std::string& name, const AssetSet& assets) {
               install_assets(name, assets);
#ifdef __GLIBC__
               malloc_trim(0);  // decoding has left megabytes of freed memory behind
#endif
             },
             py::arg("name"), py::arg("assets"));
  module.def("has_assets", &has_assets, py::arg("name"));
  module.def("mip_levels", &mip_levels, py::arg("rgb"));
}

}  // namespace vldac::bind

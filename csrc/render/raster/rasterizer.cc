#include "render/raster/rasterizer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "render/raster/setup.h"
#include "render/raster/tile.h"

namespace vldac {
namespace raster {

TileFunctions tile_functions(Isa isa) {
#ifdef VLDAC_X86
  if (isa == Isa::kAvx512) return avx512::kTileFunctions;
  if (isa == Isa::kAvx2) return avx2::kTileFunctions;
  if (isa == Isa::kSse41) return sse41::kTileFunctions;
#endif
  (void)isa;
  return generic::kTileFunctions;
}

}  // namespace raster

namespace {

constexpr int kMaxSize = 4096;

// What is in it is that of the last picture; nothing of it reaches the next one.
raster::Workspace& begin(Isa isa, const Scene& scene, const raster::View& view, int width, int height) {
  if (width < 1 || height < 1 || width > kMaxSize || height > kMaxSize)
    throw std::invalid_argument("rasteriser: expected a picture of 1 to " + std::to_string(kMaxSize) + " pixels a side, got " + std::to_string(width) +
                                " x " + std::to_string(height));
  thread_local raster::Workspace work;
  work.begin(width, height);
  for (int i = 0; i < 3; ++i) work.sky[i] = std::min(std::max(scene.sky[i], 0.0f), 1.0f) * 255.0f;
  if (raster::is_finite(view)) raster::set_up(work, scene, view, raster::tile_functions(isa));
  return work;
}

void draw_view(Isa isa, const Scene& scene, const raster::View& view, uint8_t* rgb, int width, int height) {
  auto& work = begin(isa, scene, view, width, height);
  raster::DrawTile draw = raster::tile_functions(isa).draw;
  for (int y = 0; y < work.tiles_y; ++y)
    for (int x = 0; x < work.tiles_x; ++x) draw(work, x, y, rgb);
}

}  // namespace

void Rasterizer::draw(const Scene& scene, const Camera& camera, uint8_t* rgb, int width, int height) const {
  draw_view(isa_, scene, raster::perspective_view(camera, width, height), rgb, width, height);
}

void Rasterizer::draw(const Scene& scene, const TopCamera& camera, uint8_t* rgb, int width, int height) const {
  draw_view(isa_, scene, raster::top_view(camera, width, height), rgb, width, height);
}

void Rasterizer::depth(const Scene& scene, const Camera& camera, float* metres, int width, int height) const {
  auto& work = begin(isa_, scene, raster::perspective_view(camera, width, height), width, height);
  thread_local std::vector<uint16_t> depths;
  depths.resize(static_cast<size_t>(width) * height);
  raster::ResolveDepth resolve = raster::tile_functions(isa_).depth;
  for (int y = 0; y < work.tiles_y; ++y)
    for (int x = 0; x < work.tiles_x; ++x) resolve(work, x, y, depths.data());
  auto near = static_cast<float>(camera.near), far = static_cast<float>(camera.far);
  for (size_t i = 0; i < depths.size(); ++i) {
    float clip = (static_cast<float>(depths[i]) / 65535.0f - 0.5f) * 2.0f;
    metres[i] = -2.0f * far * near / (clip * (far - near) - (far + near));
  }
}

}  // namespace vldac

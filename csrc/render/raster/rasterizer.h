// A software rasteriser: a scene and a camera to pixels, with four samples per pixel, 16-bit depth, trilinear textures and lighting
// per vertex, as a software OpenGL driver in its exact mode draws them. The same bytes at every tier of instruction set.
//
// Calls keep their working memory per thread and allocate nothing in the steady state: any number of threads may use one object.
#pragma once

#include "ops/isa.h"
#include "render/raster/scene.h"

namespace vldac {

class Rasterizer {
 public:
  explicit Rasterizer(Isa isa = chosen_isa()) : isa_(isa) {}
  Isa isa() const { return isa_; }
  // rgb: [height][width][3], the top row first.
  void draw(const Scene& scene, const Camera& camera, uint8_t* rgb, int width, int height) const;
  void draw(const Scene& scene, const TopCamera& camera, uint8_t* rgb, int width, int height) const;
  // Distance along the view direction in metres, [height][width]; camera.far where there is nothing.
  void depth(const Scene& scene, const Camera& camera, float* metres, int width, int height) const;

 private:
  Isa isa_;
};

}  // namespace vldac

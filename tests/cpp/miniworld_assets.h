// Textures and meshes for tests that draw MiniWorld's worlds without Python: plain chequers and tetrahedra of the right extents.
#pragma once

#include "envs/miniworld/materials.h"
#include "render/raster/assets.h"

namespace vldac::miniworld {

inline void install_test_assets() {
  if (has_assets("miniworld")) return;
  AssetSet set;
  uint8_t shade = 40;
  for (const SurfaceFacts& surface : kSurfaces)
    for (int variant = 0; variant < surface.variants; ++variant) {
      std::vector<uint8_t> rgb(16 * 16 * 3);
      for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(shade + ((i / 3 / 4 + i / 48 / 4) % 2 ? 100 : 0));
      set.add_texture(surface.name, std::make_shared<const Texture>(16, 16, rgb));
      shade = static_cast<uint8_t>(shade + 1);
    }
  for (const MeshFacts& mesh : kMeshes) {
    auto [x, y, z] = mesh.extent;
    std::vector<float> positions{-x, 0, -z, x, 0, -z, 0, y, 0, x, 0, -z, 0, 0, z, 0, y, 0, 0, 0, z, -x, 0, -z, 0, y, 0};
    std::vector<float> normals, uvs(18), colours(27, 0.5f);
    for (int i = 0; i < 9; ++i) normals.insert(normals.end(), {0, 1, 0});
    set.add_mesh(mesh.name, std::make_shared<const Mesh>(positions, normals, uvs, colours, std::vector<MeshChunk>{{0, 3, nullptr}}));
  }
  install_assets("miniworld", std::move(set));
}

}  // namespace vldac::miniworld

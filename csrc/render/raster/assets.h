// Named sets of textures and meshes, put here once per process by Python (envs/miniworld/assets.py) and read by all environments.
// Thread-safe; a set never changes once it is installed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "render/raster/mesh.h"
#include "render/raster/texture.h"

namespace vldac {

class AssetSet {
 public:
  // The next variant of that name.
  void add_texture(const std::string& name, std::shared_ptr<const Texture> texture) { textures_[name].push_back(std::move(texture)); }
  void add_mesh(const std::string& name, std::shared_ptr<const Mesh> mesh) { meshes_[name] = std::move(mesh); }
  // Both throw std::invalid_argument naming what is missing.
  const Texture& texture(const std::string& name, size_t variant) const;
  const Mesh& mesh(const std::string& name) const;
  // 0: no such texture.
  size_t variants(const std::string& name) const;
  // Of everything in it, textures that meshes share counted once.
  size_t bytes() const;

 private:
  std::map<std::string, std::vector<std::shared_ptr<const Texture>>> textures_;
  std::map<std::string, std::shared_ptr<const Mesh>> meshes_;
};

// Throws std::invalid_argument if a set of that name is there already.
void install_assets(const std::string& set, AssetSet assets);
bool has_assets(const std::string& set);
// Throws std::invalid_argument if there is none.
std::shared_ptr<const AssetSet> find_assets(const std::string& set);

}  // namespace vldac

#include "render/raster/assets.h"

#include <mutex>
#include <set>
#include <stdexcept>

namespace vldac {
namespace {

struct Store {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const AssetSet>> sets;
};

Store& store() {
  static Store* forever = new Store;  // threads may draw while the process ends
  return *forever;
}

}  // namespace

const Texture& AssetSet::texture(const std::string& name, size_t variant) const {
  auto found = textures_.find(name);
  if (found == textures_.end() || variant >= found->second.size())
    throw std::invalid_argument("asset set: no variant " + std::to_string(variant) + " of a texture '" + name + "'");
  return *found->second[variant];
}

const Mesh& AssetSet::mesh(const std::string& name) const {
  auto found = meshes_.find(name);
  if (found == meshes_.end()) throw std::invalid_argument("asset set: no mesh '" + name + "'");
  return *found->second;
}

size_t AssetSet::variants(const std::string& name) const {
  auto found = textures_.find(name);
  return found == textures_.end() ? 0 : found->second.size();
}

size_t AssetSet::bytes() const {
  std::set<const Texture*> textures;
  size_t total = 0;
  for (const auto& [name, variants] : textures_)
    for (const auto& texture : variants) textures.insert(texture.get());
  for (const auto& [name, mesh] : meshes_) {
    total += mesh->bytes();
    for (const auto& chunk : mesh->chunks())
      if (chunk.texture) textures.insert(chunk.texture.get());
  }
  for (const Texture* texture : textures) total += texture->bytes();
  return total;
}

void install_assets(const std::string& set, AssetSet assets) {
  auto shared = std::make_shared<const AssetSet>(std::move(assets));
  std::lock_guard lock(store().mutex);
  if (!store().sets.try_emplace(set, std::move(shared)).second)
    throw std::invalid_argument("expected a new name for an asset set\n     got '" + set + "', which is installed already");
}

bool has_assets(const std::string& set) {
  std::lock_guard lock(store().mutex);
  return store().sets.count(set) > 0;
}

std::shared_ptr<const AssetSet> find_assets(const std::string& set) {
  std::lock_guard lock(store().mutex);
  auto found = store().sets.find(set);
  if (found != store().sets.end()) return found->second;
  std::string names;
  for (const auto& [name, assets] : store().sets) names += (names.empty() ? "" : ", ") + name;
  throw std::invalid_argument("expected an installed asset set (" + (names.empty() ? "there is none" : names) + ")\n     got '" + set + "'");
}

}  // namespace vldac

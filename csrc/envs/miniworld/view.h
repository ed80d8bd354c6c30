// A world's pictures: the scene that its rooms and things make, from the agent's eyes and from above.
//
// The package draws a step's picture before the step's rules take things away (a medkit that is picked up is still in the hand): so
// what is shown is kept beside the world, and saved with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "envs/miniworld/world.h"
#include "render/raster/assets.h"
#include "render/raster/rasterizer.h"

namespace vldac::miniworld {

class View {
 public:
  // assets: the set that pictures are drawn with; without it there are none.
  explicit View(std::string assets) : set_name_(std::move(assets)) {}

  // A new world, and its things as they are now.
  void build(const World& world);
  // The things as they are now.
  void show(const World& world);
  // All three throw std::runtime_error where the set is not installed.
  void draw(const World& world, uint8_t* pixels, int width, int height) const;
  void draw_depth(const World& world, float* metres, int width, int height) const;
  void draw_map(const World& world, uint8_t* pixels, int width, int height) const;
  MapFrame map_frame(const World& world, int width, int height) const;

  void save(Bytes& out) const;
  void load(Bytes& in, const World& world);

 private:
  struct Shown {
    int32_t number;
    Vec3 position;
    double heading;
  };
  const Texture* texture(Surface surface, int variant);
  const Mesh* mesh(MeshName name);
  void require_assets() const;
  void add_polygon(const Texture* texture, Vec3 normal, Vec3f colour, std::span<const SceneVertex> corners);
  void add_room(const World& world, size_t room);
  void add_frame(const Entity& frame);
  SceneItem item_of(const Entity& entity, Vec3 position, double heading);
  void place_items(const World& world);
  Camera camera(const World& world) const;
  TopCamera top_camera(const World& world, int width, int height) const;

  std::string set_name_;
  std::shared_ptr<const AssetSet> assets_;
  // Found in the set when first needed.
  std::array<std::array<const Texture*, 9>, kSurfaces.size()> textures_{};
  std::array<const Mesh*, kMeshes.size()> meshes_{};
  std::vector<Shown> shown_;  // what can move, without the agent, in the order of drawing
  mutable Scene scene_;       // the map adds the agent while it draws
  size_t num_still_ = 0;      // items that cannot move
  Rasterizer rasterizer_;
};

}  // namespace vldac::miniworld

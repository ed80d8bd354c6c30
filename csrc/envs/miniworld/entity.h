// Things in a world: boxes, meshes, frames on walls, and the agent. Plain data.
#pragma once

#include <string_view>

#include "envs/miniworld/materials.h"

namespace vldac::miniworld {

enum class EntityKind : uint8_t { kBox, kMesh, kImageFrame, kTextFrame, kAgent };

struct Entity {
  EntityKind kind = EntityKind::kBox;
  bool is_static = false;  // cannot be picked up
  Vec3 position;           // of its bottom, a frame's of its middle
  double heading = 0.0;    // radians
  Length radius;           // of the circle that collides
  double height = 0.0;
  // Boxes.
  Colour colour = Colour::kRed;
  Vec3 size;
  std::array<double, 3> rgb{};  // the colour as randomised
  // Meshes.
  MeshName mesh = MeshName::kMedkit;
  float scale = 1.0f;
  // Frames.
  double width = 0.0, depth = 0.0;
  Surface picture = Surface::kLogo;
  const char* text = "";
  std::array<int8_t, 8> variants{};  // of the letters' textures

  static Entity box(Colour colour, double size = 0.8) {
    Entity entity;
    entity.colour = colour;
    entity.size = {size, size, size};
    entity.radius.value = std::sqrt(size * size + size * size) / 2;
    entity.height = size;
    return entity;
  }
  static Entity meshed(MeshName mesh, double height, bool is_static) {
    Entity entity;
    entity.kind = EntityKind::kMesh;
    entity.is_static = is_static;
    entity.mesh = mesh;
    entity.scale = mesh_scale(mesh, height);
    entity.radius = mesh_radius(mesh, height);
    entity.height = height;
    return entity;
  }
  static Entity key(Colour colour, double height = 0.35) { return meshed(of_colour(MeshName::kKeyBlue, colour), height, false); }
  static Entity ball(Colour colour, double height = 0.6) { return meshed(of_colour(MeshName::kBallBlue, colour), height, false); }
  // texture_aspect: the picture's height over its width, of the package's file.
  static Entity image_frame(Vec3 position, double heading, Surface picture, double width, double texture_aspect) {
    Entity entity = frame(EntityKind::kImageFrame, position, heading);
    entity.picture = picture;
    entity.width = width;
    entity.height = texture_aspect * width;
    return entity;
  }
  // text: of the letters in materials.h, at most 8, and it must outlive the entity.
  static Entity text_frame(Vec3 position, double heading, const char* text, double height) {
    Entity entity = frame(EntityKind::kTextFrame, position, heading);
    entity.text = text;
    entity.width = static_cast<double>(std::string_view(text).size()) * height;
    entity.height = height;
    return entity;
  }

 private:
  // On a wall, facing along the heading.
  static Entity frame(EntityKind kind, Vec3 position, double heading) {
    Entity entity;
    entity.kind = kind;
    entity.is_static = true;
    entity.position = position;
    entity.heading = heading;
    entity.depth = 0.05;
    return entity;
  }
  static MeshName of_colour(MeshName first, Colour colour) {
    return static_cast<MeshName>(static_cast<uint8_t>(first) + static_cast<uint8_t>(colour));
  }
};

// The agent's circle, and how it sees: camera values in metres and degrees.
struct AgentBody {
  double radius = 0.4, height = 1.6;
  double cam_height = 1.5, cam_fwd_disp = 0.0, cam_pitch = 0.0, cam_fov_y = 60.0;
};

}  // namespace vldac::miniworld

// The textures and meshes that MiniWorld's worlds use, with the facts that their physics and random draws depend on. These are the
// package's, whatever set is drawn, so that a world is the same without its files; envs/miniworld checks loaded files against them.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "envs/miniworld/numerics.h"

namespace vldac::miniworld {

enum class Surface : uint8_t {
  kConcrete, kFloorTiles, kConcreteTiles, kBrickWall, kAsphalt, kCinderBlocks, kSlime, kLogo,
  kLetterB, kLetterD, kLetterE, kLetterG, kLetterL, kLetterN, kLetterR, kLetterU,
};

struct SurfaceFacts {
  const char* name;
  int8_t variants;  // domain randomisation draws one of them
};

inline constexpr std::array<SurfaceFacts, 16> kSurfaces{{
    {"concrete", 4}, {"floor_tiles_bw", 1}, {"concrete_tiles", 1}, {"brick_wall", 1},
    {"asphalt", 1}, {"cinder_blocks", 1}, {"slime", 1}, {"logo_mila", 1},
    {"chars/ch_0x66", 9}, {"chars/ch_0x68", 9}, {"chars/ch_0x69", 9}, {"chars/ch_0x71", 9},
    {"chars/ch_0x76", 9}, {"chars/ch_0x78", 9}, {"chars/ch_0x82", 9}, {"chars/ch_0x85", 9},
}};

constexpr const SurfaceFacts& facts_of(Surface surface) { return kSurfaces[static_cast<size_t>(surface)]; }

// Sorted as MiniWorld sorts them: random choices index this list.
enum class Colour : uint8_t { kBlue, kGreen, kGrey, kPurple, kRed, kYellow };

struct ColourFacts {
  const char* name;
  std::array<double, 3> rgb;
};

inline constexpr std::array<ColourFacts, 6> kColours{{
    {"blue", {0.0, 0.0, 1.0}}, {"green", {0.0, 1.0, 0.0}}, {"grey", {0.39, 0.39, 0.39}},
    {"purple", {0.44, 0.15, 0.76}}, {"red", {1.0, 0.0, 0.0}}, {"yellow", {1.0, 1.0, 0.0}},
}};

constexpr const ColourFacts& facts_of(Colour colour) { return kColours[static_cast<size_t>(colour)]; }

// Balls and keys in the order of Colour.
enum class MeshName : uint8_t {
  kBallBlue, kBallGreen, kBallGrey, kBallPurple, kBallRed, kBallYellow,
  kKeyBlue, kKeyGreen, kKeyGrey, kKeyPurple, kKeyRed, kKeyYellow,
  kMedkit, kDuckie, kBuilding, kCone,
};

struct MeshFacts {
  const char* name;
  std::array<float, 3> extent;  // the largest x, y and z, recentred
};

inline constexpr std::array<float, 3> kBallExtent{0x1.48d94p+0f, 0x1.483d58p+1f, 0x1.48f5e4p+0f};
inline constexpr std::array<float, 3> kKeyExtent{0x1.9b0a2cp-2f, 0x1p+1f, 0x1.35994ap+1f};

inline constexpr std::array<MeshFacts, 16> kMeshes{{
    {"ball_blue", kBallExtent}, {"ball_green", kBallExtent}, {"ball_grey", kBallExtent},
    {"ball_purple", kBallExtent}, {"ball_red", kBallExtent}, {"ball_yellow", kBallExtent},
    {"key_blue", kKeyExtent}, {"key_green", kKeyExtent}, {"key_grey", kKeyExtent},
    {"key_purple", kKeyExtent}, {"key_red", kKeyExtent}, {"key_yellow", kKeyExtent},
    {"medkit", {0x1.c21c44p+4f, 0x1.9884b6p+5f, 0x1.f3f9dcp+3f}},
    {"duckie", {0x1.a91dcep-1f, 0x1.84b73ep+0f, 0x1.2d1f6p-1f}},
    {"building", {0x1.d70a3ep+0f, 0x1.b9999ap+1f, 0x1.3851ecp+0f}},
    {"cone", {0x1.4p+3f, 0x1.f85dccp+4f, 0x1.4p+3f}},
}};

constexpr const MeshFacts& facts_of(MeshName mesh) { return kMeshes[static_cast<size_t>(mesh)]; }

// What a mesh that is scaled to a height measures, in float32 as under NumPy 2.
inline float mesh_scale(MeshName mesh, double height) { return static_cast<float>(height) / facts_of(mesh).extent[1]; }
inline Length mesh_radius(MeshName mesh, double height) {
  const auto& extent = facts_of(mesh).extent;
  float square = extent[0] * extent[0] + extent[2] * extent[2];
  return Length::single(static_cast<float>(std::sqrt(static_cast<double>(square))) * mesh_scale(mesh, height));
}

}  // namespace vldac::miniworld

// The functions of tile.h for one tier: included once by each tile_<tier>.cc after lanes.h and what it defines with its instructions.
// No include guard: see above.

#include <cstring>

#include "render/raster/mesh_kernel.h"
#include "render/raster/samples_kernel.h"
#include "render/raster/shade_kernel.h"
#include "render/raster/tile.h"

namespace vldac::raster::VLDAC_TIER {
namespace {

// The tile's picture, block-major, to the rows of the whole one that exist.
VLDAC_FN void write(const Rgbx* pixels, const Workspace& work, int tile_x, int tile_y, uint8_t* rgb) {
  int left = tile_x * kTile, bottom = tile_y * kTile;
  int columns = work.width - left < kTile ? work.width - left : kTile, rows = work.height - bottom < kTile ? work.height - bottom : kTile;
  uint8_t* to = rgb + (static_cast<size_t>(work.height - 1 - bottom) * work.width + left) * 3;
  for (int y = 0; y < rows; ++y, to -= static_cast<size_t>(work.width) * 3) {
    const Rgbx* from = pixels + y / 2 * kBlocksAcross * kLanes + y % 2 * kBlockWidth;
    Rgbx row[kTile];
    for (int x = 0; x < kTile; ++x) row[x] = from[x / kBlockWidth * kLanes + x % kBlockWidth];
    if (columns == kTile) {
      pack_eight(row, to);
    } else {
      uint8_t whole[kTile * 3];
      pack_eight(row, whole);
      std::memcpy(to, whole, static_cast<size_t>(columns) * 3);
    }
  }
}

VLDAC_FN void add_face(const Samples& samples, const LocalSurface& surface, uint32_t local, Rgbx* pixels) {
  alignas(64) float levels[kTilePixels / 4 + 4];
  if (surface.texture) quad_levels(surface, levels);
  for (int block = 0; block < kBlocks; ++block) {
    alignas(64) int32_t quarters[kLanes];
    Int share = share_of(samples, block, local);
    uint32_t active = sign_bits(share > 0);
    if (!active) continue;
    store(quarters, share);
    alignas(64) Rgbx colours[kLanes];
    shade(surface, block, active, levels, colours);
    for (uint32_t rest = active; rest; rest &= rest - 1) {
      int i = __builtin_ctz(rest);
      pixels[block * kLanes + i] += colours[i] * (static_cast<float>(quarters[i]) * 0.25f);
    }
  }
}

// Which pixels show a face, and in how many quarters: a list for each face that shows, in a tile of many.
struct Shares {
  static constexpr int kMost = kTilePixels * kSamplesPerPixel;
  struct Entry {
    uint8_t pixel, quarters;
    int16_t next;
  };
  Entry entries[kMost];
  int count = 0;

  void add(Workspace& work, uint32_t local, int pixel, int quarters) {
    if (local == kSkyLocal) return;
    int16_t& head = work.tile_heads[local];
    entries[count] = {static_cast<uint8_t>(pixel), static_cast<uint8_t>(quarters), head};
    head = static_cast<int16_t>(count++);
    work.tile_seen[local / 64] |= uint64_t{1} << local % 64;
  }
};

VLDAC_FN void share_out(Workspace& work, const Samples& samples, Shares& shares) {
  work.tile_heads.assign(work.tile_faces.size(), -1);
  work.tile_seen.assign(work.tile_faces.size() / 64 + 1, 0);
  for (int pixel = 0; pixel < kTilePixels; ++pixel) {
    uint32_t locals[kSamplesPerPixel];
    bool is_one = true;
    for (int s = 0; s < kSamplesPerPixel; ++s) {
      locals[s] = samples.words[s][pixel] & 0xFFFF;
      is_one &= locals[s] == locals[0];
    }
    if (is_one) {
      shares.add(work, locals[0], pixel, 4);
      continue;
    }
    for (int s = 0; s < kSamplesPerPixel; ++s) {
      bool is_first = true;
      int quarters = 1;
      for (int t = 0; t < s; ++t) is_first &= locals[t] != locals[s];
      for (int t = s + 1; t < kSamplesPerPixel; ++t) quarters += locals[t] == locals[s];
      if (is_first) shares.add(work, locals[s], pixel, quarters);
    }
  }
}

// An untextured face of a mesh, pixel by pixel: the arithmetic of shade(), which does whole blocks.
VLDAC_FN void add_smooth(const Shares& shares, int first, const LocalSurface& surface, Rgbx* pixels) {
  const LocalPlane &r = surface.red, &g = surface.green, &b = surface.blue, &inverse_w = surface.inverse_w;
  const Rgbx at = {r.at, g.at, b.at, 0}, dx = {r.dx, g.dx, b.dx, 0}, dy = {r.dy, g.dy, b.dy, 0};
  for (int i = first; i >= 0; i = shares.entries[i].next) {
    int pixel = shares.entries[i].pixel, block = pixel / kLanes, lane = pixel % kLanes;
    float x = static_cast<float>(block % kBlocksAcross * kBlockWidth + lane % kBlockWidth) + 0.5f;
    float y = static_cast<float>(block / kBlocksAcross * 2 + lane / kBlockWidth) + 0.5f;
    float w = 1.0f / ((inverse_w.dy * y + inverse_w.at) + inverse_w.dx * x);
    pixels[pixel] += (((dy * y + at) + dx * x) * w) * (static_cast<float>(shares.entries[i].quarters) * 0.25f);
  }
}

// A tile in which many faces meet.
VLDAC_FN void add_many(Workspace& work, const Samples& samples, int tile_x, int tile_y, Rgbx* pixels) {
  Shares shares;
  share_out(work, samples, shares);
  for (size_t word = 0; word < work.tile_seen.size(); ++word)
    for (uint64_t rest = work.tile_seen[word]; rest; rest &= rest - 1) {
      auto local = static_cast<uint32_t>(word * 64) + static_cast<uint32_t>(__builtin_ctzll(rest));
      LocalSurface surface = localise(work.surface_of(work.faces[work.tile_faces[local]]), tile_x, tile_y);
      if (surface.is_smooth && !surface.texture) {
        add_smooth(shares, work.tile_heads[local], surface, pixels);
      } else {
        add_face(samples, surface, local, pixels);
      }
    }
}

VLDAC_FN void draw_tile(Workspace& work, int tile_x, int tile_y, uint8_t* rgb) {
  constexpr size_t kFew = 8;
  alignas(64) Rgbx pixels[kTilePixels];
  uint32_t only = gather_faces(work, tile_x, tile_y);
  if (only != kNone) {
    LocalSurface surface = localise(work.surface_of(work.faces[only]), tile_x, tile_y);
    shade_tile(surface, pixels);
  } else {
    for (auto& pixel : pixels) pixel = Rgbx{};
    Samples samples;
    resolve(work, samples, tile_x, tile_y);
    if (work.tile_faces.size() > kFew) {
      add_many(work, samples, tile_x, tile_y, pixels);
    } else {
      for (size_t i = 0; i < work.tile_faces.size(); ++i) {
        auto local = static_cast<uint32_t>(i);
        bool is_seen = false;
        for (int block = 0; block < kBlocks && !is_seen; ++block) is_seen = sign_bits(share_of(samples, block, local) > 0) != 0;
        if (is_seen) add_face(samples, localise(work.surface_of(work.faces[work.tile_faces[i]]), tile_x, tile_y), local, pixels);
      }
    }
    LocalSurface sky{};
    for (int i = 0; i < 3; ++i) sky.colour[i] = work.sky[i];
    add_face(samples, sky, kSkyLocal, pixels);
  }
  write(pixels, work, tile_x, tile_y, rgb);
}

VLDAC_FN void resolve_depth(Workspace& work, int tile_x, int tile_y, uint16_t* depth) {
  Samples samples;
  gather_faces(work, tile_x, tile_y);
  resolve(work, samples, tile_x, tile_y);
  for (int block = 0; block < kBlocks; ++block)
    for (int i = 0; i < kLanes; ++i) {
      int x = tile_x * kTile + block % kBlocksAcross * kBlockWidth + i % kBlockWidth;
      int y = tile_y * kTile + block / kBlocksAcross * 2 + i / kBlockWidth;
      if (x >= work.width || y >= work.height) continue;
      uint32_t word = samples.words[0][block * kLanes + i];
      depth[static_cast<size_t>(work.height - 1 - y) * work.width + x] = word == kSkyWord ? 65535 : static_cast<uint16_t>(word >> 16);
    }
}

}  // namespace

const TileFunctions kTileFunctions = {draw_tile, resolve_depth, snap_vertices, find_front};

}  // namespace vldac::raster::VLDAC_TIER

#undef VLDAC_INLINE

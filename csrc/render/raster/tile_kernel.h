// The functions of tile.h for one tier: included once by each tile_<tier>.cc after lanes.h and what it defines with its instructions.
//
// A block is VLDAC_LANES pixels in two rows; block-major buffers hold a tile. Vectors of the compiler do the arithmetic, element by
// element and without contraction, so that tiers agree.
// No include guard: see above.

#include <cstring>
#include <stdexcept>

#include "render/raster/bin.h"
#include "render/raster/mesh_kernel.h"
#include "render/raster/tile.h"

namespace vldac::raster::VLDAC_TIER {
namespace {

constexpr int kBlockWidth = kLanes / 2;
constexpr int kBlocksAcross = kTile / kBlockWidth;
constexpr int kBlocks = kTilePixels / kLanes;
constexpr uint32_t kSkyWord = 0xFFFEFFFF;  // depth 65535 is not less than a cleared buffer's
constexpr uint32_t kSkyLocal = 0xFFFF;
constexpr size_t kMaxLocal = 0xFFFF;
constexpr float kWeightOne = 32767.0f;
constexpr uint32_t kAllLanes = (1u << kLanes) - 1;

struct LaneTable {
  alignas(64) int32_t x[kLanes], y[kLanes];
  alignas(64) float center_x[kLanes], center_y[kLanes];
};
constexpr LaneTable lane_table() {
  LaneTable table{};
  for (int i = 0; i < kLanes; ++i) {
    table.x[i] = i % kBlockWidth, table.y[i] = i / kBlockWidth;
    table.center_x[i] = static_cast<float>(i % kBlockWidth) + 0.5f, table.center_y[i] = static_cast<float>(i / kBlockWidth) + 0.5f;
  }
  return table;
}
constexpr LaneTable kLaneTable = lane_table();

// The middles of the first pixels of a tile's quads.
struct QuadTable {
  alignas(64) float x[kTilePixels / 4], y[kTilePixels / 4];
};
constexpr QuadTable quad_table() {
  QuadTable table{};
  for (int i = 0; i < kTilePixels / 4; ++i) table.x[i] = static_cast<float>(i % 4 * 2) + 0.5f, table.y[i] = static_cast<float>(i / 4 * 2) + 0.5f;
  return table;
}
constexpr QuadTable kQuadTable = quad_table();

// Samples of a tile: depth << 16 | place in the tile's list of faces. The least word is nearest, and drawn first among equals.
struct Samples {
  alignas(64) uint32_t words[kSamplesPerPixel][kTilePixels];
};

VLDAC_FN void clear(Samples& samples) {
  for (auto& row : samples.words)
    for (int i = 0; i < kTilePixels; i += kLanes) store(row + i, Word{} + kSkyWord);
}

VLDAC_FN void cover(Samples& samples, const Workspace& work, const Face& face, uint32_t local, int tile_x, int tile_y) {
  const Int lane_x = load<Int>(kLaneTable.x) * kEighths, lane_y = load<Int>(kLaneTable.y) * kEighths;
  struct Line {
    Int lanes;
    uint32_t a, b, at;
  };
  Line lines[kMaxCorners + 1];
  int count = 0;
  for (uint32_t i = 0; i < face.num_edges; ++i) {
    const Edge& edge = work.edges[face.first_edge + i];
    int64_t a = edge.a, b = edge.b, at = edge.c + a * tile_x * kTileEighths + b * tile_y * kTileEighths;
    int64_t least = at + a * (a > 0 ? kFirstSample : kLastSample) + b * (b > 0 ? kFirstSample : kLastSample);
    if (least >= 0) continue;  // all of the tile is on its inner side
    lines[count++] = {lane_x * edge.a + lane_y * edge.b, static_cast<uint32_t>(a), static_cast<uint32_t>(b), static_cast<uint32_t>(at)};
  }
  TileDepth depth(face.depth, tile_x, tile_y);
  auto dx = static_cast<uint32_t>(depth.dx), dy = static_cast<uint32_t>(depth.dy), depth_at = static_cast<uint32_t>(depth.at);
  const Word depth_lanes = reinterpret_cast<Word>(lane_x) * dx + reinterpret_cast<Word>(lane_y) * dy;
  // Only the rows of blocks that the face can touch.
  int low = (face.y0 - tile_y * kTile) / 2, high = (face.y1 - tile_y * kTile) / 2;
  const int first = low > 0 ? low * kBlocksAcross : 0, end = high < kTile / 2 - 1 ? (high + 1) * kBlocksAcross : kBlocks;
  for (int block = first; block < end; ++block) {
    uint32_t block_x = block % kBlocksAcross * kBlockWidth * kEighths, block_y = block / kBlocksAcross * 2 * kEighths;
    for (int s = 0; s < kSamplesPerPixel; ++s) {
      uint32_t x = block_x + kSampleX[s], y = block_y + kSampleY[s];
      Int outside = {};
      for (int i = 0; i < count; ++i) outside |= lines[i].lanes + static_cast<int32_t>(lines[i].at + lines[i].a * x + lines[i].b * y);
      Int z = reinterpret_cast<Int>(depth_lanes + (depth_at + dx * x + dy * y)) >> kDepthBits;
      z = z > 0 ? z : ints(0);
      z = z < 65535 ? z : ints(65535);
      Word word = (reinterpret_cast<Word>(z) << 16) | local | reinterpret_cast<Word>(outside >> 31);
      uint32_t* at = samples.words[s] + block * kLanes;
      Word old = load<Word>(at);
      store(at, word < old ? word : old);
    }
  }
}

VLDAC_INLINE Float at(const LocalPlane& plane, Float x, Float y) { return (plane.dy * y + plane.at) + plane.dx * x; }

VLDAC_INLINE LocalPlane local_plane(const Plane& plane, double x, double y) {
  return {static_cast<float>(plane(x, y)), static_cast<float>(plane.dx), static_cast<float>(plane.dy)};
}

VLDAC_FN LocalSurface localise(const Surface& surface, int tile_x, int tile_y) {
  double x = tile_x * kTile, y = tile_y * kTile;
  LocalSurface local{};
  local.texture = surface.texture, local.is_smooth = surface.is_smooth;
  for (int i = 0; i < 3; ++i) local.colour[i] = surface.colour[i];
  if (surface.texture || surface.is_smooth) local.inverse_w = local_plane(surface.inverse_w, x, y);
  if (surface.texture) local.u = local_plane(surface.u, x, y), local.v = local_plane(surface.v, x, y);
  if (surface.is_smooth) local.red = local_plane(surface.red, x, y), local.green = local_plane(surface.green, x, y), local.blue = local_plane(surface.blue, x, y);
  return local;
}

// What filter() needs of each pixel: where the lower left texels of its two levels are, how far on the upper ones, and the weights of
// all eight, as pairs of 16 bits (lower texel, upper texel) for the left and the right column.
struct Taps {
  alignas(64) uint32_t at[2][kLanes];
  alignas(64) int32_t stride[2][kLanes];
  alignas(64) uint32_t weights[4][kLanes];
  bool is_one_level;  // all strides are the first lane's
};

struct Axis {
  Int index;
  Float fraction;
};

// Coordinates in a level of `size` texels that repeats.
VLDAC_INLINE Axis axis_of(Float coordinate, int size, bool is_power_of_two) {
  if (!is_power_of_two) coordinate -= floor_of(coordinate);
  Float at = coordinate * static_cast<float>(size) - 0.5f, whole = floor_of(at);
  Int index = to_int(whole);
  if (is_power_of_two) {
    index &= size - 1;
  } else {
    index = index < 0 ? ints(size - 1) : index;
    index = index > size - 1 ? ints(size - 1) : index;
  }
  return {index, at - whole};
}

// Two weights (0 to 32767) in a word, rounded: the sums' last bits are integers.
VLDAC_INLINE Word pair_of(Float low, Float high) {
  const float magic = 12582912.0f;
  return (reinterpret_cast<Word>(low + magic) & 0xFFFF) | (reinterpret_cast<Word>(high + magic) << 16);
}

// A quad's level to its lanes.
#if VLDAC_LANES == 4
#define VLDAC_QUAD_LANES 0, 0, 0, 0
#elif VLDAC_LANES == 8
#define VLDAC_QUAD_LANES 0, 0, 1, 1, 0, 0, 1, 1
#else
#define VLDAC_QUAD_LANES 0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1, 2, 2, 3, 3
#endif

// How many levels down each of a tile's quads (four rows of four) looks: from what its first pixel's right and upper neighbours are
// away on the texture, log2 of the larger of two squared lengths, halved, straight lines between powers of two.
VLDAC_FN void quad_levels(const LocalSurface& surface, float* levels) {
  const Texture& texture = *surface.texture;
  const LocalPlane &up = surface.u, &vp = surface.v, &wp = surface.inverse_w;
  const float width = texture.scale_x(), height = texture.scale_y();
  for (int i = 0; i < kTilePixels / 4; i += kLanes) {
    Float x = load<Float>(kQuadTable.x + i), y = load<Float>(kQuadTable.y + i);
    Float u = at(up, x, y), v = at(vp, x, y), w = at(wp, x, y), w_right = w + wp.dx, w_up = w + wp.dy;
    // u / w there less u / w here, for both neighbours on one division.
    Float scale = 1.0f / (w * (w_right * w_up)), to_right = w_up * scale, to_up = w_right * scale;
    Float ux = (up.dx * w - wp.dx * u) * to_right * width, vx = (vp.dx * w - wp.dx * v) * to_right * height;
    Float uy = (up.dy * w - wp.dy * u) * to_up * width, vy = (vp.dy * w - wp.dy * v) * to_up * height;
    Float across = ux * ux + vx * vx, along = uy * uy + vy * vy;
    Int bits = reinterpret_cast<Int>(max_of(across, along));
    Float exponent = to_float((bits >> 23) - 128);
    Float mantissa = reinterpret_cast<Float>((bits & 0x7FFFFF) | 0x3F800000);
    store(levels + i, min_of(max_of((exponent + mantissa) * 0.5f, floats(0.0f)), floats(texture.last_level())));
  }
}

VLDAC_INLINE void taps_at(const Texture& texture, int level, Float u, Float v, Float blend, bool is_first, Int here, Taps& taps) {
  const auto& levels = texture.levels();
  const int last = static_cast<int>(levels.size()) - 1;
  for (int part = 0; part < 2; ++part) {
    const auto& size = levels[level + part < last ? level + part : last];
    Axis x = axis_of(u, size.width, texture.is_power_of_two_x()), y = axis_of(v, size.height, texture.is_power_of_two_y());
    Word at = reinterpret_cast<Word>(y.index * size.stride + x.index) + size.offset;
    Float share = (part ? blend : 1.0f - blend) * kWeightOne;
    Float right = x.fraction * share, left = share - right;
    Float right_up = right * y.fraction, left_up = left * y.fraction;
    Word pair_left = pair_of(left - left_up, left_up), pair_right = pair_of(right - right_up, right_up);
    Int stride = ints(size.stride);
    if (!is_first) {  // other lanes keep what another level gave them
      at = here ? at : load<Word>(taps.at[part]);
      stride = here ? stride : load<Int>(taps.stride[part]);
      pair_left = here ? pair_left : load<Word>(taps.weights[part * 2]);
      pair_right = here ? pair_right : load<Word>(taps.weights[part * 2 + 1]);
    }
    store(taps.at[part], at), store(taps.stride[part], stride);
    store(taps.weights[part * 2], pair_left), store(taps.weights[part * 2 + 1], pair_right);
  }
}

VLDAC_INLINE void taps_of(const Texture& texture, Float u, Float v, Float level, uint32_t active, Taps& taps) {
  Int low = to_int(level);
  Float blend = level - to_float(low);
  taps.is_one_level = true;
  for (uint32_t rest = active; rest;) {  // nearly always one level, or two
    int one = low[__builtin_ctz(rest)];
    Int here = low == one;
    taps_at(texture, one, u, v, blend, taps.is_one_level, here, taps);
    rest &= ~sign_bits(here);
    if (!rest) break;
    taps.is_one_level = false;
  }
}

struct Coordinates {
  Float x, y;
};

// Pixels' middles.
VLDAC_INLINE Coordinates middles(int block) {
  return {load<Float>(kLaneTable.center_x) + static_cast<float>(block % kBlocksAcross * kBlockWidth),
          load<Float>(kLaneTable.center_y) + static_cast<float>(block / kBlocksAcross * 2)};
}

// A surface's plane may run to infinity beside it; what is there is never shown, but must be an address.
VLDAC_INLINE Float bounded(Float coordinate) {
  const Float limit = floats(16384.0f);
  return min_of(max_of(coordinate, -limit), limit);
}

constexpr float kColourScale = 1.0f / (kWeightOne * 255.0f);

// What the lanes of `active` show of a texture, times its lit colour; lit: of each lane, for a smooth surface.
template <bool kIsOneLevel>
VLDAC_INLINE void filter_lanes(const LocalSurface& surface, const Taps& taps, const float (*lit)[kLanes], uint32_t active, Rgbx* out) {
  const uint32_t* texels = surface.texture->texels();
  Rgbx colour = {surface.colour[0] * kColourScale, surface.colour[1] * kColourScale, surface.colour[2] * kColourScale, 0};
  const int near_stride = taps.stride[0][0], far_stride = taps.stride[1][0];
  auto one = [&](int i) __attribute__((always_inline)) VLDAC_FN {
    if (surface.is_smooth) colour = Rgbx{lit[0][i] * kColourScale, lit[1][i] * kColourScale, lit[2][i] * kColourScale, 0};
    const uint32_t *near = texels + taps.at[0][i], *far = texels + taps.at[1][i];
    Sum sum = filter(near, near + (kIsOneLevel ? near_stride : taps.stride[0][i]), far, far + (kIsOneLevel ? far_stride : taps.stride[1][i]),
                     &taps.weights[0][i]);
    out[i] = __builtin_convertvector(sum, Rgbx) * colour;
  };
  if (active == kAllLanes) {
    for (int i = 0; i < kLanes; ++i) one(i);
  } else {
    for (uint32_t rest = active; rest; rest &= rest - 1) one(__builtin_ctz(rest));
  }
}

// What a textured block needs before its texels are read.
struct Prepared {
  Taps taps;
  alignas(64) float lit[3][kLanes];
};

VLDAC_INLINE void prepare(const LocalSurface& surface, int block, uint32_t active, const float* levels, Prepared& prepared) {
  auto [x, y] = middles(block);
  Float w = 1.0f / at(surface.inverse_w, x, y);
  if (surface.is_smooth) {
    store(prepared.lit[0], at(surface.red, x, y) * w), store(prepared.lit[1], at(surface.green, x, y) * w);
    store(prepared.lit[2], at(surface.blue, x, y) * w);
  }
  Float u = bounded(at(surface.u, x, y) * w), v = bounded(at(surface.v, x, y) * w);
  Rgbx row = load<Rgbx>(levels + block / kBlocksAcross * 4 + block % kBlocksAcross * kBlockWidth / 2);
  Float level = __builtin_shufflevector(row, row, VLDAC_QUAD_LANES);
  taps_of(*surface.texture, u, v, level, active, prepared.taps);
}

VLDAC_INLINE void finish(const LocalSurface& surface, const Prepared& prepared, uint32_t active, Rgbx* out) {
  if (prepared.taps.is_one_level) {
    filter_lanes<true>(surface, prepared.taps, prepared.lit, active, out);
  } else {
    filter_lanes<false>(surface, prepared.taps, prepared.lit, active, out);
  }
}

// Colours (0..255) of the pixels of a block, in the lanes of `active`. levels: of the tile's quads, for a texture.
VLDAC_FN void shade(const LocalSurface& surface, int block, uint32_t active, const float* levels, Rgbx* out) {
  if (surface.texture) {
    Prepared prepared;
    prepare(surface, block, active, levels, prepared);
    finish(surface, prepared, active, out);
  } else if (surface.is_smooth) {
    auto [x, y] = middles(block);
    Float w = 1.0f / at(surface.inverse_w, x, y);
    Float red = at(surface.red, x, y) * w, green = at(surface.green, x, y) * w, blue = at(surface.blue, x, y) * w;
    for (int i = 0; i < kLanes; ++i) out[i] = Rgbx{red[i], green[i], blue[i], 0};
  } else {
    Rgbx flat = {surface.colour[0], surface.colour[1], surface.colour[2], 0};
    for (int i = 0; i < kLanes; ++i) out[i] = flat;
  }
}

// A tile that shows one face alone. Texels are fetched a block ahead.
VLDAC_FN void shade_tile(const LocalSurface& surface, Rgbx* pixels) {
  if (!surface.texture) {
    for (int block = 0; block < kBlocks; ++block) shade(surface, block, kAllLanes, nullptr, pixels + block * kLanes);
    return;
  }
  alignas(64) float levels[kTilePixels / 4 + 4];
  quad_levels(surface, levels);
  Prepared prepared[2];
  prepare(surface, 0, kAllLanes, levels, prepared[0]);
  for (int block = 0; block < kBlocks; ++block) {
    if (block + 1 < kBlocks) {
      Prepared& next = prepared[(block + 1) % 2];
      prepare(surface, block + 1, kAllLanes, levels, next);
      const uint32_t* texels = surface.texture->texels();
      for (int i = 0; i < kLanes; i += 2)
        for (const auto& places : next.taps.at) __builtin_prefetch(texels + places[i]);
    }
    finish(surface, prepared[block % 2], kAllLanes, pixels + block * kLanes);
  }
}

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

// The tile's faces that may show, in the order in which they were drawn. Returns the one that hides all others, or kNone.
VLDAC_FN uint32_t gather_faces(Workspace& work, int tile_x, int tile_y) {
  const Bin& bin = work.bin(tile_x, tile_y);
  work.tile_faces.clear(), work.tile_hits.clear();
  uint32_t last = kNone;
  for (uint32_t at = bin.head; at != kNone; at = work.nodes[at].next) {
    const BinNode& node = work.nodes[at];
    bool is_hit = node.hit & kIsHit;
    int64_t least = is_hit ? static_cast<int64_t>(node.hit >> 8 & 0xFFFF) : TileDepth(work.faces[node.face].depth, tile_x, tile_y).least();
    if (least > bin.nearest_cover) continue;
    if (node.face != last) work.tile_faces.push_back(last = node.face);
    if (is_hit) work.tile_hits.push_back({static_cast<uint32_t>(work.tile_faces.size() - 1), node.hit});
  }
  if (work.tile_faces.size() >= kMaxLocal) throw std::runtime_error("rasteriser: 65,535 faces or more meet in 8 x 8 pixels");
  return work.tile_faces.size() == 1 && bin.nearest_cover < 65535 ? work.tile_faces[0] : kNone;
}

VLDAC_FN void resolve(Workspace& work, Samples& samples, int tile_x, int tile_y) {
  clear(samples);
  for (size_t i = 0; i < work.tile_faces.size(); ++i) {
    const Face& face = work.faces[work.tile_faces[i]];
    if (face.num_edges) cover(samples, work, face, static_cast<uint32_t>(i), tile_x, tile_y);
  }
  for (const auto& hit : work.tile_hits) {
    int x = hit.hit & 7, y = hit.hit >> 3 & 7;
    uint32_t& word = samples.words[hit.hit >> 6 & 3][(y / 2 * kBlocksAcross + x / kBlockWidth) * kLanes + y % 2 * kBlockWidth + x % kBlockWidth];
    uint32_t found = (hit.hit >> 8 & 0xFFFF) << 16 | hit.local;
    if (found < word) word = found;
  }
}

// How much of each pixel shows face `local`, in quarters.
VLDAC_INLINE Int share_of(const Samples& samples, int block, uint32_t local) {
  Int quarters = {};
  for (int s = 0; s < kSamplesPerPixel; ++s) quarters -= (load<Word>(samples.words[s] + block * kLanes) & 0xFFFF) == local;
  return quarters;
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
#undef VLDAC_QUAD_LANES

// Colours of a tile's pixels from a face's surface, for one tier: included by tile_kernel.h after samples_kernel.h. No include guard.

namespace vldac::raster::VLDAC_TIER {
namespace {

constexpr float kWeightOne = 32767.0f;
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

}  // namespace
}  // namespace vldac::raster::VLDAC_TIER

#undef VLDAC_QUAD_LANES

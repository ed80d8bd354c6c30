// Which face each sample of a tile shows, for one tier: included by tile_kernel.h. No include guard.
//
// A block is VLDAC_LANES pixels in two rows; block-major buffers hold a tile.

#include <stdexcept>

#include "render/raster/bin.h"

namespace vldac::raster::VLDAC_TIER {
namespace {

constexpr int kBlockWidth = kLanes / 2;
constexpr int kBlocksAcross = kTile / kBlockWidth;
constexpr int kBlocks = kTilePixels / kLanes;
constexpr uint32_t kSkyWord = 0xFFFEFFFF;  // depth 65535 is not less than a cleared buffer's
constexpr uint32_t kSkyLocal = 0xFFFF;
constexpr size_t kMaxLocal = 0xFFFF;
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

}  // namespace
}  // namespace vldac::raster::VLDAC_TIER

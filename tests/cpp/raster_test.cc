// Tests of the rasteriser without Python; run under sanitizers by .ci/sanitize. Scenes are at random and unreasonable: faces behind
// the eye, through it, without area, of huge extent, with coordinates that are no numbers; pictures of every size, in heap blocks without
// slack. Every tier must give the same bytes, whatever was drawn before and on whatever thread, and allocate nothing once warm.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "render/raster/assets.h"
#include "render/raster/rasterizer.h"

#define CHECK(condition)                                                 \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::exit(1);                                                        \
  }

using namespace vldac;

static std::atomic<uint64_t> allocations{0};

// Never inlined: GCC takes a pair of which it sees one half for mismatched.
__attribute__((noinline)) void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

static std::vector<Isa> tiers() {
  std::vector<Isa> result;
  for (const auto& name : supported_isas()) result.push_back(parse_isa(name));
  return result;
}

// Numbers at random that depend on the round alone.
struct Draw {
  uint64_t round, next = 0;
  uint64_t word() { return counter_random(round, 11, 0, next++); }
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(word() >> 11) * 0x1p-53; }
  int below(int n) { return static_cast<int>(word() % static_cast<uint64_t>(n)); }
};

static std::vector<uint8_t> noise(size_t bytes, uint64_t seed) {
  std::vector<uint8_t> block(bytes);
  for (size_t i = 0; i < bytes; ++i) block[i] = static_cast<uint8_t>(counter_random(seed, 7, 0, i));
  return block;
}

struct Things {
  std::vector<std::shared_ptr<const Texture>> textures;
  std::vector<std::shared_ptr<const Mesh>> meshes;

  Things() {
    int sizes[][2] = {{64, 64}, {51, 30}, {1, 1}, {7, 128}, {256, 3}};
    for (auto [width, height] : sizes)
      textures.push_back(std::make_shared<const Texture>(width, height, noise(static_cast<size_t>(width) * height * 3, width)));
    for (uint64_t m = 0; m < 3; ++m) {
      Draw draw{900 + m};
      size_t triangles = m == 0 ? 1 : 60 * m;
      std::vector<float> positions, normals, uvs, colours;
      for (size_t i = 0; i < triangles * 3; ++i) {
        float x = static_cast<float>(draw.uniform(-1, 1));
        for (int axis = 0; axis < 3; ++axis) positions.push_back(axis == 0 ? x : static_cast<float>(draw.uniform(0, 2)));
        for (int axis = 0; axis < 3; ++axis) normals.push_back(static_cast<float>(draw.uniform(-1, 1)));
        for (int axis = 0; axis < 2; ++axis) uvs.push_back(static_cast<float>(draw.uniform(-3, 3)));
        for (int axis = 0; axis < 3; ++axis) colours.push_back(static_cast<float>(draw.uniform(0, 1)));
        if (i % 9 == 8) std::copy_n(positions.end() - 6, 3, positions.end() - 3);  // without area
      }
      auto half = static_cast<uint32_t>(triangles / 2), rest = static_cast<uint32_t>(triangles) - half;
      meshes.push_back(std::make_shared<const Mesh>(positions, normals, uvs, colours,
                                                    std::vector<MeshChunk>{{0, half, nullptr}, {half, rest, textures[m]}}));
    }
  }
};

static Scene scene_of(const Things& things, uint64_t round) {
  Draw draw{round};
  Scene scene;
  scene.sky = {0.2f, 0.5f, 0.9f}, scene.light = {0.0f, 0.8f, 0.6f}, scene.ambient = {0.5f, 0.5f, 0.5f}, scene.diffuse = {0.6f, 0.6f, 0.6f};
  double reach = round % 3 == 0 ? 200.0 : round % 3 == 1 ? 8.0 : 0.5;
  for (int p = draw.below(30); p >= 0; --p) {
    // Corners on a circle or an edge of it, seen from either side.
    int count = draw.below(9) == 0 ? 3 + draw.below(40) : 3 + draw.below(4);
    Vec3d center{draw.uniform(-reach, reach), draw.uniform(-3, 3), draw.uniform(-reach, reach)}, a, b;
    for (int axis = 0; axis < 3; ++axis) a[axis] = draw.uniform(-reach, reach), b[axis] = draw.uniform(-reach, reach);
    if (draw.below(8) == 0) b = a;
    auto first = static_cast<uint32_t>(scene.vertices.size());
    for (int i = 0; i < count; ++i) {
      double turn = 2 * M_PI * i / count, c = std::cos(turn), s = std::sin(turn);
      SceneVertex vertex{};
      vertex.x = static_cast<float>(center[0] + a[0] * c + b[0] * s), vertex.y = static_cast<float>(center[1] + a[1] * c + b[1] * s);
      vertex.z = static_cast<float>(center[2] + a[2] * c + b[2] * s);
      vertex.u = static_cast<float>(draw.uniform(-90, 90)), vertex.v = static_cast<float>(draw.uniform(-90, 90));
      scene.vertices.push_back(vertex);
    }
    if (draw.below(40) == 0) scene.vertices[first].y = std::numeric_limits<float>::quiet_NaN();
    if (draw.below(40) == 0) scene.vertices[first].z = std::numeric_limits<float>::infinity();
    Vec3f normal{static_cast<float>(a[1] * b[2] - a[2] * b[1]), static_cast<float>(a[2] * b[0] - a[0] * b[2]),
                 static_cast<float>(a[0] * b[1] - a[1] * b[0])};
    float length = std::sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
    for (float& value : normal) value = length > 0 ? value / length : 0;
    const Texture* texture = draw.below(4) ? things.textures[static_cast<size_t>(draw.below(5))].get() : nullptr;
    scene.polygons.push_back({first, static_cast<uint32_t>(count), texture, normal, {1, 0.8f, 0.6f}});
  }
  for (int i = draw.below(12); i > 0; --i) {
    SceneItem item;
    for (double& value : item.position) value = draw.uniform(-reach, reach) / 4;
    item.heading = draw.uniform(-4, 4);
    if (draw.below(3)) item.mesh = things.meshes[static_cast<size_t>(draw.below(3))].get();
    item.scale = draw.below(4) ? draw.uniform(0.01, 3) : draw.uniform(0, 60);
    for (double& value : item.size) value = draw.uniform(0, 2);
    if (draw.below(40) == 0) item.position[1] = std::numeric_limits<double>::quiet_NaN();
    if (draw.below(40) == 0) item.heading = std::numeric_limits<double>::infinity();
    if (draw.below(40) == 0) item.position[0] = 1e300;
    scene.items.push_back(item);
  }
  return scene;
}

static Camera camera_of(uint64_t round) {
  Draw draw{round ^ 0x5555};
  Camera camera;
  for (int axis = 0; axis < 3; ++axis) camera.eye[axis] = draw.uniform(-2, 2), camera.forward[axis] = draw.uniform(-1, 1);
  if (draw.below(3)) camera.forward[1] = 0;
  camera.fov_y = draw.below(9) ? draw.uniform(40, 80) : draw.uniform(1, 179);
  return camera;
}

static std::unique_ptr<uint8_t[]> drawn(Isa isa, const Scene& scene, const Camera& camera, int width, int height) {
  size_t bytes = static_cast<size_t>(width) * height * 3;
  auto picture = std::make_unique<uint8_t[]>(bytes);
  std::memset(picture.get(), 77, bytes);
  Rasterizer(isa).draw(scene, camera, picture.get(), width, height);
  return picture;
}

static void every_tier_draws_the_same_bytes_inside_the_picture(const Things& things, uint64_t rounds) {
  uint64_t lit = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    Scene scene = scene_of(things, round);
    Camera camera = camera_of(round);
    Draw draw{round + 77777};
    int width = 1 + draw.below(round % 8 ? 130 : 400), height = 1 + draw.below(round % 8 ? 90 : 300);
    size_t bytes = static_cast<size_t>(width) * height * 3;
    auto expected = drawn(Isa::kScalar, scene, camera, width, height);
    for (size_t i = 3; i < bytes; ++i) lit += expected[i] != expected[i - 3];
    auto depth = std::make_unique<float[]>(bytes / 3), again = std::make_unique<float[]>(bytes / 3);
    Rasterizer(Isa::kScalar).depth(scene, camera, depth.get(), width, height);
    for (size_t i = 0; i < bytes / 3; ++i) CHECK(depth[i] >= 0.0399f && depth[i] <= 100.01f);
    auto map = std::make_unique<uint8_t[]>(bytes), other_map = std::make_unique<uint8_t[]>(bytes);
    TopCamera top{-9, 9, -9, 9};
    Rasterizer(Isa::kScalar).draw(scene, top, map.get(), width, height);
    for (Isa isa : tiers()) {
      auto found = drawn(isa, scene, camera, width, height);
      CHECK(std::memcmp(found.get(), expected.get(), bytes) == 0);
      Rasterizer(isa).depth(scene, camera, again.get(), width, height);
      CHECK(std::memcmp(again.get(), depth.get(), bytes / 3 * sizeof(float)) == 0);
      Rasterizer(isa).draw(scene, top, other_map.get(), width, height);
      CHECK(std::memcmp(other_map.get(), map.get(), bytes) == 0);
    }
  }
  CHECK(lit > rounds * 100);
}

static void threads_share_a_rasteriser(const Things& things) {
  constexpr uint64_t kRounds = 40;
  Rasterizer rasterizer;
  std::vector<std::vector<uint8_t>> expected;
  for (uint64_t round = 0; round < kRounds; ++round) {
    std::vector<uint8_t> picture(60 * 50 * 3);
    rasterizer.draw(scene_of(things, round), camera_of(round), picture.data(), 60, 50);
    expected.push_back(picture);
  }
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::vector<uint8_t> picture(60 * 50 * 3);
      for (uint64_t i = 0; i < kRounds; ++i) {
        uint64_t round = (i * 7 + t * 13) % kRounds;  // each in an order of its own
        rasterizer.draw(scene_of(things, round), camera_of(round), picture.data(), 60, 50);
        CHECK(picture == expected[round]);
      }
    });
  for (auto& thread : threads) thread.join();
}

static void pictures_allocate_nothing_once_warm(const Things& things) {
  Rasterizer rasterizer;
  std::vector<Scene> scenes;
  for (uint64_t round = 0; round < 60; ++round) scenes.push_back(scene_of(things, round));
  std::vector<uint8_t> picture(96 * 80 * 3);
  std::vector<float> metres(96 * 80);
  uint64_t before = 0;
  for (int pass = 0; pass < 2; ++pass) {
    before = allocations;
    for (uint64_t round = 0; round < scenes.size(); ++round) {
      rasterizer.draw(scenes[round], camera_of(round), picture.data(), 96, 80);
      rasterizer.draw(scenes[round], TopCamera{-9, 9, -9, 9}, picture.data(), 96, 80);
      rasterizer.depth(scenes[round], camera_of(round), metres.data(), 96, 80);
    }
  }
  CHECK(allocations == before);
}

template <class F>
static void check_refused(F&& make) {
  try {
    make();
  } catch (const std::invalid_argument&) {
    return;
  }
  CHECK(false);
}

static void what_is_no_texture_or_mesh_is_refused() {
  std::vector<uint8_t> bytes(12);
  check_refused([&] { Texture(2, 3, bytes); });
  check_refused([&] { Texture(0, 4, {}); });
  check_refused([&] { Texture(5000, 1, std::vector<uint8_t>(15000)); });
  CHECK(Texture(2, 2, bytes).levels().size() == 2);
  std::vector<float> nine(9), six(6), bad(9, std::numeric_limits<float>::quiet_NaN());
  check_refused([&] { Mesh({}, {}, {}, {}, {}); });
  check_refused([&] { Mesh(nine, six, six, nine, {{0, 1, nullptr}}); });
  check_refused([&] { Mesh(bad, nine, six, nine, {{0, 1, nullptr}}); });
  check_refused([&] { Mesh(nine, nine, six, nine, {}); });
  check_refused([&] { Mesh(nine, nine, six, nine, {{1, 1, nullptr}}); });
  Mesh(nine, nine, six, nine, {{0, 1, nullptr}});
  AssetSet set;
  check_refused([&] { set.texture("none", 0); });
  check_refused([&] { set.mesh("none"); });
  install_assets("a set", set);
  check_refused([&] { install_assets("a set", set); });
  check_refused([&] { find_assets("another"); });
  uint8_t pixel[3];
  check_refused([&] { Rasterizer().draw(Scene{}, Camera{}, pixel, 0, 1); });
  check_refused([&] { Rasterizer().draw(Scene{}, Camera{}, pixel, 1, 5000); });
}

int main(int argc, char** argv) {
  Things things;
  every_tier_draws_the_same_bytes_inside_the_picture(things, argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300);
  threads_share_a_rasteriser(things);
  pictures_allocate_nothing_once_warm(things);
  what_is_no_texture_or_mesh_is_refused();
  std::puts("raster test passed");
}

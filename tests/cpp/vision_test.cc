// Tests of resize and patches without Python; run under sanitizers by .ci/sanitize. Inputs and outputs lie in heap blocks of
// exactly their size, so that a kernel that reads or writes one byte too far is caught. What the bytes should be is tested
// against Pillow and the image processor (tests/envs/test_patches.py); here every instruction set must give the scalar ones.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "render/patches.h"

#define CHECK(condition)                                                 \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::exit(1);                                                        \
  }

using namespace vldac;

static std::vector<Isa> tiers() {
  std::vector<Isa> result;
  for (const auto& name : supported_isas()) result.push_back(parse_isa(name));
  return result;
}

// A heap block without slack, filled at random.
static std::unique_ptr<uint8_t[]> noise(size_t bytes, uint64_t seed) {
  auto block = std::make_unique<uint8_t[]>(bytes);
  for (size_t i = 0; i < bytes; ++i) block[i] = static_cast<uint8_t>(counter_random(seed, 7, 0, i));
  return block;
}

static std::vector<uint8_t> resized(const BicubicResize& resize, const uint8_t* in, int out_width, int out_height, int stripe) {
  auto scratch = noise(resize.scratch_bytes(), 3);
  std::vector<uint8_t> all;
  resize.begin(in, scratch.get());
  for (int first = 0; first < out_height; first += stripe) {
    int count = std::min(stripe, out_height - first);
    size_t bytes = static_cast<size_t>(count) * out_width * 3;
    auto out = noise(bytes, 4);
    resize.rows(in, scratch.get(), first, count, out.get());
    all.insert(all.end(), out.get(), out.get() + bytes);
  }
  return all;
}

static void every_tier_resizes_to_the_scalar_bytes_inside_its_memory() {
  for (uint64_t round = 0; round < 300; ++round) {
    int size[4];
    for (uint64_t i = 0; i < 4; ++i) size[i] = 1 + static_cast<int>(counter_random(round, 8, i, 0) % (i % 2 == round % 2 ? 90 : 20));
    auto in = noise(static_cast<size_t>(size[0]) * size[1] * 3, round);
    BicubicResize scalar(size[0], size[1], size[2], size[3], Isa::kScalar);
    auto expected = resized(scalar, in.get(), size[2], size[3], size[3]);
    for (Isa isa : tiers()) {
      BicubicResize resize(size[0], size[1], size[2], size[3], isa);
      CHECK(resized(resize, in.get(), size[2], size[3], 1 + static_cast<int>(round % 7)) == expected);
    }
  }
}

static void a_flat_picture_stays_flat() {
  // The weights of every output pixel sum to one within rounding, at the borders, too.
  for (int value : {0, 1, 127, 254, 255}) {
    std::vector<uint8_t> in(61 * 43 * 3, static_cast<uint8_t>(value));
    for (Isa isa : tiers())
      for (auto [width, height] : {std::pair{84, 56}, {28, 28}, {7, 300}, {200, 5}}) {
        BicubicResize resize(61, 43, width, height, isa);
        for (uint8_t byte : resized(resize, in.data(), width, height, height)) CHECK(byte == value);
      }
  }
}

static PatchSpec spec_of(int patch, int in_width, int in_height, int out_width, int out_height, PatchFormat format) {
  return {patch, 2, 2, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}, in_width, in_height, out_width, out_height, format};
}

static void every_tier_emits_the_scalar_patches_inside_its_memory() {
  int sizes[][5] = {{14, 84, 56, 84, 56}, {14, 80, 60, 84, 56}, {14, 61, 43, 56, 28}, {16, 64, 96, 64, 96}, {16, 33, 47, 32, 64}, {5, 20, 10, 20, 10}};
  for (auto& size : sizes)
    for (PatchFormat format : {PatchFormat::kFloat32, PatchFormat::kBfloat16, PatchFormat::kUint8}) {
      PatchSpec spec = spec_of(size[0], size[1], size[2], size[3], size[4], format);
      std::vector<uint8_t> expected;
      for (Isa isa : tiers()) {
        PatchEmitter emitter(spec, isa);
        auto in = noise(emitter.in_frame_bytes(), 11), scratch = noise(emitter.scratch_bytes(), 12);
        auto out = std::make_unique<float[]>((emitter.frame_bytes() + 3) / 4);  // aligned to floats
        emitter.emit(in.get(), out.get(), scratch.get());
        std::vector<uint8_t> bytes(emitter.frame_bytes());
        std::memcpy(bytes.data(), out.get(), bytes.size());
        if (expected.empty()) expected = bytes;
        CHECK(bytes == expected);
        CHECK(emitter.frame_bytes() == emitter.rows() * emitter.columns() * emitter.item_bytes());
      }
    }
}

static void threads_share_an_emitter() {
  PatchEmitter emitter(spec_of(14, 80, 60, 84, 56, PatchFormat::kFloat32));
  auto in = noise(emitter.in_frame_bytes(), 21);
  std::vector<std::vector<float>> results(4, std::vector<float>(emitter.frame_bytes() / 4));
  std::vector<std::thread> threads;
  for (auto& result : results)
    threads.emplace_back([&] {
      std::vector<uint8_t> scratch(emitter.scratch_bytes());
      for (int i = 0; i < 20; ++i) emitter.emit(in.get(), result.data(), scratch.data());
    });
  for (auto& thread : threads) thread.join();
  for (auto& result : results) CHECK(result == results[0]);
}

template <class Body>
static bool throws(Body body) {
  try {
    body();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

static void what_cannot_be_is_refused() {
  CHECK(throws([] { PatchEmitter(spec_of(14, 84, 56, 85, 56, PatchFormat::kUint8)); }));
  CHECK(throws([] { PatchEmitter(spec_of(0, 84, 56, 84, 56, PatchFormat::kUint8)); }));
  CHECK(throws([] { PatchEmitter(spec_of(14, 0, 56, 84, 56, PatchFormat::kUint8)); }));
  CHECK(throws([] { BicubicResize(10, 10, 70000, 10, Isa::kScalar); }));
  CHECK(throws([] { parse_isa("neon"); }));
  setenv("VLDAC_ISA", "mmx", 1);
  CHECK(throws([] { chosen_isa(); }));
  setenv("VLDAC_ISA", "scalar", 1);
  CHECK(chosen_isa() == Isa::kScalar);
  unsetenv("VLDAC_ISA");
  CHECK(chosen_isa() == best_isa());
}

int main() {
  every_tier_resizes_to_the_scalar_bytes_inside_its_memory();
  a_flat_picture_stays_flat();
  every_tier_emits_the_scalar_patches_inside_its_memory();
  threads_share_an_emitter();
  what_cannot_be_is_refused();
  std::puts("vision tests passed");
}

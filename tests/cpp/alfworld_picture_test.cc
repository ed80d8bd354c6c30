// Pictures of households without Python; run under sanitizers by .ci/sanitize. Rooms and states are at random and unreasonable: places
// without coordinates, everything at one spot, things in several receptacles, twelve receptacles at a place. Nothing is written outside
// the picture, the same state gives the same bytes whatever was drawn before, and once warm nothing is allocated.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "envs/alfworld/picture/object_looks.h"
#include "envs/alfworld/picture/receptacle_looks.h"
#include "envs/alfworld/picture/room_painter.h"

#define CHECK(condition)                                                 \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::exit(1);                                                        \
  }

using namespace vldac;
using namespace vldac::alfworld;

static std::atomic<uint64_t> allocations{0};

// Never inlined: GCC takes a pair of which it sees one half for mismatched.
__attribute__((noinline)) void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// Numbers at random that depend on the round alone.
struct Draw {
  uint64_t round, next = 0;
  uint64_t word() { return counter_random(round, 23, 0, next++); }
  float uniform(float low, float high) { return low + (high - low) * static_cast<float>(word() >> 40) * 0x1p-24f; }
  uint16_t below(size_t n) { return static_cast<uint16_t>(word() % n); }
};

static std::shared_ptr<const Room> room_of(uint64_t round) {
  Draw draw{round};
  auto room = std::make_shared<Room>();
  float reach = round % 5 == 0 ? 0.0f : round % 5 == 1 ? 50.0f : 3.0f;
  for (size_t i = 1 + draw.below(20); i > 0; --i) {
    Pose pose;
    pose.x = draw.uniform(-reach, reach), pose.z = draw.uniform(-reach, reach), pose.yaw = draw.below(8) * 90 - 180, pose.pitch = draw.below(3) * 30 - 30;
    pose.is_known = draw.below(6) > 0;
    room->locations.push_back(pose);
  }
  auto receptacles = receptacle_looks();
  for (size_t i = draw.below(round % 7 == 0 ? 2 : 40); i > 0; --i) {
    Receptacle one;
    one.type = draw.below(20) ? std::string(receptacles[draw.below(receptacles.size())].type) : "unheardof";
    one.number = draw.below(120);
    for (float& value : one.position) value = draw.uniform(-reach, reach);
    one.location = draw.below(9) ? draw.below(draw.below(3) ? room->locations.size() : 1) : kNone;
    one.is_openable = draw.below(2);
    room->receptacles.push_back(one);
  }
  auto objects = object_looks();
  for (size_t i = draw.below(90); i > 0; --i) {
    Object one;
    one.type = draw.below(20) ? std::string(objects[draw.below(objects.size())].type) : "somethingelse";
    one.number = draw.below(12);
    for (float& value : one.position) value = draw.uniform(-reach, reach);
    room->objects.push_back(one);
  }
  return room;
}

static RoomState state_of(const Room& room, uint64_t round) {
  Draw draw{round ^ 0x77777};
  RoomState state;
  state.location = draw.below(12) ? draw.below(room.locations.size()) : kNone;
  if (!room.objects.empty() && draw.below(2)) state.held = draw.below(room.objects.size());
  state.contents.resize(room.receptacles.size(), room.objects.size());
  for (size_t i = 0; i < room.objects.size(); ++i) {
    state.receptacle_of.push_back(kNone);
    state.object_state.push_back(static_cast<uint8_t>(draw.below(64)));
    for (int times = draw.below(3); times > 0 && !room.receptacles.empty(); --times) {
      state.receptacle_of.back() = draw.below(room.receptacles.size());
      state.contents.set(state.receptacle_of.back(), i);
    }
  }
  for (size_t i = 0; i < room.receptacles.size(); ++i) state.is_open.push_back(static_cast<uint8_t>(draw.below(2)));
  return state;
}

constexpr Mode kModes[] = {Mode::kEgo, Mode::kSchematic, Mode::kPanel};

struct Job {
  std::shared_ptr<const RoomPainter> painter;
  RoomState state;
  Mode mode;
  int width, height;
  size_t bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(height) * 3; }
  void draw(uint8_t* pixels) const { painter->draw(state, mode, pixels, width, height, width % 2 == 0); }
};

static std::vector<Job> jobs_of(uint64_t rounds) {
  std::vector<Job> jobs;
  for (uint64_t round = 0; round < rounds; ++round) {
    auto room = room_of(round);
    Draw draw{round + 999};
    int sides[] = {28, 56, 84, 85, 150, 224};
    jobs.push_back({std::make_shared<const RoomPainter>(room), state_of(*room, round), kModes[round % 3], sides[draw.below(6)], sides[draw.below(6)]});
  }
  return jobs;
}

static std::vector<std::vector<uint8_t>> pictures_stay_inside_their_memory(const std::vector<Job>& jobs) {
  std::vector<std::vector<uint8_t>> pictures;
  for (const Job& job : jobs) {
    auto exact = std::make_unique<uint8_t[]>(job.bytes());  // a heap block without slack
    job.draw(exact.get());
    pictures.emplace_back(exact.get(), exact.get() + job.bytes());
    size_t pixels = job.bytes() / 3;
    auto things = std::make_unique<int32_t[]>(pixels);
    job.painter->things(job.state, things.get(), job.width, job.height);
    auto count = static_cast<int32_t>(job.painter->room().receptacles.size() + job.painter->room().objects.size());
    for (size_t i = 0; i < pixels; ++i) CHECK(things[i] >= -1 && things[i] < count);
  }
  return pictures;
}

static void threads_draw_the_same_bytes(const std::vector<Job>& jobs, const std::vector<std::vector<uint8_t>>& expected) {
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < jobs.size(); ++i) {
        size_t at = (i * 7 + t * 13) % jobs.size();  // each in an order of its own
        std::vector<uint8_t> picture(jobs[at].bytes(), 77);
        jobs[at].draw(picture.data());
        CHECK(picture == expected[at]);
      }
    });
  for (auto& thread : threads) thread.join();
}

static void pictures_allocate_nothing_once_warm(std::vector<Job> jobs) {
  for (Job& job : jobs) job.width = job.height = 96;  // labels are made once per size
  std::vector<uint8_t> picture(96 * 96 * 3);
  uint64_t before = 0;
  for (int pass = 0; pass < 2; ++pass) {
    before = allocations;
    for (const Job& job : jobs) job.draw(picture.data());
  }
  CHECK(allocations == before);
}

template <class F>
static void check_refused(F&& call) {
  try {
    call();
  } catch (const std::invalid_argument&) {
    return;
  }
  CHECK(false);
}

static void what_is_no_picture_or_state_is_refused() {
  auto room = room_of(3);
  RoomPainter painter(room);
  RoomState state = state_of(*room, 3);
  std::vector<uint8_t> pixels(64 * 64 * 3);
  check_refused([&] { painter.draw(state, Mode::kEgo, pixels.data(), 27, 64); });
  check_refused([&] { painter.draw(state, Mode::kEgo, pixels.data(), 64, 4097); });
  check_refused([&] { painter.draw(RoomState{}, Mode::kEgo, pixels.data(), 64, 64); });
  state.contents = {};
  check_refused([&] { painter.draw(state, Mode::kEgo, pixels.data(), 64, 64); });
}

int main(int argc, char** argv) {
  auto jobs = jobs_of(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300);
  auto pictures = pictures_stay_inside_their_memory(jobs);
  threads_draw_the_same_bytes(jobs, pictures);
  pictures_allocate_nothing_once_warm(jobs);
  what_is_no_picture_or_state_is_refused();
  std::puts("alfworld picture test passed");
}

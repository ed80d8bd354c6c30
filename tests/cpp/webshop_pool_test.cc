// The shop as an environment of the pool: threads, the expert, snapshots, memory. Run under sanitizers by .ci/sanitize.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "core/forms.h"
#include "core/pool.h"
#include "envs/webshop/shelf.h"
#include "webshop_files.h"

#define CHECK(condition)                                                    \
  if (!(condition)) {                                                       \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
    std::exit(1);                                                           \
  }

static std::atomic<uint64_t> allocations{0};
void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace vldac;

static constexpr int64_t kShop = 7;
static constexpr int kEnvs = 6;

static PoolConfig config(double picture, bool is_compat = false) {
  return {.env_id = "WebShop-v0", .options = {{"shop", kShop}, {"picture", picture}, {"compat", is_compat}}, .num_envs = kEnvs, .num_threads = 2,
          .width = 224, .height = 280, .max_episode_steps = 12, .prompt = "{task} {commands} {chosen}"};
}

static std::vector<uint64_t> seeds() { return {1, 2, 3, 4, 5, 6}; }

// Commands drawn from those that are admissible, forms filled; the number of episodes that ended.
static uint64_t play(Pool& pool, BatchLease& batch, uint64_t steps, uint64_t first = 0) {
  std::vector<std::string> said(kEnvs);
  std::vector<std::string_view> commands(kEnvs);
  uint64_t ended = 0;
  for (uint64_t t = first; t < first + steps; ++t) {
    for (size_t i = 0; i < kEnvs; ++i) {
      const auto& known = batch->commands[i];
      uint64_t number = counter_random(5, 1, i, t);
      fill_form(known[number % known.size()]->text, batch->text[i], number / known.size(), said[i]);
      commands[i] = said[i];
    }
    batch = pool.step(std::span<const std::string_view>(commands));
    ended += batch->num_ended;
  }
  return ended;
}

static void the_expert_is_paid_in_full() {
  Pool pool(config(1));
  BatchLease batch = pool.reset(seeds(), {});
  uint64_t ended = 0;
  for (int t = 0; t < 200; ++t) {
    std::vector<std::string_view> commands;
    pool.visit([&](size_t, const Env& env) { commands.push_back(env.oracle_command()->text); });
    batch = pool.step(std::span<const std::string_view>(commands));
    for (size_t i = 0; i < kEnvs; ++i) {
      if (!batch->ended[i]) continue;
      CHECK(batch->terminated[i] && batch->success[i] && batch->reward[i] == 1.0);
      ++ended;
    }
  }
  CHECK(ended > 100);
}

static void a_snapshot_goes_on_the_same_way() {
  for (bool is_compat : {false, true}) {
    Pool pool(config(1, is_compat)), other(config(1, is_compat));
    BatchLease batch = pool.reset(seeds(), {});
    CHECK(play(pool, batch, 100) > 10);
    other.reset(seeds(), {});
    other.load(pool.save());
    BatchLease theirs = other.observe();
    play(pool, batch, 50, 100), play(other, theirs, 50, 100);
    CHECK(pool.save() == other.save());
    for (size_t i = 0; i < kEnvs; ++i) {
      CHECK(batch->text[i] == theirs->text[i] && batch->commands[i] == theirs->commands[i]);
      CHECK(std::equal(batch->row(i), batch->row(i) + 224 * 280 * 3, theirs->row(i)));
    }
  }
}

static void what_a_command_points_to_is_on_the_picture() {
  Pool pool(config(1));
  BatchLease batch = pool.reset(seeds(), {});
  uint64_t found = 0;
  for (int t = 0; t < 40; ++t) {
    play(pool, batch, 1, static_cast<uint64_t>(t));
    pool.visit([&](size_t, const Env& env) {
      PixelRect rect;
      for (const Symbol* command : env.commands()) {
        CHECK(env.locate(command->text, 224, 280, rect) && rect.x >= 0 && rect.x + rect.width <= 224 && rect.width > 0 && rect.height > 0);
        ++found;
      }
      CHECK(!env.locate("click[nothing]", 224, 280, rect) && !env.locate("", 224, 280, rect));
    });
  }
  CHECK(found > 500);
}

// A step allocates nothing (webshop_test.cc counts a session's); an episode's goal is read anew.
static void episodes_allocate_little() {
  Pool pool(config(0));
  BatchLease batch = pool.reset(seeds(), {});
  play(pool, batch, 6000);
  uint64_t before = allocations;
  uint64_t ended = play(pool, batch, 500, 6000), found = allocations - before;
  std::printf("webshop pool: %llu allocations in %d steps, %llu episodes ended\n", static_cast<unsigned long long>(found), 500 * kEnvs,
              static_cast<unsigned long long>(ended));
  CHECK(ended > 100 && found <= 40 * ended + 4 * kEnvs);  // the last: play()'s own
}

static void a_shop_that_nobody_opened_is_refused() {
  try {
    PoolConfig wrong = config(0);
    wrong.options["shop"] = 8;
    Pool pool(wrong);
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()).find("no shop has the number 8") != std::string::npos);
    return;
  }
  CHECK(false);
}

int main() {
  webshop::folder = (std::filesystem::temp_directory_path() / ("webshop_pool_test." + std::to_string(getpid()))).string() + "/";
  std::filesystem::create_directories(webshop::folder);
  webshop::write_shop(40, "shop.store");
  webshop::keep_shop(kShop, {webshop::open_shop("shop.store", {}), nullptr});
  the_expert_is_paid_in_full();
  a_snapshot_goes_on_the_same_way();
  what_a_command_points_to_is_on_the_picture();
  episodes_allocate_little();
  a_shop_that_nobody_opened_is_refused();
  std::filesystem::remove_all(webshop::folder);
  std::puts("webshop pool: ok");
}

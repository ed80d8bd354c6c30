// Tests of the vector operations without Python; run under sanitizers by .ci/sanitize. Every array lies in a heap block of exactly its
// size, so that a kernel that reads or writes one entry too far is caught. What the numbers should be is tested against the
// specification (tests/kernels/test_cpp_vectors.py); here every instruction set must give the scalar bytes.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "core/rng.h"
#include "ops/gae.h"
#include "ops/ppo_loss.h"
#include "ops/value_loss.h"
#include "ops/whiten.h"

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

static uint64_t seed_of_next = 0;

// In [-2, 2).
template <class T>
static std::unique_ptr<T[]> noise(size_t count) {
  auto block = std::make_unique<T[]>(count);
  for (size_t i = 0; i < count; ++i)
    block[i] = static_cast<T>(static_cast<double>(counter_random(seed_of_next, 5, 0, i) >> 11) * 0x1p-51 - 2);
  ++seed_of_next;
  return block;
}

static std::unique_ptr<bool[]> flags(size_t count, uint64_t one_in) {
  auto block = std::make_unique<bool[]>(count);
  for (size_t i = 0; i < count; ++i) block[i] = counter_random(seed_of_next, 6, 0, i) % one_in == 0;
  ++seed_of_next;
  return block;
}

template <class T>
static bool same(const T* a, const T* b, size_t count) {
  return std::memcmp(a, b, count * sizeof(T)) == 0;
}

template <class T>
static void every_tier_gives_the_same_advantages_as_segments_do() {
  for (size_t columns = 0; columns < 70; ++columns) {
    size_t steps = columns % 7, size = steps * columns;
    auto reward = noise<T>(size), value = noise<T>(size), last = noise<T>(size), bootstrap = noise<T>(columns);
    auto terminated = flags(size, 4), truncated = flags(size, 3);
    auto advantage = std::make_unique<T[]>(size), returns = std::make_unique<T[]>(size);
    for (bool has_final : {false, true}) {
      ops::GaeSteps<T> in{reward.get(),    value.get(),     has_final ? last.get() : nullptr, terminated.get(), truncated.get(),
                          bootstrap.get(), 0.97,            0.9,                              advantage.get(),  returns.get()};
      // The same steps, one column after the other.
      std::vector<T> columns_of[3];
      auto flat_terminated = std::make_unique<bool[]>(size), flat_truncated = std::make_unique<bool[]>(size);
      std::vector<int64_t> offsets{0};
      size_t at = 0;
      for (size_t e = 0; e < columns; ++e, offsets.push_back(static_cast<int64_t>(at)))
        for (size_t t = 0; t < steps; ++t, ++at) {
          const T* sources[] = {reward.get(), value.get(), last.get()};
          for (int i = 0; i < 3; ++i) columns_of[i].push_back(sources[i][t * columns + e]);
          flat_terminated[at] = terminated[t * columns + e];
          flat_truncated[at] = truncated[t * columns + e];
        }
      auto flat_advantage = std::make_unique<T[]>(size), flat_returns = std::make_unique<T[]>(size);
      ops::GaeSteps<T> flat{columns_of[0].data(),  columns_of[1].data(),  has_final ? columns_of[2].data() : nullptr,
                            flat_terminated.get(), flat_truncated.get(),  bootstrap.get(),
                            0.97,                  0.9,                   flat_advantage.get(),
                            flat_returns.get()};
      ops::gae_segments(flat, offsets.data(), columns);
      for (Isa isa : tiers()) {
        ops::gae_rectangle(in, steps, columns, isa);
        for (size_t e = 0; e < columns; ++e)
          for (size_t t = 0; t < steps; ++t) {
            CHECK(advantage[t * columns + e] == flat_advantage[e * steps + t]);
            CHECK(returns[t * columns + e] == flat_returns[e * steps + t]);
          }
      }
    }
  }
}

template <class T, class Index>
static void every_tier_gives_the_same_loss() {
  for (size_t tokens = 0; tokens < 300; ++tokens) {
    size_t steps = 1 + tokens % 5;
    auto logprob = noise<T>(tokens), old_logprob = noise<T>(tokens), weight = noise<T>(tokens), ref = noise<T>(tokens);
    auto advantages = noise<T>(steps);
    auto index = std::make_unique<Index[]>(tokens);
    for (size_t i = 0; i < tokens; ++i) index[i] = static_cast<Index>(i * 3 % steps);
    for (size_t i = 0; i < tokens; i += 3) weight[i] = 0, logprob[i] = std::numeric_limits<T>::quiet_NaN();
    ops::PpoTokens<T, Index> in{logprob.get(),    old_logprob.get(), weight.get(), tokens % 2 ? ref.get() : nullptr,
                                advantages.get(), index.get(),       tokens,       steps};
    for (double guard : {0.0, 2.0}) {
      ops::PpoOptions options{0.1, 0.2, 0.04, guard, guard * 1.5, 1.5, static_cast<ops::KlEstimator>(tokens % 3)};
      auto scalar = std::make_unique<T[]>(tokens), other = std::make_unique<T[]>(tokens);
      ops::PpoResult expected = ops::ppo_clip_loss(in, options, Isa::kScalar, scalar.get());
      CHECK(std::isfinite(expected.loss));
      for (Isa isa : tiers()) {
        ops::PpoResult result = ops::ppo_clip_loss(in, options, isa, other.get());
        CHECK(same(&result.loss, &expected.loss, 1));
        CHECK(same(result.stats.data(), expected.stats.data(), ops::kPpoStats));
        CHECK(same(other.get(), scalar.get(), tokens));
      }
    }
  }
}

// A token's share of the loss is 1 - r with one step of advantage 1, so that the coefficient is -r = -exp(logprob - old).
static void exponentials_are_as_good_as_the_libraries() {
  double worst = 0;
  for (int64_t i = -70000; i <= 70900; ++i) {
    double x = static_cast<double>(i) * 0.01 + 1e-3, zero = 0, one = 1, coefficient;
    int64_t index = 0;
    ops::PpoTokens<double, int64_t> in{&x, &zero, &one, nullptr, &one, &index, 1, 1};
    ops::PpoOptions options{1e308, 1.7e308, 0, 0, 0, 1000, ops::KlEstimator::kK3};
    ops::PpoResult result = ops::ppo_clip_loss(in, options, best_isa(), &coefficient);
    worst = std::fmax(worst, std::abs(-coefficient / std::exp(x) - 1));
    double k3 = std::expm1(x) - x;
    CHECK(std::abs(result.stats[7] - k3) <= 1e-15 * (1 + std::abs(x)) + 1e-15 * std::abs(k3));
  }
  CHECK(worst < 4 * std::numeric_limits<double>::epsilon());
}

template <class T>
static void small_sizes_stay_inside_their_memory() {
  for (size_t count = 0; count < 20; ++count) {
    auto value = noise<T>(count), old = noise<T>(count), returns = noise<T>(count), weight = noise<T>(count);
    auto out = std::make_unique<T[]>(count);
    ops::ValueResult result = ops::value_loss<T>({value.get(), old.get(), returns.get(), weight.get(), count, 0.1, 0.5, 0.5}, out.get());
    CHECK(std::isfinite(result.loss));
    auto mask = flags(count, 2);
    ops::masked_whiten(value.get(), mask.get(), count, true, 1e-8, out.get());
    size_t chosen = 0;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; ++i) {
      CHECK(mask[i] || out[i] == 0);
      chosen += mask[i];
      sum += out[i];
      squares += static_cast<double>(out[i]) * out[i];
    }
    CHECK(std::abs(sum) < 1e-5);
    CHECK(std::abs(squares - (chosen < 2 ? 0.0 : static_cast<double>(chosen) - 1)) < 1e-5);
  }
}

int main() {
  every_tier_gives_the_same_advantages_as_segments_do<float>();
  every_tier_gives_the_same_advantages_as_segments_do<double>();
  every_tier_gives_the_same_loss<float, int32_t>();
  every_tier_gives_the_same_loss<double, int64_t>();
  exponentials_are_as_good_as_the_libraries();
  small_sizes_stay_inside_their_memory<float>();
  small_sizes_stay_inside_their_memory<double>();
  std::puts("vectors: ok");
}

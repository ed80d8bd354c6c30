// Tests of the row kernels without Python; run under sanitizers by .ci/sanitize. Rows lie in heap blocks without slack, so that reading
// or writing beyond an end is found; every tier is held against plain loops in double; loops run on a pool of real threads.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "ops/noise.h"
#include "ops/parallel.h"
#include "ops/rows.h"

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

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

static std::vector<Isa> tiers() {
  std::vector<Isa> result;
  for (const auto& name : supported_isas()) result.push_back(parse_isa(name));
  return result;
}

static double uniform(uint64_t stream, uint64_t i) { return static_cast<double>(counter_random(7, stream, 0, i) >> 11) * 0x1p-53; }

// A block of exactly n items.
template <class T>
static std::unique_ptr<T[]> block(const std::vector<T>& items) {
  auto copy = std::make_unique<T[]>(items.size());
  std::copy(items.begin(), items.end(), copy.get());
  return copy;
}

static float from_bfloat16(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

static double from_half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double size = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

// Units in the last place of float between a value and the truth.
static double ulps(float value, double truth) {
  int exponent;
  std::frexp(truth, &exponent);
  return std::abs(static_cast<double>(value) - truth) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// With 0 in front, e^(z - max) is e^z.
static void check_exponential(const RowKernels<float>& kernels) {
  double worst = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<float> z{0};
    for (int i = 0; i < 1001; ++i) z.push_back(static_cast<float>(-87.3 * (round + uniform(1, static_cast<uint64_t>(round * 1001 + i))) / 400));
    auto x = block(z);
    Partial partial;
    kernels.exponentiate(x.get(), z.size(), {}, partial);
    CHECK(x[0] == 1);
    for (size_t i = 1; i < z.size(); ++i) worst = std::max(worst, ulps(x[i], std::exp(static_cast<double>(z[i]))));
  }
  CHECK(worst <= 2);
  for (float far : {-88.0f, -1e4f, -1e30f, -std::numeric_limits<float>::max(), -kInfinity}) {
    float x[] = {0, far};
    Partial partial;
    kernels.exponentiate(x, 2, {}, partial);
    CHECK(x[0] == 1 && x[1] == 0 && partial.sum == 1 && partial.moment == 0);
    CHECK(partial.entropy() == 0 && partial.logprob(0) == 0);
  }
  float bad[] = {0, kNan, 3};
  Partial partial;
  kernels.exponentiate(bad, 3, {}, partial);
  CHECK(std::isnan(bad[1]) && std::isnan(partial.sum) && bad[2] == 1);
}

// All sixteen-bit numbers in and out.
template <class E>
static void check_storage(const RowKernels<float>& kernels, Element element) {
  size_t kind = static_cast<size_t>(element);
  auto value_of = [&](uint16_t bits) { return element == Element::kHalf ? from_half(bits) : static_cast<double>(from_bfloat16(bits)); };
  std::vector<E> all(65536);
  for (uint32_t i = 0; i < 65536; ++i) all[i].bits = static_cast<uint16_t>(i);
  std::vector<float> z(65536);
  kernels.scale[kind](all.data(), all.size(), {}, z.data());
  for (uint32_t i = 0; i < 65536; ++i) {
    double truth = value_of(static_cast<uint16_t>(i));
    CHECK(std::isnan(truth) ? std::isnan(z[i]) : static_cast<double>(z[i]) == truth);
  }
  // p = 1 and no target here: the gradient is -upstream, rounded. It must lie no farther away than either neighbour.
  E zero{0}, out{};
  for (uint64_t i = 0; i < 200000; ++i) {
    auto bits = static_cast<uint32_t>(counter_random(3, 5, 0, i));
    if (i % 2) bits = (bits & (element == Element::kHalf ? ~0x1FFFu : ~0xFFFFu)) | (element == Element::kHalf ? 0x1000 : 0x8000);  // a tie
    float upstream;
    std::memcpy(&upstream, &bits, sizeof upstream);
    kernels.gradient[kind](&zero, &out, 1, {}, {upstream, 0, 0, 0, 1});
    double truth = -static_cast<double>(upstream), got = value_of(out.bits);
    if (std::isnan(truth)) {
      CHECK(std::isnan(got));
      continue;
    }
    double largest = value_of(element == Element::kHalf ? 0x7BFF : 0x7F7F), beyond = element == Element::kHalf ? 65520 : 0x1.FFp127;
    CHECK(std::isinf(got) == (std::abs(truth) >= beyond));
    if (std::isinf(got)) continue;
    CHECK(std::abs(got) <= largest && std::signbit(got) == std::signbit(truth));
    double error = std::abs(got - truth);
    uint16_t size = out.bits & 0x7FFF;
    auto is_nearer = [&](uint16_t neighbour) {
      double other = std::abs(value_of(neighbour) - std::abs(truth));
      return error < other || (error == other && size % 2 == 0);
    };
    if (size > 0) CHECK(is_nearer(size - 1));
    if (std::abs(got) < largest) CHECK(is_nearer(size + 1));
  }
}

struct Problem {
  std::vector<float> logits, bias;
  Columns<float> columns;
  size_t target;

  Problem(size_t n, uint64_t round) : logits(n), bias(n), target(round % n) {
    for (size_t i = 0; i < n; ++i) {
      logits[i] = static_cast<float>(10 * uniform(11 + round, i) - (round % 3 ? 5 : 1e4));
      bias[i] = i % 4 == 3 ? -kInfinity : static_cast<float>(uniform(12 + round, i));
    }
    columns.softcap = round % 2 ? 0.0f : 3.0f;
    columns.temperature = round % 3 == 2 ? 1.0f : 0.7f;
  }
  double z(size_t i) const {
    if (columns.bias && bias[i] == -kInfinity) return -INFINITY;
    double u = static_cast<double>(columns.bias ? logits[i] + bias[i] : logits[i]), cap = static_cast<double>(columns.softcap);
    if (columns.softcap > 0) u = cap * std::tanh(u / cap);
    return u / static_cast<double>(columns.temperature);
  }
  double slope(size_t i) const {
    if (columns.softcap <= 0) return 1;
    double t = z(i) * static_cast<double>(columns.temperature / columns.softcap);
    return 1 - t * t;
  }
};

// One stretch, cut anywhere into two, against plain loops.
static void check_rows(const RowKernels<float>& kernels) {
  uint64_t round = 0;
  for (size_t n : {1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 127, 1000, 1023, 1024, 1025, 2100, 5001})
    for (int variant = 0; variant < 6; ++variant, ++round) {
      Problem problem(n, round);
      auto bias = block(problem.bias), x = block(problem.logits);
      if (variant % 2) problem.columns.bias = bias.get();
      double top = -INFINITY, sum = 0, moment = 0;
      for (size_t i = 0; i < n; ++i) top = std::max(top, problem.z(i));
      for (size_t i = 0; i < n; ++i) {
        double d = problem.z(i) - top, e = std::exp(d);
        sum += e;
        moment += e == 0 ? 0 : d * e;
      }
      size_t cut = counter_random(1, 2, 3, round) % n;
      Partial partial, rest;
      kernels.fold[0](x.get(), cut, problem.columns, partial);
      kernels.fold[0](x.get() + cut, n - cut, problem.columns.from(cut), rest);
      partial.merge(rest);
      double far = std::abs(top) * 1e-7;
      CHECK(std::abs(partial.max - top) <= 1e-6 + far);
      CHECK(std::abs(partial.lse() - top - std::log(sum)) <= 5e-6 + far);
      CHECK(std::abs(partial.entropy() - std::log(sum) + moment / sum) <= 5e-5 + 5 * far);

      auto y = block(problem.logits);
      Partial tile;
      if (cut > 0) CHECK(kernels.exponentiate(y.get(), cut, problem.columns, tile) >= 0);
      double scale = kernels.exponentiate(y.get() + cut, n - cut, problem.columns.from(cut), tile);
      CHECK(std::abs(tile.lse() - partial.lse()) <= 2e-6);
      for (size_t i = 0; i < n; ++i) {
        double e = problem.z(i) == -INFINITY ? 0 : std::exp(problem.z(i) - top) * problem.slope(i);
        CHECK(std::abs(static_cast<double>(y[i]) * (i < cut ? scale : 1) - e) <= 4e-6 + 20 * far);
      }

      RowGradient<float> row{0.5f, -0.25f, static_cast<float>(partial.lse()), static_cast<float>(partial.entropy()), problem.target};
      auto gradient = block(problem.logits), other = std::make_unique<float[]>(n);
      kernels.gradient[0](x.get(), other.get(), n, problem.columns, row);
      kernels.gradient[0](gradient.get(), gradient.get(), n, problem.columns, row);
      CHECK(std::memcmp(gradient.get(), other.get(), n * sizeof(float)) == 0);
      for (size_t i = 0; i < n; ++i) {
        double expected = 0;
        if (problem.z(i) != -INFINITY) {
          double log_share = problem.z(i) - top - std::log(sum), share = std::exp(log_share), entropy = std::log(sum) - moment / sum;
          expected = (0.5 * (i == problem.target) - share * (0.5 - 0.25 * (log_share + entropy))) * problem.slope(i);
        }
        CHECK(std::abs(static_cast<double>(gradient[i]) - expected / static_cast<double>(problem.columns.temperature)) <= 1e-5 + 20 * far);
      }
    }
}

static void check_not_finite(const RowKernels<float>& kernels) {
  for (float bad : {kNan, kInfinity})
    for (size_t n : {1, 5, 16, 37, 3000})
      for (size_t at : {size_t{0}, n / 2, n - 1}) {
        std::vector<float> logits(n, 1.0f);
        logits[at] = bad;
        auto x = block(logits);
        Partial partial;
        kernels.fold[0](x.get(), n, {}, partial);
        CHECK(std::isnan(partial.sum) && std::isnan(partial.lse()));
        std::vector<float> bias(n, 0.0f);
        bias[at] = -kInfinity;
        Partial excluded;
        kernels.fold[0](x.get(), n, {bias.data(), 0, 1}, excluded);
        CHECK(excluded.sum == static_cast<double>(n - 1));
      }
}

// Any pool: a thread for each part.
static int32_t run_on_threads(int64_t begin, int64_t end, int64_t grain, ThreadPool::Body body, void* context) {
  int64_t size = std::max<int64_t>(grain, (end - begin + 2) / 3);
  std::vector<std::thread> threads;
  for (int64_t at = begin; at < end; at += size) threads.emplace_back(body, at, std::min(end, at + size), context);
  for (auto& thread : threads) thread.join();
  return 0;
}
static int32_t three(uint32_t* count) {
  *count = 3;
  return 0;
}
static int32_t refuse(int64_t, int64_t, int64_t, ThreadPool::Body, void*) { return 1; }

struct Sampled {
  std::vector<int64_t> token;
  std::vector<float> raw, processed, entropy;
  std::unique_ptr<bool[]> valid;
};

struct Batch {
  size_t rows, columns;
  std::vector<float> logits;
  std::vector<int64_t> seed, position, top_k;
  std::vector<float> top_p;
  std::unique_ptr<bool[]> greedy;
  float temperature = 0.9f;

  Batch(size_t rows, size_t columns, uint64_t round) : rows(rows), columns(columns), greedy(std::make_unique<bool[]>(rows)) {
    for (size_t i = 0; i < rows * columns; ++i) logits.push_back(static_cast<float>(std::floor(40 * uniform(round, i)) / 4));
    for (size_t r = 0; r < rows; ++r) {
      seed.push_back(static_cast<int64_t>(counter_random(round, 1, 1, r)));
      position.push_back(static_cast<int64_t>(r * 3));
      top_k.push_back(static_cast<int64_t>(counter_random(round, 2, 1, r) % (columns + 3)));
      top_p.push_back(static_cast<float>(uniform(round + 99, r) * 1.2));
      greedy[r] = r % 4 == 1;
    }
  }
  Matrix matrix() { return {reinterpret_cast<std::byte*>(logits.data()), rows, columns, static_cast<ptrdiff_t>(columns * sizeof(float))}; }

  Sampled sample(const RowKernels<float>& kernels, bool is_truncated, double min_p) {
    Sampled out{std::vector<int64_t>(rows), std::vector<float>(rows), std::vector<float>(rows), std::vector<float>(rows), std::make_unique<bool[]>(rows)};
    RowOptions<float> options{nullptr, &temperature, 0, 0, nullptr, 0};
    Truncation<float> truncation{is_truncated ? top_k.data() : nullptr, is_truncated ? top_p.data() : nullptr, min_p};
    sample_rows<float>(kernels, Element::kWide, matrix(), options, truncation, seed.data(), position.data(), greedy.get(),
                       {out.token.data(), out.raw.data(), out.processed.data(), out.entropy.data(), out.valid.get()});
    return out;
  }

  // The whole row in order, as the specification has it.
  void check(const Sampled& out, bool is_truncated, double min_p) const {
    for (size_t r = 0; r < rows; ++r) {
      std::vector<double> z(columns);
      std::vector<size_t> order(columns);
      for (size_t j = 0; j < columns; ++j) z[j] = static_cast<double>(logits[r * columns + j] / temperature), order[j] = j;
      std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return z[a] > z[b] || (z[a] == z[b] && a < b); });
      double top = z[order[0]], all = 0, kept_mass = 0;
      for (double value : z) all += std::exp(value - top);
      size_t limit = is_truncated && top_k[r] > 0 ? std::min<size_t>(static_cast<size_t>(top_k[r]), columns) : columns;
      double limited = 0, before = 0, share = is_truncated ? static_cast<double>(top_p[r]) : 1;
      for (size_t i = 0; i < limit; ++i) limited += std::exp(z[order[i]] - top);
      double best = -INFINITY;
      size_t token = columns;
      bool is_close = false;
      for (size_t i = 0; i < limit; ++i) {
        double e = std::exp(z[order[i]] - top);
        is_close = is_close || std::abs(before - share * limited) < 1e-5 * limited;
        bool is_cut = (share < 1 && before >= share * limited) || e < min_p;
        before += e;
        if (is_cut && i > 0) continue;
        kept_mass += e;
        double score = z[order[i]] + (greedy[r] ? 0 : noise::gumbel(noise::bits(noise::row_key(seed[r], position[r]), order[i])));
        if (score > best || (score == best && order[i] < token)) best = score, token = order[i];
      }
      if (share < 1 && is_close) continue;  // the last item hangs on rounding
      CHECK(out.valid[r] && out.token[r] == static_cast<int64_t>(token));
      CHECK(std::abs(static_cast<double>(out.raw[r]) - (z[token] - top - std::log(all))) < 2e-5);
      CHECK(std::abs(static_cast<double>(out.processed[r]) - (z[token] - top - std::log(kept_mass))) < 2e-5);
    }
  }
};

static bool same(const Sampled& a, const Sampled& b) {
  return a.token == b.token && std::memcmp(a.raw.data(), b.raw.data(), a.raw.size() * sizeof(float)) == 0 &&
         std::memcmp(a.processed.data(), b.processed.data(), a.raw.size() * sizeof(float)) == 0;
}

static void check_sampler(const RowKernels<float>& kernels) {
  uint64_t round = 500;
  for (size_t columns : {1, 5, 16, 37, 1000, 1025, 40000}) {
    Batch batch(columns > 10000 ? 3 : 12, columns, ++round);
    for (bool is_truncated : {false, true})
      for (double min_p : {0.0, 0.1}) {
        set_thread_pool({});
        Sampled serial = batch.sample(kernels, is_truncated, min_p);
        batch.check(serial, is_truncated, min_p);
        set_thread_pool({&run_on_threads, &three});
        CHECK(same(serial, batch.sample(kernels, is_truncated, min_p)));
      }
  }
  set_thread_pool({});
  Batch batch(4, 100, 1);
  batch.logits[5] = kNan, batch.logits[199] = kInfinity;
  std::fill_n(batch.logits.begin() + 200, 100, -kInfinity);
  for (bool is_truncated : {false, true}) {
    Sampled out = batch.sample(kernels, is_truncated, 0);
    for (size_t r = 0; r < 4; ++r) CHECK(out.valid[r] == (r == 3) && (r == 3 || (out.token[r] == 0 && std::isnan(out.raw[r]))));
  }
}

static void check_whole_rows(const RowKernels<float>& kernels) {
  const size_t rows = 5, columns = 40000;
  Batch batch(rows, columns, 77);
  std::vector<int64_t> target{3, -100, 39999, 16384, 16383};
  RowOptions<float> options{nullptr, &batch.temperature, 0, 0, target.data(), -100};
  auto run = [&] {
    std::vector<float> out(rows * 3 + rows * columns);
    RowResults<float> results{out.data(), out.data() + rows, out.data() + 2 * rows};
    log_softmax_rows(kernels, Element::kWide, batch.matrix(), options, results);
    std::vector<float> ones(rows, 1.0f);
    Matrix gradient{reinterpret_cast<std::byte*>(out.data() + 3 * rows), rows, columns, static_cast<ptrdiff_t>(columns * sizeof(float))};
    gradient_rows(kernels, Element::kWide, batch.matrix(), gradient, 0, options, {ones.data(), nullptr, results.lse, results.entropy});
    return out;
  };
  set_thread_pool({});
  auto serial = run();
  set_thread_pool({&run_on_threads, &three});
  auto parallel = run();
  CHECK(std::memcmp(serial.data(), parallel.data(), serial.size() * sizeof(float)) == 0);
  for (size_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (size_t j = 0; j < columns; ++j) {
      float g = serial[3 * rows + r * columns + j];
      CHECK(r == 1 ? g == 0 : (g > 0) == (static_cast<int64_t>(j) == target[r]));
      sum += static_cast<double>(g);
    }
    CHECK(std::abs(sum) < 1e-5);
    CHECK(r != 1 || (serial[r] == 0 && serial[rows + r] == 0 && serial[2 * rows + r] == 0));
  }
  // Warm: no memory is asked for, but by the sanitizers' own tools.
  set_thread_pool({});
  Sampled warm = batch.sample(kernels, true, 0.01);
  std::vector<float> logprob(rows), entropy(rows), lse(rows);
  RowOptions<float> plain{nullptr, &batch.temperature, 0, 0, nullptr, 0};
  uint64_t before = allocations;
  log_softmax_rows(kernels, Element::kWide, batch.matrix(), options, {logprob.data(), entropy.data(), lse.data()});
  sample_rows<float>(kernels, Element::kWide, batch.matrix(), plain, {batch.top_k.data(), batch.top_p.data(), 0.01}, batch.seed.data(),
                     batch.position.data(), batch.greedy.get(),
                     {warm.token.data(), warm.raw.data(), warm.processed.data(), warm.entropy.data(), warm.valid.get()});
  CHECK(allocations == before);
}

static void check_pool() {
  set_thread_pool({});
  CHECK(!has_thread_pool() && pool_threads() == 1);
  for (bool is_parallel : {false, true}) {
    set_thread_pool(is_parallel ? ThreadPool{&run_on_threads, &three} : ThreadPool{});
    for (size_t count : {0, 1, 2, 5, 1000}) {
      std::vector<int> visits(count);
      parallel_for(count, 1, [&](size_t i) { ++visits[i]; });
      CHECK(std::all_of(visits.begin(), visits.end(), [](int n) { return n == 1; }));
    }
    bool is_thrown = false;
    try {
      parallel_for(100, 1, [](size_t i) {
        if (i % 40 == 39) throw std::runtime_error("one of the parts");
      });
    } catch (const std::runtime_error& error) {
      is_thrown = std::string(error.what()) == "one of the parts";
    }
    CHECK(is_thrown);
  }
  CHECK(pool_threads() == 3);
  set_thread_pool({&refuse, &three});
  bool is_thrown = false;
  try {
    parallel_for(100, 1, [](size_t) {});
  } catch (const std::runtime_error&) {
    is_thrown = true;
  }
  CHECK(is_thrown);
  set_thread_pool({});
}

int main() {
  check_pool();
  for (Isa isa : tiers()) {
    if (isa == Isa::kSse41) continue;  // the scalar tier's kernels
    const auto& kernels = row_kernels<float>(isa);
    check_exponential(kernels);
    check_storage<Bfloat16>(kernels, Element::kBfloat16);
    check_storage<Half>(kernels, Element::kHalf);
    check_rows(kernels);
    check_not_finite(kernels);
    check_sampler(kernels);
    check_whole_rows(kernels);
  }
  std::puts("kernels: ok");
}

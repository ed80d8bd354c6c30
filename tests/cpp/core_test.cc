// Tests of the native core without Python; run under sanitizers by .ci/sanitize.
#include <cstdio>
#include <cstdlib>

#include "core/action_parse.h"
#include "core/gae.h"
#include "core/pack.h"
#include "core/pool.h"
#include "core/rollout_buffer.h"

#define CHECK(condition)                                                    \
  if (!(condition)) {                                                       \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
    std::exit(1);                                                           \
  }

using namespace vldac;

static void same_results_for_any_number_of_threads() {
  std::vector<uint64_t> seeds;
  for (uint64_t i = 0; i < 16; ++i) seeds.push_back(100 + i);
  std::string states[2];
  int number_of_threads[2] = {1, 4};
  for (int run = 0; run < 2; ++run) {
    Pool pool("gym_cards/NumberLine-v0", 16, number_of_threads[run], 56, 56, false, 10);
    std::vector<uint8_t> images(16 * pool.image_bytes()), finals(16 * pool.image_bytes());
    pool.reset(seeds, {}, images.data());
    for (uint64_t step = 0; step < 200; ++step) {
      std::vector<int64_t> actions;
      for (uint64_t i = 0; i < 16; ++i) actions.push_back(static_cast<int64_t>(counter_random(1, 2, i, step) % 2));
      pool.step(actions.data(), images.data(), finals.data());
    }
    states[run] = pool.save();
  }
  CHECK(states[0] == states[1]);
}

static void snapshots_restore_and_refuse_damage() {
  Pool pool("gym_cards/EZPoints-v0", 3, 1, 84, 84, false, 20);
  std::vector<uint8_t> images(3 * pool.image_bytes()), finals(3 * pool.image_bytes());
  pool.reset({1, 2, 3}, {}, images.data());
  std::string state = pool.save();
  int64_t actions[3] = {12, 12, 0};
  pool.step(actions, images.data(), finals.data());
  std::string after = pool.save();
  pool.load(state);
  pool.step(actions, images.data(), finals.data());
  CHECK(pool.save() == after);
  for (size_t i = 0; i < state.size(); i += 7) {
    std::string broken = state;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    bool threw = false;
    try {
      pool.load(broken);
    } catch (const std::invalid_argument&) {
      threw = true;
    }
    CHECK(threw);
  }
}

static void a_fault_stays_in_its_environment() {
  Pool pool("gym_cards/NumberLine-v0", 2, 1, 56, 56, false, 10);
  std::vector<uint8_t> images(2 * pool.image_bytes()), finals(2 * pool.image_bytes());
  pool.reset({1, 2}, {}, images.data());
  int64_t actions[2] = {99, 0};
  const auto& outcomes = pool.step(actions, images.data(), finals.data());
  CHECK(!outcomes[0].fault.empty() && outcomes[0].result.truncated && outcomes[0].result.reward == 0.0);
  CHECK(outcomes[1].fault.empty());
}

static void parsing_never_reads_outside() {
  std::vector<std::string> names{"-", "+"};
  CHECK(parse_action("{\"action\": \"+\"}", names).action == 1);
  CHECK(parse_action("{'action': '-'}", names).status == ParseStatus::kTolerant);
  std::string text = "{\"a\": [1, {\"action\": \"+\"}], \"action\": \"-\", \"b\": \"\\\"\"} action";
  for (size_t start = 0; start < text.size(); ++start)
    for (size_t size = 0; size <= text.size() - start; ++size) {
      std::vector<char> exact(text.begin() + static_cast<long>(start), text.begin() + static_cast<long>(start + size));
      parse_action(std::string_view(exact.data(), exact.size()), names);
    }
}

static void a_rollout_buffer_stays_inside_its_memory() {
  RolloutBuffer buffer({2, 3, 2, 4, 12});
  std::vector<uint8_t> frame(12, 9);
  std::vector<int64_t> tokens{1, 2, 3, 4};
  std::vector<float> logprob{-1, -2, -3, -4};
  for (size_t env = 0; env < 2; ++env) buffer.begin(env, frame.data());
  for (int round = 0; round < 3; ++round) {
    for (size_t t = 0; t < 3; ++t)
      for (size_t env = 0; env < 2; ++env) {
        buffer.respond(env, {tokens.data(), logprob.data(), 4, 1, 0, 1, 1, 0.5f, 0.25});
        buffer.observe(env, {1.0, 0.0, static_cast<uint8_t>(t == 1), 0, 0, 0, frame.data()});
      }
    CHECK(buffer.is_full() && buffer.shown[2] == 1 && buffer.shown[1] == 2 && buffer.episode[2] == round + 1);
    bool threw = false;
    try {
      buffer.observe(0, {0, 0, 0, 0, 0, 0, frame.data()});
    } catch (const std::invalid_argument&) {
      threw = true;
    }
    CHECK(threw);
    buffer = buffer.next();
  }
  std::vector<int64_t> lengths{5, 1, 9, 9, 2};
  MicrobatchPlan plan = plan_microbatches(lengths.data(), lengths.size(), 2, 10);
  CHECK((plan.order == std::vector<int64_t>{1, 4, 0, 2, 3}) && (plan.offsets == std::vector<int64_t>{0, 2, 3, 4, 5}));
}

int main() {
  a_rollout_buffer_stays_inside_its_memory();
  same_results_for_any_number_of_threads();
  snapshots_restore_and_refuse_damage();
  a_fault_stays_in_its_environment();
  parsing_never_reads_outside();
  std::puts("core tests passed");
}

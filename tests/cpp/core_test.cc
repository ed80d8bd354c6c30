// Tests of the native core without Python; run under sanitizers by .ci/sanitize.
#include <cstdio>
#include <cstdlib>

#include "core/action_parse.h"
#include "core/pack.h"
#include "core/pool.h"
#include "core/rollout_buffer.h"

#define CHECK(condition)                                                    \
  if (!(condition)) {                                                       \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
    std::exit(1);                                                           \
  }

using namespace vldac;

static std::vector<int64_t> some_actions(size_t count, uint64_t step, uint64_t of) {
  std::vector<int64_t> actions;
  for (uint64_t i = 0; i < count; ++i) actions.push_back(static_cast<int64_t>(counter_random(1, 2, i, step) % of));
  return actions;
}

static void same_results_for_any_number_of_threads_and_batches() {
  std::vector<uint64_t> seeds;
  for (uint64_t i = 0; i < 16; ++i) seeds.push_back(100 + i);
  std::vector<std::string> states;
  for (int threads : {1, 4})
    for (int batch : {16, 4, 1})
      for (bool is_ready : {false, true}) {
        Pool pool({.env_id = "gym_cards/NumberLine-v0", .num_envs = 16, .num_threads = threads, .batch_size = batch, .width = 56,
                   .height = 56, .is_ready_order = is_ready, .max_episode_steps = 10});
        pool.reset(seeds, {});
        for (uint64_t step = 0; step < 60; ++step) {
          auto actions = some_actions(16, step, 2);
          if (batch == 16 && !is_ready) {
            pool.step(actions);
          } else {
            std::vector<int64_t> ids(16);
            for (size_t i = 0; i < 16; ++i) ids[i] = static_cast<int64_t>((i * 5 + step) % 16);
            std::vector<int64_t> sent;
            for (int64_t id : ids) sent.push_back(actions[static_cast<size_t>(id)]);
            pool.send(sent, ids);
            size_t received = 0;
            while (received < 16) received += pool.recv()->rows;
          }
        }
        states.push_back(pool.save());
      }
  for (const auto& state : states) CHECK(state == states[0]);
}

static void snapshots_restore_and_refuse_damage() {
  Pool pool({.env_id = "gym_cards/EZPoints-v0", .num_envs = 3, .width = 84, .height = 84, .max_episode_steps = 20});
  pool.reset(std::vector<uint64_t>{1, 2, 3}, {});
  std::string state = pool.save();
  std::vector<int64_t> actions{12, 12, 0};
  pool.step(actions);
  std::string after = pool.save();
  pool.load(state);
  pool.step(actions);
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
    CHECK(threw && pool.save() == after);
  }
}

// A stream of zeros would keep integers() waiting for ever; the checksum (FNV-1a) fits, as an attacker's would.
static void snapshots_of_impossible_streams_are_refused() {
  Pool pool({.env_id = "Blackjack-symbolic-v0", .width = 1, .height = 1, .is_stream = true});
  pool.reset(std::vector<uint64_t>{7}, {});
  std::string state = pool.save();
  constexpr size_t kStream = 24, kChecksum = 8;  // behind magic, version, id and number
  state.resize(state.size() - kChecksum);
  state.replace(kStream, sizeof(Pcg64), sizeof(Pcg64), '\0');
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : state) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  state.append(reinterpret_cast<const char*>(&hash), kChecksum);
  bool threw = false;
  try {
    pool.load(state);
  } catch (const std::invalid_argument&) {
    threw = true;
  }
  CHECK(threw);
}

static void faults_stay_in_their_environments() {
  for (double kind : {0.0, 1.0, 3.0, 5.0})
    for (auto mode : {Autoreset::kSameStep, Autoreset::kNextStep}) {
      Pool pool({.env_id = "test/Misbehaving-v0", .options = {{"kind", kind}, {"odds", 0.4}, {"at_step", 2}}, .num_envs = 8,
                 .num_threads = 3, .width = 28, .height = 28, .autoreset = mode, .max_episode_steps = 5, .step_timeout = 0.002});
      std::vector<uint64_t> seeds{1, 2, 3, 4, 5, 6, 7, 8};
      pool.reset(seeds, {});
      int64_t faults = 0;
      for (int step = 0; step < 50; ++step) {
        BatchLease batch = pool.step(std::vector<int64_t>(8, 0));
        for (size_t row = 0; row < 8; ++row)
          if (batch->ended[row] && !batch->fault[row].empty()) {
            ++faults;
            CHECK(batch->truncated[row] && !batch->terminated[row] && batch->reward[row] == 0.0 && batch->episode_return[row] == 1.0);
          }
      }
      CHECK(faults > 10 && pool.fault_count() == faults);
    }
}

static void views_outlive_the_pool() {
  BatchLease kept;
  {
    Pool pool({.env_id = "gym_cards/NumberLine-v0", .num_envs = 4, .num_threads = 2, .width = 28, .height = 28});
    pool.reset(std::vector<uint64_t>{1, 2, 3, 4}, {});
    kept = pool.step(std::vector<int64_t>(4, 1));
    for (int i = 0; i < 20; ++i) pool.step(std::vector<int64_t>(4, 0));
    CHECK(pool.gauge().leased == 1 && pool.gauge().batches == 2);
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < 4 * kept->obs_bytes; ++i) sum += kept->obs[i];
  CHECK(sum > 0 && kept->reward[0] >= -1.0);
}

static void a_hang_is_found() {
  Pool pool({.env_id = "test/Misbehaving-v0", .options = {{"kind", 2}, {"at_step", 1}}, .num_envs = 2, .num_threads = 2, .width = 28,
             .height = 28, .step_timeout = 0.05});
  pool.reset(std::vector<uint64_t>{1, 2}, {});
  std::string message;
  try {
    pool.step(std::vector<int64_t>(2, 0));
  } catch (const EnvHang& hang) {
    message = hang.what();
  }
  CHECK(message.find("environment ") == 0 && message.find("seed ") != std::string::npos);
}

static void a_prompt_is_filled_in() {
  Facts facts;
  facts.text("formula", "1 + {");
  facts.number("count", -3);
  std::string text;
  PromptTemplate("a {formula} {{x}} {count}.").render(facts, text);
  CHECK(text == "a 1 + { {x} -3.");
  for (const char* bad : {"{", "}", "{formula", "{nothing}"}) {
    bool threw = false;
    try {
      PromptTemplate(bad).check(facts);
    } catch (const std::invalid_argument&) {
      threw = true;
    }
    CHECK(threw);
  }
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
  MicrobatchPlan plan = plan_microbatches(lengths.data(), lengths.size(), 0, 2, 10);
  CHECK((plan.order == std::vector<int64_t>{1, 4, 0, 2, 3}) && (plan.offsets == std::vector<int64_t>{0, 2, 3, 4, 5}));
}

int main() {
  a_rollout_buffer_stays_inside_its_memory();
  same_results_for_any_number_of_threads_and_batches();
  snapshots_restore_and_refuse_damage();
  snapshots_of_impossible_streams_are_refused();
  faults_stay_in_their_environments();
  views_outlive_the_pool();
  a_hang_is_found();
  a_prompt_is_filled_in();
  parsing_never_reads_outside();
  std::puts("core tests passed");
}

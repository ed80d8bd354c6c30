// The environment interface. An environment is small, owns no threads and no image memory, and is called by one thread at
// a time. Its state is written to and read from bytes, so that a run resumes bit for bit.
// docs/environments.md shows a whole one; csrc/envs/registry.cc lists them, one line each.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/rng.h"
#include "core/symbols.h"
#include "core/text.h"

namespace vldac {

struct StepResult {
  double reward = 0.0;
  bool terminated = false;
  bool truncated = false;
};

// What one call of reset() or step() may use: the environment's own random stream, and a budget of wall time. Loops whose
// length is not obvious call check(); past the budget it throws, which ends the episode as a fault.
class Context {
 public:
  Context(Pcg64& stream, double budget_seconds, uint64_t seed_of_env = 0, int64_t number_of_episode = 0)
      : rng(stream), seed(seed_of_env), episode(number_of_episode), budget_seconds_(budget_seconds) {}
  Pcg64& rng;
  const uint64_t seed;    // of the environment, as reset() was given it
  const int64_t episode;  // since then, from 0
  void check() {
    auto now = std::chrono::steady_clock::now();
    if (calls_++ == 0) start_ = now;
    if (std::chrono::duration<double>(now - start_).count() > budget_seconds_)
      throw std::runtime_error("step budget exceeded: longer than " + std::to_string(budget_seconds_) + " s in one call");
  }

 private:
  double budget_seconds_;
  uint64_t calls_ = 0;
  std::chrono::steady_clock::time_point start_;
};

struct MapFrame {
  double min_x = 0.0, min_z = 0.0;      // metres at the picture's top left corner
  double scale_x = 1.0, scale_z = 1.0;  // pixels per metre
};

struct PixelRect {
  int x = 0, y = 0, width = 0, height = 0;
};

class Env {
 public:
  virtual ~Env() = default;
  virtual void reset(Context& context) = 0;
  virtual StepResult step(int64_t /*action*/, Context& /*context*/) { throw std::logic_error("no numbered actions"); }
  // Text environments (EnvSpec::is_text) take a command instead: any bytes, often a model's. step() is not called then.
  virtual StepResult step_command(std::string_view /*command*/, Context& /*context*/) { throw std::logic_error("no commands"); }
  // What the observation says, and the commands that are admissible now, each once, in the environment's own order; both until the next
  // call that changes something. A command with "<words>" in it (core/forms.h) takes any words there.
  virtual std::string_view text() const { return {}; }
  virtual std::span<const Symbol* const> commands() const { return {}; }
  // Where those who play at random find words for such a command.
  virtual std::string_view words() const { return text(); }
  // Where a command points to on a picture of that size, if it points anywhere: false where it does not.
  virtual bool locate(std::string_view /*command*/, int /*width*/, int /*height*/, PixelRect& /*box*/) const { return false; }
  // The scripted expert's command now, or null where there is none.
  virtual const Symbol* oracle_command() const { return nullptr; }
  virtual bool success() const = 0;
  // The scripted expert's action now, or -1 where there is none.
  virtual int64_t oracle_action() const { return -1; }
  // What is on the observation, for prompts and tests. Must not allocate in the steady state.
  virtual void facts(Facts&) const {}
  // Image environments draw into [height][width][3] bytes; the others write `ObsSpec::size` values.
  virtual void render(uint8_t* /*pixels*/, int /*width*/, int /*height*/) const { throw std::logic_error("no picture"); }
  virtual void measure(void* /*values*/) const { throw std::logic_error("no vector observation"); }
  // Worlds in space have a map: the agent's pose (x, z in metres, heading in radians, as MiniWorld's), a picture from above, and how
  // its pixels lie: x = column / scale_x + min_x, z = row / scale_z + min_z. Also distances along the view, [height][width] metres.
  virtual bool has_map() const { return false; }
  virtual std::array<double, 3> pose() const { throw std::logic_error("no map"); }
  virtual MapFrame map_frame(int /*width*/, int /*height*/) const { throw std::logic_error("no map"); }
  virtual void render_map(uint8_t* /*pixels*/, int /*width*/, int /*height*/) const { throw std::logic_error("no map"); }
  virtual void render_depth(float* /*metres*/, int /*width*/, int /*height*/) const { throw std::logic_error("no map"); }
  virtual void save(Bytes& out) const = 0;
  virtual void load(Bytes& in) = 0;
};

enum class ObsKind : uint8_t { kImage, kInt32, kFloat32, kNone };  // kNone: of text alone

struct ObsSpec {
  ObsKind kind = ObsKind::kImage;
  int64_t size = 0;                  // values of a vector observation
  std::vector<int64_t> cardinality = {};  // kInt32: value i lies in [0, cardinality[i])
  int width = 300, height = 300;     // pixels of a picture whose size nobody chose
  // Options that are part of what the agent sees, such as the goal that it is given: [0, n) each.
  std::vector<std::pair<std::string, int64_t>> shown_options = {};
};

struct Option {
  std::string name;
  double initial;
  std::string help;
};

using Options = std::map<std::string, double>;

// Everything about an environment that does not change: each environment class returns its own from a static spec().
struct EnvSpec {
  std::string id;
  std::vector<std::string> action_names;  // none where is_text
  int64_t max_episode_steps = 300;       // what upstream registers
  int64_t task_episode_steps = 20;       // task="vldac"
  std::vector<std::string> fields = {};  // facts that a response of the "short" prompt names
  std::vector<Option> options = {};
  ObsSpec observation = {};
  // Every call takes a constant, short time: where waking a thread would cost more, the pool's caller makes the calls itself.
  bool is_bounded = false;
  bool is_listed = true;  // false: for tests
  // It truncates its episodes itself; the pool adds a limit only when it is told one.
  bool limits_itself = false;
  // task="vldac": an episode whose last reward is not above 0 pays this instead (NaN: no such rule); faults stay 0.
  double task_failure_reward = std::numeric_limits<double>::quiet_NaN();
  // The set of textures and meshes that it draws with (render/raster/assets.h); empty: none.
  std::string assets = {};
  // Actions are commands (Env::step_command), and observations have a text.
  bool is_text = false;
  // Where options change what actions there are, or what is observed.
  std::vector<std::string> (*actions_with)(const Options&) = nullptr;
  ObsSpec (*observation_with)(const Options&) = nullptr;

  // The names of the actions with these options, which are complete (with_defaults).
  std::vector<std::string> actions(const Options& chosen) const { return actions_with ? actions_with(chosen) : action_names; }
  ObsSpec observed(const Options& chosen) const { return observation_with ? observation_with(chosen) : observation; }
};

struct EnvEntry {
  EnvSpec spec;
  std::function<std::unique_ptr<Env>(const Options&)> make;  // with every option of the spec set
};

const std::vector<EnvEntry>& registry();
// Throws std::invalid_argument for an unknown id.
const EnvEntry& find_env(const std::string& id);
// The spec's defaults overridden by `given`; throws std::invalid_argument for names that the spec has not.
Options with_defaults(const EnvSpec& spec, const Options& given);

}  // namespace vldac

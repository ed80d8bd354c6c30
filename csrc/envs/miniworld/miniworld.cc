#include "envs/miniworld/miniworld.h"

#include <charconv>
#include <cmath>

namespace vldac::miniworld {

namespace {

constexpr double kShownShare = 0.8;    // of a thing's radius, that counts as its half width seen from any side
constexpr double kLoadSeconds = 10.0;  // a world is made in less than a thousandth of it
constexpr std::array<const char*, 8> kActions{"turn_left", "turn_right", "move_forward", "move_back",
                                              "pickup",    "drop",       "toggle",       "done"};

const std::vector<std::string> kTaskActions{"turn left", "turn right", "move forward", "move back"};

template <size_t N>
std::vector<std::string> actions_of(const Options& options) {
  if (options.at("task") != 0.0) return kTaskActions;
  return {kActions.begin(), kActions.begin() + N};
}

std::vector<std::string> sign_actions(const Options& options) {
  auto names = actions_of<4>(options);
  if (options.at("task") == 0.0) names[3] = "end_episode";
  return names;
}

DomainParams domain_of(const Options& options) {
  DomainParams params = DomainParams::fast();
  if (options.count("domain_rand")) params.take(options);
  return params;
}

bool is_set(const Options& options, const char* name) { return options.count(name) && whole_option(options, name, 0, 1) == 1; }

// In the fewest digits that mean it.
std::string text_of(double value) {
  std::array<char, 32> digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

// Whether two segments cross on the floor.
bool crosses(Vec3 a, Vec3 b, const Segment& wall) {
  auto side = [](Vec3 p, Vec3 q, Vec3 r) { return (q.x - p.x) * (r.z - p.z) - (q.z - p.z) * (r.x - p.x) > 0; };
  return side(a, b, wall.a) != side(a, b, wall.b) && side(wall.a, wall.b, a) != side(wall.a, wall.b, b);
}

}  // namespace

double number_option(const Options& options, const char* name, double low, double high) {
  double value = options.at(name);
  if (!(low <= value && value <= high))
    throw std::invalid_argument(std::string(name) + ": expected " + text_of(low) + " to " + text_of(high) + ", got " + text_of(value));
  return value;
}

int64_t whole_option(const Options& options, const char* name, int64_t low, int64_t high) {
  double value = options.at(name);
  if (!(static_cast<double>(low) <= value && value <= static_cast<double>(high)) || std::floor(value) != value)
    throw std::invalid_argument(std::string(name) + ": expected a whole number, " + std::to_string(low) + " to " +
                                std::to_string(high) + ", got " + text_of(value));
  return static_cast<int64_t>(value);
}

EnvSpec spec_of(const WorldSpec& world) {
  EnvSpec spec;
  spec.id = world.id;
  spec.max_episode_steps = world.max_episode_steps;
  spec.task_episode_steps = 128;
  spec.fields = {"goal"};
  spec.options = world.options;
  spec.options.push_back({"task", 0, "1: VL-DAC's task, whose actions are to turn left or right and to move forward or back"});
  spec.options.push_back({"builtin_assets", 0, "1: draw with the built-in textures and meshes instead of the miniworld package's"});
  if (!world.has_fixed_domain) {
    spec.options.push_back({"domain_rand", 0, "1: draw textures, lights, camera and step sizes at random"});
    (world.is_fast ? DomainParams::fast() : DomainParams()).declare(spec.options);
  }
  spec.observation.width = 80;
  spec.observation.height = 60;
  spec.limits_itself = true;
  // Not is_bounded: placing things takes as many tries as it takes, and a picture is more work than waking a thread.
  spec.task_failure_reward = -1.0;
  spec.assets = "miniworld";
  spec.actions_with = world.has_fixed_domain   ? &sign_actions
                      : world.num_actions == 3 ? &actions_of<3>
                      : world.num_actions == 5 ? &actions_of<5>
                                               : &actions_of<8>;
  spec.action_names = spec.actions_with({{"task", 0.0}});
  return spec;
}

MiniWorld::MiniWorld(const Options& options, int64_t max_episode_steps)
    : world_(domain_of(options), is_set(options, "domain_rand")),
      view_(is_set(options, "builtin_assets") ? "builtin" : "miniworld"),
      max_episode_steps_(max_episode_steps),
      is_task_(is_set(options, "task")) {}

void MiniWorld::reset(Context& context) {
  start_ = context.rng;
  step_count_ = 0;
  has_succeeded_ = false;
  world_.begin();
  generate(world_, context);
  world_.finish(context);
  view_.build(world_);
}

StepResult MiniWorld::step(int64_t action, Context& context) {
  ++step_count_;
  world_.act(action, world_.draw_motion(context.rng));
  view_.show(world_);  // before the judgement, as the package draws
  StepResult result;
  result.truncated = max_episode_steps_ > 0 && step_count_ >= max_episode_steps_;
  judge(action, result, world_, context);
  return result;
}

std::array<double, 3> MiniWorld::pose() const {
  if (!world_.is_made()) return {};
  const Entity& agent = world_.agent();
  return {agent.position.x, agent.position.z, agent.heading};
}

int MiniWorld::nearest_item() const {
  int nearest = World::kNone;
  double least = 0.0;
  for (int number : world_.order()) {
    const Entity& entity = world_.entity(number);
    if (entity.is_static || number == world_.agent_number() || number == world_.carrying()) continue;
    double distance = norm(entity.position - world_.agent().position);
    if (nearest != World::kNone && distance >= least) continue;
    nearest = number;
    least = distance;
  }
  return nearest;
}

void MiniWorld::facts(Facts& out) const {
  const char *visible = "no", *side = "none", *distance = "none", *held = "nothing";
  FixedText<16> seen;
  if (int number = world_.is_made() ? goal() : World::kNone; number != World::kNone) {
    const Entity &agent = world_.agent(), &entity = world_.entity(number);
    Vec3 offset{entity.position.x - agent.position.x, 0.0, entity.position.z - agent.position.z};
    // Positive to the left, in degrees.
    double bearing = std::remainder((std::atan2(-offset.z, offset.x) - agent.heading) / kDegree, 360.0);
    side = std::abs(bearing) <= 15 ? "ahead" : std::abs(bearing) > 120 ? "behind" : bearing > 0 ? "left" : "right";
    double metres = norm(offset);
    distance = metres < 2 ? "near" : metres < 5 ? "middle" : "far";
    double half_view = std::atan(std::tan(world_.body.cam_fov_y / 2 * kDegree) * 80 / 60) / kDegree;
    double half_width = std::atan2(kShownShare * entity.radius.value, metres) / kDegree;  // a part of it must be on the picture
    bool is_visible = std::abs(bearing) <= half_view + half_width;
    for (const Segment& wall : world_.segments()) {
      if (!is_visible) break;
      is_visible = !crosses(agent.position, entity.position, wall);
    }
    visible = is_visible ? "yes" : "no";
    double half_turn = world_.params().of(Domain::kTurnStep).initial / 2;
    if (is_visible) {
      seen += metres < 2.5 ? "near " : metres < 5 ? "medium " : "far ";
      seen += std::abs(bearing) <= half_turn ? "ahead" : bearing > 0 ? "left" : "right";
    }
  }
  if (int number = world_.carrying(); number != World::kNone) {
    const Entity& entity = world_.entity(number);
    held = entity.kind == EntityKind::kBox ? facts_of(entity.colour).name : facts_of(entity.mesh).name;
  }
  out.text("goal", seen.size() ? std::string_view(seen) : "none");
  out.text("goal_visible", visible);
  out.text("goal_side", side);
  out.text("goal_distance", distance);
  out.text("carrying", held);
  out.number("steps", step_count_);
}

void MiniWorld::save(Bytes& out) const {
  out.put(start_);
  out.put(step_count_);
  out.put(static_cast<uint8_t>(has_succeeded_));
  world_.save(out);
  view_.save(out);
  save_own(out);
}

void MiniWorld::load(Bytes& in) {
  Pcg64 stream = in.get<Pcg64>();
  if (!stream.is_valid()) throw std::invalid_argument("environment state is altered");
  try {
    Context context(stream, kLoadSeconds);
    reset(context);
  } catch (const std::runtime_error& error) {
    throw std::invalid_argument(std::string("environment state makes no world: ") + error.what());
  }
  step_count_ = in.get_within<int64_t>(0, max_episode_steps_ > 0 ? max_episode_steps_ : int64_t{1} << 40);
  has_succeeded_ = in.get_within<uint8_t>(0, 1) == 1;
  world_.load(in);
  view_.load(in, world_);
  load_own(in);
}

}  // namespace vldac::miniworld

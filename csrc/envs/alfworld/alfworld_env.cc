#include "envs/alfworld/alfworld_env.h"

#include <algorithm>
#include <utility>

namespace vldac::alfworld {

namespace {

constexpr std::string_view kTaskIs = "Your task is to: ";
constexpr size_t kMaxGoals = 1024;

template <class Choice>
Choice choice_of(const Options& options, const char* name, int last) {
  double value = options.at(name);
  if (!(value >= 0 && value <= last) || value != static_cast<int>(value))
    throw std::invalid_argument(std::string("ALFWorld, ") + name + ": expected a whole number, 0 to " + std::to_string(last));
  return static_cast<Choice>(static_cast<int>(value));
}

// A sentence of people without its full stop and white space, as the games' own sentences are.
std::string sentence(std::string_view words) {
  while (!words.empty() && (words.back() == '.' || words.back() == ' ' || words.back() == '\n')) words.remove_suffix(1);
  while (!words.empty() && (words.front() == ' ' || words.front() == '\n')) words.remove_prefix(1);
  return std::string(words);
}

}  // namespace

EnvSpec AlfworldEnv::spec() {
  return {.id = "ALFWorld-v0",
          .action_names = {},
          .max_episode_steps = 50,
          .task_episode_steps = 50,
          .fields = {"facing", "holding"},
          .options = {{"panel", -1, "the games, by their panel's number"},
                      {"game_order", 0, "which game an episode plays: 0 drawn at random, 1 number (seed + episode) of the panel"},
                      {"reward", 0, "0 success, 1 rl4vlm, 2 vldac, 3 increase"},
                      {"picture", 1, "0 none, 1 ego, 2 schematic, 3 panel"},
                      {"decals", 1, "numbers on receptacles and objects"},
                      {"human_goals", 0, "probability that the task is told in people's words, where the game has such"},
                      {"layer", 0, "0 the fast path where it knows the rules, 1 only that, 2 the interpreter of the game's own rules"}},
          .observation = {.width = 300, .height = 300},
          .is_bounded = false,
          .is_text = true,
          .observation_with = [](const Options& options) {
            return ObsSpec{.kind = options.at("picture") != 0.0 ? ObsKind::kImage : ObsKind::kNone, .width = 300, .height = 300};
          }};
}

AlfworldEnv::AlfworldEnv(const Options& options)
    : panel_(find_panel(static_cast<int64_t>(options.at("panel")))),
      layer_(choice_of<Layer>(options, "layer", 2)),
      reward_(choice_of<Reward>(options, "reward", 3)),
      order_(choice_of<Order>(options, "game_order", 1)),
      has_decals_(options.at("decals") != 0.0),
      human_goals_(options.at("human_goals")) {
  if (int picture = choice_of<int>(options, "picture", 3)) picture_ = static_cast<Mode>(picture - 1);
  if (!(human_goals_ >= 0 && human_goals_ <= 1)) throw std::invalid_argument("ALFWorld, human_goals: expected a probability");
}

void AlfworldEnv::reset(Context& context) {
  auto count = static_cast<uint64_t>(panel_->size());
  uint64_t number = order_ == Order::kSeed ? (context.seed + static_cast<uint64_t>(context.episode)) % count
                                           : static_cast<uint64_t>(context.rng.integers(0, static_cast<int64_t>(count)));
  bool is_told_by_people = human_goals_ > 0 && context.rng.uniform() < human_goals_;
  auto index = static_cast<size_t>(number);
  auto game = panel_->game(index);  // the one that is played may be a later one
  auto goals = static_cast<int64_t>(panel_->entry(index).human_goals.size());
  begin(index, std::move(game), is_told_by_people && goals > 0 ? context.rng.integers(0, goals) : -1);
}

void AlfworldEnv::begin(size_t index, std::shared_ptr<const Game> game, int64_t goal) {
  if (game != game_) {
    player_ = play(game, layer_);
    game_ = std::move(game);
    painter_.reset();
  }
  player_->reset();
  index_ = index, goal_ = goal;
  task_ = goal < 0 ? game_->task_text() : sentence(panel_->entry(index).human_goals[static_cast<size_t>(goal)]);
  opening_.assign(player_->text());
  size_t at = opening_.rfind(kTaskIs);
  if (goal >= 0 && at != std::string::npos) opening_.replace(at + kTaskIs.size(), std::string::npos, task_ + ".");
  is_opening_ = 1;
  best_share_ = share();
}

double AlfworldEnv::share() const {
  Conditions now = player_->conditions();
  return now.all ? static_cast<double>(now.met) / now.all : player_->won() ? 1.0 : 0.0;
}

StepResult AlfworldEnv::step_command(std::string_view command, Context&) {
  double penalty = player_->step(command) ? 0.0 : 1.0;
  is_opening_ = 0;
  bool won = player_->won();
  double now = share(), reward = 0.0;
  switch (reward_) {
    case Reward::kSuccess: reward = won; break;
    case Reward::kRl4vlm: reward = 50.0 * won + now - penalty; break;
    case Reward::kVldac: reward = won + now - penalty; break;
    case Reward::kIncrease: reward = won + std::max(0.0, now - best_share_) - penalty; break;
  }
  best_share_ = std::max(best_share_, now);
  return {reward, won, false};
}

const Symbol* AlfworldEnv::oracle_command() const { return player_ ? next_command(*player_) : nullptr; }

void AlfworldEnv::facts(Facts& out) const {
  if (!player_) {  // before the first episode: the names alone
    for (const char* name : {"observation", "task", "commands", "facing", "holding", "task_type", "game"}) out.text(name, "");
    out.number("conditions_met", 0);
    out.number("conditions", 0);
    return;
  }
  const Room& room = player_->room();
  const RoomState& state = player_->state();
  out.text("observation", text());
  out.text("task", task_);
  out.list("commands", player_->commands());
  FixedText<512> facing;
  for (const Receptacle& receptacle : room.receptacles) {
    if (receptacle.location != state.location || state.location == alfworld::kNone) continue;
    if (facing.size()) facing += " and ";
    facing += receptacle.name;
  }
  if (!facing.size()) facing += "room";
  out.text("facing", facing);
  out.text("holding", state.held == alfworld::kNone ? std::string_view("nothing") : std::string_view(room.objects[state.held].name));
  out.text("task_type", name_of(player_->game().task().kind));
  out.text("game", player_->game().content_hash());
  Conditions now = player_->conditions();
  out.number("conditions_met", now.met);
  out.number("conditions", now.all);
}

void AlfworldEnv::render(uint8_t* pixels, int width, int height) const {
  if (!picture_) throw std::logic_error("ALFWorld: no picture was asked for (picture=none)");
  if (!player_) throw std::logic_error("ALFWorld: no game has begun");
  if (!painter_) painter_ = std::make_unique<RoomPainter>(std::shared_ptr<const Room>(game_, &game_->room()));
  painter_->draw(player_->state(), *picture_, pixels, width, height, has_decals_);
}

void AlfworldEnv::save(Bytes& out) const {
  out.put(static_cast<uint8_t>(player_ != nullptr));
  if (!player_) return;
  out.put(static_cast<uint64_t>(index_));
  for (char c : player_->game().content_hash()) out.put(c);
  out.put(goal_);
  out.put(best_share_);
  out.put(is_opening_);
  player_->save(out);
}

void AlfworldEnv::load(Bytes& in) {
  if (!in.get_within<uint8_t>(0, 1)) return;
  auto index = static_cast<size_t>(in.get_within<uint64_t>(0, panel_->size() - 1));
  size_t found = index;
  auto game = panel_->game(found);
  std::string hash(game->content_hash().size(), ' ');
  for (char& c : hash) c = in.get<char>();
  if (found != index || hash != game->content_hash())
    throw std::invalid_argument("environment state is of another game than " + panel_->entry(index).path + " is now");
  auto goal = in.get_within<int64_t>(-1, static_cast<int64_t>(std::min(panel_->entry(index).human_goals.size(), kMaxGoals)) - 1);
  auto best = in.get<double>();
  auto is_opening = in.get_within<uint8_t>(0, 1);
  if (!(best >= 0.0 && best <= 1.0)) throw std::invalid_argument("environment state is altered");
  begin(index, std::move(game), goal);
  player_->load(in);
  best_share_ = best;
  is_opening_ = is_opening;
}

}  // namespace vldac::alfworld

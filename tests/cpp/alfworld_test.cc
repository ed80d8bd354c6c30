// Household games without Python: no allocation in the fast layer's steps and resets, layers that agree, snapshots that go on alike or
// are refused, and files that are cut, altered or hostile.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "alfworld_games.h"
#include "core/rng.h"
#include "envs/alfworld/player.h"

static std::atomic<uint64_t> allocations{0};

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {  // what temporary buffers are made with
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#define REQUIRE(condition)                                               \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::exit(1);                                                        \
  }

using namespace vldac;
using namespace vldac::alfworld;

namespace {

std::shared_ptr<const Game> parsed(const std::string& text) { return Game::parse(text, "a test"); }

// What parsing says is wrong; empty where it says nothing.
std::string error_of(const std::string& text) {
  try {
    parsed(text);
  } catch (const GameError& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return true;
  std::fprintf(stderr, "'%s' has no '%s'\n", message.c_str(), part.c_str());
  return false;
}

// Mostly other commands than "go to", of which there are most.
const Symbol* chosen(const Player& player, uint64_t t) {
  std::span<const Symbol* const> commands = player.commands();
  const Symbol* command = nullptr;
  for (uint64_t attempt = 0; attempt < 4; ++attempt) {
    command = commands[counter_random(5, attempt, 0, t) % commands.size()];
    if (command->text.compare(0, 5, "go to") != 0) break;
  }
  return command;
}

bool is_same(const Player& a, const Player& b) {
  return a.text() == b.text() && a.won() == b.won() && std::equal(a.commands().begin(), a.commands().end(), b.commands().begin(), b.commands().end());
}
bool is_same(const RoomState& a, const RoomState& b) {
  return a.location == b.location && a.held == b.held && a.receptacle_of == b.receptacle_of && a.object_state == b.object_state &&
         a.is_open == b.is_open && a.contents == b.contents && a.taken == b.taken && a.at == b.at;
}

void fast_steps_allocate_nothing() {
  auto player = play(parsed(kitchen_game()), Layer::kFast);
  uint64_t t = 0;
  int met = 0;
  for (; t < 1000; ++t) player->step(chosen(*player, t)->text);
  player->reset();
  uint64_t before = allocations;
  for (; t < 20000; ++t) {
    player->step(t % 50 ? chosen(*player, t)->text : std::string_view("jump"));
    met += player->conditions().met;
    if (t % 100 == 0) player->reset();
  }
  REQUIRE(allocations == before);
  REQUIRE(met > 0);
}

void layers_agree(const std::string& kind) {
  auto game = parsed(kitchen_game(kHeatGoal, kind));
  REQUIRE(game->house() != nullptr);
  auto fast = play(game, Layer::kFast), generic = play(game, Layer::kGeneric);
  REQUIRE(fast->is_fast() && !generic->is_fast());
  int wins = 0;
  for (uint64_t t = 0; t < 20000; ++t) {
    REQUIRE(is_same(*fast, *generic));
    REQUIRE(is_same(fast->state(), generic->state()));
    REQUIRE((fast->conditions().met == fast->conditions().all) == fast->won());
    wins += fast->won();
    const Symbol* command = chosen(*fast, t);
    fast->step(command->text);
    generic->step(command->text);
  }
  REQUIRE(wins > 0);
}

void snapshots_go_on_alike(Layer layer) {
  auto game = parsed(kitchen_game());
  auto original = play(game, layer), copy = play(game, layer);
  for (uint64_t t = 0; t < 600; ++t) {
    Bytes state;
    original->save(state);
    copy->load(state);
    REQUIRE(state.cursor == state.data.size());
    REQUIRE(is_same(*original, *copy) && is_same(original->state(), copy->state()));
    const Symbol* command = chosen(*original, t);
    original->step(command->text);
    copy->step(command->text);
    REQUIRE(is_same(*original, *copy) && is_same(original->state(), copy->state()));
  }
}

void altered_snapshots_are_refused_or_harmless(Layer layer) {
  auto game = parsed(kitchen_game());
  auto player = play(game, layer), target = play(game, layer);
  for (uint64_t t = 0; t < 40; ++t) player->step(chosen(*player, t)->text);
  Bytes state;
  player->save(state);
  int refused = 0;
  for (size_t at = 0; at < state.data.size(); ++at)
    for (uint8_t change : {0x01, 0x04, 0x80, 0xff}) {
      Bytes altered{state.data, 0};
      altered.data[at] = static_cast<char>(static_cast<uint8_t>(altered.data[at]) ^ change);
      Bytes before;
      target->save(before);
      try {
        target->load(altered);
      } catch (const std::invalid_argument&) {
        ++refused;
        Bytes after;
        target->save(after);
        REQUIRE(after.data == before.data);
        continue;
      }
      for (uint64_t t = 0; t < 10; ++t) target->step(chosen(*target, t)->text);
    }
  for (size_t size : {size_t{0}, size_t{3}, state.data.size() / 2, state.data.size() - 1}) {
    Bytes cut{state.data.substr(0, size), 0};
    bool is_refused = false;
    try {
      target->load(cut);
    } catch (const std::invalid_argument&) {
      is_refused = true;
    }
    REQUIRE(is_refused);
  }
  REQUIRE(refused > 10);
}

void a_goal_of_another_kind_is_played_by_its_rules() {
  auto game = parsed(kitchen_game(kOtherGoal));
  REQUIRE(game->task().kind == TaskKind::kOther && game->house() == nullptr);
  REQUIRE(says(game->why_not_fast(), "none of the six tasks"));
  auto player = play(game);
  REQUIRE(!player->is_fast());
  // Each on the microwave's heat, then the door closed again.
  for (const char* command : {"go to countertop 2", "take apple 2 from countertop 2", "go to microwave 1", "heat apple 2 with microwave 1",
                              "go to countertop 1", "move apple 2 to countertop 1", "take apple 1 from countertop 1", "go to microwave 1", "open microwave 1"}) {
    player->step(command);
    REQUIRE(player->text() != "Nothing happens." && !player->won());
  }
  player->step("heat apple 1 with microwave 1");
  REQUIRE(!player->won());
  player->step("close microwave 1");
  REQUIRE(player->won() && player->score() == 1);
  player->step("open microwave 1");
  REQUIRE(!player->won() && player->score() == 0);
  bool is_refused = false;
  try {
    play(game, Layer::kFast);
  } catch (const std::invalid_argument&) {
    is_refused = true;
  }
  REQUIRE(is_refused);
}

void hashes_go_by_meaning() {
  std::string text = kitchen_game();
  auto game = parsed(text);
  REQUIRE(game->content_hash().size() == 32);
  REQUIRE(parsed("  " + text + "\n")->content_hash() == game->content_hash());
  REQUIRE(parsed(replaced(text, "(openable Drawer", ";comment\\n   (OPENABLE   drawer"))->content_hash() == game->content_hash());
  REQUIRE(parsed(replaced(text, "put a hot apple", "put a warm apple"))->content_hash() != game->content_hash());
  REQUIRE(parsed(replaced(text, "(openable Drawer", "(opened Drawer"))->content_hash() != game->content_hash());
  REQUIRE(game->task_text() == "put a hot apple in countertop");
  // Games that share a grammar keep their own sentences.
  auto other = parsed(replaced(text, "put a hot apple", "put a warm apple"));
  REQUIRE(&other->grammar() == &game->grammar() && &other->domain() == &game->domain());
  for (Layer layer : {Layer::kFast, Layer::kGeneric}) {
    REQUIRE(says(std::string(play(other, layer)->text()), "Your task is to: put a warm apple in countertop."));
    REQUIRE(says(std::string(play(game, layer)->text()), "Your task is to: put a hot apple in countertop."));
  }
}

void errors_say_where() {
  std::string domain = file_text("alfred.pddl"), grammar = file_text("alfred.twl2"), problem = kitchen_problem(kHeatGoal);
  auto in_domain = [&](const std::string& from, const std::string& to) { return error_of(game_text(replaced(domain, from, to), grammar, problem)); };
  auto in_grammar = [&](const std::string& from, const std::string& to) { return error_of(game_text(domain, replaced(grammar, from, to), problem)); };
  auto in_problem = [&](const std::string& from, const std::string& to) { return error_of(game_text(domain, grammar, replaced(problem, from, to))); };
  REQUIRE(error_of(game_text(domain, grammar, problem)).empty());
  REQUIRE(error_of("") == "a test: file 1:1: expected a JSON value, got the end");
  REQUIRE(error_of("{\n \"grammar\": 3}") == "a test: file 1:1: expected a member \"pddl_domain\"");
  REQUIRE(error_of("{\"a\": [1,\n  }") == "a test: file 2:3: expected a JSON value, got '}'");
  REQUIRE(error_of(std::string(1000, '[')) == "a test: file 1:66: expected at most 64 levels of brackets, got more");
  REQUIRE(says(in_domain("(:action look", "(:derived look"), "domain 64:2: expected :requirements, :types, :constants, :predicates, :functions or :action, got ':derived'"));
  REQUIRE(says(in_domain("(:action inventory", "(:derived inventory"), "expected ':action', got ':derived'"));
  REQUIRE(says(in_domain("(exists (?l - location)", "(some (?l - location)"), "expected a predicate of the domain, got 'some'"));
  REQUIRE(says(in_domain("(increase (total-cost) 1)", "(decrease (total-cost) 1)"), "got 'decrease'"));
  REQUIRE(says(in_domain("(atLocation ?a ?l)\n", "(atLocation ?a ?x)\n"), "expected a name that is declared, got '?x'"));
  REQUIRE(says(in_problem("(= (total-cost) 0)", "(opened nothing)"), "problem 16:11: expected an object that is declared in :objects, got 'nothing'"));
  REQUIRE(says(in_problem("(= (total-cost) 0)", "(opened)"), "problem 16:3: expected 1 arguments of 'opened', got 0"));
  REQUIRE(says(in_problem("agent1 - agent", "agent1 - robot"), "expected a type of the domain for 'agent1', got 'robot'"));
  REQUIRE(says(in_problem("(:goal", "(:aim"), "expected ':goal', got ':aim'"));
  REQUIRE(says(in_grammar("#task#", "#quest#"), "grammar 5:24: expected a symbol that some rule defines, got '#quest#'"));
  REQUIRE(says(in_grammar("action OpenObject {", "verb OpenObject {"), "expected 'grammar' or 'action', got 'verb"));
  REQUIRE(says(in_grammar("holdsany(a:agent)", "holdsany(a:agent"), "expected ')' in the query"));
  REQUIRE(says(in_grammar("{r.name or r.id}", "{__import__('os')}"), "expected"));
  REQUIRE(says(in_grammar("action look {", "action peek {"), "expected words for every action of the domain, got none for 'look'"));
}

// A reader that takes a file must be able to play it; what it plays may only end in an error of its own.
bool is_played_or_refused(const std::string& text) {
  try {
    auto game = parsed(text);
    for (Layer layer : {Layer::kAuto, Layer::kGeneric}) {
      auto player = play(game, layer);
      for (uint64_t t = 0; t < 5 && !player->commands().empty(); ++t) player->step(chosen(*player, t)->text);
    }
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

void damaged_files_are_refused_or_played() {
  std::string text = kitchen_game();
  for (size_t size = 0; size < text.size(); size += 97) REQUIRE(!is_played_or_refused(text.substr(0, size)));
  int played = 0, refused = 0;
  for (uint64_t t = 0; t < 300; ++t) {
    std::string altered = text;
    for (uint64_t edit = 0; edit < 2; ++edit) {
      size_t at = counter_random(9, edit, 0, t) % altered.size();
      uint64_t draw = counter_random(9, edit, 1, t);
      if (draw % 3 == 0) altered[at] = static_cast<char>(draw >> 8);
      else if (draw % 3 == 1) altered.erase(at, draw >> 8 & 31);
      else altered.insert(at, altered.substr(draw >> 8 & 0x3fff, draw >> 24 & 31));
    }
    ++(is_played_or_refused(altered) ? played : refused);
  }
  std::printf("damaged files: %d played, %d refused\n", played, refused);
  REQUIRE(played > 0 && refused > 0);
}

void hostile_files_are_refused() {
  std::string domain = file_text("alfred.pddl"), grammar = file_text("alfred.twl2"), problem = kitchen_problem(kHeatGoal);
  // A rule that calls itself; lists that grow with every level.
  REQUIRE(!is_played_or_refused(game_text(domain, replaced(grammar, "UNKNOWN GOAL", "#task#"), problem)));
  REQUIRE(!is_played_or_refused(game_text(domain, replaced(grammar, "Your task is to: UNKNOWN GOAL.", "[{#task# | cancontain(x:rtype, y:otype)}]"), problem)));
  // Ten arguments of any kind, and a forall over everything in alternatives.
  std::string many = "(:action help :parameters (?a - object ?b - object ?c - object ?d - object ?e - object ?f - object ?g - object) :precondition ()";
  REQUIRE(!is_played_or_refused(game_text(replaced(domain, "(:action help\n    :parameters (?a - agent)\n    :precondition\n        ()", many), grammar, problem)));
  std::string forall = "(and (forall (?x ?y - object) (or (isHot ?x) (isHot ?y))) (isHot agent1))";
  REQUIRE(!is_played_or_refused(game_text(domain, grammar, kitchen_problem(forall))));
  std::string deep(5000, '(');
  REQUIRE(says(error_of(game_text(domain, grammar, deep)), "at most 100 levels"));
  REQUIRE(says(error_of(game_text(domain, grammar, kitchen_problem("(and " + std::string(90, '(')))), "problem"));
}

}  // namespace

int main() {
  fast_steps_allocate_nothing();
  layers_agree("alfred");
  layers_agree("alfred-old");
  for (Layer layer : {Layer::kFast, Layer::kGeneric}) {
    snapshots_go_on_alike(layer);
    altered_snapshots_are_refused_or_harmless(layer);
  }
  a_goal_of_another_kind_is_played_by_its_rules();
  hashes_go_by_meaning();
  errors_say_where();
  damaged_files_are_refused_or_played();
  hostile_files_are_refused();
  std::puts("alfworld test passed");
}

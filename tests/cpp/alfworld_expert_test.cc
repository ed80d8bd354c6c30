// The expert of ALFWorld on random small households: it finds a plan exactly where there is one, none is shorter (all states are
// searched), every command of its plan makes it shorter, and it wins from wherever random commands have led.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/rng.h"
#include "envs/alfworld/expert.h"

#define REQUIRE(condition)                                                                             \
  if (!(condition)) {                                                                                  \
    std::fprintf(stderr, "%s:%d: %s (household %d)\n", __FILE__, __LINE__, #condition, household_now); \
    std::exit(1);                                                                                      \
  }

using namespace vldac;
using namespace vldac::alfworld;

namespace {

int household_now = -1;

std::string read(const char* name) {
  const auto root = std::filesystem::absolute(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "third_party" / "alfworld" / name);
  REQUIRE(file.good());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string json(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

// Draws a household as the text of its game file. Many cannot be won: nothing fits, the lamp stands nowhere, there is no sink.
class Household {
 public:
  explicit Household(uint64_t seed) : rng_(SeedSequence({seed})) {}

  std::string draw(const std::string& domain, const std::string& grammar) {
    const std::vector<std::string> rtypes{"CounterTop", "Cabinet", "Fridge", "Microwave", "SinkBasin", "Desk", "Drawer", "StoveBurner"};
    const std::vector<std::string> otypes{"Mug", "Apple", "Pan", "Book"};
    const size_t task = below(6);
    std::set<std::string> rtypes_here, otypes_here;
    const size_t num_receptacles = 3 + below(3), num_objects = 2 + below(3);
    object("agent1", "agent"), object("loc_bar_0", "location");
    fact("atLocation agent1 loc_bar_0");
    size_t num_locations = 1;
    std::vector<std::string> receptacles, place_of;
    for (size_t i = 0; i < num_receptacles; ++i) {
      const std::string type = rtypes[below(rtypes.size())];
      if (i == 0 || below(10) < 7) object("loc_bar_" + std::to_string(num_locations++), "location");
      receptacles.push_back(type + "_bar_" + std::to_string(i));
      place_of.push_back("loc_bar_" + std::to_string(num_locations - 1));
      object(receptacles[i], "receptacle");
      fact("receptacleType " + receptacles[i] + " " + type + "Type");
      fact("receptacleAtLocation " + receptacles[i] + " " + place_of[i]);
      if (type == "Cabinet" || type == "Fridge" || type == "Microwave" || type == "Drawer") {
        fact("openable " + receptacles[i]);
        if (below(4) == 0) fact("opened " + receptacles[i]);
      }
      rtypes_here.insert(type);
    }
    const std::string wanted = otypes[below(otypes.size())];
    for (size_t i = 0; i < num_objects + (task == 1); ++i) {
      const bool is_lamp = i == num_objects;
      const std::string type = is_lamp ? "DeskLamp" : below(2) ? wanted : otypes[below(otypes.size())];
      const std::string name = type + "_bar_" + std::to_string(i);
      object(name, "object");
      fact("objectType " + name + " " + type + "Type");
      for (size_t copies = below(10) == 0 ? 0 : 1 + (below(5) == 0); copies > 0; --copies) {
        const size_t r = below(num_receptacles);
        fact("inReceptacle " + name + " " + receptacles[r]);
        fact("objectAtLocation " + name + " " + place_of[r]);
      }
      fact((is_lamp ? "toggleable " : "pickupable ") + name);
      for (const char* ability : {"cleanable ", "heatable ", "coolable "})
        if (!is_lamp && type != "Book") fact(ability + name);
      if (below(8) == 0) fact("isCool " + name);
      otypes_here.insert(type);
    }
    for (const std::string& r : rtypes_here)
      for (const std::string& o : otypes_here)
        if (below(4)) fact("canContain " + r + "Type " + o + "Type");
    for (const char* type : {"SinkBasin", "Microwave", "Fridge"}) rtypes_here.insert(type);
    for (const std::string& type : {std::string("Knife"), std::string("ButterKnife"), std::string("DeskLamp"), wanted}) otypes_here.insert(type);
    for (const std::string& type : rtypes_here) object(type + "Type", "rtype");
    for (const std::string& type : otypes_here) object(type + "Type", "otype");
    const std::string problem = "(define (problem random)\n(:domain alfred)\n(:objects\n" + objects_ + ")\n(:init\n(= (total-cost) 0)\n" +
                                facts_ + ")\n" + goal(task, wanted, *std::next(rtypes_here.begin(), below(rtypes_here.size()))) + ")\n";
    return "{\"pddl_domain\": " + json(domain) + ", \"grammar\": " + json(grammar) + ", \"pddl_problem\": " + json(problem) +
           ", \"solvable\": true}";
  }

  size_t below(size_t n) { return static_cast<size_t>(rng_.integers(0, static_cast<int64_t>(n))); }

 private:
  void object(const std::string& name, const std::string& type) { objects_ += name + " - " + type + "\n"; }
  void fact(const std::string& text) { facts_ += "(" + text + ")\n"; }

  static std::string goal(size_t task, const std::string& o, const std::string& r) {
    const std::string ot = " " + o + "Type)", rt = "(receptacleType ?r " + r + "Type)";
    if (task == 1)
      return "(:goal (and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and (objectType ?ot DeskLampType) (toggleable ?ot) "
             "(isToggled ?ot) (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?ot ?r))) (exists (?o - object ?a - agent) (and "
             "(objectType ?o" + ot + " (holds ?a ?o)))))";
    if (task == 5)
      return "(:goal (and (exists (?r - receptacle) (exists (?o1 - object) (and (objectType ?o1" + ot + rt + " (inReceptacle ?o1 ?r) "
             "(exists (?o2 - object) (and (not (= ?o1 ?o2)) (objectType ?o2" + ot + rt + " (inReceptacle ?o2 ?r))))))))";
    const char* able[] = {"", "", "(cleanable ?o)", "(heatable ?o)", "(coolable ?o)"};
    const char* done[] = {"", "", "(isClean ?o)", "(isHot ?o)", "(isCool ?o)"};
    return std::string("(:goal (and (exists (?r - receptacle) (exists (?o - object) (and ") + able[task] + " (objectType ?o" + ot + rt +
           done[task] + " (inReceptacle ?o ?r))))))";
  }

  Pcg64 rng_;
  std::string objects_, facts_;
};

// What the rules and the goal go by; texts and what was examined do not matter.
std::string key_of(const RoomState& state) {
  Bytes key;
  key.put(state.location), key.put(state.held);
  for (uint8_t open : state.is_open) key.put(open);
  for (uint8_t object : state.object_state) key.put(object);
  for (uint64_t word : state.contents.bits()) key.put(word);
  return key.data;
}

// The fewest commands to the goal, by trying all of them; -1: it cannot be reached, -2: too many states to tell.
int search(Player& player) {
  Bytes here;
  player.save(here);
  std::deque<std::pair<std::string, int>> queue{{here.data, 0}};
  std::set<std::string> seen{key_of(player.state())};
  while (!queue.empty()) {
    const auto [bytes, length] = queue.front();
    queue.pop_front();
    Bytes at{.data = bytes};
    player.load(at);
    if (player.won()) return length;
    std::vector<std::string> commands;
    for (const Symbol* command : player.commands()) {
      const std::string verb = command->text.substr(0, command->text.find(' '));
      // Nothing is ever gained by closing, and looking changes nothing.
      if (verb != "close" && verb != "examine" && verb != "look" && verb != "inventory" && verb != "help") commands.push_back(command->text);
    }
    for (const std::string& command : commands) {
      Bytes again{.data = bytes};
      player.load(again);
      player.step(command);
      if (!seen.insert(key_of(player.state())).second) continue;
      if (seen.size() > 6000) return -2;
      Bytes next;
      player.save(next);
      queue.emplace_back(next.data, length + 1);
    }
  }
  return -1;
}

// Follows the expert to the goal; every command makes its plan shorter.
void win(Player& player) {
  for (int left = plan_length(player); left > 0;) {
    const Symbol* command = next_command(player);
    REQUIRE(command != nullptr);
    player.step(command->text);
    const int now = plan_length(player);
    REQUIRE(now >= 0 && now < left);
    left = now;
  }
  REQUIRE(player.won());
  REQUIRE(next_command(player) == nullptr);
}

}  // namespace

int main() {
  int won = 0, lost = 0, searched = 0;
  for (const bool is_old : {false, true}) {
    const std::string domain = read(is_old ? "alfred-old.pddl" : "alfred.pddl"), grammar = read(is_old ? "alfred-old.twl2" : "alfred.twl2");
    for (int i = 0; i < 60; ++i) {
      household_now = i + 1000 * is_old;
      Household household(static_cast<uint64_t>(household_now));
      const auto game = Game::parse(household.draw(domain, grammar), "random");
      const auto player = play(game);
      const int length = plan_length(*player);
      REQUIRE((length >= 0) == (next_command(*player) != nullptr || player->won()));
      REQUIRE((length == 0) == player->won());
      const int fewest = search(*player);
      if (fewest != -2) ++searched;
      REQUIRE(fewest == -2 || fewest == length);
      ++(length < 0 ? lost : won);
      if (length < 0) continue;
      player->reset();
      win(*player);
      for (int round = 0; round < 4; ++round) {
        player->reset();
        for (size_t steps = household.below(25); steps > 0; --steps) player->step(player->commands()[household.below(player->commands().size())]->text);
        const int left = plan_length(*player);
        if (round == 0) {
          Bytes here;
          player->save(here);
          const int least = search(*player);
          REQUIRE(least == -2 || least == left);
          here.cursor = 0;
          player->load(here);
        }
        if (left > 0) win(*player);
      }
    }
  }
  std::printf("%d households won, %d cannot be won, %d searched\n", won, lost, searched);
  household_now = -1;
  REQUIRE(won > 30 && lost > 20 && searched > 60);
  return 0;
}

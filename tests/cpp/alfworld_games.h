// Household games for tests: the package's domain and grammar with small problems.
#pragma once

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace vldac::alfworld {

inline std::string file_text(const std::string& name) {
  std::string here = __FILE__;
  std::ifstream file(here.substr(0, here.rfind('/')) + "/../../third_party/alfworld/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("third_party/alfworld/" + name + " is missing");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("not found: " + from);
  return text.replace(at, from.size(), to);
}

inline std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else out += c;
  }
  return out + '"';
}

// A kitchen with two counters and a drawer at one place, things in two receptacles at once, a plate with a fork, a knife and an apple.
inline std::string kitchen_problem(const std::string& goal) {
  return R"((define (problem kitchen)
 (:domain alfred)
 (:objects
  agent1 - agent
  Loc_bar_0_bar_0_bar_0_bar_30 Loc_bar_1_bar__minus_2_bar_1_bar_30 Loc_bar_4_bar_2_bar_2_bar_0 Loc_bar_6_bar_6_bar_3_bar__minus_30 - location
  CounterTop_bar__plus_01_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50 CounterTop_bar__plus_02_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50
  Drawer_bar__plus_01_dot_00_bar__plus_00_dot_40_bar__plus_00_dot_50 Fridge_bar__plus_01_dot_00_bar__plus_00_dot_00_bar__minus_01_dot_50
  Microwave_bar__plus_03_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 Sink_bar__plus_04_dot_00_bar__plus_00_dot_80_bar__plus_00_dot_50_bar_SinkBasin - receptacle
  Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50
  Knife_bar__plus_01_dot_10_bar__plus_01_dot_00_bar__plus_00_dot_50 Plate_bar__plus_01_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50
  Fork_bar__plus_01_dot_20_bar__plus_01_dot_10_bar__plus_00_dot_50 DeskLamp_bar__plus_02_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50 - object
  AppleType KnifeType ButterKnifeType PlateType ForkType DeskLampType SinkType - otype
  CounterTopType DrawerType FridgeType MicrowaveType SinkBasinType - rtype
 )
 (:init
  (= (total-cost) 0)
  (atLocation agent1 Loc_bar_0_bar_0_bar_0_bar_30)
  (receptacleAtLocation CounterTop_bar__plus_01_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50 Loc_bar_1_bar__minus_2_bar_1_bar_30)
  (receptacleAtLocation CounterTop_bar__plus_02_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50 Loc_bar_1_bar__minus_2_bar_1_bar_30)
  (receptacleAtLocation Drawer_bar__plus_01_dot_00_bar__plus_00_dot_40_bar__plus_00_dot_50 Loc_bar_1_bar__minus_2_bar_1_bar_30)
  (receptacleAtLocation Fridge_bar__plus_01_dot_00_bar__plus_00_dot_00_bar__minus_01_dot_50 Loc_bar_4_bar_2_bar_2_bar_0)
  (receptacleAtLocation Microwave_bar__plus_03_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 Loc_bar_4_bar_2_bar_2_bar_0)
  (receptacleAtLocation Sink_bar__plus_04_dot_00_bar__plus_00_dot_80_bar__plus_00_dot_50_bar_SinkBasin Loc_bar_6_bar_6_bar_3_bar__minus_30)
  (receptacleType CounterTop_bar__plus_01_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50 CounterTopType)
  (receptacleType CounterTop_bar__plus_02_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50 CounterTopType)
  (receptacleType Drawer_bar__plus_01_dot_00_bar__plus_00_dot_40_bar__plus_00_dot_50 DrawerType)
  (receptacleType Fridge_bar__plus_01_dot_00_bar__plus_00_dot_00_bar__minus_01_dot_50 FridgeType)
  (receptacleType Microwave_bar__plus_03_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 MicrowaveType)
  (receptacleType Sink_bar__plus_04_dot_00_bar__plus_00_dot_80_bar__plus_00_dot_50_bar_SinkBasin SinkBasinType)
  (openable Drawer_bar__plus_01_dot_00_bar__plus_00_dot_40_bar__plus_00_dot_50)
  (openable Fridge_bar__plus_01_dot_00_bar__plus_00_dot_00_bar__minus_01_dot_50)
  (openable Microwave_bar__plus_03_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (canContain CounterTopType AppleType) (canContain CounterTopType KnifeType) (canContain CounterTopType PlateType) (canContain CounterTopType ForkType)
  (canContain DrawerType ForkType) (canContain FridgeType AppleType) (canContain FridgeType PlateType) (canContain MicrowaveType AppleType)
  (canContain SinkBasinType AppleType) (canContain SinkBasinType ForkType)
  (objectType Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 AppleType) (objectType Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 AppleType)
  (objectType Knife_bar__plus_01_dot_10_bar__plus_01_dot_00_bar__plus_00_dot_50 KnifeType) (objectType Plate_bar__plus_01_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50 PlateType)
  (objectType Fork_bar__plus_01_dot_20_bar__plus_01_dot_10_bar__plus_00_dot_50 ForkType) (objectType DeskLamp_bar__plus_02_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50 DeskLampType)
  (pickupable Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50) (pickupable Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (pickupable Knife_bar__plus_01_dot_10_bar__plus_01_dot_00_bar__plus_00_dot_50) (pickupable Plate_bar__plus_01_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (pickupable Fork_bar__plus_01_dot_20_bar__plus_01_dot_10_bar__plus_00_dot_50)
  (sliceable Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50) (sliceable Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (heatable Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50) (coolable Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (heatable Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50) (coolable Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (cleanable Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50) (cleanable Fork_bar__plus_01_dot_20_bar__plus_01_dot_10_bar__plus_00_dot_50)
  (toggleable DeskLamp_bar__plus_02_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (isReceptacleObject Plate_bar__plus_01_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (inReceptacleObject Fork_bar__plus_01_dot_20_bar__plus_01_dot_10_bar__plus_00_dot_50 Plate_bar__plus_01_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (isCool Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50)
  (inReceptacle Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 CounterTop_bar__plus_01_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50)
  (inReceptacle Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 CounterTop_bar__plus_02_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50)
  (inReceptacle Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 Fridge_bar__plus_01_dot_00_bar__plus_00_dot_00_bar__minus_01_dot_50)
  (inReceptacle Knife_bar__plus_01_dot_10_bar__plus_01_dot_00_bar__plus_00_dot_50 CounterTop_bar__plus_01_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50)
  (inReceptacle Plate_bar__plus_01_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50 CounterTop_bar__plus_01_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50)
  (inReceptacle Fork_bar__plus_01_dot_20_bar__plus_01_dot_10_bar__plus_00_dot_50 Drawer_bar__plus_01_dot_00_bar__plus_00_dot_40_bar__plus_00_dot_50)
  (inReceptacle DeskLamp_bar__plus_02_dot_20_bar__plus_01_dot_00_bar__plus_00_dot_50 CounterTop_bar__plus_02_dot_00_bar__plus_00_dot_90_bar__plus_00_dot_50)
  (objectAtLocation Apple_bar__plus_01_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 Loc_bar_1_bar__minus_2_bar_1_bar_30)
  (objectAtLocation Apple_bar__plus_02_dot_00_bar__plus_01_dot_00_bar__plus_00_dot_50 Loc_bar_1_bar__minus_2_bar_1_bar_30)
  (objectAtLocation Knife_bar__plus_01_dot_10_bar__plus_01_dot_00_bar__plus_00_dot_50 Loc_bar_1_bar__minus_2_bar_1_bar_30)
 )
 (:goal )" + goal + R"()
)
)";
}

constexpr const char* kHeatGoal =
    "(and (exists (?r - receptacle) (exists (?o - object) (and (heatable ?o) (objectType ?o AppleType) (receptacleType ?r CounterTopType) "
    "(isHot ?o) (inReceptacle ?o ?r)))))";
// Two applies, a forall and an imply: for the generic layer only.
constexpr const char* kOtherGoal =
    "(and (forall (?r - receptacle) (imply (openable ?r) (not (opened ?r)))) (exists (?o1 ?o2 - object) (and (not (= ?o1 ?o2)) "
    "(objectType ?o1 AppleType) (objectType ?o2 AppleType) (isHot ?o1) (isHot ?o2))))";

inline std::string game_text(const std::string& domain, const std::string& grammar, const std::string& problem) {
  return "{\"pddl_domain\": " + json_string(domain) + ", \"grammar\": " + json_string(grammar) + ", \"pddl_problem\": " + json_string(problem) +
         ", \"solvable\": true, \"walkthrough\": [\"look\"]}";
}

inline std::string kitchen_game(const std::string& goal = kHeatGoal, const std::string& kind = "alfred") {
  return game_text(file_text(kind + ".pddl"), replaced(file_text(kind + ".twl2"), "UNKNOWN GOAL", "put a hot apple in countertop"), kitchen_problem(goal));
}

}  // namespace vldac::alfworld

// A game's rules, grounded: every action that relaxed reachability allows, as Fast Downward's translator makes them without
// optimisation, since TextWorld plays those and its texts go by the effects that they report.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/symbols.h"
#include "envs/alfworld/grammar.h"
#include "envs/alfworld/pddl.h"

namespace vldac::alfworld {

class Game;

// A conjunction of atoms that can change: pieces of Rules::pool.
struct Needs {
  uint32_t first = 0, num_true = 0, num_false = 0;  // atoms that must be true, then those that must be false
};

struct GroundEffect {
  uint32_t atom = 0;
  bool is_added = false;
  Needs condition;
};

// An action with its arguments, as texts know it. Several operators may stand for it, one for each way in which it applies.
struct NamedAction {
  uint32_t action = 0;                                  // into Domain::actions
  uint32_t first_argument = 0;                          // into Rules::arguments
  const Symbol* command = nullptr;                      // null: its words depend on the state
  uint32_t rank = 0;                                    // of the command among all, by text
};

struct Operator {
  uint32_t named = 0;
  Needs precondition;
  uint32_t first_effect = 0, num_effects = 0;  // into Rules::effects
  uint32_t first_said = 0, num_said = 0;       // into Rules::said
};

// What TextWorld is told after an operator, whether a condition fired or not.
struct SaidEffect {
  uint32_t atom = 0;
  bool is_added = false;
};

// Facts of one predicate and of types at or below some, in the order in which queries go through them.
struct FactList {
  std::vector<uint32_t> facts;
  struct Index {
    std::vector<uint32_t> begin, facts;  // per object: its part of `facts`
  };
  std::vector<Index> by_argument;
};

// A query with its names resolved.
struct GroundQueryAtom {
  bool is_negated = false;
  uint32_t list = 0;                    // into Rules::lists
  std::vector<uint32_t> placeholders;  // into Rules::placeholders
};

struct Rules {
  // Facts: those that can change ("atoms") first, then those that never do.
  std::vector<pddl::Fact> facts;
  uint32_t num_atoms = 0;
  std::vector<char> is_true_at_start;  // per atom

  std::vector<Operator> operators;
  std::vector<NamedAction> named;
  std::vector<uint16_t> arguments;
  std::vector<GroundEffect> effects;
  std::vector<SaidEffect> said;
  std::vector<uint32_t> pool;
  std::vector<Needs> goal;  // alternatives

  // Who needs an atom: operators, then goals (their number plus that of the operators).
  std::vector<uint32_t> begin_of_true, needing_true, begin_of_false, needing_false;

  std::vector<Placeholder> placeholders;                   // the grammar's, then those of actions
  std::vector<std::vector<uint32_t>> placeholders_of;      // per action: of its parameters
  std::vector<FactList> lists;
  std::unordered_map<const Query*, std::vector<GroundQueryAtom>> queries;
  bool has_fixed_commands = true;
  std::vector<std::string> names;  // per object of the problem: what texts call it, such as "mug 1"
};

// Throws GameError.
std::unique_ptr<const Rules> make_rules(const Game& game);

}  // namespace vldac::alfworld

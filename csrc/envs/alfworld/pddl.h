// The part of PDDL that household games are written in: typed objects and parameters, constants, and / or / not / imply / exists /
// forall / =, conditional and universal effects. (increase ...) and numbers are read over. Anything else is an error.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "envs/alfworld/source.h"

namespace vldac::alfworld::pddl {

struct Typed {
  std::string name, type;
};

struct Predicate {
  std::string name;
  std::vector<Typed> parameters;
};

// In negation normal form: only atoms and equalities are negated.
struct Condition {
  enum class Kind : uint8_t { kAnd, kOr, kExists, kForall, kAtom, kEqual };
  Kind kind = Kind::kAnd;
  bool is_negated = false;
  uint32_t predicate = 0;              // of an atom, into Domain::predicates
  std::vector<std::string> terms;      // "?x", or an object's name
  std::vector<Typed> variables;        // of kExists and kForall
  std::vector<Condition> parts;
};

struct Effect {
  std::vector<Typed> variables;  // for all of these ...
  Condition condition;           // ... where this holds
  bool is_added = true;          // else deleted
  uint32_t predicate = 0;
  std::vector<std::string> terms;
};

struct Action {
  std::string name;
  std::vector<Typed> parameters;
  Condition precondition;
  std::vector<Effect> effects;
};

struct Type {
  std::string name, parent;  // the parent of "object" is empty
};

struct Domain {
  std::string name;
  std::vector<Type> types;  // "object" is the first
  std::vector<Typed> constants;
  std::vector<Predicate> predicates;
  std::vector<Action> actions;
};

constexpr size_t kMostArguments = 4;

struct Fact {
  uint32_t predicate = 0;                              // into Problem::predicates
  uint32_t num_arguments = 0;
  std::array<uint16_t, kMostArguments> arguments{};  // into Problem::objects
  auto operator<=>(const Fact&) const = default;
};

struct Problem {
  std::string name;
  std::vector<std::string> predicates;  // the domain's, then others that facts name
  std::vector<Typed> objects;           // the domain's constants first
  std::vector<Fact> facts;              // true at the start; sorted, each once
  std::vector<bool> is_mentioned;       // per object: facts or distances name it
  Condition goal;
};

// Both throw GameError.
Domain parse_domain(const Source& source);
Problem parse_problem(const Source& source, const Domain& domain);

// Parsed text with every name in it, for hashes: equal for texts that differ in white space, comments and case only.
std::string canonical(const Condition& condition, const Domain& domain);
std::string canonical(const Action& action, const Domain& domain);

}  // namespace vldac::alfworld::pddl

// Conditions of a problem as alternatives of literals, names resolved: what grounding and the reading of goals work on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "envs/alfworld/pddl.h"

namespace vldac::alfworld {

// A problem's objects by name and by type.
class World {
 public:
  static constexpr uint32_t kUnknown = 0xFFFFFFFF;
  World(const pddl::Domain& domain, const pddl::Problem& problem);
  World(const World&) = delete;  // views the problem
  World& operator=(const World&) = delete;

  uint32_t object(std::string_view name) const;
  uint32_t type(std::string_view name) const;
  // The objects of a type and of those below it; none for kUnknown.
  const std::vector<uint32_t>& objects_of(uint32_t type) const { return type == kUnknown ? nothing_ : objects_of_[type]; }
  uint32_t type_of(uint32_t object) const { return type_of_[object]; }
  bool is_a(uint32_t object, uint32_t type) const { return is_below(type_of_[object], type); }
  // `type` is `above` or below it.
  bool is_below(uint32_t type, uint32_t above) const { return type != kUnknown && above != kUnknown && is_below_[type * num_types_ + above]; }
  // The types below it at any depth, by name.
  std::vector<uint32_t> types_below(uint32_t type) const;

 private:
  size_t num_types_;
  std::unordered_map<std::string_view, uint32_t> object_by_name_, type_by_name_;
  std::vector<uint32_t> type_of_, parent_of_, nothing_;
  std::vector<std::string_view> type_names_;
  std::vector<char> is_below_;
  std::vector<std::vector<uint32_t>> objects_of_;
};

// An argument: an object's index, or ~i for variable i.
using Term = int32_t;

struct Literal {
  static constexpr uint32_t kEquality = 0xFFFFFFFF;
  bool is_negated = false;
  uint32_t predicate = 0;
  std::vector<Term> terms;
};

// True for some objects (of their types) as its variables.
struct Conjunction {
  std::vector<uint32_t> variables;
  std::vector<Literal> literals;
};

// Names in scope, innermost last. Variables are numbered as they come; types[i] is that of variable i.
struct Scope {
  std::vector<std::pair<std::string, Term>> names;
  std::vector<uint32_t> types;
  void declare(const World& world, const std::vector<pddl::Typed>& variables);
};

// The alternatives, each with the variables of `base` and its own. Throws std::length_error beyond 1024 alternatives or 20000 literals.
std::vector<Conjunction> normalized(const World& world, const pddl::Condition& condition, Scope& scope);
// What a term stands for; false where it names nothing.
bool resolve(const World& world, const Scope& scope, const std::string& term, Term& out);

}  // namespace vldac::alfworld

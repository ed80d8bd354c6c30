#include "envs/alfworld/normal.h"

#include <algorithm>
#include <stdexcept>

namespace vldac::alfworld {
namespace {

constexpr size_t kMostAlternatives = 1024, kMostLiterals = 20000, kMostParts = 20000;

void check_size(const std::vector<Conjunction>& alternatives) {
  size_t literals = 0;
  for (const Conjunction& conjunction : alternatives) literals += conjunction.literals.size();
  if (alternatives.size() > kMostAlternatives || literals > kMostLiterals) throw std::length_error("a condition has too many alternatives");
}

std::vector<Conjunction> both(std::vector<Conjunction> first, const std::vector<Conjunction>& second) {
  if (second.size() == 1) {
    for (Conjunction& a : first) {
      a.variables.insert(a.variables.end(), second[0].variables.begin(), second[0].variables.end());
      a.literals.insert(a.literals.end(), second[0].literals.begin(), second[0].literals.end());
    }
    check_size(first);
    return first;
  }
  std::vector<Conjunction> result;
  if (first.size() * second.size() > kMostAlternatives) throw std::length_error("a condition has too many alternatives");
  for (const Conjunction& a : first)
    for (const Conjunction& b : second) {
      Conjunction joined = a;
      joined.variables.insert(joined.variables.end(), b.variables.begin(), b.variables.end());
      joined.literals.insert(joined.literals.end(), b.literals.begin(), b.literals.end());
      result.push_back(std::move(joined));
    }
  check_size(result);
  return result;
}

class Normalizer {
 public:
  Normalizer(const World& world, Scope& scope) : world_(world), scope_(scope) {}

  std::vector<Conjunction> alternatives(const pddl::Condition& condition) {
    if (++steps_ > kMostParts) throw std::length_error("a condition has too many parts");
    using Kind = pddl::Condition::Kind;
    std::vector<Conjunction> result;
    size_t outer = scope_.names.size();
    switch (condition.kind) {
      case Kind::kAnd:
        result.emplace_back();
        for (const pddl::Condition& part : condition.parts) result = both(std::move(result), alternatives(part));
        break;
      case Kind::kOr:
        for (const pddl::Condition& part : condition.parts) {
          std::vector<Conjunction> more = alternatives(part);
          result.insert(result.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
          check_size(result);
        }
        break;
      case Kind::kExists: {
        size_t first = scope_.types.size();
        scope_.declare(world_, condition.variables);
        size_t last = first + condition.variables.size();
        result = alternatives(condition.parts[0]);
        for (Conjunction& conjunction : result)
          for (size_t i = first; i < last; ++i) conjunction.variables.push_back(static_cast<uint32_t>(i));
        break;
      }
      case Kind::kForall:
        result.emplace_back();
        for_all(condition, 0, result);
        break;
      default:
        literal(condition, result);
    }
    scope_.names.resize(outer);
    return result;
  }

 private:
  void for_all(const pddl::Condition& condition, size_t index, std::vector<Conjunction>& result) {
    if (index == condition.variables.size()) {
      result = both(std::move(result), alternatives(condition.parts[0]));
      return;
    }
    const pddl::Typed& variable = condition.variables[index];
    for (uint32_t object : world_.objects_of(world_.type(variable.type))) {
      scope_.names.emplace_back(variable.name, static_cast<Term>(object));
      for_all(condition, index + 1, result);
      scope_.names.pop_back();
    }
  }

  void literal(const pddl::Condition& condition, std::vector<Conjunction>& result) const {
    Literal made;
    made.is_negated = condition.is_negated;
    made.predicate = condition.kind == pddl::Condition::Kind::kEqual ? Literal::kEquality : condition.predicate;
    bool names_things = true;
    for (const std::string& term : condition.terms) {
      Term value = 0;
      names_things = resolve(world_, scope_, term, value) && names_things;
      made.terms.push_back(value);
    }
    // What is said of nothing is false.
    if (!names_things) {
      if (made.is_negated) result.emplace_back();
      return;
    }
    result.emplace_back();
    result.back().literals.push_back(std::move(made));
  }

  const World& world_;
  Scope& scope_;
  size_t steps_ = 0;
};

}  // namespace

World::World(const pddl::Domain& domain, const pddl::Problem& problem) : num_types_(domain.types.size()) {
  for (uint32_t i = 0; i < num_types_; ++i) {
    type_by_name_.emplace(domain.types[i].name, i);
    type_names_.push_back(domain.types[i].name);
  }
  parent_of_.assign(num_types_, kUnknown);
  is_below_.assign(num_types_ * num_types_, 0);
  for (uint32_t i = 0; i < num_types_; ++i) parent_of_[i] = type(domain.types[i].parent);
  for (uint32_t i = 0; i < num_types_; ++i)
    for (uint32_t above = i; above != kUnknown; above = parent_of_[above]) is_below_[i * num_types_ + above] = 1;
  objects_of_.resize(num_types_);
  for (uint32_t i = 0; i < problem.objects.size(); ++i) {
    object_by_name_.emplace(problem.objects[i].name, i);
    type_of_.push_back(type(problem.objects[i].type));
    for (uint32_t above = type_of_[i]; above != kUnknown; above = parent_of_[above]) objects_of_[above].push_back(i);
  }
}

uint32_t World::object(std::string_view name) const {
  auto found = object_by_name_.find(name);
  return found == object_by_name_.end() ? kUnknown : found->second;
}

uint32_t World::type(std::string_view name) const {
  auto found = type_by_name_.find(name);
  return found == type_by_name_.end() ? kUnknown : found->second;
}

std::vector<uint32_t> World::types_below(uint32_t type) const {
  std::vector<uint32_t> result;
  for (uint32_t t = 0; t < num_types_; ++t)
    if (t != type && is_below(t, type)) result.push_back(t);
  std::sort(result.begin(), result.end(), [&](uint32_t a, uint32_t b) { return type_names_[a] < type_names_[b]; });
  return result;
}

void Scope::declare(const World& world, const std::vector<pddl::Typed>& variables) {
  for (const pddl::Typed& variable : variables) {
    names.emplace_back(variable.name, ~static_cast<Term>(types.size()));
    types.push_back(world.type(variable.type));
  }
}

bool resolve(const World& world, const Scope& scope, const std::string& term, Term& out) {
  for (size_t i = scope.names.size(); i > 0; --i)
    if (scope.names[i - 1].first == term) return out = scope.names[i - 1].second, true;
  uint32_t object = world.object(term);
  if (object == World::kUnknown) return false;
  out = static_cast<Term>(object);
  return true;
}

std::vector<Conjunction> normalized(const World& world, const pddl::Condition& condition, Scope& scope) {
  return Normalizer(world, scope).alternatives(condition);
}

}  // namespace vldac::alfworld

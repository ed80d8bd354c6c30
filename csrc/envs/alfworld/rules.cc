#include "envs/alfworld/rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <unordered_map>

#include "envs/alfworld/game.h"
#include "envs/alfworld/normal.h"
#include "envs/alfworld/phrase.h"
#include "envs/alfworld/room_reader.h"

namespace vldac::alfworld {
namespace {

constexpr uint64_t kMostWork = 30000000;  // steps of grounding; real games take less than a fiftieth
constexpr size_t kMostOperators = 300000, kMostFacts = 500000, kMostEffects = 3000000, kMostEffectSchemas = 20000;

struct FactHash {
  size_t operator()(const pddl::Fact& fact) const {
    uint64_t hash = fact.predicate;
    for (uint16_t argument : fact.arguments) hash = (hash ^ argument) * 0x9e3779b97f4a7c15ULL + 0x632be59bd9b4e019ULL;
    return static_cast<size_t>(hash ^ hash >> 29);
  }
};

// An effect, its condition and its own variables, in one of the alternatives of its condition.
struct EffectSchema {
  Conjunction condition;
  bool is_added = false;
  uint32_t predicate = 0;
  std::vector<Term> terms;
};

struct Schema {
  uint32_t action = 0;
  Conjunction precondition;  // its variables: parameters, then those of exists
  std::vector<EffectSchema> effects;
};

class Grounder {
 public:
  explicit Grounder(const Game& game) : game_(game), world_(game.domain(), game.problem()), rules_(std::make_unique<Rules>()) {}

  std::unique_ptr<const Rules> ground() {
    try {
      read_schemas();
    } catch (const std::length_error& error) {
      fail(std::string("conditions of bounded size, but ") + error.what());
    }
    read_facts();
    size_t before;
    do {  // until nothing more can be reached
      before = facts_.size();
      for (const Schema& schema : schemas_) each_binding(schema.precondition, [&] { reach(schema); });
    } while (facts_.size() != before);
    number_facts();
    for (const Schema& schema : schemas_) each_binding(schema.precondition, [&] { add_operator(schema); });
    for (const Conjunction& alternative : goal_) each_binding(alternative, [&] { add_goal(alternative); });
    index_needs();
    read_words();
    return std::move(rules_);
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const { throw GameError(game_.name() + ": problem: expected " + expected); }

  void work(size_t amount = 1) {
    work_ += amount;
    if (work_ > kMostWork) fail("a problem of bounded size, got one whose rules have too many instances");
  }

  void read_schemas() {
    const pddl::Domain& domain = game_.domain();
    is_fluent_.assign(game_.problem().predicates.size(), 0);
    for (uint32_t a = 0; a < domain.actions.size(); ++a) {
      const pddl::Action& action = domain.actions[a];
      if (action.effects.empty()) continue;
      Scope scope;
      scope.declare(world_, action.parameters);
      size_t num_parameters = scope.types.size();
      std::vector<EffectSchema> effects;
      for (const pddl::Effect& effect : action.effects) {
        is_fluent_[effect.predicate] = 1;
        size_t outer = scope.names.size(), first = scope.types.size();
        scope.declare(world_, effect.variables);
        size_t last = scope.types.size();
        EffectSchema schema;
        schema.is_added = effect.is_added;
        schema.predicate = effect.predicate;
        bool names_things = true;
        for (const std::string& term : effect.terms) {
          Term value = 0;
          names_things = resolve(world_, scope, term, value) && names_things;
          schema.terms.push_back(value);
        }
        if (names_things)
          for (Conjunction& alternative : normalized(world_, effect.condition, scope)) {
            for (size_t i = first; i < last; ++i) alternative.variables.push_back(static_cast<uint32_t>(i));
            schema.condition = std::move(alternative);
            effects.push_back(schema);
            if (++num_effect_schemas_ > kMostEffectSchemas) throw std::length_error("its effects have too many alternatives");
          }
        scope.names.resize(outer);
      }
      for (Conjunction& alternative : normalized(world_, action.precondition, scope)) {
        std::vector<uint32_t> variables;
        for (uint32_t i = 0; i < num_parameters; ++i) variables.push_back(i);
        variables.insert(variables.end(), alternative.variables.begin(), alternative.variables.end());
        alternative.variables = std::move(variables);
        schemas_.push_back({a, std::move(alternative), effects});
        schemas_.back().precondition.literals.shrink_to_fit();
      }
      types_.push_back(scope.types);
      types_of_action_[a] = types_.size() - 1;
    }
    Scope scope;
    goal_ = normalized(world_, game_.problem().goal, scope);
    goal_types_ = scope.types;
  }

  // ---- facts that are true, or may become so ----

  bool add_fact(const pddl::Fact& fact) {
    auto [found, is_new] = fact_number_.emplace(fact, static_cast<uint32_t>(facts_.size()));
    if (!is_new) return false;
    uint32_t number = found->second;
    facts_.push_back(fact);
    if (facts_.size() > kMostFacts) fail("a problem of bounded size, got one with too many facts");
    by_predicate_[fact.predicate].push_back(number);
    for (uint32_t i = 0; i < fact.num_arguments; ++i) by_argument_[{fact.predicate, i, fact.arguments[i]}].push_back(number);
    return true;
  }

  void read_facts() {
    by_predicate_.resize(game_.problem().predicates.size());
    for (const pddl::Fact& fact : game_.problem().facts) add_fact(fact);
    num_initial_ = facts_.size();
  }

  const std::vector<uint32_t>& candidates(const Literal& literal) const {
    static const std::vector<uint32_t> kNothing;
    const std::vector<uint32_t>* best = &by_predicate_[literal.predicate];
    for (uint32_t i = 0; i < literal.terms.size(); ++i) {
      uint32_t object = value(literal.terms[i]);
      if (object == World::kUnknown) continue;
      auto found = by_argument_.find({literal.predicate, i, static_cast<uint16_t>(object)});
      const std::vector<uint32_t>* here = found == by_argument_.end() ? &kNothing : &found->second;
      if (here->size() < best->size()) best = here;
    }
    return *best;
  }

  // ---- bindings ----

  uint32_t value(Term term) const { return term >= 0 ? static_cast<uint32_t>(term) : binding_[static_cast<size_t>(~term)]; }

  pddl::Fact instance(uint32_t predicate, const std::vector<Term>& terms) const {
    pddl::Fact fact;
    fact.predicate = predicate;
    for (Term term : terms) fact.arguments[fact.num_arguments++] = static_cast<uint16_t>(value(term));
    return fact;
  }

  // Calls for every choice of objects for which the conjunction's unchanging part holds and its changing facts can be true.
  template <class F>
  void each_binding(const Conjunction& conjunction, F&& call) {
    const std::vector<uint32_t>& types = types_now(conjunction);
    binding_.assign(types.size(), World::kUnknown);
    std::vector<char> is_done(conjunction.literals.size(), 0);
    bind(conjunction, types, is_done, call);
  }

  const std::vector<uint32_t>& types_now(const Conjunction& conjunction) const {
    for (const Schema& schema : schemas_)
      if (&schema.precondition == &conjunction) return types_[types_of_action_.at(schema.action)];
    return goal_types_;
  }

  template <class F>
  void bind(const Conjunction& conjunction, const std::vector<uint32_t>& types, std::vector<char>& is_done, F&& call) {
    work(1 + conjunction.literals.size());
    size_t best = conjunction.literals.size(), best_size = 0;
    for (size_t i = 0; i < conjunction.literals.size(); ++i) {
      const Literal& literal = conjunction.literals[i];
      if (is_done[i] || literal.is_negated || literal.predicate == Literal::kEquality) continue;
      size_t size = candidates(literal).size();
      if (best == conjunction.literals.size() || size < best_size) best = i, best_size = size;
      if (size == 0) return;
    }
    if (best == conjunction.literals.size()) return bind_rest(conjunction, types, 0, call);
    is_done[best] = 1;
    const Literal& literal = conjunction.literals[best];
    const std::vector<uint32_t>* list = &candidates(literal);
    for (size_t k = 0; k < list->size(); ++k) {  // reach() may make it grow
      work();
      pddl::Fact fact = facts_[(*list)[k]];
      std::array<uint32_t, pddl::kMostArguments> bound{};
      size_t num_bound = 0;
      bool fits = true;
      for (uint32_t i = 0; fits && i < fact.num_arguments; ++i) {
        Term term = literal.terms[i];
        uint32_t now = value(term);
        if (now == World::kUnknown) {
          uint32_t variable = static_cast<uint32_t>(~term);
          fits = world_.is_a(fact.arguments[i], types[variable]);
          if (fits) {
            binding_[variable] = fact.arguments[i];
            bound[num_bound++] = variable;
          }
        } else {
          fits = now == fact.arguments[i];
        }
      }
      if (fits) bind(conjunction, types, is_done, call);
      while (num_bound > 0) binding_[bound[--num_bound]] = World::kUnknown;
    }
    is_done[best] = 0;
  }

  template <class F>
  void bind_rest(const Conjunction& conjunction, const std::vector<uint32_t>& types, size_t index, F&& call) {
    work();
    if (index == conjunction.variables.size()) {
      if (holds_rest(conjunction)) call();
      return;
    }
    uint32_t variable = conjunction.variables[index];
    if (binding_[variable] != World::kUnknown) return bind_rest(conjunction, types, index + 1, call);
    for (uint32_t object : world_.objects_of(types[variable])) {
      binding_[variable] = object;
      bind_rest(conjunction, types, index + 1, call);
    }
    binding_[variable] = World::kUnknown;
  }

  // Equalities, and what is said not to be of predicates that never change.
  bool holds_rest(const Conjunction& conjunction) {
    work(conjunction.literals.size());
    for (const Literal& literal : conjunction.literals) {
      if (literal.predicate == Literal::kEquality) {
        if ((value(literal.terms[0]) == value(literal.terms[1])) == literal.is_negated) return false;
      } else if (literal.is_negated && !is_fluent_[literal.predicate]) {
        if (fact_number_.count(instance(literal.predicate, literal.terms))) return false;
      }
    }
    return true;
  }

  // The bindings of an effect's own variables under which its condition can hold; its positive literals must be reachable.
  template <class F>
  void each_effect(const EffectSchema& effect, const std::vector<uint32_t>& types, size_t index, F&& call) {
    work();
    if (index == effect.condition.variables.size()) {
      for (const Literal& literal : effect.condition.literals)
        if (literal.predicate != Literal::kEquality && !literal.is_negated && !fact_number_.count(instance(literal.predicate, literal.terms))) return;
      if (holds_rest(effect.condition)) call();
      return;
    }
    uint32_t variable = effect.condition.variables[index];
    for (uint32_t object : world_.objects_of(types[variable])) {
      binding_[variable] = object;
      each_effect(effect, types, index + 1, call);
    }
    binding_[variable] = World::kUnknown;
  }

  void reach(const Schema& schema) {
    const std::vector<uint32_t>& types = types_[types_of_action_.at(schema.action)];
    for (const EffectSchema& effect : schema.effects)
      if (effect.is_added) each_effect(effect, types, 0, [&] { add_fact(instance(effect.predicate, effect.terms)); });
  }

  // ---- what is kept ----

  void number_facts() {
    atom_of_.assign(facts_.size(), World::kUnknown);
    std::vector<uint32_t> order(facts_.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_partition(order.begin(), order.end(), [&](uint32_t i) { return is_fluent_[facts_[i].predicate] != 0; });
    for (uint32_t i : order) {
      if (is_fluent_[facts_[i].predicate]) {
        atom_of_[i] = rules_->num_atoms++;
        rules_->is_true_at_start.push_back(i < num_initial_);
      }
      rules_->facts.push_back(facts_[i]);
    }
  }

  uint32_t atom(const Literal& literal) const {
    auto found = fact_number_.find(instance(literal.predicate, literal.terms));
    return found == fact_number_.end() ? World::kUnknown : atom_of_[found->second];
  }

  struct Split {
    std::vector<uint32_t> is_true, is_false;
    bool is_possible = true;
    bool operator==(const Split& other) const { return is_true == other.is_true && is_false == other.is_false; }
  };

  static void tidy(std::vector<uint32_t>& atoms) {
    std::sort(atoms.begin(), atoms.end());
    atoms.erase(std::unique(atoms.begin(), atoms.end()), atoms.end());
  }

  // The changing part; what must be false and never becomes true is left out.
  Split split(const Conjunction& conjunction) const {
    Split result;
    for (const Literal& literal : conjunction.literals) {
      if (literal.predicate == Literal::kEquality || !is_fluent_[literal.predicate]) continue;
      uint32_t its = atom(literal);
      if (its == World::kUnknown) {
        if (!literal.is_negated) result.is_possible = false;
        continue;
      }
      (literal.is_negated ? result.is_false : result.is_true).push_back(its);
    }
    tidy(result.is_true);
    tidy(result.is_false);
    for (uint32_t one : result.is_true) result.is_possible = result.is_possible && !contains(result.is_false, one);
    return result;
  }

  static bool contains(const std::vector<uint32_t>& sorted, uint32_t atom) { return std::binary_search(sorted.begin(), sorted.end(), atom); }

  Needs keep(const Split& split) {
    Needs needs{static_cast<uint32_t>(rules_->pool.size()), static_cast<uint32_t>(split.is_true.size()), static_cast<uint32_t>(split.is_false.size())};
    rules_->pool.insert(rules_->pool.end(), split.is_true.begin(), split.is_true.end());
    rules_->pool.insert(rules_->pool.end(), split.is_false.begin(), split.is_false.end());
    return needs;
  }

  // Whether a condition can hold where the precondition does.
  static bool agrees(const Split& condition, const Split& precondition) {
    for (uint32_t one : condition.is_true)
      if (contains(precondition.is_false, one)) return false;
    for (uint32_t one : condition.is_false)
      if (contains(precondition.is_true, one)) return false;
    return true;
  }

  void add_operator(const Schema& schema) {
    Split precondition = split(schema.precondition);
    if (!precondition.is_possible) return;
    const std::vector<uint32_t>& types = types_[types_of_action_.at(schema.action)];
    std::map<uint32_t, std::array<std::vector<Split>, 2>> conditions;  // per atom: of adding, of deleting it
    for (const EffectSchema& effect : schema.effects)
      each_effect(effect, types, 0, [&] {
        auto found = fact_number_.find(instance(effect.predicate, effect.terms));
        if (found == fact_number_.end()) return;
        Split condition = split(effect.condition);
        if (condition.is_possible) conditions[atom_of_[found->second]][effect.is_added ? 0 : 1].push_back(std::move(condition));
      });
    Operator made;
    made.first_effect = static_cast<uint32_t>(rules_->effects.size());
    made.first_said = static_cast<uint32_t>(rules_->said.size());
    for (auto& [its, both] : conditions) {
      auto& [adding, deleting] = both;
      std::erase_if(deleting, [&adding = adding](const Split& one) { return std::find(adding.begin(), adding.end(), one) != adding.end(); });
      if (says_added(its, adding, precondition)) rules_->said.push_back({its, true});
      if (says_deleted(its, adding, deleting, precondition)) rules_->said.push_back({its, false});
      for (const Split& one : adding) rules_->effects.push_back({its, true, keep(one)});
      for (const Split& one : deleting) rules_->effects.push_back({its, false, keep(one)});
    }
    made.num_effects = static_cast<uint32_t>(rules_->effects.size()) - made.first_effect;
    made.num_said = static_cast<uint32_t>(rules_->said.size()) - made.first_said;
    if (made.num_said == 0) {  // it changes nothing: such as going where one is
      rules_->effects.resize(made.first_effect);
      return;
    }
    made.precondition = keep(precondition);
    made.named = named(schema.action);
    rules_->operators.push_back(made);
    if (rules_->operators.size() > kMostOperators || rules_->effects.size() > kMostEffects || rules_->pool.size() > 4 * kMostEffects) fail("a problem of bounded size, got one with too many actions");
  }

  static bool says_added(uint32_t its, const std::vector<Split>& adding, const Split& precondition) {
    if (contains(precondition.is_true, its)) return false;
    return std::any_of(adding.begin(), adding.end(), [&](const Split& one) { return agrees(one, precondition); });
  }

  // A deletion is told where the atom may have been true and no addition was bound to happen.
  bool says_deleted(uint32_t its, const std::vector<Split>& adding, const std::vector<Split>& deleting, const Split& precondition) {
    if (deleting.empty() || contains(precondition.is_false, its)) return false;
    for (const Split& one : deleting) {
      if (contains(one.is_false, its)) continue;
      Split guarded = one;
      guarded.is_true.push_back(its);
      tidy(guarded.is_true);
      if (!agrees(guarded, precondition)) continue;
      if (some_addition_fails(adding, 0, guarded, precondition)) return true;
    }
    return false;
  }

  // One literal of each addition's condition, denied, together with the rest.
  bool some_addition_fails(const std::vector<Split>& adding, size_t index, const Split& so_far, const Split& precondition) {
    work();
    if (index == adding.size()) return agrees(so_far, precondition);
    auto go_on = [&](uint32_t atom_denied, bool becomes_true) {
      if (contains(becomes_true ? so_far.is_false : so_far.is_true, atom_denied)) return false;
      Split next = so_far;
      std::vector<uint32_t>& list = becomes_true ? next.is_true : next.is_false;
      list.push_back(atom_denied);
      tidy(list);
      return some_addition_fails(adding, index + 1, next, precondition);
    };
    for (uint32_t one : adding[index].is_true)
      if (go_on(one, false)) return true;
    for (uint32_t one : adding[index].is_false)
      if (go_on(one, true)) return true;
    return false;
  }

  uint32_t named(uint32_t action) {
    size_t num = game_.domain().actions[action].parameters.size();
    std::vector<uint32_t> key{action};
    for (size_t i = 0; i < num; ++i) key.push_back(binding_[i]);
    auto [found, is_new] = named_.emplace(key, static_cast<uint32_t>(rules_->named.size()));
    if (is_new) {
      NamedAction made;
      made.action = action;
      made.first_argument = static_cast<uint32_t>(rules_->arguments.size());
      for (size_t i = 0; i < num; ++i) rules_->arguments.push_back(static_cast<uint16_t>(binding_[i]));
      rules_->named.push_back(made);
    }
    return found->second;
  }

  void add_goal(const Conjunction& alternative) {
    Split needs = split(alternative);
    if (needs.is_possible) rules_->goal.push_back(keep(needs));
  }

  void index_needs() {
    auto index = [&](bool is_true, std::vector<uint32_t>& begin, std::vector<uint32_t>& needing) {
      size_t num = rules_->operators.size() + rules_->goal.size();
      auto of = [&](size_t i) { return i < rules_->operators.size() ? rules_->operators[i].precondition : rules_->goal[i - rules_->operators.size()]; };
      begin.assign(rules_->num_atoms + 1, 0);
      auto each = [&](auto&& call) {
        for (size_t i = 0; i < num; ++i) {
          Needs needs = of(i);
          uint32_t first = is_true ? needs.first : needs.first + needs.num_true, count = is_true ? needs.num_true : needs.num_false;
          for (uint32_t k = 0; k < count; ++k) call(rules_->pool[first + k], static_cast<uint32_t>(i));
        }
      };
      each([&](uint32_t its, uint32_t) { ++begin[its + 1]; });
      for (size_t i = 0; i < rules_->num_atoms; ++i) begin[i + 1] += begin[i];
      needing.resize(begin.back());
      std::vector<uint32_t> at(begin.begin(), begin.end() - 1);
      each([&](uint32_t its, uint32_t who) { needing[at[its]++] = who; });
    };
    index(true, rules_->begin_of_true, rules_->needing_true);
    index(false, rules_->begin_of_false, rules_->needing_false);
  }

  // ---- words ----

  void read_words() {
    const Grammar& grammar = game_.grammar();
    rules_->names = names_of(game_.problem());
    rules_->placeholders = grammar.placeholders();
    for (const pddl::Action& action : game_.domain().actions) {
      std::vector<uint32_t> own;
      for (const pddl::Typed& parameter : action.parameters) {
        Placeholder placeholder{parameter.name.substr(1), parameter.type};
        auto& all = rules_->placeholders;
        auto found = std::find(all.begin(), all.end(), placeholder);
        if (found == all.end()) found = all.insert(all.end(), placeholder);
        own.push_back(static_cast<uint32_t>(found - all.begin()));
      }
      rules_->placeholders_of.push_back(std::move(own));
    }
    for (const GrammarSymbol& symbol : grammar.symbols())
      for (const GrammarRule& rule : symbol.rules) {
        if (rule.has_condition) read_query(rule.condition);
        read_queries(rule.pieces);
      }
    for (const GrammarRule& rule : game_.task_rules()) {
      if (rule.has_condition) read_query(rule.condition);
      read_queries(rule.pieces);
    }
    for (const ActionWords& words : grammar.actions()) {
      read_queries(words.command);
      read_queries(words.feedback);
    }
    name_commands();
  }

  void read_queries(const Pieces& pieces) {
    for (const Piece& piece : pieces)
      if (piece.has_query) read_query(piece.query);
  }

  void read_query(const Query& query) {
    std::vector<GroundQueryAtom> resolved;
    for (const QueryAtom& atom : query) {
      GroundQueryAtom one;
      one.is_negated = atom.is_negated;
      one.placeholders = atom.arguments;
      one.list = list_of(atom);
      resolved.push_back(std::move(one));
    }
    rules_->queries.emplace(&query, std::move(resolved));
  }

  // TextWorld's order of the types at or below some: each argument in turn is replaced by each type below it, breadth first.
  std::vector<std::vector<uint32_t>> signatures(const std::vector<uint32_t>& start) const {
    std::vector<std::vector<uint32_t>> result{start};
    std::set<std::vector<uint32_t>> seen;
    auto expand = [&](std::vector<uint32_t> types, auto&& call) {
      for (size_t i = 0; i < types.size(); ++i) {
        uint32_t own = types[i];
        for (uint32_t below : world_.types_below(own)) {
          types[i] = below;
          call(types);
        }
        types[i] = own;
      }
    };
    expand(start, [&](const std::vector<uint32_t>& types) { result.push_back(types); });
    for (size_t i = 1; i < result.size(); ++i) {
      if (result.size() > 20000) fail("fewer types for a query of this many arguments");
      std::vector<uint32_t> now = result[i];
      expand(now, [&](const std::vector<uint32_t>& types) {
        if (seen.insert(types).second) result.push_back(types);
      });
    }
    return result;
  }

  uint32_t list_of(const QueryAtom& atom) {
    std::string key = atom.predicate;
    std::vector<uint32_t> types;
    for (uint32_t argument : atom.arguments) {
      const Placeholder& placeholder = rules_->placeholders[argument];
      key += ' ' + placeholder.type;
      types.push_back(world_.type(placeholder.type));
      if (types.back() == World::kUnknown)
        throw GameError(game_.name() + ": grammar: expected a type of the domain for " + shown(placeholder.name) + ", got " + shown(placeholder.type));
    }
    auto [found, is_new] = lists_.emplace(key, static_cast<uint32_t>(rules_->lists.size()));
    if (!is_new) return found->second;
    FactList list;
    const pddl::Problem& problem = game_.problem();
    std::map<std::vector<uint32_t>, std::vector<uint32_t>> by_signature;
    for (uint32_t i = 0; i < rules_->facts.size(); ++i) {
      const pddl::Fact& fact = rules_->facts[i];
      if (fact.num_arguments != types.size() || problem.predicates[fact.predicate] != atom.predicate) continue;
      std::vector<uint32_t> own;
      for (uint32_t k = 0; k < fact.num_arguments; ++k) own.push_back(world_.type_of(fact.arguments[k]));
      by_signature[own].push_back(i);
    }
    for (auto& [own, some] : by_signature)
      std::sort(some.begin(), some.end(), [&](uint32_t a, uint32_t b) {
        for (uint32_t k = 0; k < types.size(); ++k) {
          uint16_t first = rules_->facts[a].arguments[k], second = rules_->facts[b].arguments[k];
          if (first != second) return problem.objects[first].name < problem.objects[second].name;
        }
        return false;
      });
    for (const std::vector<uint32_t>& signature : signatures(types))
      if (auto some = by_signature.find(signature); some != by_signature.end())
        list.facts.insert(list.facts.end(), some->second.begin(), some->second.end());
    for (uint32_t k = 0; k < types.size(); ++k) {
      FactList::Index index;
      index.begin.assign(problem.objects.size() + 1, 0);
      for (uint32_t i : list.facts) ++index.begin[rules_->facts[i].arguments[k] + 1];
      for (size_t i = 0; i < problem.objects.size(); ++i) index.begin[i + 1] += index.begin[i];
      index.facts.resize(list.facts.size());
      std::vector<uint32_t> at(index.begin.begin(), index.begin.end() - 1);
      for (uint32_t i : list.facts) index.facts[at[rules_->facts[i].arguments[k]]++] = i;
      list.by_argument.push_back(std::move(index));
    }
    rules_->lists.push_back(std::move(list));
    return found->second;
  }

  // What a command's words say never changes if its queries only ask for what never changes.
  bool is_fixed(const Pieces& pieces, int depth) const {
    if (depth > 8) return false;
    for (const Piece& piece : pieces) {
      if (piece.has_query && !is_fixed(piece.query)) return false;
      if (piece.kind != Piece::Kind::kSymbol) continue;
      for (const GrammarRule& rule : game_.grammar().symbols()[piece.symbol].rules)
        if ((rule.has_condition && !is_fixed(rule.condition)) || !is_fixed(rule.pieces, depth + 1)) return false;
    }
    return true;
  }
  bool is_fixed(const Query& query) const {
    const pddl::Problem& problem = game_.problem();
    for (const QueryAtom& atom : query)
      for (uint32_t p = 0; p < problem.predicates.size(); ++p)
        if (is_fluent_[p] && problem.predicates[p] == atom.predicate) return false;
    return true;
  }

  void name_commands() {
    std::vector<char> nothing_false(rules_->facts.size(), 0), at_start(rules_->facts.size(), 1);
    Phrase phrase(game_, *rules_, at_start, nothing_false);
    std::string text;
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < rules_->named.size(); ++i) {
      NamedAction& one = rules_->named[i];
      const Pieces& words = game_.grammar().find_action(game_.domain().actions[one.action].name)->command;
      if (!is_fixed(words, 0)) {
        rules_->has_fixed_commands = false;
        continue;
      }
      phrase.command(one, text);
      one.command = intern(text);
      order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      const Symbol *first = rules_->named[a].command, *second = rules_->named[b].command;
      return first != second ? first->text < second->text : a < b;
    });
    uint32_t rank = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0 && rules_->named[order[i]].command != rules_->named[order[i - 1]].command) ++rank;
      rules_->named[order[i]].rank = rank;
    }
  }

  struct ArgumentKey {
    uint32_t predicate, place;
    uint16_t object;
    bool operator==(const ArgumentKey&) const = default;
  };
  struct ArgumentHash {
    size_t operator()(const ArgumentKey& key) const { return (key.predicate * 8191u + key.place) * 65599u + key.object; }
  };

  const Game& game_;
  World world_;
  std::unique_ptr<Rules> rules_;
  uint64_t work_ = 0;
  size_t num_effect_schemas_ = 0;
  std::vector<Schema> schemas_;
  std::vector<Conjunction> goal_;
  std::vector<uint32_t> goal_types_;
  std::vector<std::vector<uint32_t>> types_;
  std::unordered_map<uint32_t, size_t> types_of_action_;
  std::vector<char> is_fluent_;  // per predicate
  std::vector<pddl::Fact> facts_;
  size_t num_initial_ = 0;
  std::unordered_map<pddl::Fact, uint32_t, FactHash> fact_number_;
  std::vector<std::vector<uint32_t>> by_predicate_;
  std::unordered_map<ArgumentKey, std::vector<uint32_t>, ArgumentHash> by_argument_;
  std::vector<uint32_t> binding_, atom_of_;
  std::map<std::vector<uint32_t>, uint32_t> named_;
  std::unordered_map<std::string, uint32_t> lists_;
};

}  // namespace

std::unique_ptr<const Rules> make_rules(const Game& game) { return Grounder(game).ground(); }

}  // namespace vldac::alfworld

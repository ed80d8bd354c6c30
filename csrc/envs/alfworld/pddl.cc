#include "envs/alfworld/pddl.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "envs/alfworld/sexpr.h"

namespace vldac::alfworld::pddl {
namespace {

constexpr std::string_view kRequirements[] = {":strips", ":adl", ":typing", ":negation", ":equality", ":negative-preconditions",
                                              ":disjunctive-preconditions", ":existential-preconditions", ":universal-preconditions",
                                              ":quantified-preconditions", ":conditional-effects", ":action-costs"};

// What reading a domain and reading a problem share.
class Reader {
 public:
  Reader(const Source& source, const Domain& domain) : source_(source), domain_(domain) {
    for (uint32_t i = 0; i < domain.predicates.size(); ++i) by_name_.emplace(domain.predicates[i].name, i);
  }

  [[noreturn]] void fail(const Sexpr& at, const std::string& expected) const {
    source_.fail(at.offset, "expected " + expected + ", got " + (at.is_list ? "a list" : shown(at.word)));
  }

  const Sexpr& list(const Sexpr& at, const std::string& expected) const {
    if (!at.is_list) fail(at, expected);
    return at;
  }
  std::string_view word(const Sexpr& at, const std::string& expected) const {
    if (at.is_list) fail(at, expected);
    return at.word;
  }
  // The list's first word.
  std::string_view head(const Sexpr& at, const std::string& expected) const {
    list(at, expected);
    if (at.items.empty() || at.items[0].is_list) source_.fail(at.offset, "expected " + expected);
    return at.items[0].word;
  }
  void count(const Sexpr& at, size_t expected) const {
    if (at.items.size() != expected)
      source_.fail(at.offset, "expected " + std::to_string(expected - 1) + " after " + shown(at.items[0].word) + ", got " +
                                  std::to_string(at.items.size() - 1));
  }

  // From items[first] on: "a b - type c". What is without a type is an "object".
  std::vector<Typed> typed(const Sexpr& at, size_t first, bool only_variables) const {
    std::vector<Typed> result;
    size_t untyped = 0;
    for (size_t i = first; i < at.items.size(); ++i) {
      std::string_view name = word(at.items[i], "a name");
      if (name == "-") {
        if (i + 1 >= at.items.size()) source_.fail(at.items[i].offset, "expected a type after '-'");
        std::string_view type = word(at.items[++i], "the name of a type");
        for (; untyped < result.size(); ++untyped) result[untyped].type = type;
        continue;
      }
      if (only_variables && name[0] != '?') fail(at.items[i], "a variable such as ?x");
      result.push_back({std::string(name), "object"});
    }
    return result;
  }

  uint32_t predicate(const Sexpr& at, size_t arity) const {
    auto found = by_name_.find(at.word);
    if (found == by_name_.end()) fail(at, "a predicate of the domain");
    size_t declared = domain_.predicates[found->second].parameters.size();
    if (declared != arity)
      source_.fail(at.offset, "expected " + std::to_string(declared) + " arguments of " + shown(at.word) + ", got " + std::to_string(arity));
    return found->second;
  }

  std::vector<std::string> terms(const Sexpr& at) const {
    std::vector<std::string> result;
    for (size_t i = 1; i < at.items.size(); ++i) result.emplace_back(word(at.items[i], "a variable or an object"));
    return result;
  }

  Condition condition(const Sexpr& at, bool is_negated) const {
    std::string_view tag = head(at, "a condition such as (and ...)");
    Condition result;
    if (tag == "not") {
      count(at, 2);
      return condition(at.items[1], !is_negated);
    }
    if (tag == "and" || tag == "or") {
      result.kind = (tag == "and") != is_negated ? Condition::Kind::kAnd : Condition::Kind::kOr;
      for (size_t i = 1; i < at.items.size(); ++i) result.parts.push_back(condition(at.items[i], is_negated));
    } else if (tag == "imply") {
      count(at, 3);
      result.kind = is_negated ? Condition::Kind::kAnd : Condition::Kind::kOr;
      result.parts.push_back(condition(at.items[1], !is_negated));
      result.parts.push_back(condition(at.items[2], is_negated));
    } else if (tag == "exists" || tag == "forall") {
      count(at, 3);
      result.kind = (tag == "exists") != is_negated ? Condition::Kind::kExists : Condition::Kind::kForall;
      result.variables = typed(list(at.items[1], "a list of variables"), 0, true);
      result.parts.push_back(condition(at.items[2], is_negated));
    } else if (tag == "=") {
      count(at, 3);
      result.kind = Condition::Kind::kEqual;
      result.is_negated = is_negated;
      result.terms = terms(at);
    } else {
      result.kind = Condition::Kind::kAtom;
      result.is_negated = is_negated;
      result.predicate = predicate(at.items[0], at.items.size() - 1);
      result.terms = terms(at);
    }
    return result;
  }

  void effects(const Sexpr& at, const std::vector<Typed>& variables, const Condition& condition_now, std::vector<Effect>& out) const {
    std::string_view tag = head(at, "an effect such as (and ...)");
    if (tag == "and") {
      for (size_t i = 1; i < at.items.size(); ++i) effects(at.items[i], variables, condition_now, out);
    } else if (tag == "forall") {
      count(at, 3);
      std::vector<Typed> more = variables;
      std::vector<Typed> added = typed(list(at.items[1], "a list of variables"), 0, true);
      more.insert(more.end(), added.begin(), added.end());
      effects(at.items[2], more, condition_now, out);
    } else if (tag == "when") {
      count(at, 3);
      Condition both;
      if (!(condition_now.kind == Condition::Kind::kAnd && condition_now.parts.empty())) both.parts.push_back(condition_now);
      both.parts.push_back(condition(at.items[1], false));
      effects(at.items[2], variables, both, out);
    } else if (tag == "increase") {
      count(at, 3);
      if (!at.items[1].is_list || at.items[1].items.size() != 1 || !at.items[1].items[0].is("total-cost"))
        source_.fail(at.items[1].offset, "expected (total-cost)");
    } else {
      bool is_added = tag != "not";
      if (!is_added) count(at, 2);
      const Sexpr& atom = is_added ? at : at.items[1];
      if (head(atom, "a predicate") == "=" || head(atom, "a predicate") == "not") fail(atom.items[0], "a predicate of the domain");
      Effect effect{variables, condition_now, is_added, predicate(atom.items[0], atom.items.size() - 1), terms(atom)};
      out.push_back(std::move(effect));
    }
  }

 protected:
  const Source& source_;
  const Domain& domain_;
  std::unordered_map<std::string_view, uint32_t> by_name_;
};

// Every variable stands for something, and every other term is an object.
class Scopes {
 public:
  Scopes(const Source& source, const std::vector<Typed>& objects, bool knows_objects) : source_(source), knows_objects_(knows_objects) {
    for (const Typed& object : objects) objects_.insert(object.name);
  }
  void check(const Condition& condition, std::vector<std::string_view>& names, size_t offset) const {
    size_t outer = names.size();
    for (const Typed& variable : condition.variables) names.push_back(variable.name);
    check(condition.terms, names, offset);
    for (const Condition& part : condition.parts) check(part, names, offset);
    names.resize(outer);
  }
  void check(const std::vector<std::string>& terms, const std::vector<std::string_view>& names, size_t offset) const {
    for (const std::string& term : terms) {
      if (term[0] == '?' ? std::find(names.begin(), names.end(), term) == names.end() : knows_objects_ && !objects_.count(term))
        source_.fail(offset, "expected a name that is declared, got " + shown(term));
    }
  }

 private:
  const Source& source_;
  bool knows_objects_;
  std::unordered_set<std::string_view> objects_;
};

class DomainReader {
 public:
  explicit DomainReader(const Source& source) : source_(source) { parse_sexpr(source, file_); }

  Domain read() {
    const Sexpr& root = file_.root;
    Reader any(source_, domain_);
    if (any.head(root, "(define ...)") != "define") any.fail(root.items[0], "'define'");
    if (root.items.size() < 2) source_.fail(root.offset, "expected (domain NAME)");
    if (any.head(root.items[1], "(domain NAME)") != "domain") any.fail(root.items[1].items[0], "'domain'");
    any.count(root.items[1], 2);
    domain_.name = any.word(root.items[1].items[1], "the domain's name");
    domain_.types.push_back({"object", ""});
    std::vector<std::string_view> seen;
    size_t i = 2;
    for (; i < root.items.size(); ++i) {
      const Sexpr& part = root.items[i];
      std::string_view tag = any.head(part, "a part such as (:action ...)");
      if (tag == ":action") break;
      if (std::find(seen.begin(), seen.end(), tag) != seen.end()) any.fail(part.items[0], "each part once");
      seen.push_back(tag);
      declare(any, tag, part);
    }
    Reader reader(source_, domain_);
    Scopes scopes(source_, {}, false);
    for (; i < root.items.size(); ++i) {
      const Sexpr& part = root.items[i];
      if (reader.head(part, "(:action ...)") != ":action") reader.fail(part.items[0], "':action'");
      domain_.actions.push_back(action(reader, scopes, part));
      if (domain_.actions.size() > 200) source_.fail(part.offset, "expected at most 200 actions");
    }
    return std::move(domain_);
  }

 private:
  void declare(const Reader& any, std::string_view tag, const Sexpr& part) {
    if (tag == ":requirements") {
      for (size_t i = 1; i < part.items.size(); ++i) {
        std::string_view name = any.word(part.items[i], "a requirement");
        if (std::find(std::begin(kRequirements), std::end(kRequirements), name) == std::end(kRequirements))
          any.fail(part.items[i], "a requirement that is known, such as :adl");
      }
    } else if (tag == ":types") {
      std::vector<Typed> types = any.typed(part, 1, false);
      for (Typed& type : types) {
        if (type.name == "object") continue;
        for (const Type& other : domain_.types)
          if (other.name == type.name) source_.fail(part.offset, "expected each type once, got " + shown(type.name) + " twice");
        domain_.types.push_back({type.name, type.type});
        if (domain_.types.size() > 200) source_.fail(part.offset, "expected at most 200 types");
      }
      for (const Type& type : domain_.types) {
        bool is_known = type.parent.empty();
        for (const Type& other : domain_.types) is_known = is_known || other.name == type.parent;
        if (!is_known) source_.fail(part.offset, "expected a type that is declared, got " + shown(type.parent));
        // Up from here, "object" is reached.
        const Type* above = &type;
        for (size_t steps = 0; !above->parent.empty(); ++steps) {
          if (steps > domain_.types.size()) source_.fail(part.offset, "expected no circle of types, got one at " + shown(type.name));
          above = &*std::find_if(domain_.types.begin(), domain_.types.end(), [&](const Type& t) { return t.name == above->parent; });
        }
      }
    } else if (tag == ":constants") {
      domain_.constants = any.typed(part, 1, false);
    } else if (tag == ":predicates") {
      for (size_t i = 1; i < part.items.size(); ++i) {
        std::string_view name = any.head(part.items[i], "a predicate such as (opened ?r - receptacle)");
        for (const Predicate& other : domain_.predicates)
          if (other.name == name) any.fail(part.items[i].items[0], "each predicate once");
        domain_.predicates.push_back({std::string(name), any.typed(part.items[i], 1, true)});
        if (domain_.predicates.size() > 500) source_.fail(part.items[i].offset, "expected at most 500 predicates");
        if (domain_.predicates.back().parameters.size() > kMostArguments) source_.fail(part.items[i].offset, "expected at most 4 arguments");
      }
    } else if (tag != ":functions") {
      any.fail(part.items[0], ":requirements, :types, :constants, :predicates, :functions or :action");
    }
  }

  Action action(const Reader& reader, const Scopes& scopes, const Sexpr& part) const {
    Action result;
    if (part.items.size() < 2) source_.fail(part.offset, "expected the action's name");
    result.name = reader.word(part.items[1], "the action's name");
    for (const Action& other : domain_.actions)
      if (other.name == result.name) reader.fail(part.items[1], "each action once");
    size_t i = 2;
    auto section = [&](std::string_view tag) -> const Sexpr* {
      if (i >= part.items.size() || !part.items[i].is(tag)) return nullptr;
      if (i + 1 >= part.items.size()) source_.fail(part.items[i].offset, "expected a list after " + shown(tag));
      i += 2;
      return &reader.list(part.items[i - 1], "a list after " + std::string(tag));
    };
    if (const Sexpr* at = section(":parameters")) result.parameters = reader.typed(*at, 0, true);
    std::vector<std::string_view> names;
    if (result.parameters.size() > 50) source_.fail(part.offset, "expected at most 50 parameters");
    for (const Typed& parameter : result.parameters) {
      if (std::find(names.begin(), names.end(), parameter.name) != names.end())
        source_.fail(part.offset, "expected each parameter once, got " + shown(parameter.name) + " twice");
      names.push_back(parameter.name);
    }
    if (const Sexpr* at = section(":precondition"); at && !at->items.empty()) {
      result.precondition = reader.condition(*at, false);
      scopes.check(result.precondition, names, at->offset);
    }
    if (const Sexpr* at = section(":effect"); at && !at->items.empty()) {
      reader.effects(*at, {}, {}, result.effects);
      for (const Effect& effect : result.effects) {
        size_t outer = names.size();
        for (const Typed& variable : effect.variables) names.push_back(variable.name);
        scopes.check(effect.condition, names, at->offset);
        scopes.check(effect.terms, names, at->offset);
        names.resize(outer);
      }
    }
    if (i < part.items.size()) reader.fail(part.items[i], ":parameters, :precondition and :effect in this order");
    return result;
  }

  const Source& source_;
  SexprFile file_;
  Domain domain_;
};

class ProblemReader {
 public:
  ProblemReader(const Source& source, const Domain& domain) : source_(source), domain_(domain), reader_(source, domain) {
    parse_sexpr(source, file_);
  }

  Problem read() {
    const Sexpr& root = file_.root;
    if (reader_.head(root, "(define ...)") != "define") reader_.fail(root.items[0], "'define'");
    size_t i = 1;
    auto next = [&](std::string_view tag) -> const Sexpr& {
      std::string expected = "(" + std::string(tag) + " ...)";
      if (i >= root.items.size()) source_.fail(root.offset, "expected " + expected + ", got the end");
      if (reader_.head(root.items[i], expected) != tag) reader_.fail(root.items[i].items[0], "'" + std::string(tag) + "'");
      return root.items[i++];
    };
    auto is_next = [&](std::string_view tag) {
      return i < root.items.size() && root.items[i].is_list && !root.items[i].items.empty() && root.items[i].items[0].is(tag);
    };
    const Sexpr& problem = next("problem");
    reader_.count(problem, 2);
    problem_.name = reader_.word(problem.items[1], "the problem's name");
    const Sexpr& of = next(":domain");
    reader_.count(of, 2);
    if (!of.items[1].is(domain_.name)) reader_.fail(of.items[1], "the domain's name, '" + domain_.name + "'");
    if (is_next(":requirements")) ++i;
    objects(is_next(":objects") ? &next(":objects") : nullptr);
    facts(next(":init"));
    const Sexpr& goal = next(":goal");
    reader_.count(goal, 2);
    problem_.goal = reader_.condition(goal.items[1], false);
    std::vector<std::string_view> names;
    Scopes(source_, problem_.objects, true).check(problem_.goal, names, goal.offset);
    if (is_next(":metric")) ++i;
    if (i < root.items.size()) reader_.fail(root.items[i], "the end");
    problem_.facts.shrink_to_fit();  // thousands of games may be held at once
    problem_.objects.shrink_to_fit();
    return std::move(problem_);
  }

 private:
  void objects(const Sexpr* part) {
    problem_.objects = domain_.constants;
    if (part) {
      std::vector<Typed> more = reader_.typed(*part, 1, false);
      problem_.objects.insert(problem_.objects.end(), more.begin(), more.end());
    }
    for (uint32_t i = 0; i < problem_.objects.size(); ++i) {
      const Typed& object = problem_.objects[i];
      size_t offset = part ? part->offset : 0;
      if (!by_name_.emplace(object.name, i).second)
        source_.fail(offset, "expected each object once, got " + shown(object.name) + " twice");
      bool is_known = false;
      for (const Type& type : domain_.types) is_known = is_known || type.name == object.type;
      if (!is_known) source_.fail(offset, "expected a type of the domain for " + shown(object.name) + ", got " + shown(object.type));
    }
    if (problem_.objects.size() > 20000) source_.fail(part ? part->offset : 0, "expected at most 20000 objects");
    problem_.is_mentioned.assign(problem_.objects.size(), false);
  }

  uint32_t object(const Sexpr& at) const {
    auto found = by_name_.find(std::string(reader_.word(at, "an object")));
    if (found == by_name_.end()) reader_.fail(at, "an object that is declared in :objects");
    return found->second;
  }

  uint32_t predicate(const Sexpr& fact) {
    std::string name(reader_.head(fact, "a fact such as (opened fridge1)"));
    auto [found, is_new] = predicates_.emplace(name, static_cast<uint32_t>(problem_.predicates.size()));
    if (is_new) problem_.predicates.push_back(name);
    if (problem_.predicates.size() > 1000) source_.fail(fact.offset, "expected at most 1000 predicates");
    if (found->second < domain_.predicates.size()) {
      size_t declared = domain_.predicates[found->second].parameters.size();
      if (fact.items.size() - 1 != declared)
        source_.fail(fact.offset, "expected " + std::to_string(declared) + " arguments of " + shown(name) + ", got " +
                                      std::to_string(fact.items.size() - 1));
    }
    return found->second;
  }

  void facts(const Sexpr& part) {
    for (const Predicate& declared : domain_.predicates) {
      predicates_.emplace(declared.name, static_cast<uint32_t>(problem_.predicates.size()));
      problem_.predicates.push_back(declared.name);
    }
    std::vector<Fact> denied;
    for (size_t i = 1; i < part.items.size(); ++i) {
      const Sexpr& at = part.items[i];
      std::string_view tag = reader_.head(at, "a fact such as (opened fridge1)");
      if (tag == "=") {
        number(at);
        continue;
      }
      bool is_denied = tag == "not";
      if (is_denied) reader_.count(at, 2);
      const Sexpr& atom = is_denied ? at.items[1] : at;
      Fact fact;
      fact.predicate = predicate(atom);
      if (atom.items.size() - 1 > kMostArguments) source_.fail(atom.offset, "expected at most 4 arguments");
      for (size_t k = 1; k < atom.items.size(); ++k) {
        uint32_t argument = object(atom.items[k]);
        fact.arguments[fact.num_arguments++] = static_cast<uint16_t>(argument);
        if (!is_denied) problem_.is_mentioned[argument] = true;
      }
      (is_denied ? denied : problem_.facts).push_back(std::move(fact));
    }
    std::sort(problem_.facts.begin(), problem_.facts.end());
    problem_.facts.erase(std::unique(problem_.facts.begin(), problem_.facts.end()), problem_.facts.end());
    for (const Fact& fact : denied)
      if (std::binary_search(problem_.facts.begin(), problem_.facts.end(), fact))
        source_.fail(part.offset, "expected no fact to be both true and false, got one of " + shown(problem_.predicates[fact.predicate]));
  }

  // (= (total-cost) 0), or a distance: a number of some objects.
  void number(const Sexpr& at) {
    reader_.count(at, 3);
    std::string_view name = reader_.head(at.items[1], "a function such as (total-cost)");
    std::string_view value = reader_.word(at.items[2], "a number");
    if (value.find_first_not_of("0123456789.") != std::string_view::npos) reader_.fail(at.items[2], "a number");
    for (size_t i = 1; i < at.items[1].items.size(); ++i) {
      uint32_t index = object(at.items[1].items[i]);
      if (name != "total-cost") problem_.is_mentioned[index] = true;
    }
  }

  const Source& source_;
  const Domain& domain_;
  Reader reader_;
  SexprFile file_;
  Problem problem_;
  std::unordered_map<std::string, uint32_t> by_name_, predicates_;
};

void append(std::string& out, const std::vector<Typed>& variables) {
  for (const Typed& variable : variables) out += ' ' + variable.name + " - " + variable.type;
}
void append(std::string& out, const std::vector<std::string>& terms) {
  for (const std::string& term : terms) out += ' ' + term;
}

}  // namespace

Domain parse_domain(const Source& source) { return DomainReader(source).read(); }

Problem parse_problem(const Source& source, const Domain& domain) { return ProblemReader(source, domain).read(); }

std::string canonical(const Condition& condition, const Domain& domain) {
  constexpr const char* kTags[] = {"and", "or", "exists", "forall", "", "="};
  std::string out = condition.is_negated ? "(not (" : "(";
  out += condition.kind == Condition::Kind::kAtom ? domain.predicates[condition.predicate].name : kTags[static_cast<size_t>(condition.kind)];
  append(out, condition.terms);
  append(out, condition.variables);
  for (const Condition& part : condition.parts) out += ' ' + canonical(part, domain);
  return out + (condition.is_negated ? "))" : ")");
}

std::string canonical(const Action& action, const Domain& domain) {
  std::string out = "(" + action.name;
  append(out, action.parameters);
  out += ' ' + canonical(action.precondition, domain);
  for (const Effect& effect : action.effects) {
    out += effect.is_added ? " (+ " : " (- ";
    out += domain.predicates[effect.predicate].name;
    append(out, effect.terms);
    append(out, effect.variables);
    out += ' ' + canonical(effect.condition, domain) + ')';
  }
  return out + ')';
}

}  // namespace vldac::alfworld::pddl

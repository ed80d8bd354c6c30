#include "envs/alfworld/phrase.h"

#include <algorithm>

namespace vldac::alfworld {
namespace {

constexpr size_t kMostWork = 20000000, kLongest = 1 << 20, kMostMatches = 100000;
constexpr int kDeepest = 64;

}  // namespace

void Phrase::fail(const std::string& message) const { throw GameError(game_.name() + ": grammar: expected " + message); }

void Phrase::work() {
  if (++work_ > kMostWork || out_->size() > kLongest) fail("rules that come to an end, got ones that go on and on");
}

void Phrase::opening(std::string& out) {
  out.clear();
  out_ = &out;
  work_ = 0;
  bindings_.clear();
  say_symbol("intro", 0);
}

void Phrase::bind(const NamedAction& action) {
  bindings_.clear();
  const std::vector<uint32_t>& placeholders = rules_.placeholders_of[action.action];
  for (size_t i = 0; i < placeholders.size(); ++i) bindings_.push_back({placeholders[i], rules_.arguments[action.first_argument + i]});
}

void Phrase::command(const NamedAction& action, std::string& out) {
  out.clear();
  out_ = &out;
  work_ = 0;
  bind(action);
  say(game_.grammar().find_action(game_.domain().actions[action.action].name)->command, 0);
}

void Phrase::feedback(const NamedAction& action, std::string& out) {
  out.clear();
  out_ = &out;
  work_ = 0;
  bind(action);
  say(game_.grammar().find_action(game_.domain().actions[action.action].name)->feedback, 0);
}

void Phrase::say(const Pieces& pieces, int depth) {
  for (const Piece& piece : pieces) say(piece, depth);
}

void Phrase::say(const Piece& piece, int depth) {
  work();
  if (!piece.has_query) return say_once(piece, depth);
  // All matches first: what is said between two things depends on whether more come.
  Bindings outer = bindings_;
  std::vector<Bindings> matches;
  each_match(rules_.queries.at(&piece.query), 0, [&] {
    matches.push_back(bindings_);
    if (matches.size() > kMostMatches) fail("a query of bounded size, got one that holds in too many ways");
    return true;
  });
  if (piece.is_list && matches.empty()) say_symbol("list_empty", depth + 1);
  for (size_t i = 0; i < matches.size(); ++i) {
    if (piece.is_list && i > 0) say_symbol(i + 1 == matches.size() ? "list_last_separator" : "list_separator", depth + 1);
    bindings_ = matches[i];
    say_once(piece, depth);
    bindings_ = outer;
  }
}

void Phrase::say_once(const Piece& piece, int depth) {
  work();
  if (piece.kind == Piece::Kind::kText) *out_ += piece.text;
  else if (piece.kind == Piece::Kind::kValue) *out_ += value(piece.value);
  else say_symbol(piece.symbol, depth + 1);
}

void Phrase::say_symbol(const char* name, int depth) { say_symbol(game_.grammar().find_symbol(name), depth); }

void Phrase::say_symbol(uint32_t symbol, int depth) {
  if (depth > kDeepest) fail("rules that come to an end, got ones that go on and on");
  for (const GrammarRule& rule : game_.rules_of(symbol))
    if (!rule.has_condition || holds(rule.condition)) return say(rule.pieces, depth);
  fail("a rule for #" + game_.grammar().symbols()[symbol].name + "# that applies, got none");
}

uint32_t Phrase::object_named(const std::string& name) const {
  for (size_t i = bindings_.size(); i > 0; --i)
    if (rules_.placeholders[bindings_[i - 1].placeholder].name == name) return bindings_[i - 1].object;
  fail("a name that stands for something, got " + shown(name));
}

std::string_view Phrase::value(const Expression& expression) {
  using Kind = Expression::Kind;
  switch (expression.kind) {
    case Kind::kText:
      return expression.text;
    case Kind::kThing:
    case Kind::kName:
      return rules_.names[object_named(expression.text)];
    case Kind::kId:
      return game_.problem().objects[object_named(expression.text)].name;
    case Kind::kType:
      return game_.problem().objects[object_named(expression.text)].type;
    case Kind::kIndefinite:
      object_named(expression.text);
      return "a";
    case Kind::kDefinite:
      object_named(expression.text);
      return "the";
    case Kind::kOr: {
      for (size_t i = 0; i + 1 < expression.parts.size(); ++i)
        if (std::string_view part = value(expression.parts[i]); !part.empty() || expression.parts[i].kind == Kind::kThing) return part;
      return value(expression.parts.back());
    }
    case Kind::kJoin: {
      std::string made;
      for (const Expression& part : expression.parts) made += value(part);
      joined_ = std::move(made);
      return joined_;
    }
  }
  return "";
}

bool Phrase::holds(const Query& query) {
  size_t outer = bindings_.size();
  bool found = false;
  each_match(rules_.queries.at(&query), 0, [&] {
    found = true;
    return false;
  });
  bindings_.resize(outer);
  return found;
}

template <class F>
bool Phrase::each_match(const std::vector<GroundQueryAtom>& query, size_t index, F&& call) {
  work();
  if (index == query.size()) return call();
  const GroundQueryAtom& atom = query[index];
  const FactList& list = rules_.lists[atom.list];
  const std::vector<char>& holds_now = atom.is_negated ? is_false_ : is_true_;
  size_t outer = bindings_.size();
  auto bound = [&](uint32_t placeholder) {
    for (const Binding& binding : bindings_)
      if (binding.placeholder == placeholder) return static_cast<int64_t>(binding.object);
    return int64_t{-1};
  };
  const uint32_t *begin = list.facts.data(), *end = begin + list.facts.size();
  for (size_t k = 0; k < atom.placeholders.size(); ++k) {
    int64_t object = bound(atom.placeholders[k]);
    if (object < 0) continue;
    const FactList::Index& part = list.by_argument[k];
    const uint32_t *first = part.facts.data() + part.begin[static_cast<size_t>(object)], *last = part.facts.data() + part.begin[static_cast<size_t>(object) + 1];
    if (last - first < end - begin) begin = first, end = last;
  }
  for (const uint32_t* at = begin; at != end; ++at) {
    if (!holds_now[*at]) continue;
    const pddl::Fact& fact = rules_.facts[*at];
    bool fits = true;
    for (size_t k = 0; fits && k < atom.placeholders.size(); ++k) {
      int64_t object = bound(atom.placeholders[k]);
      if (object >= 0) {
        fits = object == fact.arguments[k];
      } else {  // no two names for one thing
        fits = std::none_of(bindings_.begin(), bindings_.end(), [&](const Binding& binding) { return binding.object == fact.arguments[k]; });
        if (fits) bindings_.push_back({atom.placeholders[k], fact.arguments[k]});
      }
    }
    bool goes_on = !fits || each_match(query, index + 1, call);
    bindings_.resize(outer);
    if (!goes_on) return false;
  }
  return true;
}

}  // namespace vldac::alfworld

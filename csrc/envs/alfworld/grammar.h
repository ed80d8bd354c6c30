// The words of a game: a text grammar whose rules look at the state (TextWorld's .twl2), read and resolved but not yet played.
// A symbol has rules; the first whose condition holds for some things is used. A rule's text mixes literal text, #symbols#, {values},
// {value | query} and [lists | query]. What cannot be read in a rule's text ends it, as it does in TextWorld's reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "envs/alfworld/source.h"

namespace vldac::alfworld {

// A name in a query that stands for a thing of a type; two names of one query never stand for the same thing.
struct Placeholder {
  std::string name, type;
  bool operator==(const Placeholder&) const = default;
};

struct QueryAtom {
  std::string predicate;
  bool is_negated = false;  // holds where the predicate is explicitly false
  std::vector<uint32_t> arguments;  // into Grammar::placeholders()
};
using Query = std::vector<QueryAtom>;

// What {...} says: names of things, their attributes, texts, joined by + and chosen by "or".
struct Expression {
  enum class Kind : uint8_t { kThing, kName, kId, kType, kIndefinite, kDefinite, kText, kJoin, kOr };
  Kind kind = Kind::kText;
  std::string text;  // of kText; else the placeholder's name
  std::vector<Expression> parts;
};

// A piece of a rule's text.
struct Piece {
  enum class Kind : uint8_t { kText, kSymbol, kValue };
  Kind kind = Kind::kText;
  bool has_query = false, is_list = false;
  uint32_t symbol = 0;  // into Grammar::symbols()
  std::string text;
  Expression value;
  Query query;
};
using Pieces = std::vector<Piece>;

struct GrammarRule {
  bool has_condition = false;
  Query condition;
  Pieces pieces;
};

struct GrammarSymbol {
  std::string name;
  std::vector<GrammarRule> rules;
};

// What a domain's action is called in commands, and what is said after it.
struct ActionWords {
  std::string name;  // lower case
  Pieces command, feedback;
};

class Grammar {
 public:
  static constexpr uint32_t kNoSymbol = 0xFFFFFFFF;

  // Throws GameError, also for symbols that no rule defines.
  static Grammar parse(const Source& source);

  const std::vector<GrammarSymbol>& symbols() const { return symbols_; }
  const std::vector<Placeholder>& placeholders() const { return placeholders_; }
  const std::vector<ActionWords>& actions() const { return actions_; }
  uint32_t find_symbol(std::string_view name) const;
  const ActionWords* find_action(std::string_view name) const;

  // Everything that a rule or an action says, for hashes.
  std::string canonical(const GrammarSymbol& symbol) const;
  std::string canonical(const ActionWords& action) const;

 private:
  friend class GrammarReader;
  std::string canonical(const Pieces& pieces) const;
  std::string canonical(const Query& query) const;
  std::vector<GrammarSymbol> symbols_;
  std::vector<Placeholder> placeholders_;
  std::vector<ActionWords> actions_;
};

}  // namespace vldac::alfworld

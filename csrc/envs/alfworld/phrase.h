// Says what a grammar says of a state of facts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "envs/alfworld/game.h"
#include "envs/alfworld/rules.h"

namespace vldac::alfworld {

class Phrase {
 public:
  // The two tables have a byte per fact of `rules`: what is true, and what is explicitly false; they are looked at when something is said.
  Phrase(const Game& game, const Rules& rules, const std::vector<char>& is_true, const std::vector<char>& is_false)
      : game_(game), rules_(rules), is_true_(is_true), is_false_(is_false) {}

  // Each replaces `out`. They throw GameError where no rule applies, or the grammar does not come to an end.
  void opening(std::string& out);
  void command(const NamedAction& action, std::string& out);
  void feedback(const NamedAction& action, std::string& out);

 private:
  struct Binding {
    uint32_t placeholder, object;
  };
  using Bindings = std::vector<Binding>;

  [[noreturn]] void fail(const std::string& message) const;
  void work();
  void bind(const NamedAction& action);
  void say(const Pieces& pieces, int depth);
  void say(const Piece& piece, int depth);
  void say_symbol(uint32_t symbol, int depth);
  void say_symbol(const char* name, int depth);
  void say_once(const Piece& piece, int depth);
  std::string_view value(const Expression& expression);
  uint32_t object_named(const std::string& name) const;
  // Calls for every way in which the query holds, with the bindings extended; stops where the call returns false.
  template <class F>
  bool each_match(const std::vector<GroundQueryAtom>& query, size_t index, F&& call);
  bool holds(const Query& query);

  const Game& game_;
  const Rules& rules_;
  const std::vector<char>&is_true_, &is_false_;
  Bindings bindings_;
  std::string* out_ = nullptr;
  std::string joined_;
  size_t work_ = 0;
};

}  // namespace vldac::alfworld

// One game file, read: its domain, grammar and problem, and what they mean for a household. Immutable, and shared by its players.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "envs/alfworld/grammar.h"
#include "envs/alfworld/pddl.h"
#include "envs/alfworld/room.h"
#include "envs/alfworld/task.h"

namespace vldac::alfworld {

struct HouseTables;  // house.h
struct Rules;        // rules.h

class Game {
 public:
  // The text of a game.tw-pddl; `name` is what errors call it. Throws GameError (source.h).
  static std::shared_ptr<const Game> parse(std::string_view bytes, const std::string& name);
  // Throws std::invalid_argument for a file that cannot be read or is larger than kMaxGameBytes, GameError for what is in it.
  static std::shared_ptr<const Game> load(const std::string& path);
  ~Game();

  const std::string& name() const { return name_; }
  // Of what the file means: equal for files that differ in white space, comments and the order of their keys only. 32 hex digits.
  const std::string& content_hash() const { return content_hash_; }
  // What follows "Your task is to: ", without its full stop.
  const std::string& task_text() const { return task_text_; }
  const Task& task() const { return task_; }
  const Room& room() const { return room_; }
  const RoomState& start() const { return start_; }
  std::optional<bool> solvable() const { return solvable_; }  // none: the file does not say
  const std::vector<std::string>& walkthrough() const { return walkthrough_; }

  // Shared by all games with this text.
  const pddl::Domain& domain() const { return *domain_; }
  const pddl::Problem& problem() const { return problem_; }
  // Shared by games whose texts differ in the task's sentence only: instead of its rules for #task#, which may be another game's, go by
  // task_rules().
  const Grammar& grammar() const { return *grammar_; }
  uint32_t task_symbol() const { return task_symbol_; }
  const std::vector<GrammarRule>& task_rules() const { return task_rules_; }
  const std::vector<GrammarRule>& rules_of(uint32_t symbol) const { return symbol == task_symbol_ ? task_rules_ : grammar_->symbols()[symbol].rules; }

  // The tables of the fast path; null where the game is not of a known form, and then why_not_fast() says what is different.
  const HouseTables* house() const { return house_.get(); }
  const std::string& why_not_fast() const { return why_not_fast_; }
  // The grounded rules of the generic layer, made at the first call. Throws GameError for rules that are too many.
  const Rules& rules() const;

  Game(const Game&) = delete;
  Game& operator=(const Game&) = delete;

 private:
  Game();
  void read_grammar(const Source& source);
  std::string name_, content_hash_, task_text_, why_not_fast_;
  std::optional<bool> solvable_;
  std::vector<std::string> walkthrough_;
  std::shared_ptr<const pddl::Domain> domain_;
  pddl::Problem problem_;
  std::shared_ptr<const Grammar> grammar_;
  uint32_t task_symbol_ = Grammar::kNoSymbol;
  std::vector<GrammarRule> task_rules_;
  Task task_;
  Room room_;
  RoomState start_;
  std::unique_ptr<const HouseTables> house_;
  mutable std::once_flag rules_once_;
  mutable std::unique_ptr<const Rules> rules_;
};

constexpr size_t kMaxGameBytes = size_t{16} << 20;

}  // namespace vldac::alfworld

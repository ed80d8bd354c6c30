#include "envs/alfworld/game.h"

#include <algorithm>
#include <fstream>
#include <unordered_map>

#include "envs/alfworld/digest.h"
#include "envs/alfworld/house.h"
#include "envs/alfworld/json.h"
#include "envs/alfworld/room_reader.h"
#include "envs/alfworld/rules.h"

namespace vldac::alfworld {
namespace {

const std::string& text_member(const Source& file, const Json& root, const char* key) {
  const Json* value = root.find(key);
  if (!value) file.fail(root.offset, std::string("expected a member \"") + key + "\"");
  if (value->kind != Json::Kind::kString) file.fail(value->offset, std::string("expected a string as \"") + key + "\", got " + name_of(value->kind));
  return value->text;
}

std::string meaning_of(const Game& game) {
  const pddl::Domain& domain = game.domain();
  const pddl::Problem& problem = game.problem();
  const Grammar& grammar = game.grammar();
  std::vector<std::string> parts;
  auto append_sorted = [&](std::string& out) {
    std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts) out += std::to_string(part.size()) + ':' + part;
    out += '\n';
    parts.clear();
  };
  std::string out;
  for (const pddl::Type& type : domain.types) parts.push_back(type.name + " - " + type.parent);
  append_sorted(out);
  for (const pddl::Action& action : domain.actions) parts.push_back(canonical(action, domain));
  append_sorted(out);
  for (const pddl::Typed& object : problem.objects) parts.push_back(object.name + " - " + object.type);
  append_sorted(out);
  for (const pddl::Fact& fact : problem.facts) {
    std::string text = problem.predicates[fact.predicate];
    for (uint32_t i = 0; i < fact.num_arguments; ++i) text += ' ' + problem.objects[fact.arguments[i]].name;
    parts.push_back(std::move(text));
  }
  append_sorted(out);
  out += canonical(problem.goal, domain) + '\n';
  for (uint32_t i = 0; i < grammar.symbols().size(); ++i) parts.push_back(grammar.canonical({grammar.symbols()[i].name, game.rules_of(i)}));
  append_sorted(out);
  for (const ActionWords& action : grammar.actions()) parts.push_back(grammar.canonical(action));
  append_sorted(out);
  return out;
}

// What many games have in common, while any of them lives.
template <class T>
class Shared {
 public:
  template <class Make>
  std::shared_ptr<const T> get(const std::string& key, Make&& make) {
    {
      std::lock_guard lock(mutex_);
      if (auto found = known_.find(key); found != known_.end())
        if (auto alive = found->second.lock()) return alive;
    }
    std::shared_ptr<const T> made = make();
    std::lock_guard lock(mutex_);
    if (known_.size() > 100) std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
    auto [found, is_new] = known_.try_emplace(key, made);
    if (!is_new) {
      if (auto alive = found->second.lock()) return alive;
      found->second = made;
    }
    return made;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const T>> known_;
};

Shared<pddl::Domain>& shared_domains() {
  static auto* only = new Shared<pddl::Domain>;
  return *only;
}
Shared<Grammar>& shared_grammars() {
  static auto* only = new Shared<Grammar>;
  return *only;
}

constexpr std::string_view kTaskBefore = "Your task is to: ";

// The task's sentence in a grammar's text, if it is the one plain string of its kind; else empty.
std::string_view task_sentence_in(std::string_view grammar) {
  size_t first = grammar.find(kTaskBefore);
  if (first == std::string_view::npos || first == 0 || grammar[first - 1] != '"') return {};
  size_t last = grammar.find('"', first);
  std::string_view sentence = grammar.substr(first, last == std::string_view::npos ? 0 : last - first);
  if (grammar.find(kTaskBefore, first + 1) != std::string_view::npos) return {};
  for (char c : sentence)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f || std::string_view(";|\"<>[]#{}\\").find(c) != std::string_view::npos)
      return {};
  return sentence;
}

bool is_plain_text(const std::vector<GrammarRule>& rules, std::string_view text) {
  return rules.size() == 1 && !rules[0].has_condition && rules[0].pieces.size() == 1 && rules[0].pieces[0].kind == Piece::Kind::kText &&
         rules[0].pieces[0].text == text;
}

std::string task_text_of(std::string sentence) {
  constexpr std::string_view kBefore = kTaskBefore;
  if (size_t at = sentence.find(kBefore); at != std::string::npos) sentence.erase(0, at + kBefore.size());
  if (sentence.ends_with('.')) sentence.pop_back();
  return sentence;
}

}  // namespace

Game::Game() = default;
Game::~Game() = default;

std::shared_ptr<const Game> Game::parse(std::string_view bytes, const std::string& name) {
  Source file{name, "file", bytes};
  if (bytes.size() > kMaxGameBytes) file.fail(0, "expected at most 16 MiB, got " + std::to_string(bytes.size()) + " bytes");
  Json root = parse_json(file);
  if (root.kind != Json::Kind::kObject) file.fail(root.offset, std::string("expected an object, got ") + name_of(root.kind));
  const std::string &domain = text_member(file, root, "pddl_domain"), &problem = text_member(file, root, "pddl_problem"),
                    &grammar = text_member(file, root, "grammar");
  std::shared_ptr<Game> game(new Game);
  game->name_ = name;
  if (const Json* solvable = root.find("solvable"); solvable && solvable->kind != Json::Kind::kNull) {
    bool is_true = solvable->kind == Json::Kind::kTrue;
    if (!is_true && solvable->kind != Json::Kind::kFalse)
      file.fail(solvable->offset, std::string("expected true or false as \"solvable\", got ") + name_of(solvable->kind));
    game->solvable_ = is_true;
  }
  if (const Json* walkthrough = root.find("walkthrough"); walkthrough && walkthrough->kind != Json::Kind::kNull) {
    if (walkthrough->kind != Json::Kind::kArray)
      file.fail(walkthrough->offset, std::string("expected an array as \"walkthrough\", got ") + name_of(walkthrough->kind));
    for (const Json& item : walkthrough->items) {
      if (item.kind != Json::Kind::kString) file.fail(item.offset, std::string("expected a string, got ") + name_of(item.kind));
      game->walkthrough_.push_back(item.text);
    }
  }

  Source in_domain{name, "domain", domain}, in_problem{name, "problem", problem}, in_grammar{name, "grammar", grammar};
  game->domain_ = shared_domains().get(domain, [&] { return std::make_shared<const pddl::Domain>(pddl::parse_domain(in_domain)); });
  game->problem_ = pddl::parse_problem(in_problem, *game->domain_);
  game->read_grammar(in_grammar);
  for (const pddl::Action& action : game->domain_->actions)
    if (!action.effects.empty() && !game->grammar_->find_action(action.name))
      in_grammar.fail(grammar.size(), "expected words for every action of the domain, got none for " + shown(action.name));
  game->content_hash_ = sha256(meaning_of(*game)).substr(0, 32);

  World world(*game->domain_, game->problem_);
  RoomIndex index;
  try {
    read_room(world, *game->domain_, game->problem_, names_of(game->problem_), game->room_, game->start_, index);
    game->task_ = read_task(world, *game->domain_, game->problem_, index, game->room_);
  } catch (const std::length_error& error) {
    in_problem.fail(0, std::string("expected a problem of bounded size, but ") + error.what());
  }
  game->house_ = make_house(world, *game, game->why_not_fast_);
  game->task_text_ = task_text_of(literal_text(*game->grammar_, game->task_rules_));
  return game;
}

void Game::read_grammar(const Source& source) {
  std::string_view sentence = task_sentence_in(source.text);
  auto parse = [&] { return std::make_shared<const Grammar>(Grammar::parse(source)); };
  if (sentence.empty()) {
    grammar_ = parse();
  } else {
    size_t first = static_cast<size_t>(sentence.data() - source.text.data());
    std::string rest(source.text.substr(0, first));
    rest += source.text.substr(first + sentence.size());
    grammar_ = shared_grammars().get(rest, parse);
  }
  task_symbol_ = grammar_->find_symbol("task");
  if (task_symbol_ == Grammar::kNoSymbol) return;
  task_rules_ = grammar_->symbols()[task_symbol_].rules;
  if (sentence.empty() || is_plain_text(task_rules_, sentence)) return;
  // Another game's sentence, or one that is not the whole rule.
  bool is_anothers = task_rules_.size() == 1 && task_rules_[0].pieces.size() == 1 && is_plain_text(task_rules_, task_rules_[0].pieces[0].text) &&
                     std::string_view(task_rules_[0].pieces[0].text).substr(0, kTaskBefore.size()) == kTaskBefore;
  if (is_anothers) {
    task_rules_[0].pieces[0].text = sentence;
  } else {
    grammar_ = parse();
    task_rules_ = grammar_->symbols()[task_symbol_].rules;
  }
}

std::shared_ptr<const Game> Game::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) throw std::invalid_argument(path + ": expected a file that can be read");
  if (static_cast<size_t>(size) > kMaxGameBytes)
    throw std::invalid_argument(path + ": expected at most 16 MiB, got " + std::to_string(size) + " bytes");
  std::string bytes(static_cast<size_t>(size), '\0');
  file.seekg(0);
  file.read(bytes.data(), size);
  if (!file) throw std::invalid_argument(path + ": expected a file that can be read");
  return parse(bytes, path);
}

const Rules& Game::rules() const {
  std::call_once(rules_once_, [&] { rules_ = make_rules(*this); });
  return *rules_;
}

}  // namespace vldac::alfworld

#include "envs/alfworld/interpreter.h"

#include <algorithm>

#include "envs/alfworld/phrase.h"
#include "envs/alfworld/room_reader.h"
#include "envs/alfworld/rules.h"
#include "envs/alfworld/strip.h"

namespace vldac::alfworld {
namespace {

// What an atom says of a room.
struct RoomMeaning {
  enum class Kind : uint8_t { kNothing, kAgentAt, kObjectAt, kIn, kHolds, kOpened, kState };
  Kind kind = Kind::kNothing;
  uint8_t bit = 0;
  uint16_t first = kNone, second = kNone;  // location; location, object; receptacle, object; object; receptacle; object
};

std::vector<RoomMeaning> meanings(const Game& game, const Rules& rules, const RoomIndex& index) {
  constexpr std::pair<std::string_view, uint8_t> kBits[] = {{"isclean", kClean}, {"ishot", kHot}, {"iscool", kCool},
                                                            {"ison", kOn}, {"istoggled", kToggled}, {"issliced", kSliced}};
  std::vector<RoomMeaning> result(rules.num_atoms);
  for (uint32_t i = 0; i < rules.num_atoms; ++i) {
    const pddl::Fact& fact = rules.facts[i];
    const std::string& name = game.problem().predicates[fact.predicate];
    auto [a, b] = std::pair{fact.arguments[0], fact.arguments[1]};
    RoomMeaning& meaning = result[i];
    using Kind = RoomMeaning::Kind;
    if (fact.num_arguments == 2) {
      if (name == "atlocation") meaning = {Kind::kAgentAt, 0, index.location[b], 0};
      if (name == "objectatlocation") meaning = {Kind::kObjectAt, 0, index.location[b], index.object[a]};
      if (name == "inreceptacle") meaning = {Kind::kIn, 0, index.receptacle[b], index.object[a]};
      if (name == "holds") meaning = {Kind::kHolds, 0, index.object[b], 0};
    } else if (fact.num_arguments == 1) {
      if (name == "opened") meaning = {Kind::kOpened, 0, index.receptacle[a], 0};
      for (auto [state, bit] : kBits)
        if (name == state) meaning = {Kind::kState, bit, index.object[a], 0};
    }
    if (meaning.first == kNone || meaning.second == kNone) meaning = {};
  }
  return result;
}

class Interpreter final : public Player {
 public:
  explicit Interpreter(std::shared_ptr<const Game> game)
      : Player(std::move(game)), rules_(game_->rules()), phrase_(*game_, rules_, is_said_true_, is_said_false_) {
    World world(game_->domain(), game_->problem());
    Room room;
    RoomState start;
    RoomIndex index;
    read_room(world, game_->domain(), game_->problem(), rules_.names, room, start, index);
    meanings_ = meanings(*game_, rules_, index);
    reset();
  }

  void reset() override {
    is_true_ = rules_.is_true_at_start;
    is_said_true_.assign(rules_.facts.size(), 1);
    std::copy(is_true_.begin(), is_true_.end(), is_said_true_.begin());
    is_said_false_.assign(rules_.facts.size(), 0);
    state_ = game_->start();
    count_needs();
    phrase_.opening(text_);
    refresh();
  }

  bool step(std::string_view command) override {
    command = stripped(command);
    auto found = std::lower_bound(commands_.begin(), commands_.end(), command,
                                  [](const Symbol* symbol, std::string_view text) { return std::string_view(symbol->text) < text; });
    if (found == commands_.end() || (*found)->text != command) {
      text_ = "Nothing happens.";
      return false;
    }
    const Operator& op = rules_.operators[choices_[static_cast<size_t>(found - commands_.begin())].op];
    apply(op);
    phrase_.feedback(rules_.named[op.named], text_);
    refresh();
    return true;
  }

  const RoomState& state() const override { return state_; }
  bool is_fast() const override { return false; }

  void save(Bytes& out) const override {
    out.put(kMark);
    for (uint32_t i = 0; i < rules_.num_atoms; ++i)
      out.put(static_cast<uint8_t>((is_true_[i] ? 1 : 0) | (is_said_true_[i] ? 2 : 0) | (is_said_false_[i] ? 4 : 0)));
    for (uint16_t r : state_.receptacle_of) out.put(r);
    out.put(static_cast<uint32_t>(text_.size()));
    out.data += text_;
  }

  void load(Bytes& in) override {
    in.get_within<uint8_t>(kMark, kMark);
    std::vector<char> is_true(rules_.num_atoms), said_true(rules_.facts.size(), 1), said_false(rules_.facts.size(), 0);
    for (uint32_t i = 0; i < rules_.num_atoms; ++i) {
      uint8_t bits = in.get_within<uint8_t>(0, 5);  // never said to be both
      is_true[i] = bits & 1;
      said_true[i] = bits >> 1 & 1;
      said_false[i] = bits >> 2 & 1;
    }
    std::vector<uint16_t> receptacle_of(state_.receptacle_of.size());
    for (uint16_t& r : receptacle_of) {
      r = in.get<uint16_t>();
      if (r != kNone && r >= game_->room().receptacles.size()) throw std::invalid_argument("environment state is altered");
    }
    uint32_t size = in.get_within<uint32_t>(0, 1 << 20);
    if (size > in.data.size() - in.cursor) throw std::invalid_argument("environment state is truncated");
    text_.assign(in.data, in.cursor, size);
    in.cursor += size;
    is_true_ = std::move(is_true);
    is_said_true_ = std::move(said_true);
    is_said_false_ = std::move(said_false);
    // The room as the facts say.
    state_.held = kNone;
    for (uint32_t i = 0; i < rules_.num_atoms; ++i) show(i, false);
    for (uint32_t i = 0; i < rules_.num_atoms; ++i)
      if (is_said_true_[i]) show(i, true);
    for (uint32_t i = 0; i < rules_.num_atoms; ++i) {
      const RoomMeaning& meaning = meanings_[i];
      if (meaning.kind != RoomMeaning::Kind::kIn) continue;
      if (is_said_false_[i]) state_.taken.set(meaning.first, meaning.second);
      else state_.taken.clear(meaning.first, meaning.second);
    }
    show_lamps();
    state_.receptacle_of = std::move(receptacle_of);
    count_needs();
    refresh();
  }

 private:
  static constexpr uint8_t kMark = 'g';

  Needs needs_of(uint32_t who) const {
    return who < rules_.operators.size() ? rules_.operators[who].precondition : rules_.goal[who - rules_.operators.size()];
  }

  bool holds(const Needs& needs) const {
    const uint32_t* atom = rules_.pool.data() + needs.first;
    for (uint32_t i = 0; i < needs.num_true; ++i)
      if (!is_true_[*atom++]) return false;
    for (uint32_t i = 0; i < needs.num_false; ++i)
      if (is_true_[*atom++]) return false;
    return true;
  }

  // How much of each operator's and goal's needs is not met, from scratch.
  void count_needs() {
    size_t num = rules_.operators.size() + rules_.goal.size();
    missing_.assign(num, 0);
    place_.assign(num, kNowhere);
    ready_.clear();
    num_goals_met_ = 0;
    for (uint32_t who = 0; who < num; ++who) {
      Needs needs = needs_of(who);
      const uint32_t* atom = rules_.pool.data() + needs.first;
      for (uint32_t i = 0; i < needs.num_true; ++i) missing_[who] += !is_true_[*atom++];
      for (uint32_t i = 0; i < needs.num_false; ++i) missing_[who] += is_true_[*atom++] != 0;
      if (missing_[who] == 0) enter(who);
    }
  }

  void enter(uint32_t who) {
    if (who >= rules_.operators.size()) {
      ++num_goals_met_;
      return;
    }
    place_[who] = static_cast<uint32_t>(ready_.size());
    ready_.push_back(who);
  }
  void leave(uint32_t who) {
    if (who >= rules_.operators.size()) {
      --num_goals_met_;
      return;
    }
    uint32_t at = place_[who], last = ready_.back();
    ready_[at] = last;
    place_[last] = at;
    ready_.pop_back();
    place_[who] = kNowhere;
  }

  void set(uint32_t atom, bool value) {
    if ((is_true_[atom] != 0) == value) return;
    is_true_[atom] = value;
    auto better = [&](const std::vector<uint32_t>& begin, const std::vector<uint32_t>& who) {
      for (uint32_t i = begin[atom]; i < begin[atom + 1]; ++i)
        if (--missing_[who[i]] == 0) enter(who[i]);
    };
    auto worse = [&](const std::vector<uint32_t>& begin, const std::vector<uint32_t>& who) {
      for (uint32_t i = begin[atom]; i < begin[atom + 1]; ++i)
        if (missing_[who[i]]++ == 0) leave(who[i]);
    };
    if (value) {
      worse(rules_.begin_of_false, rules_.needing_false);
      better(rules_.begin_of_true, rules_.needing_true);
    } else {
      worse(rules_.begin_of_true, rules_.needing_true);
      better(rules_.begin_of_false, rules_.needing_false);
    }
  }

  void apply(const Operator& op) {
    adding_.clear();
    deleting_.clear();
    for (uint32_t i = op.first_effect; i < op.first_effect + op.num_effects; ++i) {
      const GroundEffect& effect = rules_.effects[i];
      if (holds(effect.condition)) (effect.is_added ? adding_ : deleting_).push_back(effect.atom);
    }
    for (uint32_t atom : deleting_) set(atom, false);  // what is added, too, stays
    for (uint32_t atom : adding_) set(atom, true);
    for (uint32_t i = op.first_said; i < op.first_said + op.num_said; ++i) {
      auto [atom, is_added] = rules_.said[i];
      is_said_true_[atom] = is_added;
      is_said_false_[atom] = !is_added;
      show(atom, is_added);
    }
    show_lamps();
  }

  void show(uint32_t atom, bool is_added) {
    const RoomMeaning& meaning = meanings_[atom];
    using Kind = RoomMeaning::Kind;
    auto put = [&](BitTable& table, size_t row, size_t column, bool value) { value ? table.set(row, column) : table.clear(row, column); };
    switch (meaning.kind) {
      case Kind::kNothing:
        break;
      case Kind::kAgentAt:
        if (is_added) state_.location = meaning.first;
        break;
      case Kind::kObjectAt:
        put(state_.at, meaning.first, meaning.second, is_added);
        break;
      case Kind::kIn:
        put(state_.contents, meaning.first, meaning.second, is_added);
        put(state_.taken, meaning.first, meaning.second, !is_added);
        if (is_added) state_.receptacle_of[meaning.second] = meaning.first;
        break;
      case Kind::kHolds:
        if (is_added) {
          state_.held = meaning.first;
          state_.receptacle_of[meaning.first] = kNone;
        } else if (state_.held == meaning.first) {
          state_.held = kNone;
        }
        break;
      case Kind::kOpened:
        state_.is_open[meaning.first] = is_added;
        break;
      case Kind::kState: {
        uint8_t& bits = state_.object_state[meaning.first];
        bits = static_cast<uint8_t>(is_added ? bits | meaning.bit : bits & ~meaning.bit);
        break;
      }
    }
  }

  // Texts are told that a lamp goes on and off at once; pictures go by what it is.
  void show_lamps() {
    for (uint32_t i = 0; i < rules_.num_atoms; ++i)
      if (meanings_[i].kind == RoomMeaning::Kind::kState && meanings_[i].bit == kOn) show(i, is_true_[i] != 0);
  }

  struct Choice {
    uint32_t rank, op;
    const Symbol* symbol;
  };

  void refresh() {
    choices_.clear();
    for (uint32_t op : ready_) {
      const NamedAction& named = rules_.named[rules_.operators[op].named];
      const Symbol* symbol = named.command;
      if (!symbol) {
        phrase_.command(named, command_);
        symbol = intern(command_);
      }
      choices_.push_back({named.rank, op, symbol});
    }
    bool by_rank = rules_.has_fixed_commands;
    std::sort(choices_.begin(), choices_.end(), [&](const Choice& a, const Choice& b) {
      if (a.symbol == b.symbol) return a.op < b.op;
      return by_rank ? a.rank < b.rank : a.symbol->text < b.symbol->text;
    });
    choices_.erase(std::unique(choices_.begin(), choices_.end(), [](const Choice& a, const Choice& b) { return a.symbol == b.symbol; }), choices_.end());
    commands_.clear();
    for (const Choice& choice : choices_) commands_.push_back(choice.symbol);
    won_ = num_goals_met_ > 0;
  }

  static constexpr uint32_t kNowhere = 0xFFFFFFFF;
  const Rules& rules_;
  std::vector<char> is_true_;                         // per atom: for what can be done, and the goal
  std::vector<char> is_said_true_, is_said_false_;  // per fact: for texts
  Phrase phrase_;
  std::vector<RoomMeaning> meanings_;
  RoomState state_;
  std::vector<uint32_t> missing_, place_, ready_, adding_, deleting_;
  std::vector<Choice> choices_;
  size_t num_goals_met_ = 0;
  std::string command_;
};

}  // namespace

std::unique_ptr<Player> play_rules(std::shared_ptr<const Game> game) { return std::make_unique<Interpreter>(std::move(game)); }

}  // namespace vldac::alfworld

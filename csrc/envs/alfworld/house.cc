#include "envs/alfworld/house.h"

#include <algorithm>

#include "envs/alfworld/strip.h"

namespace vldac::alfworld {
namespace {

class House final : public Player {
 public:
  explicit House(std::shared_ptr<const Game> game) : Player(std::move(game)), tables_(*game_->house()), rules_(game_->room()) {
    numbers_.reserve(tables_.commands.size());
    commands_.reserve(tables_.commands.size());
    size_t longest = 512 + tables_.task_sentence.size() + tables_.form.help_text.size();
    for (const Receptacle& receptacle : rules_.receptacles) longest += receptacle.name.size() + 8;
    for (const Object& object : rules_.objects) longest += 2 * object.name.size() + 16;
    text_.reserve(longest);
    reset();
  }

  void reset() override {
    state_ = game_->start();
    text_ = "-= Welcome to TextWorld, ALFRED! =-\n\n";
    look(true);
    text_ += "\n\n";
    text_ += tables_.task_sentence;
    refresh();
  }

  bool step(std::string_view command) override {
    command = stripped(command);
    auto found = std::lower_bound(numbers_.begin(), numbers_.end(), command, [&](uint16_t number, std::string_view text) {
      return std::string_view(tables_.commands[number].symbol->text) < text;
    });
    text_.clear();
    if (found == numbers_.end() || tables_.commands[*found].symbol->text != command) {
      text_ = "Nothing happens.";
      return false;
    }
    if (act(tables_.commands[*found])) refresh();
    return true;
  }

  const RoomState& state() const override { return state_; }
  bool is_fast() const override { return true; }

  void save(Bytes& out) const override {
    out.put(kMark);
    out.put(state_.location);
    out.put(state_.held);
    for (uint16_t r : state_.receptacle_of) out.put(r);
    for (uint8_t s : state_.object_state) out.put(s);
    for (uint8_t o : state_.is_open) out.put(o);
    for (const BitTable* table : {&state_.contents, &state_.taken, &state_.at})
      for (uint64_t word : table->bits()) out.put(word);
    out.put(static_cast<uint32_t>(text_.size()));
    out.data += text_;
  }

  void load(Bytes& in) override {
    in.get_within<uint8_t>(kMark, kMark);
    RoomState next = game_->start();
    auto index_below = [&](size_t size) {
      uint16_t value = in.get<uint16_t>();
      if (value != kNone && value >= size) throw std::invalid_argument("environment state is altered");
      return value;
    };
    next.location = index_below(rules_.locations.size());
    next.held = index_below(rules_.objects.size());
    for (uint16_t& r : next.receptacle_of) r = index_below(rules_.receptacles.size());
    for (uint8_t& s : next.object_state) s = in.get_within<uint8_t>(0, 63);
    for (uint8_t& o : next.is_open) o = in.get_within<uint8_t>(0, 1);
    for (BitTable* table : {&next.contents, &next.taken, &next.at})
      for (uint64_t& word : table->bits()) word = in.get<uint64_t>();
    check(next);
    uint32_t size = in.get_within<uint32_t>(0, 1 << 20);
    if (size > in.data.size() - in.cursor) throw std::invalid_argument("environment state is truncated");
    state_ = std::move(next);
    text_.assign(in.data, in.cursor, size);
    in.cursor += size;
    refresh();
  }

 private:
  static constexpr uint8_t kMark = 'h';

  // What no play can bring about would be asked for commands that are not there.
  void check(const RoomState& next) const {
    size_t num_objects = rules_.objects.size();
    bool is_good = next.location != kNone;
    for (const BitTable* table : {&next.contents, &next.taken, &next.at}) {
      size_t rows = table->words() ? table->bits().size() / table->words() : 0;
      for (size_t row = 0; row < rows; ++row)
        for (size_t c = num_objects; c < table->words() * 64; ++c) is_good = is_good && !table->test(row, c);
    }
    for (size_t r = 0; is_good && r < rules_.receptacles.size(); ++r)
      for (size_t o = 0; o < num_objects; ++o)
        is_good = is_good && ((!next.contents.test(r, o) && !next.taken.test(r, o)) || can_be_in(r, o));
    is_good = is_good && (next.held == kNone || rules_.objects[next.held].is_pickupable || next.held == game_->start().held);
    if (!is_good) throw std::invalid_argument("environment state is altered");
  }
  bool can_be_in(size_t r, size_t o) const { return game_->start().contents.test(r, o) || rules_.fits.test(r, o); }

  bool is_accessible(uint16_t r) const { return !rules_.receptacles[r].is_openable || state_.is_open[r]; }
  const std::vector<uint16_t>& here() const { return tables_.here[state_.location]; }

  // True where something changed that commands or the goal depend on.
  bool act(const HouseCommand& command) {
    uint16_t o = command.object, r = command.receptacle;
    switch (command.verb) {
      case Verb::kLook:
        look(false);
        return false;
      case Verb::kInventory:
        if (state_.held == kNone) {
          text_ += "You are not carrying anything.";
        } else {
          text_ += "You are carrying: a ";
          text_ += object(state_.held);
          text_ += '.';
        }
        return false;
      case Verb::kHelp:
        text_ += tables_.form.help_text;
        return false;
      case Verb::kExamineReceptacle:
        examine_receptacle(r);
        return false;
      case Verb::kExamineObject:
        examine_object(o);
        return false;
      case Verb::kGo:
        state_.location = rules_.receptacles[r].location;
        text_ += "You arrive at ";
        text_ += tables_.form.arrives_at_location ? rules_.locations[state_.location].name : receptacle(r);
        text_ += ". ";
        examine_receptacle(r);
        return true;
      case Verb::kOpen:
        state_.is_open[r] = 1;
        text_ += "You open the ";
        text_ += receptacle(r);
        text_ += ". ";
        examine_receptacle(r);
        return true;
      case Verb::kClose:
        state_.is_open[r] = 0;
        text_ += "You close the ";
        text_ += receptacle(r);
        text_ += '.';
        return true;
      case Verb::kTake:
        state_.contents.clear(r, o);
        state_.taken.set(r, o);
        state_.at.clear(state_.location, o);
        state_.held = o;
        state_.receptacle_of[o] = kNone;
        say("You pick up the ", o, " from the ", r);
        return true;
      case Verb::kPut:
        state_.contents.set(r, o);
        state_.taken.clear(r, o);
        state_.at.set(state_.location, o);
        state_.held = kNone;
        state_.receptacle_of[o] = r;
        if (tables_.form.puts_in_on) say("You put the ", o, " in/on the ", r);
        else say("You move the ", o, " to the ", r);
        return true;
      case Verb::kClean:
        state_.object_state[o] |= kClean;
        say("You clean the ", o, " using the ", r);
        return true;
      case Verb::kHeat:
        state_.object_state[o] = static_cast<uint8_t>((state_.object_state[o] | kHot) & ~kCool);
        say("You heat the ", o, " using the ", r);
        return true;
      case Verb::kCool:
        state_.object_state[o] = static_cast<uint8_t>((state_.object_state[o] | kCool) & ~kHot);
        say("You cool the ", o, " using the ", r);
        return true;
      case Verb::kUse:
        state_.object_state[o] = static_cast<uint8_t>((state_.object_state[o] ^ kOn) | kToggled);
        text_ += "You turn on the ";
        text_ += object(o);
        text_ += '.';
        return true;
      case Verb::kSlice:
        state_.object_state[o] |= kSliced;
        text_ += "You sliced the ";
        text_ += object(o);
        text_ += " with the ";
        text_ += object(r);
        text_ += '.';
        return true;
    }
    return false;
  }

  const std::string& object(uint16_t o) const { return rules_.objects[o].name; }
  const std::string& receptacle(uint16_t r) const { return rules_.receptacles[r].name; }

  void say(std::string_view before, uint16_t o, std::string_view between, uint16_t r) {
    text_ += before;
    text_ += object(o);
    text_ += between;
    text_ += receptacle(r);
    text_ += '.';
  }

  // A list of things whose number is not known before its end.
  class List {
   public:
    List(std::string& text, std::string_view article) : text_(text), article_(article) {}
    void add(const std::string& name) {
      if (last_) put(count_ > 1 ? ", " : "");
      last_ = &name;
      ++count_;
    }
    void end() {
      if (last_) put(count_ > 1 ? ", and " : "");
      else text_ += "nothing";
    }

   private:
    void put(std::string_view separator) {
      if (is_begun_) text_ += separator;
      is_begun_ = true;
      text_ += article_;
      text_ += *last_;
    }
    std::string& text_;
    std::string_view article_;
    const std::string* last_ = nullptr;
    size_t count_ = 0;
    bool is_begun_ = false;
  };

  // The opening lists every receptacle where there is none here; the command lists none.
  void look(bool is_opening) {
    if (here().empty()) {
      text_ += "You are in the middle of a room. Looking quickly around you, you see ";
      List list(text_, "a ");
      if (is_opening)
        for (const Receptacle& one : rules_.receptacles)
          if (one.location != kNone) list.add(one.name);
      list.end();
      text_ += '.';
      return;
    }
    text_ += "You are facing the ";
    List facing(text_, "");
    for (uint16_t r : here()) facing.add(receptacle(r));
    facing.end();
    text_ += ". Next to it, you see ";
    List floor(text_, "a ");
    state_.at.each(state_.location, [&](size_t o) {
      for (uint16_t r : here())
        if (state_.taken.test(r, o)) floor.add(rules_.objects[o].name);
    });
    floor.end();
    text_ += '.';
  }

  void examine_receptacle(uint16_t r) {
    bool is_openable = rules_.receptacles[r].is_openable;
    text_ += is_openable ? "The " : "On the ";
    text_ += receptacle(r);
    if (is_openable && !state_.is_open[r]) {
      text_ += " is closed.";
      return;
    }
    text_ += is_openable ? " is open. In it, you see " : ", you see ";
    List list(text_, "a ");
    state_.contents.each(r, [&](size_t o) { list.add(rules_.objects[o].name); });
    list.end();
    text_ += '.';
  }

  void examine_object(uint16_t o) {
    const Object& one = rules_.objects[o];
    uint8_t is = state_.object_state[o];
    if (one.is_receptacle) {
      text_ += "This is a normal ";
      text_ += one.name;
      text_ += ". In it, you see ";
      List list(text_, "a ");
      for (uint16_t inner : one.contents)
        if (inner != o) list.add(object(inner));
      list.end();
      text_ += '.';
      return;
    }
    bool clean = is & kClean, hot = is & kHot, cool = is & kCool, sliced = is & kSliced;
    const char* how = clean && hot ? "This is a hot and clean " : clean && cool ? "This is a cool and clean " : clean && sliced ? "This is a clean "
                      : hot ? "This is a hot " : clean ? "This is a clean " : cool ? (sliced ? "This is a cool " : "This is a cold ") : nullptr;
    if (how) {
      text_ += how;
      if (sliced) text_ += "sliced ";
      text_ += one.name;
    } else if (one.is_toggleable && is & kToggled) {
      text_ += "This ";
      text_ += one.name;
      text_ += " is on";
    } else if (one.is_sliceable && sliced) {
      text_ += "This is a sliced ";
      text_ += one.name;
    } else {
      text_ += "There's nothing special about ";
      text_ += one.name;
    }
    text_ += '.';
  }

  void add(uint16_t number) { numbers_.push_back(number); }
  void sort_from(size_t first) {
    auto begin = numbers_.begin() + static_cast<std::ptrdiff_t>(first);
    std::sort(begin, numbers_.end());
    numbers_.erase(std::unique(begin, numbers_.end()), numbers_.end());
  }

  void refresh() {
    numbers_.clear();
    uint16_t held = state_.held;
    for (uint16_t r : here()) {
      if (rules_.receptacles[r].is_openable && state_.is_open[r]) add(tables_.close[r]);
      add(tables_.examine_receptacle[r]);
      if (held == kNone) continue;
      const Object& object = rules_.objects[held];
      if (object.is_cleanable && rules_.receptacles[r].is_sink) add(tables_.clean[r][held]);
      if (object.is_coolable && rules_.receptacles[r].is_fridge) add(tables_.cool[r][held]);
    }
    if (held != kNone) add(tables_.examine_object[held]);
    if (tables_.form.examines_in_place)
      for (uint16_t r : here())
        if (is_accessible(r)) state_.contents.each(r, [&](size_t o) { add(tables_.examine_object[o]); });
    sort_from(0);
    for (uint16_t number : tables_.go)
      if (rules_.receptacles[tables_.commands[number].receptacle].location != state_.location) add(number);
    size_t first = numbers_.size();
    if (tables_.help != kNone) add(tables_.help);
    add(tables_.inventory);
    add(tables_.look);
    size_t num_objects = rules_.objects.size(), words = state_.contents.words();
    for (uint16_t r : here()) {
      bool is_closed = rules_.receptacles[r].is_openable && !state_.is_open[r];
      if (is_closed) add(tables_.open[r]);
      const uint64_t* contents = state_.contents.row(r);
      for (size_t w = 0; w < words; ++w)
        for (uint64_t rest = contents[w] & tables_.toggleable[w]; rest; rest &= rest - 1)
          add(tables_.use[w * 64 + static_cast<size_t>(__builtin_ctzll(rest))]);
      if (held == kNone) {
        if (is_closed) continue;
        const uint16_t* take = tables_.take.data() + r * num_objects;
        for (size_t w = 0; w < words; ++w)
          for (uint64_t rest = contents[w] & tables_.pickupable[w]; rest; rest &= rest - 1)
            add(take[w * 64 + static_cast<size_t>(__builtin_ctzll(rest))]);
      } else {
        if (!is_closed && rules_.fits.test(r, held)) add(tables_.put[r * num_objects + held]);
        if (rules_.objects[held].is_heatable && rules_.receptacles[r].is_microwave) add(tables_.heat[r][held]);
      }
    }
    if (held != kNone && tables_.knife_index[held] != kNone)
      for (size_t i = 0; i < tables_.sliceable.size(); ++i)
        if (state_.at.test(state_.location, tables_.sliceable[i])) add(tables_.slice[i * tables_.knives.size() + tables_.knife_index[held]]);
    sort_from(first);
    commands_.clear();
    for (uint16_t number : numbers_) commands_.push_back(tables_.commands[number].symbol);
    won_ = is_won();
  }

  bool is_won() const {
    const Task& task = game_->task();
    if (task.kind == TaskKind::kLook) {
      if (state_.held == kNone || std::find(task.targets.begin(), task.targets.end(), state_.held) == task.targets.end()) return false;
      for (uint16_t r : here())
        for (uint16_t lamp : task.lamps)
          if (state_.object_state[lamp] & kToggled && state_.contents.test(r, lamp)) return true;
      return false;
    }
    uint8_t bits = task.kind == TaskKind::kClean ? kClean : task.kind == TaskKind::kHeat ? kHot : task.kind == TaskKind::kCool ? kCool : 0;
    if (task.is_sliced) bits |= kSliced;
    int needed = task.kind == TaskKind::kPickTwo ? 2 : 1;
    for (uint16_t r : task.places) {
      int count = 0;
      for (uint16_t o : task.targets) count += state_.contents.test(r, o) && (state_.object_state[o] & bits) == bits;
      if (count >= needed) return true;
    }
    return false;
  }

  const HouseTables& tables_;
  const Room& rules_;
  RoomState state_;
  std::vector<uint16_t> numbers_;  // of commands_, in the same order
};

// What the fast path takes for granted of a problem's facts; empty if all is so.
std::string oddity(const World& world, const Game& game) {
  constexpr struct {
    const char* predicate;
    const char* types[2];
  } kExpected[] = {{"atlocation", {"agent", "location"}},
                   {"receptacleatlocation", {"receptacle", "location"}},
                   {"objectatlocation", {"object", "location"}},
                   {"openable", {"receptacle", nullptr}},
                   {"opened", {"receptacle", nullptr}},
                   {"inreceptacle", {"object", "receptacle"}},
                   {"isreceptacleobject", {"object", nullptr}},
                   {"inreceptacleobject", {"object", "object"}},
                   {"receptacletype", {"receptacle", "rtype"}},
                   {"cancontain", {"rtype", "otype"}},
                   {"objecttype", {"object", "otype"}},
                   {"holds", {"agent", "object"}},
                   {"holdsany", {"agent", nullptr}},
                   {"isclean", {"object", nullptr}},
                   {"cleanable", {"object", nullptr}},
                   {"ishot", {"object", nullptr}},
                   {"heatable", {"object", nullptr}},
                   {"iscool", {"object", nullptr}},
                   {"coolable", {"object", nullptr}},
                   {"pickupable", {"object", nullptr}},
                   {"toggleable", {"object", nullptr}},
                   {"ison", {"object", nullptr}},
                   {"istoggled", {"object", nullptr}},
                   {"sliceable", {"object", nullptr}},
                   {"issliced", {"object", nullptr}}};
  const pddl::Problem& problem = game.problem();
  size_t num_agents = 0, num_at = 0, num_held = 0, num_holding = 0;
  std::vector<char> has_location(problem.objects.size(), 0);
  for (const pddl::Typed& object : problem.objects) num_agents += object.type == "agent";
  for (const pddl::Fact& fact : problem.facts) {
    const std::string& name = problem.predicates[fact.predicate];
    num_at += name == "atlocation";
    num_held += name == "holds";
    num_holding += name == "holdsany";
    if (name == "receptacleatlocation" && has_location[fact.arguments[0]]++) return "a receptacle is at two locations";
    for (const auto& expected : kExpected)
      if (name == expected.predicate)
        for (size_t i = 0; i < 2 && expected.types[i]; ++i)
          if (world.type_of(fact.arguments[i]) != world.type(expected.types[i])) return "a fact '" + name + "' is about other types";
  }
  if (num_agents != 1 || num_at != 1) return "there is not one agent at one location";
  if (num_held != num_holding || num_held > 1) return "the agent's hands are in disorder";
  if (game.task().kind == TaskKind::kOther) return "its goal is none of the six tasks";
  return "";
}

class Maker {
 public:
  explicit Maker(const Game& game, HouseTables& tables) : room_(game.room()), start_(game.start()), tables_(tables) {}

  bool make() {
    size_t num_objects = room_.objects.size(), num_receptacles = room_.receptacles.size();
    tables_.here.resize(room_.locations.size());
    tables_.pickupable.assign(start_.contents.words(), 0);
    tables_.toggleable.assign(start_.contents.words(), 0);
    tables_.open.assign(num_receptacles, kNone);
    tables_.close = tables_.examine_receptacle = tables_.open;
    tables_.examine_object.assign(num_objects, kNone);
    tables_.use = tables_.knife_index = tables_.examine_object;
    tables_.take.assign(num_receptacles * num_objects, kNone);
    tables_.put = tables_.take;
    tables_.clean.resize(num_receptacles);
    tables_.heat.resize(num_receptacles);
    tables_.cool.resize(num_receptacles);

    entries_.reserve(4096);
    add("inventory", Verb::kInventory, kNone, kNone, &tables_.inventory);
    add("look", Verb::kLook, kNone, kNone, &tables_.look);
    if (tables_.form.has_help) add("help", Verb::kHelp, kNone, kNone, &tables_.help);
    for (uint16_t o = 0; o < num_objects; ++o) object(o);
    for (uint16_t r = 0; r < num_receptacles; ++r) receptacle(r);
    tables_.slice.assign(tables_.sliceable.size() * tables_.knives.size(), kNone);
    for (size_t i = 0; i < tables_.sliceable.size(); ++i)
      for (size_t k = 0; k < tables_.knives.size(); ++k)
        add("slice " + name(tables_.sliceable[i]) + " with " + name(tables_.knives[k]), Verb::kSlice, tables_.sliceable[i], tables_.knives[k],
            &tables_.slice[i * tables_.knives.size() + k]);
    if (entries_.size() >= kNone) return false;
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (i > 0 && entries_[i].text == entries_[i - 1].text) return false;
      if (entries_[i].text != stripped(entries_[i].text)) return false;
    }
    tables_.commands.reserve(entries_.size());
    for (size_t i = 0; i < entries_.size(); ++i) {
      *entries_[i].slot = static_cast<uint16_t>(i);
      entries_[i].command.symbol = intern(entries_[i].text);
      tables_.commands.push_back(entries_[i].command);
      if (entries_[i].command.verb == Verb::kGo) tables_.go.push_back(static_cast<uint16_t>(i));
    }
    return true;
  }

 private:
  struct Entry {
    std::string text;
    HouseCommand command;
    uint16_t* slot;
  };
  void add(std::string text, Verb verb, uint16_t object, uint16_t receptacle, uint16_t* slot) {
    if (entries_.size() < kNone) entries_.push_back({std::move(text), {nullptr, verb, object, receptacle}, slot});
  }
  const std::string& name(uint16_t o) const { return room_.objects[o].name; }

  void object(uint16_t o) {
    const Object& one = room_.objects[o];
    add("examine " + one.name, Verb::kExamineObject, o, kNone, &tables_.examine_object[o]);
    if (one.is_pickupable) tables_.pickupable[o / 64] |= uint64_t{1} << (o % 64);
    if (one.is_toggleable) {
      tables_.toggleable[o / 64] |= uint64_t{1} << (o % 64);
      add("use " + one.name, Verb::kUse, o, kNone, &tables_.use[o]);
    }
    if (one.is_sliceable) tables_.sliceable.push_back(o);
    if (one.is_knife) {
      tables_.knife_index[o] = static_cast<uint16_t>(tables_.knives.size());
      tables_.knives.push_back(o);
    }
  }

  void receptacle(uint16_t r) {
    const Receptacle& one = room_.receptacles[r];
    if (one.location == kNone) return;
    tables_.here[one.location].push_back(r);
    add("go to " + one.name, Verb::kGo, kNone, r, &never_);
    add("examine " + one.name, Verb::kExamineReceptacle, kNone, r, &tables_.examine_receptacle[r]);
    if (one.is_openable) {
      add("open " + one.name, Verb::kOpen, kNone, r, &tables_.open[r]);
      add("close " + one.name, Verb::kClose, kNone, r, &tables_.close[r]);
    }
    size_t num_objects = room_.objects.size();
    for (uint16_t o = 0; o < num_objects; ++o) {
      const Object& object = room_.objects[o];
      bool fits = room_.fits.test(r, o), is_holdable = object.is_pickupable || start_.held == o;
      if (object.is_pickupable && (fits || start_.contents.test(r, o)))
        add("take " + object.name + " from " + one.name, Verb::kTake, o, r, &tables_.take[r * num_objects + o]);
      if (fits && is_holdable)
        add((tables_.form.puts_in_on ? "put " : "move ") + object.name + (tables_.form.puts_in_on ? " in/on " : " to ") + one.name, Verb::kPut, o, r,
            &tables_.put[r * num_objects + o]);
      if (!is_holdable) continue;
      treat(one.is_sink && object.is_cleanable, "clean ", Verb::kClean, tables_.clean[r], o, r);
      treat(one.is_microwave && object.is_heatable, "heat ", Verb::kHeat, tables_.heat[r], o, r);
      treat(one.is_fridge && object.is_coolable, "cool ", Verb::kCool, tables_.cool[r], o, r);
    }
  }
  void treat(bool can, const char* verb_text, Verb verb, std::vector<uint16_t>& slots, uint16_t o, uint16_t r) {
    if (!can) return;
    if (slots.empty()) slots.assign(room_.objects.size(), kNone);
    add(verb_text + room_.objects[o].name + " with " + room_.receptacles[r].name, verb, o, r, &slots[o]);
  }

  const Room& room_;
  const RoomState& start_;
  HouseTables& tables_;
  std::vector<Entry> entries_;
  uint16_t never_ = 0;
};

}  // namespace

std::unique_ptr<const HouseTables> make_house(const World& world, const Game& game, std::string& why_not) {
  auto tables = std::make_unique<HouseTables>();
  tables->form = recognise(game.domain(), game.grammar());
  tables->task_sentence = literal_text(game.grammar(), game.task_rules());
  why_not = !tables->form.is_known ? tables->form.why_not : tables->task_sentence.empty() ? "its grammar has a #task# that is more than text" : oddity(world, game);
  if (!why_not.empty()) return nullptr;
  if (!Maker(game, *tables).make()) {
    why_not = "two of its commands have one text, or it has too many";
    return nullptr;
  }
  return tables;
}

std::unique_ptr<Player> play_house(std::shared_ptr<const Game> game) { return std::make_unique<House>(std::move(game)); }

}  // namespace vldac::alfworld

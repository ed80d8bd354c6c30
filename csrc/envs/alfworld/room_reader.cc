#include "envs/alfworld/room_reader.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace vldac::alfworld {
namespace {

constexpr size_t kMostThings = 2000;

// "mug_bar__minus_00_dot_50" as "mug|-00.50".
std::string unescaped(std::string_view id) {
  constexpr std::pair<std::string_view, char> kEscapes[] = {{"_bar_", '|'}, {"_minus_", '-'}, {"_plus_", '+'}, {"_dot_", '.'}, {"_comma_", ','}};
  std::string text(id);
  for (auto [escape, c] : kEscapes) {
    size_t at = 0;
    while ((at = text.find(escape, at)) != std::string::npos) {
      text.replace(at, escape.size(), 1, c);
      ++at;
    }
  }
  return text;
}

std::vector<uint32_t> by_id(const pddl::Problem& problem) {
  std::vector<uint32_t> order(problem.objects.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return problem.objects[a].name < problem.objects[b].name; });
  return order;
}

// The numbers after the first '|', as far as there are any.
std::vector<float> coordinates(const std::string& text) {
  std::vector<float> result;
  size_t at = text.find('|');
  while (at != std::string::npos) {
    size_t end = text.find('|', at + 1);
    std::string_view part = std::string_view(text).substr(at + 1, end == std::string::npos ? end : end - at - 1);
    if (!part.empty() && part[0] == '+') part.remove_prefix(1);
    float value = 0;
    auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), value, std::chars_format::fixed);
    if (error != std::errc() || last != part.data() + part.size()) break;
    result.push_back(value);
    at = end;
  }
  return result;
}

std::array<float, 3> position_of(const std::string& text) {
  std::vector<float> values = coordinates(text);
  if (values.size() < 3) return {};
  return {values[0], values[1], values[2]};
}

int number_of(const std::string& name) {
  size_t space = name.rfind(' ');
  int number = 0;
  if (space != std::string::npos) std::from_chars(name.data() + space + 1, name.data() + name.size(), number);
  return number;
}

std::string without_type(const std::string& type_name) {
  constexpr std::string_view kSuffix = "type";
  if (type_name.size() > kSuffix.size() && type_name.ends_with(kSuffix)) return type_name.substr(0, type_name.size() - kSuffix.size());
  return type_name;
}

void collect_constants(const pddl::Condition& condition, uint32_t predicate, std::vector<std::string>& out) {
  if (condition.kind == pddl::Condition::Kind::kAtom && condition.predicate == predicate && !condition.terms.empty() &&
      condition.terms.back()[0] != '?')
    out.push_back(condition.terms.back());
  for (const pddl::Condition& part : condition.parts) collect_constants(part, predicate, out);
}

// A problem's facts by predicate.
class Facts {
 public:
  Facts(const pddl::Problem& problem) : problem_(problem) {}
  template <class F>
  void each(std::string_view predicate, F&& call) const {
    for (const pddl::Fact& fact : problem_.facts)
      if (problem_.predicates[fact.predicate] == predicate) call(fact.arguments);
  }

 private:
  const pddl::Problem& problem_;
};

}  // namespace

std::vector<std::string> names_of(const pddl::Problem& problem) {
  std::vector<uint32_t> order = by_id(problem);
  std::map<std::string, int> count;
  std::vector<std::string> names(problem.objects.size());
  auto base_of = [&](const std::string& id, size_t bar) {
    return unescaped(std::string_view(id).substr(0, bar)) + (id.find("basin") != std::string::npos ? "basin" : "");
  };
  for (uint32_t i : order) {
    const std::string& id = problem.objects[i].name;
    size_t bar = id.find("_bar_");
    if (problem.is_mentioned[i] && bar != std::string::npos) ++count[base_of(id, bar)];
  }
  for (uint32_t i : order) {
    const std::string& id = problem.objects[i].name;
    size_t bar = id.find("_bar_");
    if (!problem.is_mentioned[i]) {
      names[i] = id;
    } else if (bar == std::string::npos) {
      names[i] = unescaped(id) + ' ';
    } else {
      std::string base = base_of(id, bar);
      names[i] = base + ' ' + std::to_string(count[base]--);
    }
  }
  return names;
}

std::vector<std::string> constants_of(const pddl::Domain& domain, std::string_view action, std::string_view predicate) {
  std::vector<std::string> result;
  for (uint32_t p = 0; p < domain.predicates.size(); ++p)
    if (domain.predicates[p].name == predicate)
      for (const pddl::Action& candidate : domain.actions)
        if (candidate.name == action) collect_constants(candidate.precondition, p, result);
  return result;
}

void read_room(const World& world, const pddl::Domain& domain, const pddl::Problem& problem, const std::vector<std::string>& names,
               Room& room, RoomState& start, RoomIndex& index) {
  size_t num = problem.objects.size();
  index.location.assign(num, kNone);
  index.receptacle.assign(num, kNone);
  index.object.assign(num, kNone);
  std::vector<std::string> ids(num);
  for (uint32_t i : by_id(problem)) {
    if (!problem.is_mentioned[i]) continue;
    ids[i] = unescaped(problem.objects[i].name);
    const std::string& type = problem.objects[i].type;
    std::string base = ids[i].substr(0, ids[i].find('|'));
    if (type == "location") {
      index.location[i] = static_cast<uint16_t>(room.locations.size());
      index.locations.push_back(i);
      Pose pose;
      pose.name = names[i];
      if (std::vector<float> values = coordinates(ids[i]); values.size() == 4) {
        pose.x = values[0] * 0.25f;
        pose.z = values[1] * 0.25f;
        pose.yaw = static_cast<int>(values[2]) % 4 * 90;
        pose.pitch = static_cast<int>(values[3]) % 360;
        pose.is_known = true;
      }
      room.locations.push_back(pose);
    } else if (type == "receptacle") {
      index.receptacle[i] = static_cast<uint16_t>(room.receptacles.size());
      index.receptacles.push_back(i);
      Receptacle receptacle;
      receptacle.type = base;
      receptacle.name = names[i];
      receptacle.number = number_of(names[i]);
      receptacle.position = position_of(ids[i]);
      room.receptacles.push_back(receptacle);
    } else if (type == "object") {
      index.object[i] = static_cast<uint16_t>(room.objects.size());
      index.objects.push_back(i);
      Object object;
      object.type = base;
      object.name = names[i];
      object.number = number_of(names[i]);
      object.position = position_of(ids[i]);
      room.objects.push_back(object);
    }
  }

  size_t num_objects = room.objects.size(), num_receptacles = room.receptacles.size();
  if (num_objects > kMostThings || num_receptacles > kMostThings || room.locations.size() > kMostThings)
    throw std::length_error("it has more than 2000 objects, receptacles or locations");
  start.receptacle_of.assign(num_objects, kNone);
  start.object_state.assign(num_objects, 0);
  start.is_open.assign(num_receptacles, 0);
  start.contents.resize(num_receptacles, num_objects);
  start.taken.resize(num_receptacles, num_objects);
  start.at.resize(room.locations.size(), num_objects);
  room.fits.resize(num_receptacles, num_objects);

  Facts facts(problem);
  auto receptacle = [&](uint16_t i) -> Receptacle* {
    return index.receptacle[i] == kNone ? nullptr : &room.receptacles[index.receptacle[i]];
  };
  auto object = [&](uint16_t i) -> Object* { return index.object[i] == kNone ? nullptr : &room.objects[index.object[i]]; };
  auto flag = [&](const char* predicate, bool Object::*member) {
    facts.each(predicate, [&](const auto& arguments) {
      if (Object* one = object(arguments[0])) one->*member = true;
    });
  };
  auto state = [&](const char* predicate, uint8_t bit) {
    facts.each(predicate, [&](const auto& arguments) {
      if (index.object[arguments[0]] != kNone) start.object_state[index.object[arguments[0]]] |= bit;
    });
  };
  flag("pickupable", &Object::is_pickupable);
  flag("cleanable", &Object::is_cleanable);
  flag("heatable", &Object::is_heatable);
  flag("coolable", &Object::is_coolable);
  flag("toggleable", &Object::is_toggleable);
  flag("sliceable", &Object::is_sliceable);
  flag("isreceptacleobject", &Object::is_receptacle);
  state("isclean", kClean);
  state("ishot", kHot);
  state("iscool", kCool);
  state("ison", kOn);
  state("istoggled", kToggled);
  state("issliced", kSliced);
  facts.each("openable", [&](const auto& arguments) {
    if (Receptacle* one = receptacle(arguments[0])) one->is_openable = true;
  });
  facts.each("opened", [&](const auto& arguments) {
    if (receptacle(arguments[0])) start.is_open[index.receptacle[arguments[0]]] = 1;
  });
  facts.each("atlocation", [&](const auto& arguments) { start.location = room.start = index.location[arguments[1]]; });
  facts.each("holds", [&](const auto& arguments) { start.held = index.object[arguments[1]]; });
  facts.each("receptacleatlocation", [&](const auto& arguments) {
    if (Receptacle* one = receptacle(arguments[0]); one && one->location == kNone) one->location = index.location[arguments[1]];
  });
  facts.each("objectatlocation", [&](const auto& arguments) {
    if (object(arguments[0]) && index.location[arguments[1]] != kNone) start.at.set(index.location[arguments[1]], index.object[arguments[0]]);
  });
  facts.each("inreceptacle", [&](const auto& arguments) {
    uint16_t o = index.object[arguments[0]], r = index.receptacle[arguments[1]];
    if (o != kNone && r != kNone) start.contents.set(r, o);
  });
  for (size_t r = num_receptacles; r > 0; --r)
    start.contents.each(r - 1, [&](size_t o) { start.receptacle_of[o] = static_cast<uint16_t>(r - 1); });
  if (start.held != kNone) start.receptacle_of[start.held] = kNone;
  facts.each("inreceptacleobject", [&](const auto& arguments) {
    Object* outer = object(arguments[1]);
    if (outer && object(arguments[0])) outer->contents.push_back(index.object[arguments[0]]);
  });
  for (Object& one : room.objects) std::sort(one.contents.begin(), one.contents.end());

  auto names_one = [&](const std::vector<std::string>& constants, const std::string& name) {
    return std::find(constants.begin(), constants.end(), name) != constants.end();
  };
  std::vector<std::string> sinks = constants_of(domain, "cleanobject", "receptacletype"),
                           microwaves = constants_of(domain, "heatobject", "receptacletype"),
                           fridges = constants_of(domain, "coolobject", "receptacletype"),
                           knives = constants_of(domain, "sliceobject", "objecttype");
  std::vector<std::vector<uint16_t>> types_of_object(num_objects), types_of_receptacle(num_receptacles);
  uint32_t otype = world.type("otype"), rtype = world.type("rtype");
  facts.each("objecttype", [&](const auto& arguments) {
    Object* one = object(arguments[0]);
    if (!one) return;
    const std::string& name = problem.objects[arguments[1]].name;
    one->type = without_type(name);
    one->is_knife = one->is_knife || names_one(knives, name);
    if (world.is_a(arguments[1], otype)) types_of_object[index.object[arguments[0]]].push_back(arguments[1]);
  });
  facts.each("receptacletype", [&](const auto& arguments) {
    Receptacle* one = receptacle(arguments[0]);
    if (!one) return;
    const std::string& name = problem.objects[arguments[1]].name;
    one->type = without_type(name);
    one->is_sink = one->is_sink || names_one(sinks, name);
    one->is_microwave = one->is_microwave || names_one(microwaves, name);
    one->is_fridge = one->is_fridge || names_one(fridges, name);
    if (world.is_a(arguments[1], rtype)) types_of_receptacle[index.receptacle[arguments[0]]].push_back(arguments[1]);
  });
  std::map<uint16_t, std::vector<uint16_t>> objects_of_type, receptacles_of_type;
  for (uint16_t o = 0; o < num_objects; ++o)
    for (uint16_t type : types_of_object[o]) objects_of_type[type].push_back(o);
  for (uint16_t r = 0; r < num_receptacles; ++r)
    for (uint16_t type : types_of_receptacle[r]) receptacles_of_type[type].push_back(r);
  size_t num_pairs = 0;
  facts.each("cancontain", [&](const auto& arguments) {
    auto places = receptacles_of_type.find(arguments[0]);
    auto things = objects_of_type.find(arguments[1]);
    if (places == receptacles_of_type.end() || things == objects_of_type.end()) return;
    num_pairs += places->second.size() * things->second.size();
    if (num_pairs > 20000000) throw std::length_error("too many of its things fit into too many places");
    for (uint16_t r : places->second)
      for (uint16_t o : things->second) room.fits.set(r, o);
  });
}

namespace {

// The literals of a goal, taken one by one.
class GoalLiterals {
 public:
  GoalLiterals(const pddl::Domain& domain, const std::vector<Literal>& literals) : domain_(domain) {
    for (const Literal& literal : literals) {
      bool is_new = std::none_of(rest_.begin(), rest_.end(), [&](const Literal& other) {
        return other.is_negated == literal.is_negated && other.predicate == literal.predicate && other.terms == literal.terms;
      });
      if (is_new) rest_.push_back(literal);
    }
  }
  // Removes one literal of this name whose terms fit: kAny takes any.
  static constexpr Term kAny = INT32_MIN;
  std::optional<std::vector<Term>> take(std::string_view name, std::initializer_list<Term> pattern, bool is_negated = false) {
    for (size_t i = 0; i < rest_.size(); ++i) {
      const Literal& literal = rest_[i];
      std::string_view its = literal.predicate == Literal::kEquality ? "=" : std::string_view(domain_.predicates[literal.predicate].name);
      if (its != name || literal.is_negated != is_negated || literal.terms.size() != pattern.size()) continue;
      bool fits = std::equal(pattern.begin(), pattern.end(), literal.terms.begin(), [](Term p, Term t) { return p == kAny || p == t; });
      if (!fits) continue;
      std::vector<Term> terms = literal.terms;
      rest_.erase(rest_.begin() + static_cast<std::ptrdiff_t>(i));
      return terms;
    }
    return std::nullopt;
  }
  bool is_done() const { return rest_.empty(); }

 private:
  const pddl::Domain& domain_;
  std::vector<Literal> rest_;
};

struct TaskReader {
  const World& world;
  const Scope& scope;
  GoalLiterals literals;
  Task task = {};
  Term type = 0, place_type = 0, lamp_type = 0;

  // It is a variable that can be anything of this type.
  bool ranges_over(Term term, const char* type_name) const {
    return term < 0 && world.is_below(world.type(type_name), scope.types[static_cast<size_t>(~term)]);
  }
  bool is_of(Term thing, const char* predicate, Term& out) {
    auto found = literals.take(predicate, {thing, GoalLiterals::kAny});
    if (!found || (*found)[1] < 0) return false;
    out = (*found)[1];
    return true;
  }
  bool is_sliced(Term thing) { return literals.take("sliceable", {thing}) && literals.take("issliced", {thing}); }

  bool read_look() {
    constexpr Term kAny = GoalLiterals::kAny;
    auto held = literals.take("holds", {kAny, kAny});
    if (!held || !ranges_over((*held)[0], "agent") || !ranges_over((*held)[1], "object")) return false;
    if (!is_of((*held)[1], "objecttype", type)) return false;
    auto lamp = literals.take("istoggled", {kAny});
    if (!lamp || !literals.take("toggleable", {(*lamp)[0]}) || !is_of((*lamp)[0], "objecttype", lamp_type)) return false;
    auto in = literals.take("inreceptacle", {(*lamp)[0], kAny});
    if (!in || !ranges_over((*in)[0], "object") || !ranges_over((*in)[1], "receptacle")) return false;
    auto place = literals.take("receptacleatlocation", {(*in)[1], kAny});
    if (!place || !ranges_over((*place)[1], "location")) return false;
    auto agent = literals.take("atlocation", {kAny, (*place)[1]});
    if (!agent || !ranges_over((*agent)[0], "agent")) return false;
    task.kind = TaskKind::kLook;
    return literals.is_done();
  }

  bool read_place() {
    constexpr Term kAny = GoalLiterals::kAny;
    auto in = literals.take("inreceptacle", {kAny, kAny});
    if (!in) return false;
    Term thing = (*in)[0], place = (*in)[1];
    if (!ranges_over(thing, "object") || !ranges_over(place, "receptacle")) return false;
    if (!is_of(thing, "objecttype", type) || !is_of(place, "receptacletype", place_type)) return false;
    task.is_sliced = is_sliced(thing);
    task.kind = TaskKind::kPick;
    if (auto other = literals.take("inreceptacle", {kAny, place})) {
      Term second = (*other)[0], second_type = 0;
      bool differ = literals.take("=", {thing, second}, true) || literals.take("=", {second, thing}, true);
      if (!differ || !ranges_over(second, "object") || !is_of(second, "objecttype", second_type) || second_type != type) return false;
      if (task.is_sliced && !is_sliced(second)) return false;
      task.kind = TaskKind::kPickTwo;
      return literals.is_done();
    }
    constexpr std::tuple<const char*, const char*, TaskKind> kTreatments[] = {
        {"cleanable", "isclean", TaskKind::kClean}, {"heatable", "ishot", TaskKind::kHeat}, {"coolable", "iscool", TaskKind::kCool}};
    for (auto [can, is, kind] : kTreatments) {
      if (!literals.take(is, {thing})) continue;
      if (!literals.take(can, {thing})) return false;
      task.kind = kind;
      break;
    }
    return literals.is_done();
  }
};

}  // namespace

Task read_task(const World& world, const pddl::Domain& domain, const pddl::Problem& problem, const RoomIndex& index, const Room& room) {
  Scope scope;
  std::vector<Conjunction> alternatives = normalized(world, problem.goal, scope);
  if (alternatives.size() != 1) return {};
  TaskReader look{world, scope, {domain, alternatives[0].literals}}, place{world, scope, {domain, alternatives[0].literals}};
  bool is_look = look.read_look();
  if (!is_look && !place.read_place()) return {};
  TaskReader& found = is_look ? look : place;
  Task& task = found.task;
  auto type_name = [&](Term type) { return without_type(problem.objects[static_cast<size_t>(type)].name); };
  task.object = type_name(found.type);
  if (is_look) task.lamp = type_name(found.lamp_type);
  else task.receptacle = type_name(found.place_type);
  Facts facts(problem);
  facts.each("objecttype", [&](const auto& arguments) {
    uint16_t o = index.object[arguments[0]];
    if (o == kNone) return;
    const Object& object = room.objects[o];
    bool can_be_treated = (task.kind != TaskKind::kClean || object.is_cleanable) && (task.kind != TaskKind::kHeat || object.is_heatable) &&
                          (task.kind != TaskKind::kCool || object.is_coolable) && (!task.is_sliced || object.is_sliceable);
    if (arguments[1] == static_cast<uint16_t>(found.type) && can_be_treated) task.targets.push_back(o);
    if (is_look && arguments[1] == static_cast<uint16_t>(found.lamp_type) && object.is_toggleable) task.lamps.push_back(o);
  });
  if (!is_look)
    facts.each("receptacletype", [&](const auto& arguments) {
      if (arguments[1] == static_cast<uint16_t>(found.place_type) && index.receptacle[arguments[0]] != kNone)
        task.places.push_back(index.receptacle[arguments[0]]);
    });
  for (auto* list : {&task.targets, &task.places, &task.lamps}) std::sort(list->begin(), list->end());
  return task;
}

}  // namespace vldac::alfworld

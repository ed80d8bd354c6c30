#include "envs/alfworld/known.h"

#include <cstdio>
#include <span>

namespace vldac::alfworld {
namespace {

enum Variant : uint8_t { kPlain = 0, kPutsInOn = 1, kArrivesAtLocation = 2, kExaminesInPlace = 4 };

struct Part {
  const char* name;
  uint64_t digest;
  uint8_t variant = kPlain;
};

constexpr uint64_t kTypes = 0x1e9b8685e7d559f6;
// A name comes once for each of its known forms.
constexpr Part kActions[] = {
    {"cleanobject", 0x04ac5e9a424a8ec3},
    {"cleanobject", 0x06877b8eb2060786},
    {"closeobject", 0x8add3b66caf8d50c},
    {"coolobject", 0xa732dbfa13ec57d4},
    {"examineobject", 0x996af1d806c61a27},
    {"examineobject", 0xfd48f198321b39a9, kExaminesInPlace},
    {"examinereceptacle", 0x0ef46bec521cef5c},
    {"gotolocation", 0x40af49b70c92e5e0},
    {"heatobject", 0xb55e15763ac3aa6c},
    {"help", 0x50f9b06fdcc9d6f0},
    {"inventory", 0xc259b36e191374fb},
    {"look", 0x0bad5d9e1a9e0b88},
    {"openobject", 0x5a6eb05a76e0e14c},
    {"pickupobject", 0x401d7ed01f452f07},
    {"putobject", 0x5533fa25d3386545},
    {"sliceobject", 0x3125dbc76c1e1acd},
    {"toggleobject", 0x5f157888e2ed8141},
};
// How actions are said.
constexpr Part kWords[] = {
    {"cleanobject", 0xa1459320a87ca987},
    {"closeobject", 0xe56f18e9c50abcb4},
    {"coolobject", 0x74a626b68e47c5b1},
    {"examineobject", 0x92c2c29ad15faf84},
    {"examinereceptacle", 0x9e8c6484b768b5e3},
    {"gotolocation", 0x1ecf346d97cb3018},
    {"heatobject", 0x51d3f1dcc58d12c4},
    {"inventory", 0xae2c4c20ab7b40b7},
    {"look", 0x0a0e47c6bd6fb68c},
    {"openobject", 0xbc2bbdf632523800},
    {"pickupobject", 0x4f74e48dd71dd8a9},
    {"putobject", 0x5d3bb94c857e72ae, kPutsInOn},
    {"putobject", 0x86a40303ebe50014},
    {"sliceobject", 0x51a51493c09252cf},
    {"toggleobject", 0x217735b69233d950},
};
// The rules of the grammar that those actions reach.
constexpr Part kSymbols[] = {
    {"CloseObject.feedback", 0xf06328afd58ab571},
    {"GotoLocation.feedback", 0x11bb7008db71b7d5, kArrivesAtLocation},
    {"GotoLocation.feedback", 0x28eddd4d0f955e8c},
    {"OpenObject.feedback", 0x6d280ae7f65fe04e},
    {"PickupObject.feedback", 0x25d3864304c58bed},
    {"PutObject.feedback", 0xd87e5ef305e23014},
    {"PutObject.feedback", 0xfbb32aa967c5ee4e, kPutsInOn},
    {"cleanObject.feedback", 0x9935a4ded92838eb},
    {"coolObject.feedback", 0xe820f15e5a6248c1},
    {"examineObject.feedback", 0x98c8ee8b171bc760},
    {"examineReceptacle.feedback", 0x66cbccea14b342fe},
    {"heatObject.feedback", 0x8870260b9cc01443},
    {"intro", 0x5f089c6ee714e697},
    {"inventory.feedback", 0x5186f1adc964d4ad},
    {"list_appliances", 0xa91c9fee49d1c280},
    {"list_empty", 0x9a5c59b8ca41f97c},
    {"list_last_separator", 0x7f9e60b274d02755},
    {"list_objects_on_the_floor", 0x1d58c2ec751b3c04},
    {"list_separator", 0xa5137ef12da597a1},
    {"look-variations", 0x53f834f09cee9781},
    {"look.feedback", 0xed2b68fad87e6f72},
    {"overview(o)", 0x895804216023b9c9},
    {"overview(r)", 0x8ef7dd6a1e1bccfc},
    {"sliceObject.feedback", 0x9c664b7f2a08f678},
    {"toggleObject.feedback", 0x4a2769e84aa6d42a},
};

// FNV-1a.
uint64_t digest(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

std::string types_of(const pddl::Domain& domain) {
  std::string out;
  for (const pddl::Type& type : domain.types) out += type.name + " - " + type.parent + ' ';
  return out;
}

const Part* find(std::span<const Part> parts, std::string_view name, uint64_t its) {
  for (const Part& part : parts)
    if (part.name == name && part.digest == its) return &part;
  return nullptr;
}

// What pieces say that only have literal text, directly or through one symbol after another; false for others.
bool literal(const Grammar& grammar, const Pieces& pieces, int depth, std::string& out) {
  if (depth > 8) return false;
  for (const Piece& piece : pieces) {
    if (piece.is_list || piece.has_query || piece.kind == Piece::Kind::kValue) return false;
    if (piece.kind == Piece::Kind::kText) {
      out += piece.text;
      continue;
    }
    const GrammarSymbol& symbol = grammar.symbols()[piece.symbol];
    if (symbol.rules[0].has_condition || !literal(grammar, symbol.rules[0].pieces, depth + 1, out)) return false;
  }
  return true;
}

}  // namespace

std::string literal_text(const Grammar& grammar, const std::vector<GrammarRule>& rules) {
  std::string out;
  if (rules.empty() || rules[0].has_condition || !literal(grammar, rules[0].pieces, 0, out)) return "";
  return out;
}

Form recognise(const pddl::Domain& domain, const Grammar& grammar) {
  Form form;
  auto no = [&](const std::string& why) {
    form.is_known = false;
    form.why_not = why;
    return form;
  };
  uint8_t variants = 0;
  if (digest(types_of(domain)) != kTypes) return no("its domain has other types");
  for (const Part& part : kActions) {
    bool is_there = false;
    for (const pddl::Action& action : domain.actions) is_there = is_there || action.name == part.name;
    if (!is_there && std::string_view(part.name) != "help") return no(std::string("its domain has no action '") + part.name + "'");
  }
  for (const pddl::Action& action : domain.actions) {
    const Part* part = find(kActions, action.name, digest(canonical(action, domain)));
    if (!part) return no("its domain has another action '" + action.name + "'");
    variants |= part->variant;
    const ActionWords* words = grammar.find_action(action.name);
    if (!words) return no("its grammar has no action '" + action.name + "'");
    if (action.name == "help") {
      form.has_help = true;
      std::string command;
      if (!literal(grammar, words->command, 0, command) || command != "help" || !literal(grammar, words->feedback, 0, form.help_text))
        return no("its grammar has another action 'help'");
      continue;
    }
    const Part* known = find(kWords, action.name, digest(grammar.canonical(*words)));
    if (!known) return no("its grammar has another action '" + action.name + "'");
    variants |= known->variant;
  }
  for (const Part& part : kSymbols) {
    uint32_t index = grammar.find_symbol(part.name);
    if (index == Grammar::kNoSymbol) return no(std::string("its grammar has no #") + part.name + "#");
    const Part* known = find(kSymbols, part.name, digest(grammar.canonical(grammar.symbols()[index])));
    if (!known) return no(std::string("its grammar has another #") + part.name + "#");
    variants |= known->variant;
  }
  form.puts_in_on = variants & kPutsInOn;
  form.arrives_at_location = variants & kArrivesAtLocation;
  form.examines_in_place = variants & kExaminesInPlace;
  // The two halves of the old wording come from two places that need not agree.
  const ActionWords* put = grammar.find_action("putobject");
  const Part* command = find(kWords, "putobject", digest(grammar.canonical(*put)));
  const Part* feedback = find(kSymbols, "PutObject.feedback",
                              digest(grammar.canonical(grammar.symbols()[grammar.find_symbol("PutObject.feedback")])));
  if (command->variant != feedback->variant) return no("its grammar puts in one wording and answers in the other");
  form.is_known = true;
  return form;
}

std::string form_digests(const pddl::Domain& domain, const Grammar& grammar) {
  std::string out;
  auto line = [&](const char* what, const std::string& name, uint64_t value) {
    char number[32];
    std::snprintf(number, sizeof number, "0x%016llx", static_cast<unsigned long long>(value));
    out += std::string(what) + ' ' + name + ' ' + number + '\n';
  };
  line("types", "-", digest(types_of(domain)));
  for (const pddl::Action& action : domain.actions) {
    line("action", action.name, digest(canonical(action, domain)));
    if (const ActionWords* words = grammar.find_action(action.name)) line("words", action.name, digest(grammar.canonical(*words)));
  }
  for (const GrammarSymbol& symbol : grammar.symbols()) line("symbol", symbol.name, digest(grammar.canonical(symbol)));
  return out;
}

}  // namespace vldac::alfworld

// Which domains and grammars the fast path knows: those of ALFWorld 2.1.1 ("put X in/on Y"), 2.1.2 and the package ("move X to Y").
// They are compared as they are parsed, action by action and rule by rule; the task's sentence and the text of help are free.
#pragma once

#include <cstdint>
#include <string>

#include "envs/alfworld/grammar.h"
#include "envs/alfworld/pddl.h"

namespace vldac::alfworld {

struct Form {
  bool is_known = false;
  std::string why_not;             // where it is not known
  bool has_help = false;
  bool puts_in_on = false;         // "put X in/on Y", else "move X to Y"
  bool arrives_at_location = false;  // "You arrive at loc 7.", else at the receptacle
  bool examines_in_place = false;  // objects in open receptacles, too: the domain without the comma of behaviour 6
  std::string help_text;
};

// What a symbol's rules say if that is literal text whatever the state; else empty.
std::string literal_text(const Grammar& grammar, const std::vector<GrammarRule>& rules);

Form recognise(const pddl::Domain& domain, const Grammar& grammar);

// For those who add a form: "domain NAME 0x..." and "grammar NAME 0x..." of every part, one a line.
std::string form_digests(const pddl::Domain& domain, const Grammar& grammar);

}  // namespace vldac::alfworld

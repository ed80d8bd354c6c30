// Where an action stands in a response, per form of response. Each reader passes over the text a fixed number of times,
// without recursion or heap memory.
#pragma once

#include "core/parse/listener.h"
#include "core/parse/scan.h"

namespace vldac::parse {

constexpr int kMaxDepth = 64;

enum class ValueKind : uint8_t { kAbsent, kString, kNumber, kOther };

// The value of "action". raw: what is between the quotes, or the number's text.
struct Value {
  ValueKind kind = ValueKind::kAbsent;
  std::string_view raw;
};

// A whole text of RFC 8259 JSON: the last top-level "action". False if it is none, or nested deeper than kMaxDepth.
bool read_json(Cursor& in, Value& action);

// A whole text that is one Python literal, as VL-DAC's code evaluates it: the action of its "action", kNone, or kAbsent if it is a
// literal without one. False if it is no literal.
constexpr int64_t kAbsent = -3;
bool read_python(Cursor& in, Listener& names, int64_t& action);

// RL4VLM's rule, see action_parse.h. has_key: `"action":` occurs.
int64_t read_rl4vlm(Cursor& in, Listener& names, bool& has_key);

// The last object of any text, damaged ones included, that has an "action"; without one the last place that looks like it.
// The action, kNone or kTwo; or kAbsent.
int64_t read_tolerant(Cursor& in, Listener& names);

// What a value names, taken loosely (ActionNames::loose; a number may be written 2.0).
int64_t loose_action(const Value& value, Listener& names);

// The whole number that a JSON or Python decimal stands for ("2", "-0", "2.0", "2e0"), if it is one and at most 64 characters long.
bool whole_number(std::string_view text, int64_t& value);

}  // namespace vldac::parse

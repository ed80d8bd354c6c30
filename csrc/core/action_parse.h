// The action in a response, which is untrusted text. Nothing is evaluated; time is linear in the length; no recursion, no heap
// memory. Safe to call from any number of threads.
//
// Modes:
// - kTolerant: JSON as below; else the last object in the text that has an "action" key, however damaged (text or code fences
//   around it, single quotes, unquoted keys, trailing commas, a missing end); else the last `action:` in the text. Names match
//   regardless of case and by synonym (ActionNames::loose).
// - kVldac: the whole text is one Python literal, a dict, as VL-DAC's original code evaluates it. A string must be the name, byte
//   for byte; an integer is its digits; other values name nothing. Where actions are indices: an integer, a float that is
//   whole, True (1), False (0), or a string that Python's int() reads. Not read, though Python would: expressions (set() too),
//   f-strings, \N{...}, digits of other scripts.
// - kRl4vlm: in lower case, from the first `"action":` to the end (without one: the last character alone), exactly one action's
//   name occurs. "10" counts first and is taken out. Of commands (ActionNames::finds_inside)
//   the longest that occurs counts.
// - kJson: the whole text is one RFC 8259 object in UTF-8; its last top-level "action" is a name (white space around it aside) or
//   an integer that is a name's digits (an index, where actions are).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/parse/listener.h"

namespace vldac {

enum class ParseMode : uint8_t { kTolerant, kVldac, kRl4vlm, kJson };

enum class ParseStatus : uint8_t {
  kOk,             // the form that the mode asks for (kTolerant: JSON as kJson reads it), and a known action
  kTolerant,       // a known action all the same
  kNoAction,       // no "action"
  kUnknownAction,  // an "action" that is no name
  kTooLong,        // more than kMaxResponseBytes
  kMalformed,      // not the form that the mode asks for, or nested deeper than 64
  kAmbiguous,      // an "action" that names two
};

struct ParsedAction {
  int64_t action = -1;  // index into the names, or -1
  ParseStatus status = ParseStatus::kNoAction;
  size_t work = 0;  // bytes looked at, rereads included
};

constexpr size_t kMaxResponseBytes = 65536;

// No text is looked at more often than this: `work` is at most max_passes * (size + 16). JSON: UTF-8, reading, decoding what names
// the action, and the byte that ends a token twice. The others add their own scan, or the search for each name.
constexpr size_t max_passes(ParseMode mode, size_t num_names) {
  return mode == ParseMode::kJson ? 4 : mode == ParseMode::kVldac ? 8 : mode == ParseMode::kTolerant ? 9 : 4 + num_names;
}

// "tolerant", "vldac", "rl4vlm", "json"; throws std::invalid_argument for others.
ParseMode parse_mode(std::string_view name);

ParsedAction parse_action(std::string_view text, const ActionNames& names, ParseMode mode = ParseMode::kTolerant);
// The same; where the action is a form, names.said() is what was said.
ParsedAction parse_action(std::string_view text, Listener& names, ParseMode mode);

// action and status have `count` places.
void parse_actions(const std::string_view* texts, size_t count, const ActionNames& names, ParseMode mode, int64_t* action,
                   uint8_t* status);

}  // namespace vldac

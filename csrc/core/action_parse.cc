#include "core/action_parse.h"

#include <stdexcept>
#include <string>

#include "core/parse/readers.h"

namespace vldac {
namespace {

using parse::Cursor, parse::Value, parse::ValueKind;

ParsedAction outcome(int64_t action, ParseStatus if_known) {
  if (action >= 0) return {action, if_known};
  if (action == ActionNames::kTwo) return {-1, ParseStatus::kAmbiguous};
  return {-1, action == parse::kAbsent ? ParseStatus::kNoAction : ParseStatus::kUnknownAction};
}

int64_t json_action(const Value& value, Listener& names) {
  if (value.kind == ValueKind::kAbsent) return parse::kAbsent;
  int64_t number;
  if (value.kind == ValueKind::kNumber) {
    bool is_integer = value.raw.find_first_of(".eE") == std::string_view::npos;
    return is_integer && parse::whole_number(value.raw, number) ? names.number(number) : ActionNames::kNone;
  }
  if (value.kind != ValueKind::kString) return ActionNames::kNone;
  parse::Word word;
  parse::decode_json(value.raw, word);
  return word.is_whole() ? names.plain(word.view()) : ActionNames::kNone;
}

ParsedAction json(Cursor& in, Listener& names) {
  Value value;
  if (!parse::read_json(in, value)) return {-1, ParseStatus::kMalformed};
  return outcome(json_action(value, names), ParseStatus::kOk);
}

ParsedAction vldac_literal(Cursor& in, Listener& names) {
  int64_t action;
  if (!parse::read_python(in, names, action)) return {-1, ParseStatus::kMalformed};
  return outcome(action, ParseStatus::kOk);
}

ParsedAction rl4vlm(Cursor& in, Listener& names) {
  bool has_key;
  int64_t action = parse::read_rl4vlm(in, names, has_key);
  if (action == ActionNames::kNone && !has_key) action = parse::kAbsent;
  return outcome(action, has_key ? ParseStatus::kOk : ParseStatus::kTolerant);
}

ParsedAction tolerant(Cursor& in, Listener& names) {
  Value value;
  bool is_json = parse::read_json(in, value);
  if (is_json) {
    int64_t action = json_action(value, names);
    if (action >= 0) return {action, ParseStatus::kOk};
  }
  in.at = 0;
  // A whole JSON object says what its action is; only a container there may hold an object with an action of its own.
  if (is_json && (value.kind == ValueKind::kString || value.kind == ValueKind::kNumber))
    return outcome(parse::loose_action(value, names), ParseStatus::kTolerant);
  int64_t action = parse::read_tolerant(in, names);
  if (action == parse::kAbsent && is_json && value.kind != ValueKind::kAbsent) action = ActionNames::kNone;
  return outcome(action, ParseStatus::kTolerant);
}

}  // namespace

ParseMode parse_mode(std::string_view name) {
  if (name == "tolerant") return ParseMode::kTolerant;
  if (name == "vldac") return ParseMode::kVldac;
  if (name == "rl4vlm") return ParseMode::kRl4vlm;
  if (name == "json") return ParseMode::kJson;
  throw std::invalid_argument("unknown parse mode " + std::string(name) + ": tolerant, vldac, rl4vlm or json");
}

ParsedAction parse_action(std::string_view text, const ActionNames& names, ParseMode mode) {
  Listener listener(names);
  return parse_action(text, listener, mode);
}

ParsedAction parse_action(std::string_view text, Listener& names, ParseMode mode) {
  if (text.size() > kMaxResponseBytes) return {-1, ParseStatus::kTooLong};
  Cursor in{text};
  ParsedAction parsed;
  switch (mode) {
    case ParseMode::kTolerant: parsed = tolerant(in, names); break;
    case ParseMode::kVldac: parsed = vldac_literal(in, names); break;
    case ParseMode::kRl4vlm: parsed = rl4vlm(in, names); break;
    case ParseMode::kJson: parsed = json(in, names); break;
  }
  parsed.work = in.work;
  return parsed;
}

void parse_actions(const std::string_view* texts, size_t count, const ActionNames& names, ParseMode mode, int64_t* action,
                   uint8_t* status) {
  for (size_t i = 0; i < count; ++i) {
    ParsedAction parsed = parse_action(texts[i], names, mode);
    action[i] = parsed.action;
    status[i] = static_cast<uint8_t>(parsed.status);
  }
}

}  // namespace vldac

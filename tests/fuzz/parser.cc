// Fuzzing of reading responses: any bytes, all modes, three tables of actions. Beside what the sanitizers see, the readers must agree.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/action_parse.h"

#define REQUIRE(condition)                                               \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    std::abort();                                                        \
  }

using namespace vldac;

static const ActionNames kTables[] = {
    ActionNames({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "-", "*", "/", "(", ")", "="}),
    ActionNames({"stand", "hit"}, {{"stick", 0}, {"another card", 1}}),
    ActionNames({"turn_left", "turn_right", "move_forward", "move_back"}, {{"left", 0}, {"forward", 2}, {"go straight", 2}}, true),
    ActionNames({"search[<words>]", "click[Buy Now]", "click[red]", "look"}, {}, false, true),
};

static bool has_action(const ParsedAction& parsed) {
  return parsed.status == ParseStatus::kOk || parsed.status == ParseStatus::kTolerant;
}

static void check(std::string_view text, const ActionNames& names) {
  ParsedAction result[4];
  for (ParseMode mode : {ParseMode::kTolerant, ParseMode::kVldac, ParseMode::kRl4vlm, ParseMode::kJson}) {
    auto i = static_cast<size_t>(mode);
    ParsedAction& parsed = result[i] = parse_action(text, names, mode);
    REQUIRE(has_action(parsed) ? parsed.action >= 0 && parsed.action < static_cast<int64_t>(names.size()) : parsed.action == -1);
    REQUIRE((parsed.status == ParseStatus::kTooLong) == (text.size() > kMaxResponseBytes));
    REQUIRE(parsed.work <= max_passes(mode, names.size()) * (text.size() + 16));
    int64_t action;
    uint8_t status;
    parse_actions(&text, 1, names, mode, &action, &status);
    REQUIRE(action == parsed.action && status == static_cast<uint8_t>(parsed.status));
  }
  const ParsedAction &tolerant = result[0], &json = result[3];
  REQUIRE((json.status == ParseStatus::kOk) == (tolerant.status == ParseStatus::kOk));
  REQUIRE(json.status != ParseStatus::kOk || json.action == tolerant.action);
  REQUIRE(json.status != ParseStatus::kTolerant && json.status != ParseStatus::kAmbiguous);
  REQUIRE(tolerant.status != ParseStatus::kMalformed);
  // White space around a text changes nothing where JSON is read, and an object in a list is the same object to the tolerant mode.
  if (has_action(tolerant) && text.size() + 4 < kMaxResponseBytes) {
    std::string padded = " \n" + std::string(text) + "\n ";
    REQUIRE(parse_action(padded, names, ParseMode::kJson).action == json.action);
    REQUIRE(parse_action(padded, names).action == tolerant.action);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // An exact copy, so that a read outside is seen.
  std::vector<char> text(data, data + size);
  for (const ActionNames& names : kTables) check({text.data(), text.size()}, names);
  return 0;
}

// Tests of reading responses; run under sanitizers by .ci/sanitize.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/action_parse.h"

#define CHECK(condition)                                                    \
  if (!(condition)) {                                                       \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
    std::exit(1);                                                           \
  }

static size_t allocations = 0;
void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace vldac;

static const ParseMode kModes[] = {ParseMode::kTolerant, ParseMode::kVldac, ParseMode::kRl4vlm, ParseMode::kJson};
static const ActionNames kCards({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "-", "*", "/", "(", ")", "="});
static const ActionNames kMaze({"turn_left", "turn_right", "move_forward", "move_back"},
                               {{"left", 0}, {"right", 1}, {"go straight", 2}, {"forward", 2}}, true);

static bool is(const ParsedAction& parsed, int64_t action, ParseStatus status) {
  return parsed.action == action && parsed.status == status;
}

static std::string repeated(const std::string& part, size_t size) {
  std::string text;
  while (text.size() + part.size() <= size) text += part;
  return text;
}

static void no_prefix_or_slice_of_a_text_is_read_outside() {
  const std::string texts[] = {
      "{\"a\": [1, {\"action\": \"+\"}], \"action\": \"-\", \"b\": \"\\\"\\u00e9\\ud83d\\ude00\"} action: 10",
      " {'a': (1, [2], {3}), \"\"\"action\"\"\": r'\\x' 'hi' b'\\x41', # c\n 0x1: -1_0.5e-3, True: None}\\\n",
      "```json\n{thoughts: 'I don't know', \"action\": '2: move forward',}\n``` **Action**: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
  };
  for (const auto& text : texts)
    for (size_t start = 0; start < text.size(); ++start)
      for (size_t size = 0; size <= text.size() - start; ++size) {
        std::vector<char> exact(text.begin() + static_cast<long>(start), text.begin() + static_cast<long>(start + size));
        for (ParseMode mode : kModes)
          for (const ActionNames* names : {&kCards, &kMaze}) {
            auto parsed = parse_action(std::string_view(exact.data(), exact.size()), *names, mode);
            CHECK((parsed.action >= 0) == (parsed.status == ParseStatus::kOk || parsed.status == ParseStatus::kTolerant));
            CHECK(parsed.action < static_cast<int64_t>(names->size()));
          }
      }
}

// What is looked at never exceeds a fixed multiple of the text, for texts made to be read again and again.
static void work_is_linear_in_the_length() {
  const std::string parts[] = {
      "{", "[", "\"", "'", "\\", "\\\"", "\"\"\"", "' ", "\" ", "action", "action ", "\"action\"", "action:", "\"action\": ",
      "{\"action\":", "{action:", "action:\"", "'action':'", "{'a':'", "{\"action\": \"1", "10", "\"10\"", "* ", "action*", "# ", "\n",
      "{} ", "{}{", "[{", "{[", "{\"a\":", "{'a':(", ",", ":", "a\"", "r'", "b'x' ", "'x' ", "'x'\n", "u'", "- ", "0_", "1_", "0x", ".",
      "e", "True", "\xc3\xa9", "\xc3", " or ", ".,", "]}", "}",
  };
  for (const auto& first : parts)
    for (const auto& second : parts)
      for (const auto& open : {std::string(), std::string("{"), std::string("{\"action\": "), std::string("{'action': '")}) {
        std::string text = open + repeated(first + second, 8192);
        for (ParseMode mode : kModes) {
          CHECK(parse_action(text, kCards, mode).work <= max_passes(mode, kCards.size()) * (text.size() + 16));
        }
      }
}

static void parsing_allocates_nothing() {
  const std::string texts[] = {
      "{\"thoughts\": \"The card is a ten\", \"action\": \"10\"}", "{'action': ('1' '0')}", "Action: 10", "{\"action\": \"move on\"",
      repeated("{\"action\": [", kMaxResponseBytes), repeated("\"action\": \"10\" ", kMaxResponseBytes), repeated("a", 70000),
  };
  size_t before = allocations;
  for (const auto& text : texts)
    for (ParseMode mode : kModes) parse_action(text, kCards, mode);
  std::string_view views[2] = {texts[0], texts[1]};
  int64_t action[2];
  uint8_t status[2];
  parse_actions(views, 2, kCards, ParseMode::kTolerant, action, status);
  CHECK(allocations == before);
  CHECK(action[0] == 9 && status[0] == static_cast<uint8_t>(ParseStatus::kOk));
}

static void bytes_that_are_no_utf8_are_malformed_where_the_form_is_strict() {
  for (const char* bad : {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    std::string text = std::string("{\"x\": \"") + bad + "\", \"action\": \"+\"}";
    CHECK(is(parse_action(text, kCards, ParseMode::kJson), -1, ParseStatus::kMalformed));
    CHECK(is(parse_action(text, kCards, ParseMode::kVldac), -1, ParseStatus::kMalformed));
    CHECK(is(parse_action(text, kCards, ParseMode::kTolerant), 10, ParseStatus::kTolerant));
    CHECK(is(parse_action(text, kCards, ParseMode::kRl4vlm), 10, ParseStatus::kOk));
  }
}

static void limits_hold_on_both_sides() {
  for (size_t depth : {size_t{63}, size_t{64}}) {
    std::string text = "{\"x\": " + std::string(depth, '[') + std::string(depth, ']') + ", \"action\": 10}";
    auto status = depth == 63 ? ParseStatus::kOk : ParseStatus::kMalformed;
    CHECK(parse_action(text, kCards, ParseMode::kJson).status == status);
    CHECK(parse_action(text, kCards, ParseMode::kVldac).status == status);
  }
  std::string fits = "{\"action\": \"+\"}" + std::string(kMaxResponseBytes - 15, ' ');
  for (ParseMode mode : kModes) {
    CHECK(parse_action(fits, kCards, mode).action == 10);
    CHECK(is(parse_action(fits + " ", kCards, mode), -1, ParseStatus::kTooLong));
  }
}

static void what_is_said_in_a_form_is_kept() {
  const ActionNames shop({"search[<words>]", "click[Buy Now]", "click[red]"}, {}, false, true);
  auto heard = [&](std::string_view text, ParseMode mode) {
    Listener listener(shop);
    ParsedAction parsed = parse_action(text, listener, mode);
    return std::to_string(parsed.action) + std::string(listener.said());
  };
  const std::string says = "{\"action\": \"search[red mug]\"}";
  for (ParseMode mode : kModes) {
    size_t before = allocations;
    Listener listener(shop);
    CHECK(parse_action(says, listener, mode).action == 0 && listener.said() == "search[red mug]");
    CHECK(allocations == before);
    CHECK(heard("{\"action\": \"click[red]\"}", mode) == "2");
    CHECK(heard("{\"action\": \"search[\"}", mode) == "-1" && heard("{\"action\": \"search[]\"}", mode) == "-1");
    CHECK(parse_action("{\"action\": \"search[" + std::string(2000, 'x') + "]\"}", shop, mode).action == -1);
  }
  CHECK(heard("{\"action\": \"Search[a ]b]\"}", ParseMode::kTolerant) == "0Search[a ]b]");
  CHECK(heard("{\"action\": \"I go for search[T-shirt, \\u00e9] now\"}", ParseMode::kTolerant) == "0search[T-shirt, \xc3\xa9]");
  CHECK(heard("action: search[red, mug]", ParseMode::kTolerant) == "0search[red, mug]");
  CHECK(heard("{\"action\": \"research[red]\"}", ParseMode::kTolerant) == "-1");
  CHECK(heard("{\"action\": \"I click[red] now\"}", ParseMode::kTolerant) == "2");
  CHECK(heard("{\"action\": \"Search[a]\"}", ParseMode::kJson) == "-1");  // byte for byte there
}

static void unusable_names_are_refused() {
  auto refused = [](const std::vector<std::string>& names, const Synonyms& synonyms) {
    try {
      ActionNames(names, synonyms, false);
    } catch (const std::invalid_argument&) {
      return true;
    }
    return false;
  };
  CHECK(refused({"a", "a"}, {}));
  CHECK(refused({"a", " "}, {}));
  CHECK(refused({std::string(1025, 'a')}, {}));
  CHECK(refused({"a", "b"}, {{"x", 0}, {"X", 1}}));
  CHECK(refused({"a", "b"}, {{"A", 1}}));
  CHECK(refused({"a", "b"}, {{"x", 2}}));
  CHECK(!refused({"a", "b"}, {{"x", 0}, {"X ", 0}, {"A", 0}}));
}

int main() {
  no_prefix_or_slice_of_a_text_is_read_outside();
  work_is_linear_in_the_length();
  parsing_allocates_nothing();
  bytes_that_are_no_utf8_are_malformed_where_the_form_is_strict();
  limits_hold_on_both_sides();
  what_is_said_in_a_form_is_kept();
  unusable_names_are_refused();
  std::puts("parse tests passed");
}

// The action in a response, which is untrusted text. Nothing is evaluated; time is linear in the length, nothing recurses.
// Strict first: the whole text is one JSON object and its last top-level key "action" holds a string or number. Tolerant: the
// last place in the text where a quoted "action" (single or double quotes) is followed by a colon and a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vldac {

enum class ParseStatus : uint8_t { kOk, kTolerant, kNoAction, kUnknownAction, kTooLong };

struct ParsedAction {
  int64_t action = -1;  // index into the names, or -1
  ParseStatus status = ParseStatus::kNoAction;
};

constexpr size_t kMaxResponseBytes = 65536;
constexpr int kMaxDepth = 64;

ParsedAction parse_action(std::string_view text, const std::vector<std::string>& names);

}  // namespace vldac

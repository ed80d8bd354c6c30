// RL4VLM's rule on bytes: lower case is ASCII's (upstream's is Unicode's, which differs for no name of its games).
#include <array>

#include "core/action_parse.h"
#include "core/parse/readers.h"

namespace vldac::parse {
namespace {

constexpr std::string_view kKey = "\"action\":";

// Position of the first `"action":` in any case, or npos.
size_t find_key(Cursor& in) {
  std::string_view text = in.text;
  for (size_t at = text.find('"'); at != std::string_view::npos; at = text.find('"', at + 1)) {
    size_t same = 0;
    while (same < kKey.size() && at + same < text.size() && lower(text[at + same]) == kKey[same]) ++same;
    in.work += same;
    if (same == kKey.size()) return at;
  }
  return std::string_view::npos;
}

size_t last_character(std::string_view text) {
  size_t at = text.size();
  while (at > 0 && (static_cast<unsigned char>(text[--at]) & 0xC0) == 0x80) {
  }
  return at;
}

}  // namespace

int64_t read_rl4vlm(Cursor& in, Listener& names, bool& has_key) {
  size_t start = find_key(in);
  has_key = start != std::string_view::npos;
  std::string_view rest = in.text.substr(has_key ? start : last_character(in.text));
  // "10" first: it counts, and is then taken out, so that it is no "1".
  int64_t ten = names.exact("10"), action = ActionNames::kNone;
  std::array<char, kMaxResponseBytes> kept;
  size_t size = 0;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (ten != ActionNames::kNone && rest.substr(i, 2) == "10") {
      action = ten;
      ++i;
    } else {
      kept[size++] = lower(rest[i]);
    }
  }
  in.work += in.text.size() + rest.size();
  std::string_view left(kept.data(), size);
  if (names.finds_inside()) return names.longest(left, in.work);
  for (size_t i = 0; i < names.names().size(); ++i) {
    in.work += left.size();
    if (left.find(names.names().lower_case(i)) == std::string_view::npos) continue;
    auto one = static_cast<int64_t>(i);
    action = action == ActionNames::kNone || action == one ? one : ActionNames::kTwo;
  }
  return action;
}

}  // namespace vldac::parse

#include "core/parse/listener.h"

namespace vldac {
namespace {

using parse::is_digit, parse::is_letter, parse::lower, parse::trimmed;

bool starts(std::string_view text, std::string_view with, bool in_any_case) {
  if (text.size() < with.size()) return false;
  for (size_t i = 0; i < with.size(); ++i)
    if (in_any_case ? lower(text[i]) != lower(with[i]) : text[i] != with[i]) return false;
  return true;
}

bool is_part(char c) { return is_letter(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80; }

}  // namespace

int64_t Listener::form(std::string_view name, bool in_any_case) {
  if (name.size() > parse::Word::kMaxBytes) return ActionNames::kNone;
  for (const ActionNames::OpenName& open : names_.open_names()) {
    if (name.size() <= open.before.size() + open.after.size() || !starts(name, open.before, in_any_case) || !name.ends_with(open.after)) continue;
    said_ = {};
    said_ += name;
    return open.action;
  }
  return ActionNames::kNone;
}

// From the first place where a form begins, at the beginning of a word, to the last that ends it.
int64_t Listener::inside(std::string_view text, size_t& work) {
  for (const ActionNames::OpenName& open : names_.open_names()) {
    work += text.size();
    size_t end = open.after.empty() ? text.size() : text.rfind(open.after);
    if (end == std::string_view::npos) continue;
    for (size_t at = 0; at + open.before.size() < end; ++at) {
      if ((at > 0 && is_part(text[at - 1])) || !starts(text.substr(at), open.before, true)) continue;
      return form(text.substr(at, end + open.after.size() - at), true);
    }
  }
  return ActionNames::kNone;
}

int64_t Listener::loosely(std::string_view name, int64_t (ActionNames::*read)(std::string_view) const) {
  if (!names_.open_names().empty()) {
    std::string_view inner = trimmed(name);
    int64_t action = form(inner, true);
    size_t work = 0;
    if (action == ActionNames::kNone && names_.finds_inside() && names_.exact(inner) == ActionNames::kNone && inner.size() <= parse::Word::kMaxBytes)
      action = inside(inner, work);
    if (action != ActionNames::kNone) return action;
  }
  return heard((names_.*read)(name));
}

}  // namespace vldac

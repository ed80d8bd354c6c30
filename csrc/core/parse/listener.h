// The names of actions as one response is read against them. It also knows forms (core/forms.h), of which it keeps what was said:
// ActionNames is shared by threads, a Listener belongs to one response.
#pragma once

#include "core/parse/names.h"
#include "core/parse/scan.h"
#include "core/text.h"

namespace vldac {

class Listener {
 public:
  explicit Listener(const ActionNames& names) : names_(names) {}

  const ActionNames& names() const { return names_; }
  // What was said of a form, as it was said; empty where the action found last is none.
  std::string_view said() const { return said_; }

  bool accepts_index() const { return names_.accepts_index(); }
  bool finds_inside() const { return names_.finds_inside(); }
  int64_t index(int64_t value) const { return names_.index(value); }
  int64_t number(int64_t value) { return heard(names_.number(value)); }
  // As ActionNames'; forms are taken whole, byte for byte but for their words.
  int64_t exact(std::string_view name) {
    int64_t action = form(name, false);
    return action == ActionNames::kNone ? heard(names_.exact(name)) : action;
  }
  int64_t plain(std::string_view name) {
    int64_t action = form(name, false);
    return action == ActionNames::kNone ? heard(names_.plain(name)) : action;
  }
  // Forms in any case, and, where names are found inside, within other text: they count before other names there.
  int64_t loose(std::string_view name) { return loosely(name, &ActionNames::loose); }
  int64_t unfinished(std::string_view name) { return loosely(name, &ActionNames::unfinished); }
  int64_t longest(std::string_view text, size_t& work) {
    int64_t action = inside(text, work);
    return action == ActionNames::kNone ? heard(names_.longest(text, work)) : action;
  }

 private:
  int64_t heard(int64_t action) {
    said_ = {};
    return action;
  }
  int64_t loosely(std::string_view name, int64_t (ActionNames::*read)(std::string_view) const);
  int64_t form(std::string_view name, bool in_any_case);
  int64_t inside(std::string_view text, size_t& work);

  const ActionNames& names_;
  FixedText<parse::Word::kMaxBytes> said_;
};

}  // namespace vldac

#include "core/parse/names.h"

#include <array>
#include <charconv>
#include <stdexcept>

#include "core/forms.h"
#include "core/parse/scan.h"

namespace vldac {
namespace {

using parse::is_digit, parse::is_letter, parse::is_space, parse::lower, parse::trimmed, parse::Word;

// A name as `loose` compares it: lower case, one space between words. "-" and "_" stay where there is no letter, so that
// operators keep apart.
class LooseForm {
 public:
  explicit LooseForm(std::string_view name) {
    bool has_letter = false;
    for (char c : name) has_letter = has_letter || is_letter(c);
    for (char c : trimmed(name)) {
      bool is_gap = is_space(c) || (has_letter && (c == '_' || c == '-'));
      if (size_ == bytes_.size() || (is_gap && size_ > 0 && bytes_[size_ - 1] == ' ')) continue;
      bytes_[size_++] = is_gap ? ' ' : lower(c);
    }
  }
  std::string_view view() const { return trimmed({bytes_.data(), size_}); }

 private:
  std::array<char, Word::kMaxBytes> bytes_;
  size_t size_ = 0;
};

bool is_number(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text)
    if (!is_digit(c)) return false;
  return true;
}

int64_t value_of(std::string_view digits) {
  int64_t value = -1;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() ? value : -1;
}

int64_t merged(int64_t one, int64_t other) {
  return one == ActionNames::kNone || one == other ? other : ActionNames::kTwo;
}

}  // namespace

ActionNames::ActionNames(std::vector<std::string> names, const Synonyms& synonyms, bool accepts_index, bool finds_inside)
    : names_(std::move(names)), accepts_index_(accepts_index), finds_inside_(finds_inside) {
  for (size_t i = 0; i < names_.size(); ++i) {
    if (exact(names_[i]) != static_cast<int64_t>(i))
      throw std::invalid_argument("two actions are named \"" + names_[i] + "\"");
    add_loose(names_[i], static_cast<int64_t>(i), false);
    lower_case_.push_back(names_[i]);
    for (char& c : lower_case_.back()) c = lower(c);
    if (auto form = form_of(names_[i])) open_names_.push_back({std::string(form->before), std::string(form->after), static_cast<int64_t>(i)});
  }
  for (const auto& [text, action] : synonyms) {
    if (index(action) == kNone)
      throw std::invalid_argument("the synonym \"" + text + "\" is of an action that is not there");
    add_loose(text, action, true);
  }
}

void ActionNames::add_loose(const std::string& name, int64_t action, bool is_synonym) {
  if (name.size() > Word::kMaxBytes) throw std::invalid_argument("a name of an action is longer than 1,024 bytes");
  LooseForm form(name);
  if (form.view().empty()) throw std::invalid_argument("a name of an action is empty");
  for (const auto& entry : loose_) {
    if (entry.text != form.view()) continue;
    if (entry.action == action) return;
    if (is_synonym)
      throw std::invalid_argument("the synonym \"" + name + "\" means both \"" +
                                  names_[static_cast<size_t>(entry.action)] + "\" and \"" +
                                  names_[static_cast<size_t>(action)] + "\"");
  }
  loose_.push_back({std::string(form.view()), action});
}

int64_t ActionNames::exact(std::string_view name) const {
  for (size_t i = 0; i < names_.size(); ++i)
    if (name == names_[i]) return static_cast<int64_t>(i);
  return kNone;
}

int64_t ActionNames::number(int64_t value) const {
  std::array<char, 24> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  int64_t action = exact({digits.data(), static_cast<size_t>(end - digits.data())});
  return action == kNone && accepts_index_ ? index(value) : action;
}

int64_t ActionNames::plain(std::string_view name) const {
  int64_t action = exact(name);
  return action == kNone && accepts_index_ && is_number(name) ? index(value_of(name)) : action;
}

int64_t ActionNames::whole(std::string_view name) const {
  int64_t action = plain(name);
  if (action != kNone) return action;
  LooseForm form(name);
  for (const auto& entry : loose_)
    if (entry.text == form.view()) action = merged(action, entry.action);
  return action;
}

bool ActionNames::is_one_letter_name(char c) const { return exact({&c, 1}) != kNone; }

int64_t ActionNames::loose(std::string_view name) const {
  name = trimmed(name);
  if (name.empty() || name.size() > Word::kMaxBytes) return kNone;
  int64_t action = whole(name);
  if (action != kNone) return action;
  constexpr std::string_view kSeparators = ":;,.!?()[]<>\"'`*|/\n";
  bool is_known = true;
  auto part = [&](std::string_view text) {
    text = trimmed(text);
    if (text.empty()) return;
    int64_t one = whole(text);
    is_known = is_known && one != kNone;
    action = merged(action, one);
  };
  size_t start = 0;
  auto starts_word = [&](size_t i, std::string_view word) {  // " or ", at the space before it
    if (name.size() - i < word.size()) return false;
    for (size_t k = 0; k < word.size(); ++k)
      if (lower(name[i + k]) != word[k]) return false;
    return true;
  };
  for (size_t i = 0; i < name.size(); ++i) {
    size_t width = kSeparators.find(name[i]) != std::string_view::npos ? 1
                   : starts_word(i, " or ")                           ? 3
                   : starts_word(i, " and ")                          ? 4
                                                                      : 0;
    if (width == 0) continue;
    part(name.substr(start, i - start));
    if (width == 1 && is_one_letter_name(name[i])) part(name.substr(i, 1));
    start = i + width;
    i = start - 1;
  }
  part(name.substr(start));
  if (is_known || !finds_inside_) return is_known ? action : kNone;
  size_t work = 0;
  return longest(LooseForm(name).view(), work);
}

int64_t ActionNames::longest(std::string_view text, size_t& work) const {
  auto is_part = [](char c) { return is_letter(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80; };
  const Loose* best = nullptr;
  for (const auto& entry : loose_) {
    if (best && entry.text.size() <= best->text.size()) continue;
    work += text.size();
    for (size_t at = text.find(entry.text); at != std::string_view::npos; at = text.find(entry.text, at + 1)) {
      size_t end = at + entry.text.size();
      bool is_apart = (at == 0 || !is_part(text[at - 1])) && (end == text.size() || !is_part(text[end]));
      if (is_apart) best = &entry;
      if (is_apart) break;
    }
  }
  return best ? best->action : kNone;
}

int64_t ActionNames::unfinished(std::string_view name) const {
  name = trimmed(name);
  if (name.empty() || name.size() > Word::kMaxBytes) return kNone;
  int64_t action = whole(name);
  if (action < 0) return action;
  LooseForm form(name);
  for (const auto& entry : loose_)
    if (entry.action != action && std::string_view(entry.text).starts_with(form.view())) return kTwo;
  if (accepts_index_ && is_number(name) && index(value_of(name)) > 0 && index(value_of(name) * 10) != kNone) return kTwo;
  return action;
}

}  // namespace vldac

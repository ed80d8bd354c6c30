// The actions that a response may name, prepared once per environment: exact names, synonyms, and what counts as the same name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vldac {

// Another way to say an action: text and the action's index.
using Synonyms = std::vector<std::pair<std::string, int64_t>>;

class ActionNames {
 public:
  static constexpr int64_t kNone = -1;  // names no action
  static constexpr int64_t kTwo = -2;   // names more than one

  // Throws std::invalid_argument for names that repeat, are empty or exceed 1,024 bytes, and for a synonym of two actions.
  // accepts_index: a number is the action's index (MiniWorld: 0 turns left); otherwise it is a name's digits (EZPoints: "10").
  // finds_inside: names are commands of several words, which may stand inside a longer text: the longest that does, between words.
  ActionNames(std::vector<std::string> names, const Synonyms& synonyms = {}, bool accepts_index = false, bool finds_inside = false);

  size_t size() const { return names_.size(); }
  const std::string& lower_case(size_t action) const { return lower_case_[action]; }
  // Names that are forms with a place for any words (core/forms.h); Listener reads them.
  struct OpenName {
    std::string before, after;
    int64_t action;
  };
  const std::vector<OpenName>& open_names() const { return open_names_; }
  bool accepts_index() const { return accepts_index_; }
  bool finds_inside() const { return finds_inside_; }

  // Byte for byte.
  int64_t exact(std::string_view name) const;
  // A whole number: its digits if they are a name, else the index where that is accepted.
  int64_t number(int64_t value) const;
  int64_t index(int64_t value) const { return value >= 0 && value < static_cast<int64_t>(size()) ? value : kNone; }
  // Exact, or a number in digits where an index is accepted.
  int64_t plain(std::string_view name) const;
  // Plain; else regardless of ASCII case, "_" or "-" for a space in words, and by synonym; else cut at punctuation, "or" and
  // "and" into parts that all name the same action ("2: move forward"); else, where names are found inside, `longest`. At most
  // 1,024 bytes.
  int64_t loose(std::string_view name) const;
  // The longest name that stands in a text in lower case, between other words than its own ("cabinet 1" is not in "cabinet 12");
  // of two as long the first. work counts the bytes looked at.
  int64_t longest(std::string_view lower_case_text, size_t& work) const;
  // `loose` for a name whose end may be cut off: kTwo if another action's name could go on like this.
  int64_t unfinished(std::string_view name) const;

 private:
  struct Loose {
    std::string text;
    int64_t action;
  };
  void add_loose(const std::string& name, int64_t action, bool is_synonym);
  int64_t whole(std::string_view name) const;
  bool is_one_letter_name(char c) const;
  std::vector<std::string> names_, lower_case_;
  std::vector<Loose> loose_;
  std::vector<OpenName> open_names_;
  bool accepts_index_ = false, finds_inside_ = false;
};

}  // namespace vldac

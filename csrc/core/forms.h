// Commands with a place for any words: "search[<words>]" takes "search[red mug]". Environments list the form among their commands;
// what is said in it is passed on as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vldac {

constexpr std::string_view kAnyWords = "<words>";

struct Form {
  std::string_view before, after;  // of the words
};

inline std::optional<Form> form_of(std::string_view command) {
  size_t at = command.find(kAnyWords);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  return Form{command.substr(0, at), command.substr(at + kAnyWords.size())};
}

// For those who play at random: the form with one to three words in a row that stand in `text`, in lower case; which ones follows from
// `number`. Where there are no words to take, the form's own.
inline void fill_form(std::string_view command, std::string_view text, uint64_t number, std::string& out) {
  out.assign(command);
  auto form = form_of(command);
  if (!form) return;
  auto is_part = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || static_cast<unsigned char>(c) >= 0x80; };
  // Words begin and end at white space, with punctuation around them left out; others ("[SEP]") are none.
  auto next = [&](size_t& at) {
    while (at < text.size()) {
      while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t')) ++at;
      size_t start = at;
      while (at < text.size() && text[at] != ' ' && text[at] != '\n' && text[at] != '\t') ++at;
      std::string_view word = text.substr(start, at - start);
      while (!word.empty() && (word.back() == ',' || word.back() == '.' || word.back() == ':' || word.back() == ';' || word.back() == '!')) word.remove_suffix(1);
      bool is_word = !word.empty();
      for (char c : word) is_word = is_word && is_part(c);
      if (is_word) return word;
    }
    return std::string_view();
  };
  uint64_t count = 0;
  for (size_t at = 0; !next(at).empty();) ++count;
  if (count == 0) return;
  uint64_t first = number % count, many = 1 + number / count % 3, index = 0;
  out.assign(form->before);
  size_t at = 0;
  for (std::string_view word = next(at); !word.empty() && index < first + many; word = next(at), ++index) {
    if (index < first) continue;
    if (index > first) out += ' ';
    for (char c : word) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  out += form->after;
}

}  // namespace vldac

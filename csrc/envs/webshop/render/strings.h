// The visible strings of a page in reading order: the text, the rich text and the HTML are made of the same ones.
#pragma once

#include <algorithm>
#include <string_view>

#include "envs/webshop/page.h"

namespace vldac::webshop {

constexpr std::string_view kInstructionLabel = "Instruction:";
constexpr std::string_view kScoreLabel = "Your score (min 0.0, max 1.0)";

// The command of an option is put together from its value; that of every other clickable block is its own.
constexpr std::string_view kClick = "click[", kSearchCommand = "search[...]";

// Calls `visit(line)` for each line of a list, empty ones too; a list without text has none.
template <class Visit>
void each_line(std::string_view lines, Visit&& visit) {
  if (lines.empty()) return;
  for (size_t from = 0; from <= lines.size();) {
    size_t end = std::min(lines.find('\n', from), lines.size());
    visit(lines.substr(from, end - from));
    from = end + 1;
  }
}

// Calls `visit(block, choice, words)` for every visible string; `choice` is null unless the string is an option's value. Empty lines of
// lists are strings too, as they are upstream.
template <class Visit>
void each_string(const Page& page, Visit&& visit) {
  for (const Block& block : page.blocks) {
    switch (block.kind) {
      case BlockKind::kImage:
      case BlockKind::kSearchBar: break;
      case BlockKind::kInstruction:
        visit(block, nullptr, kInstructionLabel);
        visit(block, nullptr, std::string_view(block.text));
        break;
      case BlockKind::kScore:
        visit(block, nullptr, kScoreLabel);
        visit(block, nullptr, std::string_view(block.text));
        break;
      case BlockKind::kOptionGroup:
        visit(block, nullptr, std::string_view(block.text));
        for (const Choice& choice : block.choices) visit(block, &choice, std::string_view(choice.value));
        break;
      case BlockKind::kList:
        for (std::string_view left = block.text;;) {
          size_t end = left.find('\n');
          visit(block, nullptr, left.substr(0, end));
          if (end == std::string_view::npos) break;
          left.remove_prefix(end + 1);
        }
        break;
      default: visit(block, nullptr, std::string_view(block.text));
    }
  }
}

inline bool is_html_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'; }

inline std::string_view stripped(std::string_view words) {
  while (!words.empty() && is_html_space(words.front())) words.remove_prefix(1);
  while (!words.empty() && is_html_space(words.back())) words.remove_suffix(1);
  return words;
}

}  // namespace vldac::webshop

#include "envs/webshop/render/text.h"

#include "envs/webshop/render/strings.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

void write_button(std::string_view before, std::string_view words, bool is_clicked, std::string& out) {
  std::string_view name = is_clicked ? "clicked button" : "button";
  out.append(before).append("[").append(name).append("] ").append(words).append(" [").append(name).append("_]");
}

// Upstream's parser makes one line feed of blanks that hold one, else one blank, and line feeds alone are skipped; so are empty
// strings. Its template begins bullets with a blank.
bool is_nothing(const Block& block, std::string_view words) {
  if (words.empty()) return block.kind != BlockKind::kList;
  return stripped(words).empty() && words.find('\n') != std::string_view::npos;
}

void write_clicked(const Page& page, std::string& out) {
  for (size_t i = page.blocks.size(); i-- > 0;) {
    const Block& block = page.blocks[i];
    if (block.kind != BlockKind::kOptionGroup) continue;
    for (size_t j = block.choices.size(); j-- > 0;)
      if (block.choices[j].is_selected && !block.choices[j].value.empty()) out.append("You have clicked ").append(block.choices[j].value).append(".\n");
  }
}

}  // namespace

void write_text(const Page& page, std::string& out) {
  out.clear();
  bool is_first = true;
  each_string(page, [&](const Block& block, const Choice*, std::string_view words) {
    if (is_nothing(block, words)) return;
    if (!is_first) out += " [SEP] ";
    is_first = false;
    out += strip(words);
  });
}

void write_text_rich(const Page& page, std::string& out) {
  out.clear();
  write_clicked(page, out);
  each_string(page, [&](const Block& block, const Choice* choice, std::string_view words) {
    if (is_nothing(block, words)) return;
    if (choice) {
      write_button("  ", words, choice->is_selected, out);
    } else if (block.kind == BlockKind::kButton) {
      write_button("", words, false, out);
    } else if (block.kind == BlockKind::kProductLink) {
      write_button("\n", words, block.is_visited, out);
    } else {
      bool is_blank = stripped(words).empty();
      if (block.kind == BlockKind::kList || is_blank) out += ' ';
      if (!is_blank) out += words;
      // The start page's label ends in a blank upstream, the other pages' does not.
      if (page.kind == PageKind::kIndex && words.data() == kInstructionLabel.data()) out += ' ';
    }
    out += '\n';
  });
}

}  // namespace vldac::webshop

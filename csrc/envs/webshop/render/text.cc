#include "envs/webshop/render/text.h"

#include "envs/webshop/render/strings.h"

namespace vldac::webshop {
namespace {

void write_button(std::string_view before, std::string_view words, bool is_clicked, std::string& out) {
  std::string_view name = is_clicked ? "clicked button" : "button";
  out.append(before).append("[").append(name).append("] ").append(words).append(" [").append(name).append("_]");
}

// Empty strings are not there, but for bullets, which upstream's template begins with a blank.
bool is_nothing(const Block& block, std::string_view words) { return words.empty() && block.kind != BlockKind::kList; }

void write_clicked(const Page& page, std::string& out) {
  for (size_t i = page.blocks.size(); i-- > 0;) {
    const Block& block = page.blocks[i];
    if (block.kind != BlockKind::kOptionGroup) continue;
    for (size_t j = block.choices.size(); j-- > 0;)
      if (block.choices[j].is_selected) out.append("You have clicked ").append(block.choices[j].value).append(".\n");
  }
}

}  // namespace

void write_text(const Page& page, std::string& out) {
  out.clear();
  bool is_first = true;
  each_string(page, [&](const Block& block, const Choice*, std::string_view words) {
    words = stripped(words);
    if (is_nothing(block, words)) return;
    if (!is_first) out += " [SEP] ";
    is_first = false;
    out += words;
  });
}

void write_text_rich(const Page& page, std::string& out) {
  out.clear();
  write_clicked(page, out);
  each_string(page, [&](const Block& block, const Choice* choice, std::string_view words) {
    if (is_nothing(block, stripped(words))) return;
    if (choice) {
      write_button("  ", words, choice->is_selected, out);
    } else if (block.kind == BlockKind::kButton) {
      write_button("", words, false, out);
    } else if (block.kind == BlockKind::kProductLink) {
      write_button("\n", words, block.is_visited, out);
    } else {
      if (block.kind == BlockKind::kList) out += ' ';  // upstream's bullets begin with a blank
      out += words;
      // The start page's label ends in a blank upstream, the other pages' does not.
      if (page.kind == PageKind::kIndex && words.data() == kInstructionLabel.data()) out += ' ';
    }
    out += '\n';
  });
}

}  // namespace vldac::webshop

// What a page of the shop shows, as typed blocks in reading order: the one model that the text, the rich text, the HTML, the picture
// and the list of clickables are all made of. A session rebuilds it in place; clear() keeps every buffer's capacity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vldac::webshop {

enum class BlockKind : uint8_t {
  kHeading,
  kText,
  kInstruction,
  kSearchBar,
  kButton,       // text: its label; command: what a click on it says
  kProductLink,  // text: the asin as shown; product: the asin; the blocks that follow (image, heading, price) belong to it
  kOptionGroup,  // text: the group's name; choices: its values
  kPrice,
  kImage,        // product: whose picture; text: the image's address in the catalogue, where there is one
  kList,         // text: one line per bullet
  kPageNumber,
  kScore,
};

struct Choice {
  std::string value;  // as shown; its command is "click[value]"
  bool is_selected = false;
};

struct Block {
  BlockKind kind = BlockKind::kText;
  std::string text;
  std::string command;  // "click[...]", or empty
  std::string product;  // the asin of images and links
  bool is_visited = false;  // a product link that was followed in this session
  std::vector<Choice> choices;
};

enum class PageKind : uint8_t { kIndex, kResults, kItem, kItemSub, kDone };

struct Page {
  PageKind kind = PageKind::kIndex;
  std::string title;
  std::vector<Block> blocks;

  void clear() {
    // Backwards, so that the block and the choice of one place find their own memory again.
    for (size_t i = blocks.size(); i-- > 0;) {
      std::vector<Choice>& choices = blocks[i].choices;
      for (size_t j = choices.size(); j-- > 0;) spare_choices_.push_back(std::move(choices[j]));
      choices.clear();
      spare_.push_back(std::move(blocks[i]));
    }
    blocks.clear();
    title.clear();
  }
  // Adds a block, with the memory of one that was cleared.
  Block& add(BlockKind of_kind, std::string_view text = {}) {
    if (spare_.empty()) {
      blocks.emplace_back();
    } else {
      blocks.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    Block& block = blocks.back();
    block.kind = of_kind;
    block.text.assign(text);
    block.command.clear();
    block.product.clear();
    block.is_visited = false;
    block.choices.clear();
    return block;
  }
  void add_choice(Block& block, std::string_view value, bool is_selected = false) {
    if (spare_choices_.empty()) {
      block.choices.emplace_back();
    } else {
      block.choices.push_back(std::move(spare_choices_.back()));
      spare_choices_.pop_back();
    }
    block.choices.back().value.assign(value);
    block.choices.back().is_selected = is_selected;
  }

 private:
  std::vector<Block> spare_;
  std::vector<Choice> spare_choices_;
};

}  // namespace vldac::webshop

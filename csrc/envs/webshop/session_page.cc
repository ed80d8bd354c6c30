// How a session's state looks: its page, and what can be clicked on it.
#include <algorithm>

#include "envs/webshop/session.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr std::string_view kSubPages[] = {"Description", "Features", "Reviews", "Attributes"};

// A text within json.dumps()'s output.
void append_json(std::string& out, std::string_view text) {
  static const char kHex[] = "0123456789abcdef";
  auto unit = [&](uint32_t code) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kHex[code >> shift & 15];
  };
  out += '"';
  for (size_t at = 0; at < text.size();) {
    uint32_t code = next_code_point(text, at);
    if (code == '"' || code == '\\') out += '\\', out += static_cast<char>(code);
    else if (code == '\n') out += "\\n";
    else if (code == '\r') out += "\\r";
    else if (code == '\t') out += "\\t";
    else if (code == '\b') out += "\\b";
    else if (code == '\f') out += "\\f";
    else if (code >= 32 && code < 127) out += static_cast<char>(code);
    else if (code < 0x10000) unit(code);
    else unit(0xd800 + ((code - 0x10000) >> 10)), unit(0xdc00 + ((code - 0x10000) & 0x3ff));
  }
  out += '"';
}

}  // namespace

void Session::set_command(Block& block, std::string_view name) {
  block.command = "click[";
  if (settings_.is_compat) append_lower(block.command, name);
  else block.command += name;
  block.command += ']';
}

void Session::add_clickable(std::string_view name, Target target, uint32_t first, uint32_t second) {
  if (num_clickables_ == clickables_.size()) clickables_.emplace_back();
  Clickable& clickable = clickables_[num_clickables_++];
  clickable.key.clear();
  append_lower(clickable.key, name);
  clickable.name = settings_.is_compat ? std::string_view(clickable.key) : name;
  clickable.target = target;
  clickable.first = first;
  clickable.second = second;
}

void Session::add_button(std::string_view label, Target target, uint32_t first) {
  set_command(page_.add(BlockKind::kButton, label), label);
  add_clickable(label, target, first, 0);
}

void Session::build_page() {
  page_.clear();
  page_.kind = kind_;
  num_clickables_ = 0;
  if (kind_ == PageKind::kDone) return build_done();
  if (kind_ == PageKind::kIndex) page_.add(BlockKind::kHeading, "WebShop");
  page_.add(BlockKind::kInstruction, goal_.instruction);
  if (kind_ == PageKind::kIndex) {
    page_.title = "WebShop";
    page_.add(BlockKind::kSearchBar, "Search...");
    add_button("Search", Target::kSearch);
  } else {
    add_button("Back to Search", Target::kBack);
    if (kind_ == PageKind::kResults) build_results();
    else if (kind_ == PageKind::kItem) build_item();
    else build_sub();
  }
  if (settings_.is_compat) order_like_upstream();
}

void Session::build_results() {
  page_.title = "Results";
  auto size = static_cast<size_t>(settings_.page_size), page = static_cast<size_t>(page_number_);
  Block& number = page_.add(BlockKind::kPageNumber, "Page ");
  number.text += std::to_string(page);
  number.text += " (Total results: ";
  number.text += std::to_string(results_.size());
  number.text += ')';
  if (page > 1) add_button("< Prev", Target::kPrev);
  if (settings_.is_compat || page * size < results_.size()) add_button("Next >", Target::kNext);
  for (size_t i = (page - 1) * size; i < std::min(page * size, results_.size()); ++i) {
    shop_.catalogue->card(results_[i], card_);
    Block& link = page_.add(BlockKind::kProductLink, card_.asin);
    link.product = card_.asin;
    link.is_visited = std::find(visited_.begin(), visited_.end(), results_[i]) != visited_.end();
    set_command(link, card_.asin);
    add_clickable(card_.asin, Target::kProduct, results_[i], 0);
    Block& image = page_.add(BlockKind::kImage, card_.image);
    image.product = card_.asin;
    page_.add_choice(image, card_.category);
    page_.add(BlockKind::kHeading, card_.name);
    page_.add(BlockKind::kPrice, card_.price_tag);
  }
}

// Upstream asks whether the value in quotes is part of the address, whose end is the chosen options as JSON.
bool Session::is_shown_selected(uint32_t group, uint32_t value) const {
  if (!settings_.is_compat) return chosen_[group] == static_cast<int32_t>(value);
  std::string_view text = item_.values[item_.groups[group].first + value].text;
  for (size_t at = address_.find('"'); at != std::string::npos; at = address_.find('"', at + 1))
    if (std::string_view(address_).substr(at + 1).starts_with(text) && address_.size() > at + 1 + text.size() && address_[at + 1 + text.size()] == '"') return true;
  return false;
}

void Session::build_item() {
  page_.title = item_.name;
  add_button("< Prev", Target::kPrev);
  if (settings_.is_compat) {
    address_.assign(query_);
    std::replace(address_.begin(), address_.end(), ' ', '+');
    address_ += "/{";
    for (size_t group = 0; group < chosen_.size(); ++group) {
      if (chosen_[group] < 0) continue;
      append_json(address_, item_.groups[group].name);
      address_ += ": ";
      append_json(address_, item_.values[item_.groups[group].first + static_cast<uint32_t>(chosen_[group])].text);
      address_ += ", ";
    }
  }
  Block& image = page_.add(BlockKind::kImage, item_.image);
  image.product = item_.asin;
  page_.add_choice(image, item_.category);
  for (size_t group = 0; group < chosen_.size(); ++group) {
    if (chosen_[group] < 0) continue;
    const Product::Value& value = item_.values[item_.groups[group].first + static_cast<uint32_t>(chosen_[group])];
    page_.add_choice(image, value.text, true);
    if (!value.image.empty()) image.text.assign(value.image);
  }
  for (uint32_t group = 0; group < item_.groups.size(); ++group) {
    const Product::Group& options = item_.groups[group];
    Block& block = page_.add(BlockKind::kOptionGroup, options.name);
    for (uint32_t value = 0; value < options.count; ++value) {
      std::string_view text = item_.values[options.first + value].text;
      page_.add_choice(block, text, is_shown_selected(group, value));
      add_clickable(text, Target::kOption, group, value);
    }
  }
  page_.add(BlockKind::kHeading, item_.name);
  page_.add(BlockKind::kPrice, "Price: ").text += item_.price_tag;
  page_.add(BlockKind::kText, "Rating: N.A.");
  for (uint32_t sub = 0; sub < (settings_.shows_attributes ? 4u : 3u); ++sub) add_button(kSubPages[sub], Target::kSub, sub);
  add_button("Buy Now", Target::kBuy);
}

void Session::build_sub() {
  page_.title = kSubPages[sub_];
  add_button("< Prev", Target::kPrev);
  if (sub_ == 0) {
    page_.add(BlockKind::kText, item_.description);
    return;
  }
  if (sub_ == 2) {  // no reviews are published
    if (!settings_.is_compat) page_.add(BlockKind::kText, "There are no reviews yet.");
    return;
  }
  const std::vector<std::string_view>& lines = sub_ == 1 ? item_.bullets : item_.attributes;
  Block* list = lines.empty() ? nullptr : &page_.add(BlockKind::kList);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i) list->text += '\n';
    list->text += lines[i];
  }
  if (sub_ == 1) return;
  page_.add(BlockKind::kHeading, item_.category);
  page_.add(BlockKind::kHeading, item_.query);
  page_.add(BlockKind::kHeading, item_.product_category);
}

void Session::build_done() {
  page_.title = "Thank you";
  page_.add(BlockKind::kHeading, "Thank you for shopping with us!");
  append_float(page_.add(BlockKind::kScore).text, parts_.reward);
}

// Buttons, then products, then options; a name said twice keeps its first place, and belongs to the last that has it.
void Session::order_like_upstream() {
  auto rank = [](const Clickable& clickable) { return clickable.target == Target::kOption ? 2 : clickable.target == Target::kProduct ? 1 : 0; };
  size_t count = 0;
  if (ordered_.size() < num_clickables_) ordered_.resize(num_clickables_);
  for (int of_rank = 0; of_rank < 3; ++of_rank)
    for (size_t i = 0; i < num_clickables_; ++i) {
      if (rank(clickables_[i]) != of_rank) continue;
      auto end = ordered_.begin() + static_cast<std::ptrdiff_t>(count);
      auto known = std::find_if(ordered_.begin(), end, [&](const Clickable& other) { return other.name == clickables_[i].name; });
      if (known == end) ++count;
      *known = clickables_[i];
    }
  std::swap(ordered_, clickables_);
  num_clickables_ = count;
}

}  // namespace vldac::webshop

#include "envs/webshop/reward.h"

#include <algorithm>
#include <iterator>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

// Upstream's words, in its order.
constexpr std::string_view kColors[] = {
    "alabaster", "apricot",   "aqua",      "ash",       "asphalt",    "azure",     "banana",    "beige",    "black",     "blue",     "blush",
    "bordeaux",  "bronze",    "brown",     "burgundy",  "camel",      "camo",      "caramel",   "champagne", "charcoal", "cheetah",  "chestnut",
    "chocolate", "christmas", "coffee",    "cognac",    "copper",     "coral",     "cranberry", "cream",    "crystal",   "dark",     "denim",
    "eggplant",  "elephant",  "espresso",  "fuchsia",   "gold",       "granite",   "grape",     "graphite", "grass",     "gray",     "green",
    "grey",      "heather",   "indigo",    "ivory",     "ivy",        "khaki",     "lavender",  "lemon",    "leopard",   "light",    "lilac",
    "lime",      "magenta",   "maroon",    "mauve",     "merlot",     "midnight",  "mint",      "mocha",    "multicolor", "mushroom", "mustard",
    "natural",   "navy",      "nude",      "olive",     "orange",     "peach",     "pewter",    "pink",     "plum",      "purple",   "rainbow",
    "red",       "rose",      "royal",     "rust",      "sand",       "sapphire",  "seashell",  "silver",   "skull",     "slate",    "steel",
    "stone",     "stonewash", "sunflower", "tan",       "taupe",      "teal",      "tiger",     "turquoise", "violet",   "walnut",   "wheat",
    "white",     "wine",      "yellow"};

constexpr std::string_view kLevelMark = "\xe2\x80\xba";

// The distinct levels of a category.
void read_levels(std::string_view category, std::vector<std::string_view>& out) {
  out.clear();
  while (true) {
    size_t end = category.find(kLevelMark);
    out.push_back(strip(category.substr(0, end)));
    if (end == std::string_view::npos) break;
    category.remove_prefix(end + kLevelMark.size());
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

void read_distinct(std::span<const std::string> words, std::vector<std::string_view>& out) {
  out.assign(words.begin(), words.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

size_t num_shared(const std::vector<std::string_view>& one, const std::vector<std::string_view>& two) {
  size_t count = 0;
  for (size_t i = 0, j = 0; i < one.size() && j < two.size();) {
    int order = one[i].compare(two[j]);
    count += order == 0;
    i += order <= 0;
    j += order >= 0;
  }
  return count;
}

}  // namespace

std::string_view normalize_color(std::string_view text) {
  for (std::string_view color : kColors)
    if (text.find(color) != std::string_view::npos) return color;
  return text;
}

void Rewarder::rate_type(const Product& bought, const GoalText& goal, std::span<const std::string> bought_nouns,
                         std::span<const std::string> goal_nouns, RewardParts& out) {
  out.query_match = bought.query == goal.query;
  read_levels(bought.product_category, one_);
  read_levels(goal.product_category, two_);
  out.category_match = num_shared(one_, two_) >= 2;
  read_distinct(bought_nouns, one_);
  read_distinct(goal_nouns, two_);
  out.title_score = goal_nouns.empty() ? 0.2 : static_cast<double>(num_shared(one_, two_)) / static_cast<double>(goal_nouns.size());
  bool is_match = out.query_match || out.category_match || out.title_score > 0.2;
  out.type = out.title_score == 0 ? 0.0 : out.title_score < 0.1 ? 0.1 : is_match ? 1.0 : 0.5;
}

int Rewarder::count_attributes(const Product& bought, const GoalText& goal) {
  size_t count = bought.attributes.size();
  if (phrases_.size() < count) phrases_.resize(count);
  for (size_t i = 0; i < count; ++i) phrases_[i].assign(bought.attributes[i]);
  bool is_lowered = false;
  int met = 0;
  for (std::string_view attribute : goal.attributes) {
    wanted_.assign(attribute);
    bool is_met = false;
    for (size_t i = 0; i < count && !is_met; ++i) is_met = ratio_.is_above(phrases_[i], wanted_, kAlike);
    if (!is_met) {
      if (!is_lowered) {
        title_.clear(), text_.clear(), bullets_.clear(), description_.clear();
        append_lower(title_, bought.name);
        for (size_t i = 0; i < bought.bullets.size(); ++i) {
          if (i) text_ += ' ';
          text_ += bought.bullets[i];
        }
        append_lower(bullets_, text_);
        append_lower(description_, bought.description);
        is_lowered = true;
      }
      for (const std::string* text : {&title_, &bullets_, &description_}) is_met |= text->find(attribute) != std::string::npos;
    }
    met += is_met;
  }
  return met;
}

int Rewarder::count_options(std::span<const std::string_view> chosen, const GoalText& goal) {
  if (phrases_.size() < chosen.size()) phrases_.resize(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) phrases_[i].assign(normalize_color(chosen[i]));
  int met = 0;
  for (const auto& option : goal.options) {
    const auto &group = option.first, &value = option.second;  // no binding: clang 14 lets no lambda see one
    if (goal.has_groups) {
      // A pair of group and value: a colour word counts where it is one of the two, whole; else the pair is compared as it prints.
      auto color = std::find_if(std::begin(kColors), std::end(kColors), [&](std::string_view word) { return word == group || word == value; });
      text_.clear();
      if (color != std::end(kColors)) {
        text_ = *color;
      } else {
        text_ += '(';
        append_repr(text_, group);
        text_ += ", ";
        append_repr(text_, value);
        text_ += ')';
      }
      wanted_.assign(text_);
    } else {
      wanted_.assign(normalize_color(value));
    }
    bool is_met = false;
    for (size_t i = 0; i < chosen.size() && !is_met; ++i) is_met = ratio_.is_above(phrases_[i], wanted_, kAlike);
    met += is_met;
  }
  return met;
}

RewardParts Rewarder::operator()(const Product& bought, double price, std::span<const std::string_view> chosen, const GoalText& goal,
                                 std::span<const std::string> bought_nouns, std::span<const std::string> goal_nouns) {
  RewardParts out;
  rate_type(bought, goal, bought_nouns, goal_nouns, out);
  out.price = price <= goal.price_upper;
  out.num_attributes = static_cast<int>(goal.attributes.size());
  out.num_options = static_cast<int>(goal.options.size());
  out.attributes_met = count_attributes(bought, goal);
  out.options_met = count_options(chosen, goal);
  out.reward = static_cast<double>(out.attributes_met + out.options_met + out.price) / (out.num_attributes + out.num_options + 1) * out.type;
  return out;
}

}  // namespace vldac::webshop

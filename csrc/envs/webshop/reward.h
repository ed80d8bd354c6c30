// What a purchase is worth, as upstream's get_reward() says: the share of attributes, options and price that are met, times how well
// the kind of thing fits. One Rewarder belongs to one thread and allocates nothing in the steady state.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "envs/webshop/catalogue.h"
#include "envs/webshop/goals.h"
#include "envs/webshop/ratio.h"

namespace vldac::webshop {

struct RewardParts {
  double reward = 0;
  double type = 0;  // 1, 0.5, 0.1 or 0
  double title_score = 0;
  bool query_match = false, category_match = false;
  bool price = false;
  int num_attributes = 0, attributes_met = 0;
  int num_options = 0, options_met = 0;
};

// The first colour word that is contained in the text, or the text.
std::string_view normalize_color(std::string_view text);

class Rewarder {
 public:
  // chosen: the values of the options that were clicked. Nouns in lower case, repeats included (nouns.h).
  RewardParts operator()(const Product& bought, double price, std::span<const std::string_view> chosen, const GoalText& goal,
                         std::span<const std::string> bought_nouns, std::span<const std::string> goal_nouns);

 private:
  static constexpr int kAlike = 85;
  void rate_type(const Product& bought, const GoalText& goal, std::span<const std::string> bought_nouns, std::span<const std::string> goal_nouns,
                 RewardParts& out);
  int count_attributes(const Product& bought, const GoalText& goal);
  int count_options(std::span<const std::string_view> chosen, const GoalText& goal);

  Ratio ratio_;
  std::vector<Phrase> phrases_;  // a pool: of the product's attributes, or of the chosen options
  Phrase wanted_;
  std::string text_, title_, bullets_, description_;
  std::vector<std::string_view> one_, two_;
};

}  // namespace vldac::webshop

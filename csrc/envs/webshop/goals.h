// What customers want: one goal per human instruction, or one per product with a made instruction and per combination of its options.
//
// By default a goal's price ceiling is a hash of (asin, options, seed), and there is one order of all goals for every process: test
// first, then eval, then train, each in the order of a hash; with `is_by_asin` no product has goals in two of them. In compat mode
// prices, ceilings and order come from Python's generator as upstream draws them, the ceilings of `seed` (upstream sets none), the
// order of 233; the splits are the first 500, the next 1,000 and the rest.
// Goals are read by any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "envs/webshop/catalogue.h"
#include "envs/webshop/mersenne.h"

namespace vldac::webshop {

enum class Split : uint8_t { kAll, kTrain, kEval, kTest };

struct GoalSettings {
  bool is_human = true;
  bool is_compat = false;
  bool is_by_asin = true;
  uint64_t seed = 0;
  int64_t num_test = -1, num_eval = -1;  // at least that many goals; -1: a fifth of all each, at most 500 and 1,000 (compat: 500, 1,000)
  int64_t limit = -1;                    // compat: upstream's limit_goals
};

// A goal in full. Views into the catalogue; reused.
struct GoalText {
  std::string_view asin, category, query, name, product_category;
  std::string instruction;
  std::vector<std::string_view> attributes;
  std::vector<std::pair<std::string_view, std::string_view>> options;  // group and value; a plain list has no groups
  bool has_groups = false;
  double price_upper = 0, weight = 0;
  uint32_t product = 0;
};

class Goals {
 public:
  static constexpr uint32_t kNoCeiling = 1000000;

  // Throws std::invalid_argument where the catalogue gives no goals.
  Goals(std::shared_ptr<const Catalogue> catalogue, const GoalSettings& settings);

  size_t size() const { return goals_.size(); }
  const Catalogue& catalogue() const { return *catalogue_; }
  const GoalSettings& settings() const { return settings_; }
  // Throws std::invalid_argument for an index out of range.
  void describe(size_t index, GoalText& out) const;
  uint32_t product_of(size_t index) const;
  // What the product costs; of a range, one price in it.
  double price(uint32_t product) const { return prices_.at(product); }
  // The goals [first, second) of a split.
  std::pair<size_t, size_t> range(Split split) const;
  // A goal of the split, by weight; `unit` in [0, 1).
  size_t draw(double unit, Split split) const;
  // Upstream's own draw, with a session name drawn before it: the first goal never, the last one twice.
  size_t draw_compat(Mersenne& random) const;
  // Upstream's generator as it stands when the goals are ready.
  const Mersenne& random_after() const { return random_; }

 private:
  struct Goal {
    uint32_t product, which;  // the instruction's number, or the combination of options
    uint32_t ceiling;
    uint32_t order = 0;
    double weight = 1;
  };
  void set_prices();
  void collect();
  void collect_human(uint32_t product, const Instructions& all, const Product& facts);
  void collect_made(uint32_t product, const Instructions& all, const Product& facts);
  uint32_t ceiling(double price, uint64_t hash);
  void arrange();
  void arrange_compat();
  size_t draw_at(double position, size_t begin, size_t end) const;

  std::shared_ptr<const Catalogue> catalogue_;
  GoalSettings settings_;
  Mersenne random_;
  std::vector<double> prices_;
  std::vector<Goal> goals_;
  std::vector<double> until_;  // [goals + 1]: weights before each
  size_t test_end_ = 0, eval_end_ = 0;
};

}  // namespace vldac::webshop

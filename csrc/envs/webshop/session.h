// One customer in the shop: the pages, what can be clicked on them, and what the purchase is worth. Actions are texts of a model:
// search[words] or click[name], anything else does nothing; every action costs bounded time.
//
//   index -> search -> results (best 50, 10 or 4 a page) -> click on a product -> item -> options, sub pages -> Buy Now -> done
//
// compat keeps what upstream's text environment does: names in lower case, "search" among them though a click on it does nothing,
// searching from every page, Next without an end, a name that two things share belonging to the later one, name[arg] read greedily,
// and no word about an action that did nothing. The default searches where there is a search bar, offers Next where there is a next
// page, reads up to the first "[", and says in notice() what was wrong.
//
// Special queries: "<r>" fifty products by a hash of goal and query, "<a> attribute", "<c> category", "<q> query": the products that
// have exactly that, in the catalogue's order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "envs/webshop/catalogue.h"
#include "envs/webshop/goals.h"
#include "envs/webshop/index.h"
#include "envs/webshop/nouns.h"
#include "envs/webshop/page.h"
#include "envs/webshop/reward.h"

namespace vldac::webshop {

// What sessions share; read-only.
struct Shop {
  std::shared_ptr<const Catalogue> catalogue;
  std::shared_ptr<const Index> index;
  std::shared_ptr<const Nouns> nouns;
  std::shared_ptr<const Goals> goals;
};

struct SessionSettings {
  int page_size = 10;
  bool is_compat = false;
  bool shows_attributes = false;  // a fourth sub page
  bool is_lossy = false;          // search with Lucene's lengths (index.h)
};

class Session {
 public:
  static constexpr size_t kMaxResults = 50;

  Session(Shop shop, const SessionSettings& settings);

  // Throws std::invalid_argument for a goal out of range.
  void reset(size_t goal);
  struct Outcome {
    double reward = 0;
    bool is_done = false;
    bool is_valid = false;  // the action did something
  };
  Outcome step(std::string_view action);

  const Page& page() const { return page_; }
  // Names that click[...] takes on this page, in its order (compat: buttons, products, options, as upstream lists them).
  size_t num_clickables() const { return num_clickables_; }
  std::string_view clickable(size_t index) const { return clickables_.at(index).name; }
  bool has_search_bar() const { return page_.kind == PageKind::kIndex; }
  bool is_searchable() const { return has_search_bar() || settings_.is_compat; }
  // Why the last action did nothing, or what was changed about it; empty where there is nothing to say.
  std::string_view notice() const { return notice_; }

  const GoalText& goal() const { return goal_; }
  size_t goal_index() const { return goal_index_; }
  bool is_done() const { return page_.kind == PageKind::kDone; }
  // Of the purchase; zeros before it.
  const RewardParts& parts() const { return parts_; }
  // The product that is open or bought, or -1, and its chosen values ([groups], -1: none).
  int64_t product() const { return product_; }
  std::span<const int32_t> chosen() const { return chosen_; }
  // Of the last search.
  std::span<const uint32_t> results() const { return results_; }
  std::string_view query() const { return query_; }
  int page_number() const { return page_number_; }
  const Shop& shop() const { return shop_; }
  const SessionSettings& settings() const { return settings_; }

  void save(Bytes& out) const;
  void load(Bytes& in);

 private:
  enum class Target : uint8_t { kSearch, kBack, kPrev, kNext, kSub, kBuy, kProduct, kOption };

 public:
  struct Clickable {
    std::string name, key;  // as shown, in lower case
    Target target;
    uint32_t first = 0, second = 0;  // the sub page; the product; the group and its value
  };

 private:
  void open_index();
  void search(std::string_view query);
  void find_special(std::string_view kind, std::string_view words);
  void open_product(uint32_t product);
  Outcome click(std::string_view name);
  const Clickable* find_clickable(std::string_view name) const;
  Outcome follow(const Clickable& clickable);
  Outcome follow_compat(const Clickable& clickable);
  Outcome buy();
  Outcome refuse(std::string_view why, std::string_view what);

  void build_page();
  void build_results();
  void build_item();
  void build_sub();
  void build_done();
  void add_button(std::string_view label, Target target, uint32_t first = 0);
  void add_clickable(std::string_view name, Target target, uint32_t first, uint32_t second);
  void set_command(Block& block, std::string_view name);
  void order_like_upstream();
  bool is_shown_selected(uint32_t group, uint32_t value) const;

  Shop shop_;
  SessionSettings settings_;
  Search search_;
  Rewarder rewarder_;

  // The state, all of it.
  size_t goal_index_ = 0;
  PageKind kind_ = PageKind::kIndex;
  uint8_t sub_ = 0;
  std::string query_;
  std::vector<uint32_t> results_;
  int32_t page_number_ = 1;
  int64_t product_ = -1;
  std::vector<int32_t> chosen_;
  std::vector<uint32_t> visited_;
  RewardParts parts_;

  // What follows from it.
  GoalText goal_;
  Product item_, card_;
  Page page_;
  std::vector<Clickable> clickables_, ordered_;
  size_t num_clickables_ = 0;
  std::string notice_, argument_, address_;
  std::vector<std::string> bought_nouns_, goal_nouns_;
  std::vector<std::string_view> values_;
};

}  // namespace vldac::webshop

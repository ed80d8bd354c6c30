#include "envs/webshop/expert.h"

#include <algorithm>
#include <iterator>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr int kAlike = 85;  // as the reward
constexpr std::string_view kButtons[] = {"back to search", "< prev", "next >", "description", "features", "reviews", "attributes", "buy now", "search"};

void click(std::string_view name, std::string& out) {
  out.assign("click[");
  out += name;
  out += ']';
}

}  // namespace

// Three queries take turns.
void Expert::search(const Session& session, std::string& out) const {
  const GoalText& goal = session.goal();
  out.assign("search[");
  if (searches_ % 3 != 2) out += goal.name;
  if (searches_ % 3 != 0) {
    if (searches_ % 3 == 1) out += ' ';
    out += goal.query;
  }
  if (searches_ % 3 == 2)
    for (std::string_view attribute : goal.attributes) out += ' ', out += attribute;
  std::replace(out.begin(), out.end(), '\n', ' ');
  out += ']';
}

// The next value to click: of each wanted option the value that is it, or is most like it where that counts as met. A group keeps the
// first wanted value that it has.
bool Expert::choose(const Session& session, std::string& out) const {
  const GoalText& goal = session.goal();
  session.shop().catalogue->product(static_cast<uint32_t>(session.product()), product_);
  std::vector<bool> is_settled(product_.groups.size());
  for (const auto& option : goal.options) {
    std::string wanted = lower(option.second);
    int best = kAlike;
    size_t of_group = 0, of_value = 0;
    bool is_found = false;
    for (size_t group = 0; group < product_.groups.size(); ++group) {
      const Product::Group& values = product_.groups[group];
      for (uint32_t i = 0; i < values.count; ++i) {
        std::string name = lower(product_.values[values.first + i].text);
        if (std::find(std::begin(kButtons), std::end(kButtons), name) != std::end(kButtons)) continue;  // a click on it is the button's
        int likeness = name == wanted ? (!goal.has_groups || values.name == option.first ? 102 : 101) : best < 100 ? ratio_(name, wanted) : 0;
        if (likeness <= best) continue;
        best = likeness, of_group = group, of_value = i, is_found = true;
      }
    }
    if (!is_found || is_settled[of_group]) continue;
    is_settled[of_group] = true;
    if (session.chosen()[of_group] == static_cast<int32_t>(of_value)) continue;
    click(product_.values[product_.groups[of_group].first + of_value].text, out);
    return true;
  }
  return false;
}

void Expert::next(const Session& session, std::string& out) const {
  out.clear();
  const Page& page = session.page();
  const GoalText& goal = session.goal();
  switch (page.kind) {
    case PageKind::kDone: return;
    case PageKind::kIndex: return search(session, out);
    case PageKind::kItemSub: return click("< Prev", out);
    case PageKind::kItem: break;
    case PageKind::kResults: {
      std::span<const uint32_t> results = session.results();
      auto found = std::find(results.begin(), results.end(), goal.product);
      if (found == results.end()) return click("Back to Search", out);
      auto page_of = static_cast<int>((found - results.begin()) / session.settings().page_size) + 1;
      if (page_of != session.page_number()) return click(page_of > session.page_number() ? "Next >" : "< Prev", out);
      return click(goal.asin, out);
    }
  }
  if (session.product() != static_cast<int64_t>(goal.product)) return click("< Prev", out);
  if (!choose(session, out)) click("Buy Now", out);
}

}  // namespace vldac::webshop

#include "envs/webshop/goals.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <unordered_map>

#include "core/rng.h"

namespace vldac::webshop {
namespace {

enum Purpose : uint64_t { kPricePurpose = 0x70726963, kCeilingPurpose = 0x6365696c, kOrderPurpose = 0x6f726465, kProductPurpose = 0x70726f64 };

constexpr size_t kCompatTest = 500, kCompatEval = 1000;
constexpr uint64_t kCompatOrderSeed = 233;

// Groups in the order of their names, as goals go through them.
std::vector<uint32_t> sorted_groups(const Product& product) {
  std::vector<uint32_t> order(product.groups.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t x, uint32_t y) { return product.groups[x].name < product.groups[y].name; });
  return order;
}

// The options of combination `which`: the last group changes fastest.
void read_combination(const Product& product, uint32_t which, std::vector<std::pair<std::string_view, std::string_view>>& out) {
  std::vector<uint32_t> order = sorted_groups(product);
  out.resize(order.size());
  for (size_t i = order.size(); i-- > 0;) {
    const Product::Group& group = product.groups[order[i]];
    out[i] = {group.name, product.values[group.first + which % group.count].text};
    which /= group.count;
  }
}

std::string_view strip_dots(std::string_view text) {
  while (!text.empty() && text.front() == '.') text.remove_prefix(1);
  while (!text.empty() && text.back() == '.') text.remove_suffix(1);
  return text;
}

}  // namespace

Goals::Goals(std::shared_ptr<const Catalogue> catalogue, const GoalSettings& settings)
    : catalogue_(std::move(catalogue)), settings_(settings), random_(settings.seed) {
  set_prices();
  collect();
  if (goals_.empty())
    throw std::invalid_argument(std::string("the catalogue gives no ") + (settings_.is_human ? "human" : "synthetic") + " goals");
  if (settings_.is_compat) arrange_compat();
  else arrange();
  until_.resize(goals_.size() + 1);
  for (size_t i = 0; i < goals_.size(); ++i) until_[i + 1] = until_[i] + goals_[i].weight;
}

void Goals::set_prices() {
  Product product;
  prices_.reserve(catalogue_->size());
  for (uint32_t i = 0; i < catalogue_->size(); ++i) {
    catalogue_->product(i, product);
    double unit = 0;
    if (product.is_range && settings_.is_compat) unit = random_.random();
    else if (product.is_range) unit = static_cast<double>(counter_random(settings_.seed, kPricePurpose, hash_text(product.asin), 0) >> 11) * 0x1p-53;
    prices_.push_back(product.is_range ? product.price_low + (product.price_high - product.price_low) * unit : product.price_low);
  }
}

// Two different ones of the next four multiples of ten above the price, below 1,000; the larger counts.
uint32_t Goals::ceiling(double price, uint64_t hash) {
  uint32_t first = 10;
  while (first < 1000 && !(first > price)) first += 10;
  uint32_t choices = first < 1000 ? std::min(4u, (1000 - first) / 10) : 0;
  if (choices < 2) return kNoCeiling;
  uint32_t one, two;
  if (settings_.is_compat) {
    std::tie(one, two) = random_.sample2(choices);
  } else {
    one = static_cast<uint32_t>(hash % choices);
    two = static_cast<uint32_t>((hash >> 32) % (choices - 1));
    two += two >= one;
  }
  return first + 10 * std::max(one, two);
}

void Goals::collect_human(uint32_t product, const Instructions& all, const Product& facts) {
  for (uint32_t i = 0; i < all.human.size(); ++i) {
    const Instruction& said = all.human[i];
    if (said.attributes.empty()) continue;
    uint64_t options = hash_text(said.text);
    for (const auto& [group, value] : said.options) options = hash_text(group) * 31 + hash_text(value) + options * 0x9e3779b97f4a7c15ULL;
    uint64_t hash = counter_random(settings_.seed, kCeilingPurpose, hash_text(facts.asin), options);
    goals_.push_back({product, i, ceiling(prices_[product], hash)});
  }
}

void Goals::collect_made(uint32_t product, const Instructions& all, const Product& facts) {
  if (!all.synthetic) return;
  uint64_t combinations = 1;
  for (const Product::Group& group : facts.groups) {
    combinations *= group.count;
    if (combinations > UINT32_MAX) throw std::invalid_argument("product " + std::string(facts.asin) + " has more combinations of options than 32 bits number");
  }
  if (goals_.size() + combinations > UINT32_MAX) throw std::invalid_argument("the catalogue gives more goals than 32 bits number");
  // Upstream draws one ceiling per product.
  uint32_t of_all = settings_.is_compat ? ceiling(prices_[product], 0) : 0;
  for (uint64_t which = 0; which < combinations; ++which) {
    uint64_t hash = counter_random(settings_.seed, kCeilingPurpose, hash_text(facts.asin), which);
    goals_.push_back({product, static_cast<uint32_t>(which), settings_.is_compat ? of_all : ceiling(prices_[product], hash)});
  }
}

void Goals::collect() {
  Instructions all;
  Product facts;
  std::unordered_map<std::string_view, uint64_t> times;
  std::vector<std::pair<size_t, size_t>> spans;  // of made goals, by product
  for (uint32_t i = 0; i < catalogue_->size(); ++i) {
    catalogue_->instructions(i, all);
    if (settings_.is_human ? all.human.empty() : !all.synthetic) continue;
    catalogue_->product(i, facts);
    size_t before = goals_.size();
    if (settings_.is_human) {
      collect_human(i, all, facts);
      continue;
    }
    collect_made(i, all, facts);
    for (std::string_view attribute : all.synthetic->attributes) times[attribute] += goals_.size() - before;
    spans.emplace_back(before, goals_.size());
  }
  for (auto [begin, end] : spans) {
    if (begin == end) continue;
    catalogue_->instructions(goals_[begin].product, all);
    double weight = 0;
    for (std::string_view attribute : all.synthetic->attributes) weight += 1.0 / static_cast<double>(times[attribute]);
    weight /= static_cast<double>(all.synthetic->attributes.size());
    for (size_t i = begin; i < end; ++i) goals_[i].weight = weight;
  }
}

void Goals::arrange_compat() {
  random_ = Mersenne(kCompatOrderSeed);
  random_.shuffle(goals_);
  if (settings_.limit >= 0 && static_cast<size_t>(settings_.limit) < goals_.size()) {
    until_.assign(goals_.size() + 1, 0);
    for (size_t i = 0; i < goals_.size(); ++i) until_[i + 1] = until_[i] + goals_[i].weight;
    std::vector<Goal> chosen;
    std::vector<bool> is_taken(goals_.size());
    while (chosen.size() < static_cast<size_t>(settings_.limit)) {
      size_t index = draw_at(random_.uniform(0, until_.back()), 0, goals_.size());
      if (!is_taken[index]) chosen.push_back(goals_[index]);
      is_taken[index] = true;
    }
    goals_ = std::move(chosen);
  }
  size_t num_test = settings_.num_test < 0 ? kCompatTest : static_cast<size_t>(settings_.num_test);
  size_t num_eval = settings_.num_eval < 0 ? kCompatEval : static_cast<size_t>(settings_.num_eval);
  test_end_ = std::min(goals_.size(), num_test);
  eval_end_ = std::min(goals_.size(), test_end_ + num_eval);
}

void Goals::arrange() {
  size_t num_test = settings_.num_test < 0 ? std::min<size_t>(500, goals_.size() / 5) : static_cast<size_t>(settings_.num_test);
  size_t num_eval = settings_.num_eval < 0 ? std::min<size_t>(1000, goals_.size() / 5) : static_cast<size_t>(settings_.num_eval);
  Product facts;
  struct Place {
    uint64_t product_hash, goal_hash;
    Goal goal;
  };
  std::vector<Place> places;
  places.reserve(goals_.size());
  uint32_t last = UINT32_MAX;
  uint64_t asin = 0;
  for (const Goal& goal : goals_) {
    if (goal.product != last) catalogue_->card(goal.product, facts), asin = hash_text(facts.asin), last = goal.product;
    places.push_back({counter_random(settings_.seed, kProductPurpose, asin, 0), counter_random(settings_.seed, kOrderPurpose, asin, goal.which), goal});
  }
  auto by_goal = [](const Place& x, const Place& y) {
    return std::tie(x.goal_hash, x.goal.product, x.goal.which) < std::tie(y.goal_hash, y.goal.product, y.goal.which);
  };
  auto by_product = [&](const Place& x, const Place& y) {
    return x.product_hash != y.product_hash ? x.product_hash < y.product_hash : x.goal.product != y.goal.product ? x.goal.product < y.goal.product : by_goal(x, y);
  };
  if (settings_.is_by_asin) std::sort(places.begin(), places.end(), by_product);
  else std::sort(places.begin(), places.end(), by_goal);
  // A split ends where it has its number of goals, and, by asin, where the next product begins.
  auto end_after = [&](size_t begin, size_t count) {
    size_t end = std::min(places.size(), begin + count);
    while (settings_.is_by_asin && end > begin && end < places.size() && places[end].goal.product == places[end - 1].goal.product) ++end;
    return end;
  };
  test_end_ = end_after(0, num_test);
  eval_end_ = end_after(test_end_, num_eval);
  auto at = [&](size_t index) { return places.begin() + static_cast<std::ptrdiff_t>(index); };
  std::sort(at(0), at(test_end_), by_goal);
  std::sort(at(test_end_), at(eval_end_), by_goal);
  std::sort(at(eval_end_), places.end(), by_goal);
  for (size_t i = 0; i < places.size(); ++i) goals_[i] = places[i].goal;
}

uint32_t Goals::product_of(size_t index) const {
  if (index >= goals_.size()) throw std::invalid_argument("goal " + std::to_string(index) + " of " + std::to_string(goals_.size()));
  return goals_[index].product;
}

void Goals::describe(size_t index, GoalText& out) const {
  out.product = product_of(index);
  const Goal& goal = goals_[index];
  Product product;
  Instructions all;
  catalogue_->product(goal.product, product);
  catalogue_->instructions(goal.product, all);
  out.asin = product.asin;
  out.category = product.category;
  out.query = product.query;
  out.name = product.name;
  out.product_category = product.product_category;
  out.weight = goal.weight;
  out.price_upper = goal.ceiling;
  out.instruction.clear();
  if (settings_.is_human) {
    const Instruction& said = all.human.at(goal.which);
    out.instruction = strip_dots(said.text);
    out.attributes = said.attributes;
    out.options = said.options;
    out.has_groups = said.has_groups;
  } else {
    out.instruction = all.synthetic.value().text;
    out.attributes = all.synthetic->attributes;
    read_combination(product, goal.which, out.options);
    out.has_groups = true;
    for (size_t i = 0; i < out.options.size(); ++i) {
      out.instruction += i ? ", and " : " with ";
      out.instruction += out.options[i].first;
      out.instruction += ": ";
      out.instruction += out.options[i].second;
    }
  }
  if (goal.ceiling != kNoCeiling) out.instruction += ", and price lower than " + std::to_string(goal.ceiling) + ".00 dollars";
}

std::pair<size_t, size_t> Goals::range(Split split) const {
  switch (split) {
    case Split::kTest: return {0, test_end_};
    case Split::kEval: return {test_end_, eval_end_};
    case Split::kTrain: return {eval_end_, goals_.size()};
    default: return {0, goals_.size()};
  }
}

size_t Goals::draw(double unit, Split split) const {
  auto [begin, end] = range(split);
  if (begin == end) throw std::invalid_argument("the split has no goals");
  double position = until_[begin] + unit * (until_[end] - until_[begin]);
  auto after = std::upper_bound(until_.begin() + static_cast<std::ptrdiff_t>(begin) + 1, until_.begin() + static_cast<std::ptrdiff_t>(end), position);
  return static_cast<size_t>(after - until_.begin()) - 1;
}

// bisect over [0, w0, w0 + w1, ...], not one less: upstream's off-by-one.
size_t Goals::draw_at(double position, size_t begin, size_t end) const {
  auto after = std::upper_bound(until_.begin() + static_cast<std::ptrdiff_t>(begin), until_.end(), position);
  return std::min(static_cast<size_t>(after - until_.begin()), end - 1);
}

size_t Goals::draw_compat(Mersenne& random) const {
  for (int i = 0; i < 10; ++i) random.random();  // the letters of a session's name
  return draw_at(random.uniform(0, until_.back()), 0, goals_.size());
}

}  // namespace vldac::webshop

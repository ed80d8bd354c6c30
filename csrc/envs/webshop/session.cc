#include "envs/webshop/session.h"

#include <algorithm>
#include <stdexcept>

#include "core/rng.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr std::string_view kSubPages[] = {"Description", "Features", "Reviews", "Attributes"};
constexpr int32_t kMaxPage = 1 << 20;
constexpr uint64_t kRandomPurpose = 0x72616e64;

struct Action {
  std::string_view name, argument;
};

// (.+)\[(.+)\] from the start; the default takes the first "[" for the last one that fits.
Action parse(std::string_view text, bool is_greedy) {
  if (!is_greedy) text = strip(text);
  text = text.substr(0, text.find('\n'));
  size_t close = text.rfind(']');
  if (close == std::string_view::npos || close < 3) return {};
  size_t open = is_greedy ? text.rfind('[', close - 2) : text.find('[');
  if (open == std::string_view::npos || open == 0 || open + 2 > close) return {};
  return {text.substr(0, open), text.substr(open + 1, close - open - 1)};
}

template <class T>
void put_all(Bytes& out, const std::vector<T>& values) {
  out.put(static_cast<uint32_t>(values.size()));
  for (T value : values) out.put(value);
}

}  // namespace

Session::Session(Shop shop, const SessionSettings& settings) : shop_(std::move(shop)), settings_(settings), search_(settings.is_lossy) {
  if (settings_.page_size < 1 || settings_.page_size > static_cast<int>(kMaxResults))
    throw std::invalid_argument("page_size: expected 1 to 50, got " + std::to_string(settings_.page_size));
  reset(0);
}

void Session::reset(size_t goal) {
  shop_.goals->describe(goal, goal_);
  goal_index_ = goal;
  parts_ = {};
  notice_.clear();
  open_index();
  build_page();
}

void Session::open_index() {
  kind_ = PageKind::kIndex;
  query_.clear();
  results_.clear();
  page_number_ = 1;
  product_ = -1;
  chosen_.clear();
  visited_.clear();
}

Session::Outcome Session::refuse(std::string_view why, std::string_view what) {
  if (settings_.is_compat) return {};
  notice_ = why;
  if (!what.empty() && first_bad_utf8(what) == std::string_view::npos) {
    notice_ += ": ";
    notice_ += cut_utf8(what, 80);
  }
  return {};
}

Session::Outcome Session::step(std::string_view action) {
  notice_.clear();
  if (is_done() && !settings_.is_compat) return {0, true, false};
  Action parsed = parse(action, settings_.is_compat);
  if (parsed.name == "search") {
    if (!is_searchable()) return refuse("There is no search bar on this page", {});
    std::string_view words = cut_utf8(parsed.argument, Search::kMaxQueryBytes);
    argument_.clear();
    append_lower(argument_, words);
    search(argument_);
    page_number_ = 1;
    build_page();
    if (words.size() < parsed.argument.size() && !settings_.is_compat)
      notice_ = "The query was cut after " + std::to_string(words.size()) + " bytes.";
    return {0, false, true};
  }
  if (parsed.name == "click") return click(parsed.argument);
  return refuse("An action is search[words] or click[name], but this was", cut_utf8(action, 80));
}

void Session::find_special(std::string_view kind, std::string_view words) {
  // Upstream splits at blanks, and reads one piece of a category's name.
  if (settings_.is_compat && kind == "<c>" && !words.empty()) words = words.substr(1, words.find(' ', 1) - 1);
  words = strip(words);
  size_t most = settings_.is_compat ? shop_.catalogue->size() : kMaxResults;
  if (kind != "<r>") {
    Key key = kind == "<a>" ? Key::kAttribute : kind == "<c>" ? Key::kCategory : Key::kQuery;
    for (const Hit& hit : search_.look_up(*shop_.index, key, words, most)) results_.push_back(hit.doc);
    return;
  }
  uint32_t size = shop_.catalogue->size();
  size_t count = std::min<size_t>(kMaxResults, size);
  uint64_t seed = hash_text(query_);
  for (uint64_t draw = 0; results_.size() < count; ++draw) {
    auto product = static_cast<uint32_t>(counter_random(seed, kRandomPurpose, goal_index_, draw) % size);
    if (std::find(results_.begin(), results_.end(), product) == results_.end()) results_.push_back(product);
  }
}

void Session::search(std::string_view query) {
  query_.assign(query);
  kind_ = PageKind::kResults;
  parts_ = {};
  product_ = -1;
  chosen_.clear();
  results_.clear();
  std::string_view first = query.substr(0, query.find(' '));
  if (first == "<r>" || first == "<a>" || first == "<c>" || first == "<q>") {
    find_special(first, query.substr(first.size()));
    return;
  }
  for (const Hit& hit : search_.run(*shop_.index, query, kMaxResults)) results_.push_back(hit.doc);
}

void Session::open_product(uint32_t product) {
  kind_ = PageKind::kItem;
  product_ = product;
  shop_.catalogue->product(product, item_);
  chosen_.assign(item_.groups.size(), -1);
  if (std::find(visited_.begin(), visited_.end(), product) == visited_.end()) visited_.push_back(product);
}

// Of options that share a value one is meant in whose group nothing is chosen, else one that is not chosen itself.
const Session::Clickable* Session::find_clickable(std::string_view name) const {
  const Clickable* found = nullptr;
  int best = -1;
  for (size_t i = 0; i < num_clickables_; ++i) {
    const Clickable& clickable = clickables_[i];
    if (clickable.key != name) continue;
    if (settings_.is_compat || clickable.target != Target::kOption) return &clickable;
    int32_t chosen = chosen_[clickable.first];
    int fit = chosen < 0 ? 2 : chosen != static_cast<int32_t>(clickable.second) ? 1 : 0;
    if (fit > best) found = &clickable, best = fit;
  }
  return found;
}

Session::Outcome Session::click(std::string_view name) {
  argument_.clear();
  append_lower(argument_, cut_utf8(name, Search::kMaxQueryBytes));
  const Clickable* found = name.size() > Search::kMaxQueryBytes ? nullptr : find_clickable(argument_);
  if (!found) return refuse("There is no such button on this page", name);
  if (settings_.is_compat && argument_ == "search") return {};
  if (found->target == Target::kSearch) return refuse("Type the words of a search into it: search[words]", {});
  Outcome outcome = settings_.is_compat ? follow_compat(*found) : follow(*found);
  build_page();
  return outcome;
}

Session::Outcome Session::follow(const Clickable& clickable) {
  switch (clickable.target) {
    case Target::kSearch: break;
    case Target::kBack: open_index(); break;
    case Target::kNext: page_number_ = std::min(page_number_ + 1, kMaxPage); break;
    case Target::kPrev:
      if (kind_ == PageKind::kItemSub) {
        kind_ = PageKind::kItem;
      } else if (kind_ == PageKind::kItem) {
        kind_ = PageKind::kResults;
        product_ = -1;
        chosen_.clear();
      } else {
        --page_number_;
      }
      break;
    case Target::kSub:
      kind_ = PageKind::kItemSub;
      sub_ = static_cast<uint8_t>(clickable.first);
      break;
    case Target::kBuy: return buy();
    case Target::kProduct: open_product(clickable.first); break;
    case Target::kOption: chosen_[clickable.first] = static_cast<int32_t>(clickable.second); break;
  }
  return {0, false, true};
}

// Upstream looks at the name first, so that an option called like a button acts as the button.
Session::Outcome Session::follow_compat(const Clickable& clickable) {
  bool is_item = kind_ == PageKind::kItem || kind_ == PageKind::kItemSub;
  Clickable meant{{}, {}, clickable.target, clickable.first, clickable.second};
  std::string_view name = clickable.name;
  if (name == "buy now" && is_item) meant.target = Target::kBuy;
  else if (name == "back to search") meant.target = Target::kBack;
  else if (name == "< prev") meant.target = Target::kPrev;
  else if (clickable.target == Target::kOption)
    for (uint32_t i = 0; i < std::size(kSubPages); ++i)
      if (name == lower(kSubPages[i])) meant.target = Target::kSub, meant.first = i;
  return follow(meant);
}

Session::Outcome Session::buy() {
  auto product = static_cast<uint32_t>(product_);
  values_.clear();
  for (size_t group = 0; group < chosen_.size(); ++group)
    if (chosen_[group] >= 0) values_.push_back(item_.values[item_.groups[group].first + static_cast<uint32_t>(chosen_[group])].text);
  shop_.nouns->of(product, item_.name, bought_nouns_);
  shop_.nouns->of(goal_.product, goal_.name, goal_nouns_);
  parts_ = rewarder_(item_, shop_.goals->price(product), values_, goal_, bought_nouns_, goal_nouns_);
  kind_ = PageKind::kDone;
  return {parts_.reward, true, true};
}

void Session::save(Bytes& out) const {
  out.put(static_cast<uint64_t>(goal_index_));
  out.put(static_cast<uint8_t>(kind_));
  out.put(sub_);
  out.put(static_cast<uint32_t>(query_.size()));
  for (char c : query_) out.put(c);
  put_all(out, results_);
  out.put(page_number_);
  out.put(product_);
  put_all(out, chosen_);
  put_all(out, visited_);
}

void Session::load(Bytes& in) {
  uint32_t last = shop_.catalogue->size() - 1;
  auto get_products = [&](std::vector<uint32_t>& into) {
    uint32_t count = in.get_within<uint32_t>(0, last + 1);
    into.clear();
    while (count--) into.push_back(in.get_within<uint32_t>(0, last));
  };
  goal_index_ = in.get_within<uint64_t>(0, shop_.goals->size() - 1);
  kind_ = static_cast<PageKind>(in.get_within<uint8_t>(0, static_cast<uint8_t>(PageKind::kDone)));
  sub_ = in.get_within<uint8_t>(0, std::size(kSubPages) - 1);
  query_.resize(in.get_within<uint32_t>(0, 3 * Search::kMaxQueryBytes));  // lower case may be longer
  for (char& c : query_) c = in.get<char>();
  get_products(results_);
  page_number_ = in.get_within<int32_t>(1, kMaxPage);
  product_ = in.get_within<int64_t>(-1, last);
  uint32_t num_groups = in.get<uint32_t>();
  bool is_item = kind_ == PageKind::kItem || kind_ == PageKind::kItemSub || kind_ == PageKind::kDone;
  if (product_ >= 0) shop_.catalogue->product(static_cast<uint32_t>(product_), item_);
  if (is_item != (product_ >= 0) || num_groups != (product_ >= 0 ? item_.groups.size() : 0))
    throw std::invalid_argument("environment state is altered");
  chosen_.clear();
  for (uint32_t group = 0; group < num_groups; ++group)
    chosen_.push_back(in.get_within<int32_t>(-1, static_cast<int32_t>(item_.groups[group].count) - 1));
  get_products(visited_);
  shop_.goals->describe(goal_index_, goal_);
  parts_ = {};
  notice_.clear();
  if (kind_ == PageKind::kDone) buy();
  build_page();
}

}  // namespace vldac::webshop

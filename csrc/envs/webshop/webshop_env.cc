#include "envs/webshop/webshop_env.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "envs/webshop/render/html.h"
#include "envs/webshop/render/text.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

constexpr const char* kPageNames[] = {"index", "results", "item", "sub page", "done"};
constexpr size_t kMaxName = 1000;        // bytes of a name that is listed; the parser's names have 1,024
constexpr uint64_t kMostSkipped = 65536;  // of compat's draws, for the environments' seeds

int64_t whole(const Options& options, const char* name, int64_t first, int64_t last) {
  double value = options.at(name);
  if (!(value >= static_cast<double>(first) && value <= static_cast<double>(last)) || value != static_cast<double>(static_cast<int64_t>(value)))
    throw std::invalid_argument(std::string("WebShop, ") + name + ": expected a whole number, " + std::to_string(first) + " to " + std::to_string(last));
  return static_cast<int64_t>(value);
}

SessionSettings settings_of(const Options& options) {
  return {.page_size = static_cast<int>(whole(options, "page_size", 1, static_cast<int64_t>(Session::kMaxResults))),
          .is_compat = options.at("compat") != 0.0,
          .shows_attributes = options.at("show_attributes") != 0.0,
          .is_lossy = options.at("lossy_lengths") != 0.0};
}

}  // namespace

EnvSpec WebshopEnv::spec() {
  return {.id = "WebShop-v0",
          .action_names = {},
          .max_episode_steps = 15,
          .task_episode_steps = 50,
          .fields = {"page", "chosen"},
          .options = {{"shop", -1, "the shop, by its number"},
                      {"split", 0, "0 all goals, 1 train, 2 eval, 3 test"},
                      {"goal_order", 0, "which goal an episode has: 0 drawn by weight, 1 number (seed + episode) of the split"},
                      {"goal", -1, "the number of the only goal, -1: those of the split"},
                      {"page_size", 10, "results on a page"},
                      {"observation_mode", 0, "the text: 0 text, 1 text_rich, 2 html"},
                      {"picture", 1, "0 none, 1 raster"},
                      {"reward", 0, "0 score, 1 success alone"},
                      {"compat", 0, "upstream's pages, names and quirks"},
                      {"show_attributes", 0, "a sub page with the attributes that goals ask for"},
                      {"lossy_lengths", 0, "search with Lucene's rounded lengths"}},
          .observation = {.width = 512, .height = 896},
          .is_bounded = false,
          .is_text = true,
          .observation_with = [](const Options& options) {
            return ObsSpec{.kind = options.at("picture") != 0.0 ? ObsKind::kImage : ObsKind::kNone, .width = 512, .height = 896};
          }};
}

WebshopEnv::WebshopEnv(const Options& options)
    : number_(whole(options, "shop", -1, int64_t{1} << 53)),
      open_(find_shop(number_)),
      split_(static_cast<Split>(whole(options, "split", 0, 3))),
      order_(static_cast<Order>(whole(options, "goal_order", 0, 1))),
      wording_(static_cast<Wording>(whole(options, "observation_mode", 0, 2))),
      pay_(static_cast<Pay>(whole(options, "reward", 0, 1))),
      has_pictures_(whole(options, "picture", 0, 1) != 0),
      only_goal_(whole(options, "goal", -1, static_cast<int64_t>(open_->shop.goals->size()) - 1)),
      session_(open_->shop, settings_of(options)),
      painter_({.photos = open_->photos}) {
  auto [begin, end] = open_->shop.goals->range(split_);
  if (begin == end) throw std::invalid_argument("WebShop, split: it has no goals");
  if (session_.settings().is_compat && order_ == Order::kRandom && split_ == Split::kAll) random_ = open_->shop.goals->random_after();
  read_page();
}

size_t WebshopEnv::draw(Context& context) {
  if (only_goal_ >= 0) return static_cast<size_t>(only_goal_);
  const Goals& goals = *open_->shop.goals;
  if (order_ == Order::kSeed) {
    auto [begin, end] = goals.range(split_);
    return begin + static_cast<size_t>((context.seed + static_cast<uint64_t>(context.episode)) % (end - begin));
  }
  if (!random_) return goals.draw(context.rng.uniform(), split_);
  if (context.episode == 0) {
    random_ = goals.random_after();
    for (drawn_ = 0; drawn_ < context.seed % kMostSkipped; ++drawn_) goals.draw_compat(*random_);
  }
  ++drawn_;
  return goals.draw_compat(*random_);
}

void WebshopEnv::reset(Context& context) {
  session_.reset(draw(context));
  expert_.reset();
  read_page();
}

StepResult WebshopEnv::step_command(std::string_view command, Context&) {
  Session::Outcome outcome = session_.step(command);
  if (outcome.is_valid && session_.page().kind == PageKind::kResults && command.find("search[") != std::string_view::npos) expert_.note_search();
  read_page();
  double reward = pay_ == Pay::kSuccess ? static_cast<double>(outcome.is_done && success()) : outcome.reward;
  return {reward, outcome.is_done, false};
}

void WebshopEnv::read_page() {
  switch (wording_) {
    case Wording::kText: write_text(session_.page(), text_); break;
    case Wording::kRich: write_text_rich(session_.page(), text_); break;
    case Wording::kHtml: write_html(session_.page(), {}, text_); break;
  }
  commands_.clear();
  if (session_.is_done()) return;
  if (session_.is_searchable()) commands_.push_back(symbols_("search[<words>]"));
  for (size_t i = 0; i < session_.num_clickables(); ++i) {
    std::string_view name = session_.clickable(i);
    // A click on the search button does nothing; upstream lists it all the same.
    if ((session_.has_search_bar() && !session_.settings().is_compat) || name.size() > kMaxName) continue;
    command_.assign("click[");
    command_ += name;
    command_ += ']';
    const Symbol* symbol = symbols_(command_);
    if (std::find(commands_.begin(), commands_.end(), symbol) == commands_.end()) commands_.push_back(symbol);
  }
}

const Symbol* WebshopEnv::oracle_command() const {
  expert_.next(session_, scratch_);
  return scratch_.empty() ? nullptr : symbols_(scratch_);
}

void WebshopEnv::facts(Facts& out) const {
  const GoalText& goal = session_.goal();
  const RewardParts& parts = session_.parts();
  out.text("observation", text_);
  out.text("task", goal.instruction);
  out.list("commands", commands_);
  scratch_.clear();
  if (!session_.notice().empty()) {
    scratch_ += "The shop says: ";
    scratch_ += session_.notice();
    if (scratch_.back() != '.') scratch_ += '.';
    scratch_ += '\n';
  }
  out.text("notice", scratch_);  // a line of its own, or nothing
  out.text("page", kPageNames[static_cast<size_t>(session_.page().kind)]);
  scratch_.clear();
  for (const Block& block : session_.page().blocks)
    for (const Choice& choice : block.choices) {
      if (block.kind != BlockKind::kOptionGroup || !choice.is_selected) continue;
      if (!scratch_.empty()) scratch_ += " and ";
      scratch_ += choice.value;
    }
  out.text("chosen", scratch_.empty() ? std::string_view("nothing") : std::string_view(scratch_));
  out.text("task_type", goal.category);  // the department
  out.number("goal", static_cast<int64_t>(session_.goal_index()));
  out.number("attributes_met", parts.attributes_met);
  out.number("attributes", static_cast<int64_t>(goal.attributes.size()));
  out.number("options_met", parts.options_met);
  out.number("options", static_cast<int64_t>(goal.options.size()));
  out.number("price_met", parts.price);
  char digits[32];
  auto end = std::to_chars(digits, digits + sizeof(digits), session_.is_done() ? 100.0 * parts.reward : 0.0).ptr;
  out.text("score", {digits, static_cast<size_t>(end - digits)});  // the literature's, whatever the option `reward`
}

void WebshopEnv::render(uint8_t* pixels, int width, int height) const {
  if (!has_pictures_) throw std::logic_error("WebShop: no picture was asked for (picture=none)");
  painter_.draw(session_.page(), pixels, width, height);
}

bool WebshopEnv::locate(std::string_view command, int width, int height, PixelRect& rect) const {
  if (!has_pictures_) return false;
  std::string pointed = lower(strip(command));
  if (pointed.starts_with("search[")) pointed = "search[...]";
  std::vector<uint8_t> pixels(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  painter_.draw(session_.page(), pixels.data(), width, height);
  std::string own;
  for (size_t i = 0; i < painter_.layout().clickables().size(); ++i) {
    write_command(session_.page(), painter_.layout().clickables()[i], own);
    if (lower(own) != pointed) continue;
    PixelBox box = painter_.box(i);
    rect = {box.x, box.y, box.width, box.height};
    return true;
  }
  return false;
}

void WebshopEnv::save(Bytes& out) const {
  out.put(number_);
  out.put(drawn_);
  expert_.save(out);
  session_.save(out);
}

void WebshopEnv::load(Bytes& in) {
  if (in.get<int64_t>() != number_) throw std::invalid_argument("environment state is of another shop, or of other goals");
  drawn_ = in.get<uint64_t>();
  if (random_) {
    if (drawn_ > (uint64_t{1} << 24)) throw std::invalid_argument("environment state is altered");
    random_ = open_->shop.goals->random_after();
    for (uint64_t i = 0; i < drawn_; ++i) open_->shop.goals->draw_compat(*random_);
  }
  expert_.load(in);
  session_.load(in);
  read_page();
}

}  // namespace vldac::webshop

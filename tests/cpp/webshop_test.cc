// Tests of the shop without Python; run under sanitizers by .ci/sanitize.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "envs/webshop/json_stream.h"
#include "envs/webshop/loader.h"
#include "envs/webshop/session.h"
#include "envs/webshop/unicode.h"
#include "webshop_files.h"

#define CHECK(condition)                                                    \
  if (!(condition)) {                                                       \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
    std::exit(1);                                                           \
  }

static size_t allocations = 0;
void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace vldac;
using namespace vldac::webshop;

static void the_generator_is_pythons() {
  Mersenne random(233);
  CHECK(random.random() == 0.6824769139473528 && random.random() == 0.6283202109809801 && random.next32() == 2255607332u);
  std::vector<int> order(12);
  for (int i = 0; i < 12; ++i) order[static_cast<size_t>(i)] = i;
  Mersenne(233).shuffle(order);
  CHECK((order == std::vector<int>{5, 9, 0, 1, 4, 7, 6, 3, 8, 2, 11, 10}));
  Mersenne seven(7);
  for (auto expected : std::vector<std::pair<uint32_t, uint32_t>>{{2, 0}, {3, 2}, {0, 3}, {0, 1}, {0, 2}}) CHECK(seven.sample2(4) == expected);
  for (auto expected : std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {0, 1}, {1, 0}}) CHECK(seven.sample2(2) == expected);
  Mersenne wide((uint64_t{1} << 40) + 5);
  CHECK(wide.random() == 0.5043802970418443 && wide.uniform(3.5, 9) == 4.977324419847805);
}

static void ratios_decide_as_they_count() {
  Ratio ratio;
  CHECK(ratio("Dark Red", "('color', 'dark red')") == 100);
  CHECK(ratio("", "red") == 0 && ratio("!!", "!!") == 0 && ratio("\xc3\xa9", "red") == 0);
  CHECK(ratio("machine wash", "machine washable") == 86 && ratio("machine wash cold", "machine wash") == 100 && ratio("easy to clean", "easy cleaning") == 77);
  Pcg64 rng(SeedSequence({5}));
  Phrase one, two;
  for (int i = 0; i < 4000; ++i) {
    std::string first = some_words(rng, rng.integers(0, i % 50 ? 5 : 60)), second = rng.integers(0, 2) ? first : some_words(rng, rng.integers(0, 5));
    for (int64_t edits = rng.integers(0, 3); edits > 0 && !second.empty(); --edits)
      second[static_cast<size_t>(rng.integers(0, static_cast<int64_t>(second.size())))] = static_cast<char>('a' + rng.integers(0, 26));
    if (first_bad_utf8(second) != std::string_view::npos) continue;
    one.assign(first);
    two.assign(second);
    int score = ratio(one, two);
    for (int limit : {0, 50, 80, 85, 90, 99}) CHECK(ratio.is_above(one, two, limit) == (score > limit));
  }
}

static void words_are_lucenes() {
  Analyser analyser;
  std::string all;
  std::string_view text = "Women's Size 3.5 x-large, 1,000 foo_bar a:b U.S.A. wash; it\xe2\x80\x99s not THE _ hopping relational";
  for (size_t at = 0; analyser.next(text, at);) all += std::string(analyser.term()) + '|';
  CHECK(all == "women|size|3.5|x|larg|1,000|foo_bar|a:b|u.s.a|wash|hop|relat|");
  // Any bytes: no read outside, and an end.
  Pcg64 rng(SeedSequence({6}));
  for (int i = 0; i < 3000; ++i) {
    std::vector<char> bytes;
    for (int64_t left = rng.integers(0, 40); left; --left) bytes.push_back(static_cast<char>(rng.integers(0, 256)));
    std::string_view view(bytes.data(), bytes.size());
    for (size_t at = 0; analyser.next(view, at);) CHECK(at <= view.size());
    Phrase phrase;
    phrase.assign(view);
    (void)lower(strip(view));
  }
}

static void lengths_in_one_byte_are_lucenes() {
  for (uint32_t length = 0; length < 40; ++length) CHECK(byte_to_length(length_to_byte(length)) == length);
  uint32_t last = 0;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    CHECK(byte == 0 || byte_to_length(static_cast<uint8_t>(byte)) > last || byte > 247);
    last = byte_to_length(static_cast<uint8_t>(byte));
  }
  for (uint32_t length = 1; length < 100000; length += 7) {
    uint32_t kept = byte_to_length(length_to_byte(length));
    CHECK(kept <= length && kept * 8 >= length * 7);
  }
}

// A shop to be searched: kinds of products in no order, many of the same words, some said hundreds of times.
static void write_market(int count, const std::string& name) {
  Pcg64 rng(SeedSequence({14}));
  std::string items = "[", attributes = "{";
  for (int i = 0; i < count; ++i) {
    std::string asin = "B1" + std::to_string(10000 + i), kind = std::to_string(rng.integers(0, 7));
    std::string text = i % 9 ? some_words(rng, rng.integers(0, 30)) : "lamp oak";
    if (i % 400 == 7) {
      for (int64_t left = std::vector<int64_t>{254, 255, 256, 300, 70000}[static_cast<size_t>(rng.integers(0, 5))]; left; --left) text += " lamp";
    }
    items += std::string(i ? ",\n" : "") + "{\"asin\": " + in_quotes(asin) + ", \"name\": " + in_quotes(i % 50 ? text : "") + ", \"full_description\": \"\", " +
             "\"small_description\": [], \"pricing\": \"$5.50\", \"category\": " + in_quotes("category " + std::string(1, kind[0] & ~2)) + ", \"query\": " +
             in_quotes("kind " + kind) + ", \"product_category\": \"Home\", \"images\": [\"a.jpg\"], \"customization_options\": \"\"}";
    attributes += std::string(i ? ",\n" : "") + in_quotes(asin) + ": {\"attributes\": [" + in_quotes(some_words(rng, 1)) + ", " + in_quotes(some_words(rng, 1)) + "]}";
  }
  write("items.json", items + "]");
  write("attributes.json", attributes + "}");
  Catalogue::build({.items = folder + "items.json", .attributes = folder + "attributes.json", .store = folder + name});
}

// Every product with its sum, in fixed point (2^-40), sorted.
static std::vector<Hit> search_plainly(const Store& store, const Index& index, std::string_view query, bool is_lossy) {
  constexpr double kOne = 1099511627776.0;
  double total = 0, docs = 0;
  for (uint32_t length : store.values<uint32_t>(Section::kDocLengths)) total += length, docs += length > 0;
  double average = total / docs;
  auto mean = static_cast<float>(average);
  Analyser analyser;
  std::map<int64_t, uint32_t> times;
  for (size_t at = 0; analyser.next(query, at);) ++times[index.find(analyser.term())];
  times.erase(-1);
  std::vector<Index::Posting> postings;
  std::map<uint32_t, int64_t> sums;
  for (auto [term, count] : times) {
    index.read(static_cast<uint32_t>(term), postings);
    auto found = static_cast<double>(postings.size());
    double idf = std::log(1 + (docs - found + 0.5) / (found + 0.5));
    auto weight = static_cast<float>(count) * static_cast<float>(idf);
    for (const Index::Posting& posting : postings) {
      double share = count * idf * posting.count / (posting.count + 0.9 * (0.6 + 0.4 * posting.length / average));
      float inverse = 1.0f / (0.9f * ((1.0f - 0.4f) + 0.4f * static_cast<float>(byte_to_length(length_to_byte(posting.length))) / mean));
      if (is_lossy) share = static_cast<double>(weight - weight / (1.0f + static_cast<float>(posting.count) * inverse));
      sums[posting.product] += static_cast<int64_t>(share * kOne + 0.5);
    }
  }
  std::vector<Hit> hits;
  for (auto [doc, sum] : sums) {
    double score = static_cast<double>(sum) / kOne;
    hits.push_back({doc, is_lossy ? static_cast<double>(static_cast<float>(score)) : score});
  }
  double same = is_lossy ? 0 : 64 / kOne;  // the order of the factors differs
  std::sort(hits.begin(), hits.end(), [=](const Hit& x, const Hit& y) { return std::abs(x.score - y.score) > same ? x.score > y.score : x.doc < y.doc; });
  return hits;
}

static void search_leaves_nothing_out() {
  write_market(9000, "large.store");
  Catalogue catalogue(folder + "large.store");
  Index index(catalogue.store());
  Search exact, lossy(true);
  Pcg64 rng(SeedSequence({7}));
  for (int i = 0; i < 120; ++i) {
    std::string query = i == 0 ? "lamp" : i == 1 ? "lamp oak" : some_words(rng, rng.integers(1, 9)) + " unknownword";
    for (bool is_lossy : {false, true}) {
      std::vector<Hit> plain = search_plainly(catalogue.store(), index, query, is_lossy);
      for (size_t count : {size_t{1}, size_t{10}, size_t{50}, size_t{10000}}) {
        std::span<const Hit> found = (is_lossy ? lossy : exact).run(index, query, count);
        CHECK(found.size() == std::min(count, plain.size()));
        for (size_t k = 0; k < found.size(); ++k) CHECK(found[k].doc == plain[k].doc && std::abs(found[k].score - plain[k].score) < 1e-9);
      }
    }
  }
  CHECK(exact.run(index, "", 50).empty() && exact.run(index, "the of and", 50).empty() && exact.run(index, "lamp", 0).empty() && !exact.was_cut());
  exact.run(index, std::string(1 << 20, 'a') + " lamp", 50);
  CHECK(exact.was_cut());
}

static void counts_are_kept_whatever_their_size() {
  write_market(2001, "market.store");
  Catalogue catalogue(folder + "market.store");
  Index index(catalogue.store());
  Product product;
  std::vector<Index::Posting> postings;
  index.read(static_cast<uint32_t>(index.find("lamp")), postings);
  std::set<uint32_t> counts;
  for (const Index::Posting& posting : postings) {
    catalogue.product(posting.product, product);
    uint32_t lamps = 0, words = 0;
    Analyser analyser;
    for (size_t at = 0; analyser.next(product.name, at); ++words) lamps += analyser.term() == "lamp";
    CHECK(posting.count == std::min(lamps, 65535u) && posting.length == words);
    counts.insert(posting.count);
  }
  CHECK(counts.contains(1) && counts.upper_bound(250) != counts.end());
}

static void products_of_a_key_come_in_their_order() {
  write_market(2000, "market.store");
  Catalogue catalogue(folder + "market.store");
  Index index(catalogue.store());
  Search search;
  Product product;
  for (std::string kind : {"kind 0", "kind 3", "kind 6"}) {
    std::vector<uint32_t> expected;
    for (uint32_t i = 0; i < catalogue.size(); ++i) {
      catalogue.product(i, product);
      if (product.query == kind) expected.push_back(i);
    }
    for (size_t count : {size_t{0}, size_t{1}, size_t{50}, size_t{5000}}) {
      std::span<const Hit> found = search.look_up(index, Key::kQuery, kind, count);
      CHECK(found.size() == std::min(count, expected.size()));
      for (size_t k = 0; k < found.size(); ++k) CHECK(found[k].doc == expected[k]);
    }
  }
  CHECK(search.look_up(index, Key::kQuery, "kind 7", 50).empty() && search.look_up(index, Key::kCategory, "kind 0", 50).empty());
}

// Large stores are not summed up when they are opened: whatever their bytes say, search stays inside.
static void altered_indexes_are_refused_or_searched() {
  write_market(300, "market.store");
  std::string bytes = read("market.store");
  Pcg64 rng(SeedSequence({15}));
  int searched = 0;
  for (int i = 0; i < 300; ++i) {
    std::string altered = bytes;
    for (int64_t left = rng.integers(1, 200); left; --left)
      altered[static_cast<size_t>(rng.integers(512, static_cast<int64_t>(altered.size())))] ^= static_cast<char>(1 << rng.integers(0, 8));
    write("altered.store", altered);
    try {
      Store store(folder + "altered.store", 0);
      Index index(store);
      for (bool is_lossy : {false, true}) {
        Search search(is_lossy);
        for (const Hit& hit : search.run(index, some_words(rng, 6), 50)) CHECK(hit.doc < 300);
        for (const Hit& hit : search.look_up(index, Key::kQuery, "kind 2", 50)) CHECK(hit.doc < 300);
      }
      ++searched;
    } catch (const StoreError&) {
    }
  }
  CHECK(searched > 20);
}

static void damaged_files_are_refused() {
  write_shop(3, "small.store");
  std::string items = read("items.json");
  BuildRequest request{.items = folder + "damaged.json", .attributes = folder + "attributes.json", .store = folder + "damaged.store"};
  auto is_refused = [&](std::string_view bytes) {
    write("damaged.json", bytes);
    try {
      Catalogue::build(request);
    } catch (const FileError&) {
      CHECK(!std::filesystem::exists(folder + "damaged.store"));
      return true;
    }
    std::filesystem::remove(folder + "damaged.store");
    return false;
  };
  for (size_t size = 0; size < items.size(); size += 3) CHECK(is_refused(std::string_view(items).substr(0, size)));
  CHECK(!is_refused(items) && is_refused(items + "x") && is_refused("{}") && is_refused(std::string(100, '[')));
  Pcg64 rng(SeedSequence({8}));
  for (int i = 0; i < 400; ++i) {
    std::string altered = items;
    altered[static_cast<size_t>(rng.integers(0, static_cast<int64_t>(items.size())))] = static_cast<char>(rng.integers(0, 256));
    is_refused(altered);
  }
  CHECK(is_refused("[{\"asin\": \"\xff\"}]"));
}

static void malformed_rows_are_counted_and_skipped() {
  write_shop(1, "small.store");
  std::string good = read("items.json");
  good = good.substr(1, good.size() - 2);
  auto with = [&](std::string_view from, std::string_view to) {
    std::string row = good;
    row.replace(row.find(from), from.size(), to);
    return row;
  };
  std::string rows = good + ", 7, {}, " + good + ", " + with("\"B010000\"", "\"nan\"") + ", " + with("\"B010000\"", "\"B0100000000\"") + ", " +
                     with("\"B010000\"", "null") + ", " + with("\"$10.00 - $20.25\"", "\"free\"") + ", " + with("\"$10.00 - $20.25\"", "12") + ", " +
                     with("[{\"value\": \"Red / Blue\"}", "[{\"price\": 1}") + ", " + with("\"B010000\"", "\"B2\"");
  write("mixed.json", "[" + rows + "]");
  BuildRequest request{.items = folder + "mixed.json", .attributes = folder + "attributes.json", .store = folder + "mixed.store"};
  BuildReport report = Catalogue::build(request);
  CHECK(report.rows == 11 && report.products == 2 && report.duplicates == 1 && report.bad_asins == 2 && report.malformed == 6 && report.problems.size() == 6);
  CHECK(report.problems[1].find("'asin' is missing") != std::string::npos && report.problems[3].find("dollars") != std::string::npos);
  request.is_strict = true;
  bool is_thrown = false;
  try {
    Catalogue::build(request);
  } catch (const FileError& error) {
    is_thrown = std::string(error.what()).find("row 2: the row is no object") != std::string::npos;
  }
  CHECK(is_thrown);
}

static void altered_stores_are_refused() {
  write_shop(3, "small.store");
  std::string bytes = read("small.store");
  Pcg64 rng(SeedSequence({9}));
  auto is_refused = [&](std::string_view altered) {
    write("altered.store", altered);
    try {
      Catalogue catalogue(folder + "altered.store");
    } catch (const StoreError&) {
      return true;
    }
    return false;
  };
  CHECK(!is_refused(bytes) && is_refused("") && is_refused(bytes.substr(0, bytes.size() - 1)) && is_refused(bytes + "x"));
  for (size_t at = 0; at < 20; ++at) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    CHECK(is_refused(altered));
  }
  std::string longest = bytes;
  size_t text = longest.find("Model1");
  CHECK(text != std::string::npos);
  longest[text] = 'm';
  CHECK(is_refused(longest));
}

static void splits_share_no_product() {
  write_shop(200, "shop.store");
  for (bool is_human : {true, false}) {
    Shop shop = open_shop("shop.store", {.is_human = is_human, .seed = 3});
    CHECK(shop.goals->size() == (is_human ? 400u : 800u));
    std::set<uint32_t> seen;
    for (Split split : {Split::kTest, Split::kEval, Split::kTrain}) {
      auto [begin, end] = shop.goals->range(split);
      CHECK(begin < end);
      std::set<uint32_t> here;
      for (size_t i = begin; i < end; ++i) here.insert(shop.goals->product_of(i));
      for (uint32_t product : here) CHECK(seen.insert(product).second);
      for (double unit : {0.0, 0.3, 0.999999}) {
        size_t goal = shop.goals->draw(unit, split);
        CHECK(goal >= begin && goal < end);
      }
    }
    Shop again = open_shop("shop.store", {.is_human = is_human, .seed = 3}), other = open_shop("shop.store", {.is_human = is_human, .seed = 4});
    GoalText one, two, three;
    size_t differing = 0;
    for (size_t i = 0; i < shop.goals->size(); ++i) {
      shop.goals->describe(i, one), again.goals->describe(i, two), other.goals->describe(i, three);
      CHECK(one.instruction == two.instruction && one.asin == two.asin && one.price_upper == two.price_upper && one.price_upper > shop.goals->price(one.product));
      differing += one.instruction != three.instruction;
    }
    CHECK(differing > shop.goals->size() / 2);
  }
}

// Searches for the goal's own name, opens it, chooses its options, buys.
static double buy_what_is_wanted(Session& session, size_t goal) {
  session.reset(goal);
  session.step("search[" + std::string(session.goal().name) + "]");
  CHECK(session.step("click[" + std::string(session.goal().asin) + "]").is_valid);
  // "plain" is in both groups: a click means the one that has no choice yet.
  for (const auto& [group, value] : session.goal().options) CHECK(session.step("click[" + std::string(value) + "]").is_valid);
  Session::Outcome outcome = session.step("click[Buy Now]");
  CHECK(outcome.is_done && outcome.is_valid && session.is_done());
  return outcome.reward;
}

static void buying_what_is_wanted_is_worth_one() {
  for (bool is_human : {true, false}) {
    Session session(open_shop("shop.store", {.is_human = is_human}), {.page_size = 50});
    for (size_t goal = 0; goal < 300; ++goal) CHECK(buy_what_is_wanted(session, goal) == 1.0);
  }
}

static std::string some_action(Session& session, Pcg64& rng) {
  int64_t kind = rng.integers(0, 10);
  if (kind == 0) return "search[" + some_words(rng, rng.integers(1, 8)) + "]";
  if (kind == 1) return std::vector<std::string>{"", "search[]", "click[", "click[nothing]", "search[<r>]", "search[<c> garden]", "search[<q> lamps]",
                                                 "search[<a> easy clean]", "search[a[b]", " click[Next >] ", "\xff[\xfe]", "click[<]\n[x]"}[static_cast<size_t>(rng.integers(0, 12))];
  if (session.has_search_bar() || session.num_clickables() == 0) return "search[" + std::string(session.goal().instruction) + "]";
  return "click[" + std::string(session.clickable(static_cast<size_t>(rng.integers(0, static_cast<int64_t>(session.num_clickables()))))) + "]";
}

static std::string look_of(const Session& session) {
  std::string look = session.page().title;
  for (const Block& block : session.page().blocks) {
    look += '|' + block.text + '|' + block.command + '|' + block.product + (block.is_visited ? "v" : "");
    for (const Choice& choice : block.choices) look += ';' + choice.value + (choice.is_selected ? "*" : "");
  }
  for (size_t i = 0; i < session.num_clickables(); ++i) look += '/' + std::string(session.clickable(i));
  return look;
}

static void sessions_resume_and_refuse_damage() {
  for (bool is_compat : {false, true}) {
    Shop shop = open_shop("shop.store", {.is_compat = is_compat});
    Session session(shop, {.page_size = 4, .is_compat = is_compat, .shows_attributes = true}), other(shop, session.settings());
    Pcg64 rng(SeedSequence({10}));
    size_t refused = 0;
    for (int i = 0; i < 3000; ++i) {
      if (i % 15 == 0) session.reset(static_cast<size_t>(rng.integers(0, static_cast<int64_t>(shop.goals->size()))));
      session.step(some_action(session, rng));
      Bytes state;
      session.save(state);
      state.cursor = 0;
      other.load(state);
      CHECK(look_of(session) == look_of(other) && session.parts().reward == other.parts().reward);
      std::string action = some_action(session, rng);
      Session::Outcome one = session.step(action), two = other.step(action);
      CHECK(one.reward == two.reward && one.is_done == two.is_done && one.is_valid == two.is_valid && look_of(session) == look_of(other));
      Bytes damaged = state;
      damaged.cursor = 0;
      damaged.data[static_cast<size_t>(rng.integers(0, static_cast<int64_t>(damaged.data.size())))] ^= static_cast<char>(1 << rng.integers(0, 8));
      damaged.data.resize(damaged.data.size() - static_cast<size_t>(rng.integers(0, 2)));
      try {
        other.load(damaged);
        other.step(some_action(other, rng));
      } catch (const std::invalid_argument&) {
        ++refused;
      }
      state.cursor = 0;
      other.load(state);
    }
    CHECK(refused > 1000);
  }
}

static void compat_is_upstream() {
  Session session(open_shop("shop.store", {.is_compat = true}), {.is_compat = true});
  CHECK(session.clickable(0) == "search" && !session.step("click[search]").is_valid && session.page().kind == PageKind::kIndex);
  CHECK(!session.step(" search[lamp]").is_valid && !session.step("search[a[b]").is_valid && !session.step("Search[lamp]").is_valid);
  CHECK(session.step("search[Lamp] and so on").is_valid && session.query() == "lamp");
  for (int page = 2; page < 9; ++page) CHECK(session.step("click[NEXT >]").is_valid && session.page_number() == page);
  CHECK(session.num_clickables() == 3 && session.clickable(1) == "< prev" && session.notice().empty());
  session.step("search[lamp]");
  std::string asin(session.clickable(2));
  CHECK(asin.starts_with("b0") && session.step("click[" + asin + "]").is_valid && session.page().kind == PageKind::kItem);
  // Both groups have "plain": it belongs to the second.
  CHECK(session.step("click[plain]").is_valid && session.chosen()[0] == -1 && session.chosen()[1] == 1);
  CHECK(session.step("click[features]").is_valid && session.page().kind == PageKind::kItemSub && !session.step("click[buy now]").is_valid);
  CHECK(session.step("click[< prev]").is_valid && session.chosen()[1] == 1 && session.step("search[oak]").is_valid && session.product() == -1);

  Session plain(open_shop("shop.store", {}), {});
  CHECK(plain.step(" search[lamp] ").is_valid && !plain.step("search[oak]").is_valid && plain.notice() == "There is no search bar on this page");
  CHECK(plain.step("click[next >]").is_valid && !plain.step("click[nothing]").is_valid && plain.notice().find(": nothing") != std::string_view::npos);
  for (int page = 3; page <= 5; ++page) CHECK(plain.step("click[Next >]").is_valid);
  CHECK(!plain.step("click[Next >]").is_valid);
}

static void steps_do_not_allocate() {
  Session session(open_shop("shop.store", {}), {});
  Pcg64 rng(SeedSequence({12}));
  std::vector<std::string> actions;
  auto play = [&](int steps, bool is_counted) {
    Pcg64 own(SeedSequence({13}));
    session.reset(3);
    size_t before = 0, total = 0;
    for (int i = 0; i < steps; ++i) {
      if (session.is_done()) session.reset(3);
      std::string action = some_action(session, own);
      before = allocations;
      session.step(action);
      total += allocations - before;
    }
    CHECK(!is_counted || total == 0);
  };
  play(2000, false);
  play(2000, true);
}

int main() {
  folder = (std::filesystem::temp_directory_path() / ("webshop_test." + std::to_string(getpid()))).string() + "/";
  std::filesystem::create_directories(folder);
  the_generator_is_pythons();
  ratios_decide_as_they_count();
  words_are_lucenes();
  lengths_in_one_byte_are_lucenes();
  search_leaves_nothing_out();
  counts_are_kept_whatever_their_size();
  products_of_a_key_come_in_their_order();
  altered_indexes_are_refused_or_searched();
  damaged_files_are_refused();
  malformed_rows_are_counted_and_skipped();
  altered_stores_are_refused();
  splits_share_no_product();
  buying_what_is_wanted_is_worth_one();
  sessions_resume_and_refuse_damage();
  compat_is_upstream();
  steps_do_not_allocate();
  std::filesystem::remove_all(folder);
  std::puts("webshop: ok");
  return 0;
}

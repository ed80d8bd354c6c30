// The shop outside a pool: catalogues, search, goals, rewards and sessions, for tests, for parity with upstream, and for people.
#include <map>
#include <memory>
#include <optional>

#include "bind/bind.h"
#include "envs/webshop/catalogue.h"
#include "envs/webshop/goals.h"
#include "envs/webshop/index.h"
#include "envs/webshop/json_stream.h"
#include "envs/webshop/nouns.h"
#include "envs/webshop/ratio.h"
#include "envs/webshop/reward.h"
#include "envs/webshop/session.h"
#include "envs/webshop/shelf.h"

namespace vldac::bind {
namespace {

using namespace webshop;

// A catalogue with what is made of it once.
struct OwnCatalogue {
  std::shared_ptr<const Catalogue> catalogue;
  std::shared_ptr<const Index> index;
  std::shared_ptr<Nouns> nouns;
};
struct OwnGoals {
  Shop shop;
};
struct OwnSession {
  Session session;
};

py::str to_str(std::string_view text) { return py::str(text.data(), text.size()); }
template <class Texts>
py::list to_list(const Texts& texts) {
  py::list out;
  for (const auto& text : texts) out.append(to_str(text));
  return out;
}

std::shared_ptr<OwnCatalogue> open_catalogue(const std::string& path) {
  auto own = std::make_shared<OwnCatalogue>();
  py::gil_scoped_release release;
  own->catalogue = std::make_shared<const Catalogue>(path);
  own->index = std::make_shared<const Index>(own->catalogue->store());
  own->nouns = std::make_shared<Nouns>();
  return own;
}

py::dict build_catalogue(const std::string& items, const std::string& attributes, const std::string& store, const std::string& human, int64_t max_products,
                         bool strict, const std::string& source) {
  BuildRequest request{.items = items, .attributes = attributes, .human = human, .store = store, .max_products = max_products, .is_strict = strict, .source = source};
  request.progress = [](uint64_t) {
    py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  BuildReport report;
  {
    py::gil_scoped_release release;
    report = Catalogue::build(request);
  }
  py::dict out;
  out["rows"] = report.rows, out["products"] = report.products, out["duplicates"] = report.duplicates, out["bad_asins"] = report.bad_asins;
  out["malformed"] = report.malformed, out["repaired"] = report.repaired, out["terms"] = report.terms, out["postings"] = report.postings;
  out["problems"] = report.problems;
  return out;
}

py::dict product_of(const OwnCatalogue& self, uint32_t index) {
  Product product;
  self.catalogue->product(index, product);
  py::dict out, options, images;
  out["asin"] = to_str(product.asin), out["name"] = to_str(product.name), out["price_tag"] = to_str(product.price_tag), out["image"] = to_str(product.image);
  out["category"] = to_str(product.category), out["description"] = to_str(product.description), out["query"] = to_str(product.query);
  out["product_category"] = to_str(product.product_category), out["bullets"] = to_list(product.bullets), out["attributes"] = to_list(product.attributes);
  py::list pricing;
  pricing.append(product.price_low);
  if (product.is_range) pricing.append(product.price_high);
  out["pricing"] = pricing;
  for (const Product::Group& group : product.groups) {
    py::list values;
    for (uint32_t i = group.first; i < group.first + group.count; ++i) {
      values.append(to_str(product.values[i].text));
      if (!product.values[i].image.empty()) images[to_str(product.values[i].text)] = to_str(product.values[i].image);
    }
    options[to_str(group.name)] = values;
  }
  out["options"] = options, out["option_images"] = images;
  return out;
}

py::list search_catalogue(const OwnCatalogue& self, const std::string& query, size_t k, bool lossy) {
  Search search(lossy);
  std::vector<Hit> hits;
  {
    py::gil_scoped_release release;
    auto found = search.run(*self.index, query, k);
    hits.assign(found.begin(), found.end());
  }
  py::list out;
  Product product;
  for (const Hit& hit : hits) {
    self.catalogue->card(hit.doc, product);
    out.append(py::make_tuple(to_str(product.asin), hit.score));
  }
  return out;
}

void set_nouns(OwnCatalogue& self, const std::map<std::string, std::vector<std::string>>& nouns) {
  for (const auto& [asin, words] : nouns) {
    auto product = self.catalogue->find(asin);
    if (!product) throw std::invalid_argument("nouns: the catalogue has no product " + asin);
    self.nouns->set(*product, words);
  }
}

OwnGoals make_goals(const OwnCatalogue& own, bool human, bool compat, bool by_asin, uint64_t seed, int64_t num_test, int64_t num_eval, int64_t limit) {
  GoalSettings settings{.is_human = human, .is_compat = compat, .is_by_asin = by_asin, .seed = seed, .num_test = num_test, .num_eval = num_eval, .limit = limit};
  py::gil_scoped_release release;
  return {{own.catalogue, own.index, own.nouns, std::make_shared<const Goals>(own.catalogue, settings)}};
}

py::dict dict_of(const GoalText& goal) {
  py::dict out;
  out["asin"] = to_str(goal.asin), out["category"] = to_str(goal.category), out["query"] = to_str(goal.query), out["name"] = to_str(goal.name);
  out["product_category"] = to_str(goal.product_category), out["instruction_text"] = to_str(goal.instruction), out["attributes"] = to_list(goal.attributes);
  out["price_upper"] = goal.price_upper, out["weight"] = goal.weight;
  if (goal.has_groups) {
    py::dict options;
    for (const auto& [group, value] : goal.options) options[to_str(group)] = to_str(value);
    out["goal_options"] = options;
  } else {
    py::list options;
    for (const auto& option : goal.options) options.append(to_str(option.second));
    out["goal_options"] = options;
  }
  return out;
}

Split split_of(const std::string& name) {
  if (name == "all") return Split::kAll;
  if (name == "train") return Split::kTrain;
  if (name == "eval") return Split::kEval;
  if (name == "test") return Split::kTest;
  throw std::invalid_argument("split: expected one of all, train, eval, test, got '" + name + "'");
}

py::dict dict_of(const RewardParts& parts) {
  py::dict out;
  out["reward"] = parts.reward, out["r_type"] = parts.type, out["title_score"] = parts.title_score, out["query_match"] = parts.query_match;
  out["category_match"] = parts.category_match, out["r_price"] = parts.price, out["num_attributes"] = parts.num_attributes;
  out["attributes_met"] = parts.attributes_met, out["num_options"] = parts.num_options, out["options_met"] = parts.options_met;
  return out;
}

// Texts of dicts, kept alive for the views of a call.
class Texts {
 public:
  std::vector<std::string_view> list(const py::handle& values) {
    std::vector<std::string_view> out;
    for (py::handle value : values) out.push_back(whole(value));
    return out;
  }
  std::string_view whole(const py::handle& value) { return *kept_.emplace_back(std::make_unique<std::string>(py::cast<std::string>(value))); }

 private:
  std::vector<std::unique_ptr<std::string>> kept_;
};

py::dict reward_of(const py::dict& product, const py::dict& goal, double price, const std::vector<std::string>& options, const std::vector<std::string>& product_nouns,
                   const std::vector<std::string>& goal_nouns) {
  Texts texts;
  Product bought;
  bought.name = texts.whole(product["name"]);
  bought.description = texts.whole(product["description"]);
  bought.query = texts.whole(product["query"]);
  bought.product_category = texts.whole(product["product_category"]);
  bought.bullets = texts.list(product["bullets"]);
  bought.attributes = texts.list(product["attributes"]);
  GoalText wanted;
  wanted.query = texts.whole(goal["query"]);
  wanted.product_category = texts.whole(goal["product_category"]);
  wanted.attributes = texts.list(goal["attributes"]);
  wanted.price_upper = py::cast<double>(goal["price_upper"]);
  py::object wanted_options = goal["goal_options"];
  wanted.has_groups = py::isinstance<py::dict>(wanted_options);
  if (wanted.has_groups) {
    for (auto [group, value] : py::cast<py::dict>(wanted_options)) wanted.options.emplace_back(texts.whole(group), texts.whole(value));
  } else {
    for (std::string_view value : texts.list(wanted_options)) wanted.options.emplace_back(std::string_view(), value);
  }
  std::vector<std::string_view> chosen(options.begin(), options.end());
  static thread_local Rewarder rewarder;
  return dict_of(rewarder(bought, price, chosen, wanted, product_nouns, goal_nouns));
}

int ratio_of(const std::string& first, const std::string& second) {
  static thread_local Ratio ratio;
  return ratio(first, second);
}

Array<bool> ratios_above(const std::vector<std::string>& first, const std::vector<std::string>& second, int limit) {
  if (first.size() != second.size()) throw std::invalid_argument("webshop_ratios_above: expected two lists of one length");
  Array<bool> out(static_cast<py::ssize_t>(first.size()));
  bool* values = out.mutable_data();
  py::gil_scoped_release release;
  Ratio ratio;
  Phrase one, two;
  for (size_t i = 0; i < first.size(); ++i) {
    one.assign(first[i]);
    two.assign(second[i]);
    values[i] = ratio.is_above(one, two, limit);
  }
  return out;
}

py::list terms_of(const std::string& text) {
  Analyser analyser;
  py::list out;
  for (size_t at = 0; analyser.next(text, at);) out.append(to_str(analyser.term()));
  return out;
}

std::vector<std::string> nouns_of(const std::string& name) {
  std::vector<std::string> out;
  nouns_by_rule(name, out);
  return out;
}

py::list clickables_of(const OwnSession& self) {
  py::list out;
  for (size_t i = 0; i < self.session.num_clickables(); ++i) out.append(to_str(self.session.clickable(i)));
  return out;
}

py::object product_in(const OwnSession& self) {
  if (self.session.product() < 0) return py::none();
  Product product;
  self.session.shop().catalogue->card(static_cast<uint32_t>(self.session.product()), product);
  return to_str(product.asin);
}

py::list results_in(const OwnSession& self) {
  py::list out;
  Product product;
  for (uint32_t index : self.session.results()) {
    self.session.shop().catalogue->card(index, product);
    out.append(to_str(product.asin));
  }
  return out;
}

py::dict options_in(const OwnSession& self) {
  py::dict out;
  if (self.session.product() < 0) return out;
  Product product;
  self.session.shop().catalogue->product(static_cast<uint32_t>(self.session.product()), product);
  for (size_t group = 0; group < self.session.chosen().size(); ++group) {
    int32_t value = self.session.chosen()[group];
    if (value >= 0) out[to_str(product.groups[group].name)] = to_str(product.values[product.groups[group].first + static_cast<uint32_t>(value)].text);
  }
  return out;
}

py::tuple step_in(OwnSession& self, const std::string& action) {
  Session::Outcome outcome = self.session.step(action);
  return py::make_tuple(outcome.reward, outcome.is_done);
}

py::bytes save_session(const OwnSession& self) {
  Bytes bytes;
  self.session.save(bytes);
  return py::bytes(bytes.data);
}

void load_session(OwnSession& self, const py::bytes& state) {
  Bytes bytes;
  bytes.data = state;
  self.session.load(bytes);
  if (bytes.cursor != bytes.data.size()) throw std::invalid_argument("environment state is altered");
}

void bind_catalogue(py::module_& module) {
  py::class_<OwnCatalogue, std::shared_ptr<OwnCatalogue>>(module, "WebshopCatalogue")
      .def(py::init(&open_catalogue), py::arg("store"))
      .def("__len__", [](const OwnCatalogue& self) { return self.catalogue->size(); })
      .def("product", &product_of, py::arg("index"))
      .def("find", [](const OwnCatalogue& self, const std::string& asin) { return self.catalogue->find(asin); }, py::arg("asin"))
      .def("search", &search_catalogue, py::arg("query"), py::arg("k") = 50, py::arg("lossy") = false)
      .def("set_nouns", &set_nouns, py::arg("nouns"))
      .def("load_nouns", [](OwnCatalogue& self, const std::string& path) { *self.nouns = Nouns(*self.catalogue, path); return self.nouns->num_by_rule(); },
           py::arg("path"))
      .def("verify", [](const OwnCatalogue& self) { self.catalogue->store().verify(); })
      .def_property_readonly("content", [](const OwnCatalogue& self) { return self.catalogue->store().content(); })
      .def_property_readonly("source", [](const OwnCatalogue& self) { return to_str(self.catalogue->source()); });
  module.def("webshop_build", &build_catalogue, py::arg("items"), py::arg("attributes"), py::arg("store"), py::arg("human") = "", py::arg("max_products") = -1,
             py::arg("strict") = false, py::arg("source") = "");
  module.def("webshop_keep_shop", [](int64_t number, const OwnGoals& goals, std::shared_ptr<PhotoSet> photos) { keep_shop(number, {goals.shop, std::move(photos)}); },
             py::arg("number"), py::arg("goals"), py::arg("photos") = nullptr);
  py::class_<OwnGoals>(module, "WebshopGoals")
      .def(py::init(&make_goals), py::arg("catalogue"), py::arg("human") = true, py::arg("compat") = false, py::arg("by_asin") = true, py::arg("seed") = 0,
           py::arg("num_test") = -1, py::arg("num_eval") = -1, py::arg("limit") = -1)
      .def("__len__", [](const OwnGoals& self) { return self.shop.goals->size(); })
      .def("goal", [](const OwnGoals& self, size_t index) { GoalText goal; self.shop.goals->describe(index, goal); return dict_of(goal); }, py::arg("index"))
      .def("range", [](const OwnGoals& self, const std::string& split) { return self.shop.goals->range(split_of(split)); }, py::arg("split"))
      .def("draw", [](const OwnGoals& self, double unit, const std::string& split) { return self.shop.goals->draw(unit, split_of(split)); }, py::arg("unit"),
           py::arg("split") = "all")
      .def("draw_compat", [](const OwnGoals& self, size_t count) {
             Mersenne random = self.shop.goals->random_after();
             std::vector<size_t> drawn;
             while (drawn.size() < count) drawn.push_back(self.shop.goals->draw_compat(random));
             return drawn;
           }, py::arg("count"))
      .def("price", [](const OwnGoals& self, const std::string& asin) {
             auto product = self.shop.catalogue->find(asin);
             if (!product) throw std::invalid_argument("price: the catalogue has no product " + asin);
             return self.shop.goals->price(*product);
           }, py::arg("asin"));
}

void bind_session(py::module_& module) {
  py::class_<OwnSession>(module, "WebshopSession")
      .def(py::init([](const OwnGoals& goals, int page_size, bool compat, bool show_attributes, bool lossy) {
             return OwnSession{Session(goals.shop, {.page_size = page_size, .is_compat = compat, .shows_attributes = show_attributes, .is_lossy = lossy})};
           }), py::arg("goals"), py::arg("page_size") = 10, py::arg("compat") = false, py::arg("show_attributes") = false, py::arg("lossy") = false)
      .def("reset", [](OwnSession& self, size_t goal) { self.session.reset(goal); }, py::arg("goal"))
      .def("step", &step_in, py::arg("action"))
      .def("page", [](const OwnSession& self) { return self.session.page(); })
      .def("clickables", &clickables_of)
      .def("save", &save_session)
      .def("load", &load_session, py::arg("state"))
      .def_property_readonly("goal", [](const OwnSession& self) { return dict_of(self.session.goal()); })
      .def_property_readonly("goal_index", [](const OwnSession& self) { return self.session.goal_index(); })
      .def_property_readonly("has_search_bar", [](const OwnSession& self) { return self.session.has_search_bar(); })
      .def_property_readonly("notice", [](const OwnSession& self) { return to_str(self.session.notice()); })
      .def_property_readonly("is_done", [](const OwnSession& self) { return self.session.is_done(); })
      .def_property_readonly("parts", [](const OwnSession& self) { return dict_of(self.session.parts()); })
      .def_property_readonly("product", &product_in)
      .def_property_readonly("options", &options_in)
      .def_property_readonly("results", &results_in)
      .def_property_readonly("page_number", [](const OwnSession& self) { return self.session.page_number(); });
}

}  // namespace

void bind_webshop(py::module_& module) {
  // A file that cannot be used is the user's: ValueError.
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const FileError& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const StoreError& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    }
  });
  bind_catalogue(module);
  bind_session(module);
  module.def("webshop_ratio", &ratio_of, py::arg("first"), py::arg("second"));
  module.def("webshop_ratios_above", &ratios_above, py::arg("first"), py::arg("second"), py::arg("limit") = 85);
  module.def("webshop_reward", &reward_of, py::arg("product"), py::arg("goal"), py::arg("price"), py::arg("options"), py::arg("product_nouns"), py::arg("goal_nouns"));
  module.def("webshop_terms", &terms_of, py::arg("text"));
  module.def("webshop_nouns", &nouns_of, py::arg("name"));
}

}  // namespace vldac::bind

// A made shop in the published form, for tests in C++.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "envs/webshop/session.h"

namespace vldac::webshop {

static std::string folder;  // where files are written, with its last slash

static void write(const std::string& name, std::string_view bytes) { std::ofstream(folder + name, std::ios::binary) << bytes; }
[[maybe_unused]] static std::string read(const std::string& name) {
  std::ifstream file(folder + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

static const std::vector<std::string> kWords = {"red",   "cotton", "shirt", "lamp",  "steel",    "running", "shoes", "easy",   "clean", "women's",
                                                "3.5oz", "table",  "oak",   "light", "washable", "cream",   "snack", "gluten", "free",  "caf\xc3\xa9"};

static std::string some_words(Pcg64& rng, int64_t count) {
  std::string out;
  for (int64_t i = 0; i < count; ++i) out += (i ? " " : "") + kWords[static_cast<size_t>(rng.integers(0, static_cast<int64_t>(kWords.size())))];
  return out;
}

static std::string in_quotes(const std::string& text) { return '"' + text + '"'; }

// Writes a shop of `count` products in the published form, and its store.
static void write_shop(int count, const std::string& name) {
  Pcg64 rng(SeedSequence({11}));
  std::string items = "[", attributes = "{", human = "{";
  for (int i = 0; i < count; ++i) {
    std::string asin = "B0" + std::to_string(10000 + i), first = kWords[static_cast<size_t>(i) % 5], second = some_words(rng, 2);
    if (i) items += ",\n", attributes += ",\n", human += ",\n";
    items += "{\"asin\": " + in_quotes(asin) + ", \"name\": " + in_quotes(some_words(rng, 6) + " Model" + std::to_string(i)) + ", \"full_description\": " +
             in_quotes(some_words(rng, rng.integers(0, 40))) + ", \"small_description\": [" + in_quotes(some_words(rng, 5)) + "], \"pricing\": " +
             (i % 3 ? in_quotes("$" + std::to_string(5 + i % 90) + ".50") : in_quotes("$10.00 - $" + std::to_string(20 + i % 50) + ".25")) +
             ", \"category\": \"garden\", \"query\": \" Lamps \", \"product_category\": \"Home \\u203a " + first + " \\u203a Lamps\", \"images\": [\"a.jpg\"], " +
             "\"customization_options\": {\"Color\": [{\"value\": \"Red / Blue\"}, {\"value\": \"Plain\", \"image\": \"p.jpg\"}], \"Size\": " +
             "[{\"value\": \"A rather long name of a size\"}, {\"value\": \"Plain\"}], \"None\": null}, \"more\": [1, {\"a\": NaN}]}";
    attributes += in_quotes(asin) + ": {\"attributes\": [" + in_quotes(second) + ", \"easy clean\"], \"instruction\": " + in_quotes("i want " + second) +
                  ", \"instruction_attributes\": [" + in_quotes(second) + "]}";
    human += in_quotes(asin) + ": [{\"instruction\": " + in_quotes("find me " + second + ".") + ", \"instruction_attributes\": [" + in_quotes(second) +
             "], \"instruction_options\": [\"plain\"]}, {\"instruction\": \"buy\", \"instruction_attributes\": [\"easy clean\"], \"instruction_options\": []}]";
  }
  write("items.json", items + "]");
  write("attributes.json", attributes + "}");
  write("human.json", human + "}");
  BuildReport report = Catalogue::build({.items = folder + "items.json", .attributes = folder + "attributes.json", .human = folder + "human.json", .store = folder + name});
  if (report.products != static_cast<uint64_t>(count) || report.malformed || report.repaired) throw std::logic_error("a made shop is not read as it was written");
}

static Shop open_shop(const std::string& name, const GoalSettings& settings) {
  auto catalogue = std::make_shared<const Catalogue>(folder + name);
  return {catalogue, std::make_shared<const Index>(catalogue->store()), std::make_shared<const Nouns>(), std::make_shared<const Goals>(catalogue, settings)};
}

}  // namespace vldac::webshop

// The products of a shop. build() streams the published JSON files (items_shuffle*.json, items_ins_v2*.json, items_human_ins.json),
// cleans them as upstream does, and writes one store file with the products and their search index; a Catalogue maps it. Memory while
// building: the attributes file (about 300 MB for 1.18 M products) and the index. A Catalogue is read by any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "envs/webshop/store.h"

namespace vldac::webshop {

struct BuildRequest {
  std::string items, attributes;
  std::string human = {};      // empty: no human instructions
  std::string store;           // the file to write
  int64_t max_products = -1;   // rows of `items` that count; -1: all
  bool is_strict = false;      // a malformed row is an error instead of being skipped
  std::string source = {};     // any text; the store gives it back, so that a caller can tell whether it is up to date
  std::function<void(uint64_t rows)> progress = {};  // after every 1,000 rows; may throw to stop
};

struct BuildReport {
  uint64_t rows = 0, products = 0;
  uint64_t duplicates = 0, bad_asins = 0;  // dropped, as upstream drops them
  uint64_t malformed = 0;                  // skipped
  uint64_t repaired = 0;                   // kept with an empty text for null or for a missing picture
  uint64_t terms = 0, postings = 0;
  std::vector<std::string> problems;  // the first few malformed rows: file, byte, what was wrong
};

// Views into the store, valid as long as the catalogue is. Reused: filling it again allocates nothing in the steady state.
struct Product {
  struct Group {
    std::string_view name;
    uint32_t first, count;  // of `values`
  };
  struct Value {
    std::string_view text, image;
  };
  std::string_view asin, name, price_tag, image, category;
  std::string_view description, query, product_category;
  double price_low = 0, price_high = 0;  // equal unless the price is a range
  bool is_range = false;
  std::vector<std::string_view> bullets, attributes;
  std::vector<Group> groups;
  std::vector<Value> values;
};

// What goals are made of.
struct Instruction {
  std::string_view text;
  std::vector<std::string_view> attributes;
  // Of human instructions; the group is empty where the file has a plain list.
  std::vector<std::pair<std::string_view, std::string_view>> options;
  bool has_groups = false;
};
struct Instructions {
  std::optional<Instruction> synthetic;
  std::vector<Instruction> human;
};

class Catalogue {
 public:
  static BuildReport build(const BuildRequest& request);
  explicit Catalogue(const std::string& path);

  uint32_t size() const { return size_; }
  // Throws std::invalid_argument for an index out of range.
  void product(uint32_t index, Product& out) const;
  // The fields up to `category` alone.
  void card(uint32_t index, Product& out) const;
  void instructions(uint32_t index, Instructions& out) const;
  std::optional<uint32_t> find(std::string_view asin) const;
  std::string_view source() const { return store_.bytes(Section::kSource); }
  const Store& store() const { return store_; }

 private:
  std::string_view record(uint32_t index) const;
  Store store_;
  uint32_t size_ = 0;
};

}  // namespace vldac::webshop

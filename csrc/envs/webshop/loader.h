// One row of the published files, cleaned as upstream's load_products() cleans it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "envs/webshop/json_stream.h"

namespace vldac::webshop {

// A row of items_shuffle*.json. `problem` says why it cannot be used; `is_repaired`: something was null that must be a text.
struct Item {
  struct Option {
    std::string text, image;
  };
  struct Group {
    std::string name;
    std::vector<Option> options;
  };
  std::string asin, name, description, query, category, product_category, image, price_tag;
  std::vector<std::string> bullets;
  std::vector<Group> groups;
  double price_low = 100.0, price_high = 100.0;
  bool is_range = false, is_repaired = false;
  std::string problem;
};

class ItemReader {
 public:
  void read(JsonStream& in, Item& out);

 private:
  bool text(JsonStream& in, std::string& out, std::string_view key, Item& item, bool may_be_null);
  void bullets(JsonStream& in, Item& out);
  void images(JsonStream& in, Item& out);
  void options(JsonStream& in, Item& out);
  void option(JsonStream& in, Item& out, Item::Group& group);
  std::string pricing_, scratch_;
};

// "$10.99 - $20.00" to numbers and to the text that is shown; false where upstream fails on it.
bool read_price(std::string_view pricing, Item& out);

// Rows of items_ins_v2*.json and of items_human_ins.json, by asin.
struct AttributeRow {
  std::vector<std::string> attributes, instruction_attributes;
  std::string instruction;
  bool has_attributes = false, has_instruction = false;
};
struct HumanRow {
  std::string instruction;
  std::vector<std::string> attributes;
  std::vector<std::pair<std::string, std::string>> options;  // group (empty in a plain list) and value
  bool has_groups = false;
};

// Each reads the next value; false, with the reason, where it has another form than expected (the value is taken all the same).
bool read_attribute_row(JsonStream& in, AttributeRow& out, std::string& problem);
bool read_human_rows(JsonStream& in, std::vector<HumanRow>& out, std::string& problem);

}  // namespace vldac::webshop

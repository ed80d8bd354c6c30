#include "envs/webshop/loader.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

void blame(Item& item, const std::string& what) {
  if (item.problem.empty()) item.problem = what;
}

// A list of texts; false where it is something else.
bool read_texts(JsonStream& in, std::vector<std::string>& out) {
  out.clear();
  if (in.peek() != JsonKind::kArray) {
    in.skip();
    return false;
  }
  bool is_good = true;
  in.each_element([&] {
    if (in.peek() != JsonKind::kString) {
      is_good = false;
      in.skip();
      return;
    }
    in.read_string(out.emplace_back());
  });
  return is_good;
}

// re.sub(r'[^\d.]', '', price), then Decimal, then float.
std::optional<double> read_amount(std::string_view text) {
  std::string digits;
  for (char c : text)
    if ((c >= '0' && c <= '9') || c == '.') digits += c;
  if (std::count(digits.begin(), digits.end(), '.') > 1 || digits.empty() || digits == ".") return std::nullopt;
  if (digits[0] == '.') digits.insert(0, "0");
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

bool read_price(std::string_view pricing, Item& out) {
  out.price_low = out.price_high = 100.0;
  out.is_range = false;
  out.price_tag = "$100.0";
  if (pricing.empty()) return true;
  double amounts[2];
  size_t count = 0, at = pricing.find('$');
  while (at != std::string_view::npos) {
    size_t next = pricing.find('$', at + 1);
    auto amount = read_amount(pricing.substr(at + 1, next == std::string_view::npos ? next : next - at - 1));
    if (!amount) return false;  // whichever it is, though two are kept
    if (count < 2) amounts[count] = *amount;
    ++count;
    at = next;
  }
  if (count == 0) return false;
  out.is_range = count > 1;
  out.price_low = amounts[0];
  out.price_high = amounts[out.is_range ? 1 : 0];
  out.price_tag = "$";
  append_float(out.price_tag, out.price_low);
  if (out.is_range) {
    out.price_tag += " to $";
    append_float(out.price_tag, out.price_high);
  }
  return true;
}

bool ItemReader::text(JsonStream& in, std::string& out, std::string_view key, Item& item, bool may_be_null) {
  out.clear();
  JsonKind kind = in.peek();
  if (kind == JsonKind::kString) {
    in.read_string(out);
    return true;
  }
  in.skip();
  if (kind == JsonKind::kNull && may_be_null) item.is_repaired = true;
  else blame(item, "'" + std::string(key) + "' is no text");
  return kind == JsonKind::kNull && may_be_null;
}

void ItemReader::bullets(JsonStream& in, Item& out) {
  out.bullets.clear();
  if (in.peek() == JsonKind::kArray) {
    if (!read_texts(in, out.bullets)) blame(out, "'small_description' holds something else than texts");
  } else {
    text(in, out.bullets.emplace_back(), "small_description", out, true);
  }
}

void ItemReader::images(JsonStream& in, Item& out) {
  out.image.clear();
  if (in.peek() != JsonKind::kArray) {
    out.is_repaired = true;
    in.skip();
    return;
  }
  bool is_first = true;
  in.each_element([&] {
    if (is_first && in.peek() == JsonKind::kString) in.read_string(out.image);
    else in.skip();
    is_first = false;
  });
  if (out.image.empty()) out.is_repaired = true;
}

void ItemReader::option(JsonStream& in, Item& out, Item::Group& group) {
  if (in.peek() != JsonKind::kObject) {
    in.skip();
    return blame(out, "an option is no object");
  }
  Item::Option& option = group.options.emplace_back();
  bool has_value = false;
  in.each_member([&](std::string_view key) {
    if (key == "value" && in.peek() == JsonKind::kString) {
      in.read_string(scratch_);
      std::string spaced;
      for (char c : strip(scratch_)) {
        if (c == '/') spaced += " | ";
        else spaced += c;
      }
      option.text.clear();
      append_lower(option.text, spaced);
      has_value = true;
    } else if (key == "image" && in.peek() == JsonKind::kString) {
      in.read_string(option.image);
    } else {
      in.skip();
    }
  });
  if (!has_value) blame(out, "an option has no text 'value'");
}

void ItemReader::options(JsonStream& in, Item& out) {
  out.groups.clear();
  JsonKind kind = in.peek();
  if (kind != JsonKind::kObject) {
    // Upstream takes every "nothing" here.
    bool is_nothing = kind == JsonKind::kNull || kind == JsonKind::kFalse;
    if (kind == JsonKind::kString) {
      in.read_string(scratch_);
      is_nothing = scratch_.empty();
    } else if (kind == JsonKind::kArray) {
      is_nothing = true;
      in.each_element([&] {
        is_nothing = false;
        in.skip();
      });
    } else {
      in.skip();
    }
    if (!is_nothing) blame(out, "'customization_options' is no object");
    return;
  }
  in.each_member([&](std::string_view key) {
    JsonKind contents = in.peek();
    if (contents == JsonKind::kNull) return in.skip();
    std::string name = lower(key);
    if (contents != JsonKind::kArray) {
      in.skip();
      return blame(out, "the option group '" + name + "' is no list");
    }
    // Groups whose names differ by case alone are one: the later one's values, in the place of the first.
    auto known = std::find_if(out.groups.begin(), out.groups.end(), [&](const Item::Group& group) { return group.name == name; });
    Item::Group& group = known != out.groups.end() ? *known : out.groups.emplace_back();
    group.name = name;
    group.options.clear();
    in.each_element([&] { option(in, out, group); });
  });
}

void ItemReader::read(JsonStream& in, Item& out) {
  out.problem.clear();
  out.is_repaired = false;
  if (in.peek() != JsonKind::kObject) {
    in.skip();
    return blame(out, "the row is no object");
  }
  enum { kAsin, kName, kDescription, kBullets, kQuery, kCategory, kLevels, kImages, kOptions, kNumKeys };
  static constexpr std::string_view kKeys[kNumKeys] = {"asin",  "name",     "full_description", "small_description",    "query",
                                                       "category", "product_category", "images",           "customization_options"};
  bool has[kNumKeys] = {};
  pricing_.clear();
  out.image.clear();
  out.groups.clear();
  in.each_member([&](std::string_view key) {
    auto known = std::find(std::begin(kKeys), std::end(kKeys), key);
    if (known != std::end(kKeys)) has[known - std::begin(kKeys)] = true;
    switch (known - std::begin(kKeys)) {
      case kAsin: text(in, out.asin, key, out, false); return;
      case kName: text(in, out.name, key, out, false); return;
      case kDescription: text(in, out.description, key, out, true); return;
      case kBullets: return bullets(in, out);
      case kQuery: text(in, out.query, key, out, false); return;
      case kCategory: text(in, out.category, key, out, false); return;
      case kLevels: text(in, out.product_category, key, out, false); return;
      case kImages: return images(in, out);
      case kOptions: return options(in, out);
      default: break;
    }
    if (key != "pricing") return in.skip();
    pricing_.clear();
    JsonKind kind = in.peek();
    if (kind == JsonKind::kString) return in.read_string(pricing_);
    in.skip();
    if (kind != JsonKind::kNull) blame(out, "'pricing' is no text");
  });
  if (!has[kImages]) out.is_repaired = true;
  for (size_t i = 0; i < kNumKeys; ++i)
    if (!has[i] && i != kImages) blame(out, "'" + std::string(kKeys[i]) + "' is missing");
  if (!out.problem.empty()) return;
  if (out.bullets.empty()) out.bullets.emplace_back();
  if (!read_price(pricing_, out)) return blame(out, "'pricing' holds no amounts in dollars");
  std::string query = lower(out.query);
  out.query.assign(strip(query));
}

bool read_attribute_row(JsonStream& in, AttributeRow& out, std::string& problem) {
  out.has_attributes = out.has_instruction = false;
  out.attributes.clear();
  out.instruction_attributes.clear();
  problem.clear();
  if (in.peek() != JsonKind::kObject) {
    in.skip();
    problem = "the row is no object";
    return false;
  }
  bool has_instruction_attributes = false;
  in.each_member([&](std::string_view key) {
    if (key == "attributes") {
      out.has_attributes = read_texts(in, out.attributes);
      if (!out.has_attributes) problem = "'attributes' is no list of texts";
    } else if (key == "instruction" && in.peek() == JsonKind::kString) {
      in.read_string(out.instruction);
      out.has_instruction = true;
    } else if (key == "instruction_attributes" && in.peek() == JsonKind::kArray) {
      has_instruction_attributes = read_texts(in, out.instruction_attributes);
      if (!has_instruction_attributes) problem = "'instruction_attributes' is no list of texts";
    } else {
      in.skip();
    }
  });
  if (out.has_instruction && out.instruction_attributes.empty() && problem.empty()) problem = "an instruction without 'instruction_attributes'";
  return problem.empty();
}

namespace {

bool read_human_row(JsonStream& in, HumanRow& row, std::string& problem) {
  bool has_text = false, has_attributes = false, has_options = false;
  in.each_member([&](std::string_view key) {
    JsonKind kind = in.peek();
    if (key == "instruction" && kind == JsonKind::kString) {
      in.read_string(row.instruction);
      has_text = true;
    } else if (key == "instruction_attributes" && kind == JsonKind::kArray) {
      has_attributes = read_texts(in, row.attributes);
    } else if (key == "instruction_options" && (kind == JsonKind::kArray || kind == JsonKind::kObject)) {
      has_options = true;
      row.options.clear();
      row.has_groups = kind == JsonKind::kObject;
      auto take = [&](std::string_view group) {
        if (in.peek() != JsonKind::kString) {
          has_options = false;
          return in.skip();
        }
        row.options.emplace_back(group, "");
        in.read_string(row.options.back().second);
      };
      if (row.has_groups) in.each_member(take);
      else in.each_element([&] { take({}); });
    } else {
      in.skip();
    }
  });
  if (!has_text) problem = "an instruction without a text 'instruction'";
  else if (!has_attributes) problem = "an instruction without a list 'instruction_attributes'";
  else if (!has_options) problem = "an instruction without texts as 'instruction_options'";
  return has_text && has_attributes && has_options;
}

}  // namespace

bool read_human_rows(JsonStream& in, std::vector<HumanRow>& out, std::string& problem) {
  out.clear();
  problem.clear();
  if (in.peek() != JsonKind::kArray) {
    in.skip();
    problem = "the row is no list";
    return false;
  }
  in.each_element([&] {
    if (in.peek() != JsonKind::kObject) {
      in.skip();
      problem = "an instruction is no object";
      return;
    }
    HumanRow row;
    if (read_human_row(in, row, problem)) out.push_back(std::move(row));
  });
  return problem.empty();
}

}  // namespace vldac::webshop

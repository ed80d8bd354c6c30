#include "envs/webshop/nouns.h"

#include <algorithm>
#include <iterator>

#include "envs/webshop/json_stream.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

// Words of product names that are no nouns, or name no kind of thing; sorted.
// clang-format off
constexpr std::string_view kOther[] = {
    "about", "above", "added", "adjustable", "adult", "all", "also", "and", "any", "are", "around", "artificial", "assorted",
    "authentic", "automatic", "available", "baked", "basic", "be", "beautiful", "beige", "best", "better", "big", "black", "blue",
    "bold", "breathable", "bright", "brown", "by", "can", "casual", "cheap", "classic", "clean", "clear", "cm", "cold",
    "comfortable", "comfy", "compatible", "complete", "cool", "cordless", "crisp", "cruelty", "curved", "cute", "dairy", "dark",
    "decorative", "deep", "delicious", "deluxe", "different", "digital", "disposable", "double", "dried", "dry", "durable",
    "easy", "elastic", "electric", "elegant", "extra", "fashionable", "fast", "fat", "fine", "firm", "fit", "fits", "fl", "flat",
    "foldable", "for", "free", "fresh", "friendly", "from", "full", "funny", "genuine", "gluten", "gold", "golden", "good",
    "gray", "great", "green", "grey", "handmade", "hands", "happy", "hard", "healthy", "heavy", "high", "hot", "ideal", "in",
    "inch", "inches", "indoor", "inner", "into", "is", "it", "its", "keto", "kosher", "large", "lasting", "lb", "lbs", "light",
    "lightweight", "little", "long", "loose", "low", "luxury", "machine", "made", "makes", "matte", "medium", "men", "mens",
    "metallic", "mid", "mini", "ml", "mm", "modern", "more", "most", "multi", "multicolor", "multiple", "natural", "navy", "new",
    "nice", "no", "non", "not", "of", "off", "official", "oil", "old", "on", "one", "only", "open", "or", "orange", "organic",
    "original", "ounce", "ounces", "our", "out", "outdoor", "over", "oversized", "oz", "pc", "pcs", "perfect", "permanent",
    "personalized", "pink", "plain", "plus", "portable", "pound", "powerful", "premium", "pretty", "printed", "professional",
    "pure", "purple", "quick", "quiet", "rapid", "raw", "real", "rechargeable", "red", "regular", "removable", "replaceable",
    "resistant", "reusable", "rich", "ripped", "round", "rustic", "safe", "scented", "seamless", "sensitive", "set", "sexy",
    "sheer", "short", "silver", "simple", "single", "size", "skinny", "sleek", "slim", "small", "smart", "smooth", "soft",
    "solid", "special", "square", "steel", "sterile", "stretch", "stretchy", "strong", "sturdy", "stylish", "super", "sweet",
    "synthetic", "tall", "teal", "that", "the", "their", "these", "thick", "thin", "this", "tight", "to", "traditional", "travel",
    "trendy", "ultra", "under", "unisex", "universal", "unscented", "up", "upgraded", "usable", "use", "used", "value", "various",
    "vegan", "versatile", "very", "vintage", "warm", "was", "washable", "waterproof", "we", "wet", "white", "wide", "wild",
    "wired", "wireless", "with", "without", "women", "womens", "x", "xl", "xx", "xxl", "yellow", "you", "your", "youth", "zero"};
// clang-format on

}  // namespace

void nouns_by_rule(std::string_view name, std::vector<std::string>& out) {
  size_t count = 0;
  auto take = [&](std::string_view word) {
    if (count == out.size()) out.emplace_back();
    out[count].clear();
    append_lower(out[count], word);
    const std::string& text = out[count];
    bool has_digit = std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (text.size() < 2 || has_digit || std::binary_search(std::begin(kOther), std::end(kOther), std::string_view(text))) return;
    ++count;
  };
  size_t start = 0, at = 0;
  bool is_inside = false;
  while (at < name.size()) {
    size_t before = at;
    uint32_t code = next_code_point(name, at);
    bool is_letter = is_alnum(code);
    if (is_letter && !is_inside) start = before;
    if (!is_letter && is_inside) take(name.substr(start, before - start));
    is_inside = is_letter;
  }
  if (is_inside) take(name.substr(start));
  out.resize(count);
}

Nouns::Nouns(const Catalogue& catalogue, const std::string& json_path) {
  JsonStream in(json_path);
  std::vector<std::string> nouns;
  in.each_member([&](std::string_view asin) {
    auto product = catalogue.find(asin);
    nouns.clear();
    in.each_element([&] { in.read_string(nouns.emplace_back()); });
    if (product) set(*product, nouns);
  });
  in.expect_end();
  is_table_ = true;
  num_by_rule_ = catalogue.size() - static_cast<uint32_t>(table_.size());
}

void Nouns::set(uint32_t product, const std::vector<std::string>& nouns) {
  is_table_ = true;
  std::string& packed = table_[product];
  packed.clear();
  for (const std::string& noun : nouns) {
    packed += noun;
    packed += '\0';
  }
}

void Nouns::of(uint32_t product, std::string_view name, std::vector<std::string>& out) const {
  auto known = table_.find(product);
  if (known == table_.end()) return nouns_by_rule(name, out);
  size_t count = 0;
  for (size_t at = 0; at < known->second.size(); ++count) {
    size_t end = known->second.find('\0', at);
    if (count == out.size()) out.emplace_back();
    out[count].assign(known->second, at, end - at);
    at = end + 1;
  }
  out.resize(count);
}

}  // namespace vldac::webshop

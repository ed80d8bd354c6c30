#include "envs/webshop/nouns.h"

#include <algorithm>
#include <iterator>

#include "envs/webshop/json_stream.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

// clang-format off
// Words that are no nouns however they are written. Of other words in title case, as product names have them, spaCy takes almost
// every one for a (proper) noun. Sorted.
constexpr std::string_view kFunction[] = {
    "a", "about", "above", "after", "all", "also", "an", "and", "any", "are", "around", "as", "at", "be", "but", "by", "can",
    "each", "for", "from", "if", "in", "into", "is", "it", "its", "more", "most", "no", "nor", "not", "of", "off", "on", "one",
    "or", "our", "out", "over", "per", "so", "than", "that", "the", "their", "then", "these", "they", "this", "those", "to",
    "under", "up", "very", "via", "was", "we", "with", "without", "you", "your"};
// Words that are no nouns in lower case. Sorted.
constexpr std::string_view kOther[] = {
    "added", "adjustable", "adult", "artificial", "assorted", "authentic", "automatic", "available", "baked", "basic", "beautiful",
    "beige", "best", "better", "big", "black", "blue", "bold", "breathable", "bright", "brown", "casual", "cheap", "classic",
    "clean", "clear", "cm", "cold", "comfortable", "comfy", "compatible", "complete", "cool", "cordless", "crisp", "curved", "cute",
    "dark", "decorative", "deep", "delicious", "deluxe", "different", "digital", "disposable", "double", "dried", "dry", "durable",
    "easy", "elastic", "electric", "elegant", "extra", "fashionable", "fast", "fine", "firm", "fit", "fits", "fl", "flat",
    "foldable", "free", "fresh", "friendly", "full", "funny", "genuine", "gluten", "golden", "good", "gray", "great", "green",
    "grey", "handmade", "hands", "happy", "hard", "healthy", "heavy", "high", "hot", "ideal", "inch", "inches", "indoor", "inner",
    "keto", "kosher", "large", "lasting", "lb", "lbs", "light", "lightweight", "little", "long", "loose", "low", "luxury", "made",
    "makes", "matte", "medium", "men", "mens", "metallic", "mid", "mini", "ml", "mm", "modern", "multi", "multicolor", "multiple",
    "natural", "navy", "new", "nice", "official", "old", "only", "open", "orange", "organic", "original", "ounce", "ounces",
    "outdoor", "oversized", "oz", "pc", "pcs", "perfect", "permanent", "personalized", "pink", "plain", "plus", "portable", "pound",
    "powerful", "premium", "pretty", "printed", "professional", "pure", "purple", "quick", "quiet", "rapid", "raw", "real",
    "rechargeable", "red", "regular", "removable", "replaceable", "resistant", "reusable", "rich", "ripped", "round", "rustic",
    "safe", "scented", "seamless", "sensitive", "sexy", "sheer", "short", "silver", "simple", "single", "skinny", "sleek", "slim",
    "small", "smart", "smooth", "soft", "solid", "special", "square", "sterile", "stretch", "stretchy", "strong", "sturdy",
    "stylish", "super", "sweet", "synthetic", "tall", "teal", "thick", "thin", "tight", "traditional", "trendy", "ultra", "unisex",
    "universal", "unscented", "upgraded", "usable", "used", "value", "various", "vegan", "versatile", "vintage", "warm", "washable",
    "waterproof", "wet", "white", "wide", "wild", "wired", "wireless", "women", "womens", "x", "xl", "xx", "xxl", "yellow", "youth",
    "zero"};
// clang-format on

template <size_t N>
bool is_among(const std::string_view (&words)[N], std::string_view word) {
  return std::binary_search(std::begin(words), std::end(words), word);
}

}  // namespace

void nouns_by_rule(std::string_view name, std::vector<std::string>& out) {
  size_t count = 0;
  auto take = [&](std::string_view word) {
    if (count == out.size()) out.emplace_back();
    out[count].clear();
    append_lower(out[count], word);
    std::string_view text = out[count];
    auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (std::all_of(text.begin(), text.end(), is_digit) || is_among(kFunction, text)) return;
    bool is_lower = text == word;
    if (is_lower && (text.size() < 2 || std::any_of(text.begin(), text.end(), is_digit) || is_among(kOther, text))) return;
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

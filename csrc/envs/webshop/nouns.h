// The nouns of a product's name, which the reward compares. Upstream asks spaCy's small English model; here they come from a table
// (by asin, made by whatever tagger one has), or from a rule: capitalised words but function words, and words in lower case but
// function words, adjectives, colours and measures; no numbers. Results say which ("nouns: rule"). How near to spaCy that comes:
// benchmarks/webshop_nouns.py.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "envs/webshop/catalogue.h"

namespace vldac::webshop {

// Lower-case words, repeats included; cleared first.
void nouns_by_rule(std::string_view name, std::vector<std::string>& out);

class Nouns {
 public:
  Nouns() = default;  // the rule
  // {asin: [noun, ...]}; products that it lacks go by the rule, and are counted.
  Nouns(const Catalogue& catalogue, const std::string& json_path);
  void set(uint32_t product, const std::vector<std::string>& nouns);
  void of(uint32_t product, std::string_view name, std::vector<std::string>& out) const;
  bool is_table() const { return is_table_; }
  uint32_t num_by_rule() const { return num_by_rule_; }

 private:
  bool is_table_ = false;
  uint32_t num_by_rule_ = 0;
  std::unordered_map<uint32_t, std::string> table_;  // each noun ends with a zero byte
};

}  // namespace vldac::webshop

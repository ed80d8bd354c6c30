// Porter's algorithm (M. F. Porter, 1980), with the two later rules that its author added: -bli gives -ble, -logi gives -log.
#include <string>
#include <string_view>

#include "envs/webshop/analyser.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

// The word and the end of the stem that the rule at hand looks at.
class Stemmer {
 public:
  explicit Stemmer(std::string& word) : word_(word) {}

  void run() {
    plurals();
    past_and_progressive();
    final_y();
    double_suffixes();
    full_and_ness();
    latin_suffixes();
    final_e();
  }

 private:
  bool is_consonant(size_t i) const {
    switch (word_[i]) {
      case 'a': case 'e': case 'i': case 'o': case 'u': return false;
      case 'y': return i == 0 || !is_consonant(i - 1);
      default: return true;
    }
  }
  // How many times a vowel run is followed by a consonant run in the stem.
  int measure() const {
    int count = 0;
    bool was_vowel = false;
    for (size_t i = 0; i < stem_; ++i) {
      bool is_vowel = !is_consonant(i);
      count += was_vowel && !is_vowel;
      was_vowel = is_vowel;
    }
    return count;
  }
  bool has_vowel() const {
    for (size_t i = 0; i < stem_; ++i)
      if (!is_consonant(i)) return true;
    return false;
  }
  // Where the letter begins that ends before byte `end` (above 0).
  size_t letter_before(size_t end) const {
    do --end;
    while (end > 0 && (static_cast<uint8_t>(word_[end]) & 0xc0) == 0x80);
    return end;
  }
  bool ends_double() const {
    size_t last = letter_before(word_.size());
    if (last == 0 || !is_consonant(last)) return false;
    size_t before = letter_before(last);
    return std::string_view(word_).substr(last) == std::string_view(word_).substr(before, last - before);
  }
  // Consonant, vowel, consonant at the end of the first `n` bytes, the last one none of w, x, y.
  bool ends_short(size_t n) const {
    size_t starts[3], end = n;
    for (size_t& start : starts) {
      if (end == 0) return false;
      start = end = letter_before(end);
    }
    if (!is_consonant(starts[0]) || is_consonant(starts[1]) || !is_consonant(starts[2])) return false;
    char last = word_[n - 1];
    return last != 'w' && last != 'x' && last != 'y';
  }
  bool ends(std::string_view suffix) {
    if (!std::string_view(word_).ends_with(suffix)) return false;
    stem_ = word_.size() - suffix.size();
    return true;
  }
  void set(std::string_view suffix) {
    word_.resize(stem_);
    word_ += suffix;
  }

  void plurals() {
    if (word_.back() != 's') return;
    if (ends("sses") || ends("ies")) word_.resize(word_.size() - 2);
    else if (word_[word_.size() - 2] != 's') word_.pop_back();
  }

  void past_and_progressive() {
    if (ends("eed")) {
      if (measure() > 0) word_.pop_back();
      return;
    }
    if (!((ends("ed") || ends("ing")) && has_vowel())) return;
    word_.resize(stem_);
    if (ends("at")) {
      set("ate");
    } else if (ends("bl")) {
      set("ble");
    } else if (ends("iz")) {
      set("ize");
    } else if (ends_double()) {
      char last = word_.back();
      if (last != 'l' && last != 's' && last != 'z') word_.resize(letter_before(word_.size()));
    } else {
      stem_ = word_.size();
      if (measure() == 1 && ends_short(word_.size())) word_ += 'e';
    }
  }

  void final_y() {
    if (ends("y") && has_vowel()) word_.back() = 'i';
  }

  struct Rule {
    std::string_view suffix, by;
  };
  // The first suffix that fits decides, whether or not its stem is long enough.
  template <size_t N>
  void replace(const Rule (&rules)[N]) {
    for (const Rule& rule : rules)
      if (ends(rule.suffix)) {
        if (measure() > 0) set(rule.by);
        return;
      }
  }

  void double_suffixes() {
    static constexpr Rule kRules[] = {{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"},  {"izer", "ize"},
                                      {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},      {"ousli", "ous"},
                                      {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},   {"iveness", "ive"},
                                      {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"},  {"biliti", "ble"},
                                      {"logi", "log"}};
    replace(kRules);
  }

  void full_and_ness() {
    static constexpr Rule kRules[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}};
    replace(kRules);
  }

  void latin_suffixes() {
    static constexpr std::string_view kSuffixes[] = {"al",  "ance", "ence", "er",  "ic",  "able", "ible", "ant", "ement", "ment",
                                                     "ent", "ion",  "ou",   "ism", "ate", "iti",  "ous",  "ive", "ize"};
    for (std::string_view suffix : kSuffixes) {
      if (!ends(suffix)) continue;
      if (suffix == "ion" && !(stem_ > 0 && (word_[stem_ - 1] == 's' || word_[stem_ - 1] == 't'))) continue;
      if (measure() > 1) word_.resize(stem_);
      return;
    }
  }

  void final_e() {
    stem_ = word_.size();
    if (word_.back() == 'e') {
      int count = measure();
      if (count > 1 || (count == 1 && !ends_short(word_.size() - 1))) word_.pop_back();
    }
    stem_ = word_.size();
    if (word_.back() == 'l' && ends_double() && measure() > 1) word_.pop_back();
  }

  std::string& word_;
  size_t stem_ = 0;
};

}  // namespace

void stem(std::string& word) {
  if (num_code_points(word) > 2) Stemmer(word).run();
}

}  // namespace vldac::webshop

// Words of a text as a search index keeps them: what Lucene's English analyser makes of ordinary text. Tokens by the word boundaries
// of UAX #29 (letters and digits join; ' . : join letters, ' . , ; join digits; ideographs and kana one by one), possessive 's off,
// lower case, 33 stop words out, Porter's stemmer. Not copied: emoji as tokens, and the dictionaries of scripts without spaces.
// One Analyser belongs to one thread; it allocates only for words longer than any before.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vldac::webshop {

class Analyser {
 public:
  // Moves `at` behind the next word that is kept, which is then term(); false at the end of the text.
  bool next(std::string_view text, size_t& at);
  std::string_view term() const { return term_; }

 private:
  std::string term_;
};

// Porter's stemmer as Lucene has it (with the author's later rules for -bli and -logi), in place; of words of three letters and more.
void stem(std::string& word);

bool is_stop_word(std::string_view word);

}  // namespace vldac::webshop

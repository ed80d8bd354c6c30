// The tokens of Python literals: strings, numbers, names, and what may stand between them. Nothing here knows of containers.
#pragma once

#include "core/parse/scan.h"

namespace vldac::parse {

enum class LiteralKind : uint8_t { kString, kBytes, kInteger, kFloat, kTrue, kFalse, kNone, kDict, kOther };

struct Literal {
  LiteralKind kind = LiteralKind::kOther;
  bool is_hashable = true;
  bool is_negative = false;
  size_t start = 0, end = 0;  // of a number without its sign; start of a string
};

class PythonTokens {
 public:
  explicit PythonTokens(Cursor& in) : in_(in) {}

  // Outside brackets: blanks, comments, line ends and joined lines. False if the cursor is then indented on a line of its own, which
  // Python refuses: before the literal on every line (it strips the first one's blanks), behind it on every line but the first.
  bool lines(bool is_behind);
  // Inside brackets: the same, where indentation means nothing. False for a backslash that joins no lines.
  bool filler();
  bool is_string_next() const;
  // Strings side by side are one string; inside brackets also over several lines. Decodes into `word` if there is one.
  bool strings(bool is_inside, Word* word, bool& is_bytes);
  // An integer in any base, a float, or an imaginary number (kOther), without a sign.
  bool number(Literal& literal);
  bool keyword(std::string_view word);
  // Decode a string of a container; the cursor stays.
  void decode(const Literal& literal, Word& word);

 private:
  void line_end();
  bool one_string(Word* word, bool& is_bytes);
  bool take_prefix(bool& is_raw, bool& is_bytes);
  bool raw_pair(Word* word, bool is_bytes);
  bool escape(Word* word, bool is_bytes);
  bool based_integer(char base);
  bool digits();
  Cursor& in_;
};

}  // namespace vldac::parse

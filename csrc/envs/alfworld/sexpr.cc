#include "envs/alfworld/sexpr.h"

namespace vldac::alfworld {
namespace {

constexpr int kDeepest = 100;
constexpr size_t kMostWords = 1000000;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f'); }

class Reader {
 public:
  Reader(const Source& source, std::string_view lower) : source_(source), text_(lower) {}

  Sexpr whole() {
    skip();
    if (at_ >= text_.size() || text_[at_] != '(') source_.fail(at_, "expected '(', got " + here());
    Sexpr root = list(0);
    skip();
    if (at_ < text_.size()) source_.fail(at_, "expected the end, got " + here());
    return root;
  }

 private:
  std::string here() const { return at_ < text_.size() ? shown(text_.substr(at_, 10)) : "the end"; }

  void skip() {
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == ';') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        --at_;
      } else if (!is_space(c)) {
        return;
      }
    }
  }

  Sexpr list(int depth) {
    if (depth > kDeepest) source_.fail(at_, "expected at most 100 levels of brackets, got more");
    Sexpr result;
    result.is_list = true;
    result.offset = at_;
    size_t open = at_++;
    while (true) {
      skip();
      if (++num_words_ > kMostWords) source_.fail(at_, "expected at most 1000000 words, got more");
      if (at_ >= text_.size()) source_.fail(open, "expected ')' for this '(', got the end");
      if (text_[at_] == ')') return ++at_, result;
      result.items.push_back(text_[at_] == '(' ? list(depth + 1) : word());
    }
  }

  Sexpr word() {
    size_t first = at_;
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (is_space(c) || c == '(' || c == ')' || c == ';' || (c == '?' && at_ > first)) break;
      if (static_cast<unsigned char>(c) >= 0x80 || c == '\0') source_.fail(at_, "expected ASCII outside of comments");
    }
    Sexpr result;
    result.offset = first;
    result.word = text_.substr(first, at_ - first);
    return result;
  }

  const Source& source_;
  std::string_view text_;
  size_t at_ = 0, num_words_ = 0;
};

}  // namespace

void parse_sexpr(const Source& source, SexprFile& out) {
  out.lower.assign(source.text);
  for (char& c : out.lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  out.root = Reader(source, out.lower).whole();
}

}  // namespace vldac::alfworld

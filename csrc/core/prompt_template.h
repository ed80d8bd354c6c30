// A prompt with slots for facts, in the notation of str.format: {name}, and {{ }} for braces.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"

namespace vldac {

class PromptTemplate {
 public:
  explicit PromptTemplate(std::string_view format) {
    std::string literal;
    for (size_t i = 0; i < format.size(); ++i) {
      char c = format[i];
      if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
        literal += c;
        ++i;
      } else if (c == '{') {
        size_t end = format.find('}', i);
        if (end == std::string_view::npos) throw std::invalid_argument("prompt: a { without }");
        pieces_.push_back({literal, std::string(format.substr(i + 1, end - i - 1))});
        literal.clear();
        i = end;
      } else if (c == '}') {
        throw std::invalid_argument("prompt: a } without {");
      } else {
        literal += c;
      }
    }
    pieces_.push_back({literal, ""});
  }

  // Throws std::invalid_argument for a slot that the facts do not fill.
  void check(const Facts& facts) const {
    std::string known;
    for (size_t i = 0; i < facts.size(); ++i) known += (i ? ", " : "") + std::string(facts.at(i).name);
    for (const auto& piece : pieces_)
      if (!piece.slot.empty() && !find(facts, piece.slot))
        throw std::invalid_argument("prompt: slot {" + piece.slot + "} is none of the facts: " + known);
  }

  void render(const Facts& facts, std::string& out) const {
    for (const auto& piece : pieces_) {
      out += piece.literal;
      if (piece.slot.empty()) continue;
      for (size_t i = 0; i < facts.size(); ++i)
        if (auto fact = facts.at(i); fact.name == piece.slot) out += fact.value;
    }
  }

 private:
  struct Piece {
    std::string literal, slot;
  };
  static bool find(const Facts& facts, std::string_view name) {
    for (size_t i = 0; i < facts.size(); ++i)
      if (facts.at(i).name == name) return true;
    return false;
  }
  std::vector<Piece> pieces_;
};

}  // namespace vldac

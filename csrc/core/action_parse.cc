#include "core/action_parse.h"

#include <optional>

namespace vldac {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

void skip_space(std::string_view text, size_t& at) {
  while (at < text.size() && is_space(text[at])) ++at;
}

// A quoted string starting at `at`; on success `at` is behind the closing quote. Escapes keep the escaped character.
std::optional<std::string> quoted(std::string_view text, size_t& at) {
  char quote = text[at];
  std::string value;
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      value += text[++i];
    } else if (text[i] == quote) {
      at = i + 1;
      return value;
    } else {
      value += text[i];
    }
  }
  return std::nullopt;
}

std::string bare(std::string_view text, size_t& at) {
  size_t start = at;
  while (at < text.size() && !is_space(text[at]) && text[at] != ',' && text[at] != '}' && text[at] != ']') ++at;
  return std::string(text.substr(start, at - start));
}

// The value behind `"action":`, a quoted string or a bare number.
std::optional<std::string> value_at(std::string_view text, size_t& at) {
  if (at >= text.size()) return std::nullopt;
  if (text[at] == '"' || text[at] == '\'') return quoted(text, at);
  if (text[at] == '{' || text[at] == '[') return std::nullopt;
  return bare(text, at);
}

// The last top-level "action" of a text that is one balanced object; nullopt if the text is anything else.
std::optional<std::string> strict(std::string_view text) {
  size_t at = 0;
  skip_space(text, at);
  if (at >= text.size() || text[at] != '{') return std::nullopt;
  std::optional<std::string> action;
  int depth = 0;
  bool is_key = false;
  while (at < text.size()) {
    char c = text[at];
    if (c == '"') {
      auto word = quoted(text, at);
      if (!word) return std::nullopt;
      if (is_key && depth == 1 && *word == "action") {
        skip_space(text, at);
        if (at >= text.size() || text[at] != ':') return std::nullopt;
        skip_space(text, ++at);
        action = value_at(text, at);
        if (!action) return std::nullopt;
      }
      is_key = false;
      continue;
    }
    if (c == '\'') return std::nullopt;
    if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return std::nullopt;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) {
        skip_space(text, ++at);
        return at == text.size() ? action : std::nullopt;
      }
    }
    if (!is_space(c)) is_key = c == '{' || c == ',';
    ++at;
  }
  return std::nullopt;
}

std::optional<std::string> tolerant(std::string_view text) {
  constexpr std::string_view word = "action";
  for (size_t found = text.rfind(word); found != std::string_view::npos; found = found ? text.rfind(word, found - 1) : found) {
    size_t at = found + word.size();
    bool has_quotes = found > 0 && at < text.size() && (text[at] == '"' || text[at] == '\'') && text[found - 1] == text[at];
    if (has_quotes) {
      skip_space(text, ++at);
      if (at < text.size() && text[at] == ':') {
        skip_space(text, ++at);
        return value_at(text, at);
      }
    }
    if (found == 0) break;
  }
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

ParsedAction parse_action(std::string_view text, const std::vector<std::string>& names) {
  if (text.size() > kMaxResponseBytes) return {-1, ParseStatus::kTooLong};
  ParseStatus status = ParseStatus::kOk;
  auto value = strict(text);
  if (!value) {
    status = ParseStatus::kTolerant;
    value = tolerant(text);
  }
  if (!value) return {-1, ParseStatus::kNoAction};
  auto word = trimmed(*value);
  for (size_t i = 0; i < names.size(); ++i)
    if (word == names[i]) return {static_cast<int64_t>(i), status};
  return {-1, ParseStatus::kUnknownAction};
}

}  // namespace vldac

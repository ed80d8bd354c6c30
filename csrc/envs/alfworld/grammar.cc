#include "envs/alfworld/grammar.h"

#include <algorithm>

#include "envs/alfworld/json.h"

namespace vldac::alfworld {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f'); }
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// {o.indefinite + ' ' + o.name}, {r.name or r.id}, {o}.
class ExpressionReader {
 public:
  ExpressionReader(const Source& source, size_t offset, std::string_view text) : source_(source), offset_(offset), text_(text) {}

  Expression whole() {
    Expression result = choice(0);
    skip();
    if (at_ < text_.size()) fail("the end of the expression");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    source_.fail(offset_, "expected " + expected + " in {" + shown(text_) + "}, got " +
                              (at_ < text_.size() ? shown(text_.substr(at_, 10)) : "the end"));
  }
  void skip() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view identifier() {
    skip();
    size_t first = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (at_ == first || (text_[first] >= '0' && text_[first] <= '9')) fail("a name");
    return text_.substr(first, at_ - first);
  }

  Expression choice(int depth) {
    Expression first = sum(depth);
    skip();
    if (text_.substr(at_, 2) != "or" || (at_ + 2 < text_.size() && is_word(text_[at_ + 2]))) return first;
    Expression result;
    result.kind = Expression::Kind::kOr;
    result.parts.push_back(std::move(first));
    while (true) {
      skip();
      if (text_.substr(at_, 2) != "or" || (at_ + 2 < text_.size() && is_word(text_[at_ + 2]))) return result;
      at_ += 2;
      result.parts.push_back(sum(depth));
    }
  }

  Expression sum(int depth) {
    Expression first = value(depth);
    Expression result;
    result.kind = Expression::Kind::kJoin;
    while (take('+')) {
      if (result.parts.empty()) result.parts.push_back(text(std::move(first)));
      result.parts.push_back(text(value(depth)));
    }
    return result.parts.empty() ? first : result;
  }
  Expression text(Expression part) const {
    if (part.kind == Expression::Kind::kThing) fail("a text such as o.name beside '+'");
    return part;
  }

  Expression value(int depth) {
    if (depth > 20) fail("fewer brackets");
    Expression result;
    if (take('(')) {
      result = choice(depth + 1);
      if (!take(')')) fail("')'");
      return result;
    }
    skip();
    char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote == '\'' || quote == '"') {
      size_t end = text_.find(quote, ++at_);
      if (end == std::string_view::npos) fail("the end of a text");
      result.text = text_.substr(at_, end - at_);
      if (result.text.find('\\') != std::string::npos) fail("a text without '\\'");
      at_ = end + 1;
      return result;
    }
    result.text = identifier();
    result.kind = Expression::Kind::kThing;
    if (!take('.')) return result;
    std::string_view attribute = identifier();
    if (attribute == "name") result.kind = Expression::Kind::kName;
    else if (attribute == "id") result.kind = Expression::Kind::kId;
    else if (attribute == "type") result.kind = Expression::Kind::kType;
    else if (attribute == "indefinite") result.kind = Expression::Kind::kIndefinite;
    else if (attribute == "definite") result.kind = Expression::Kind::kDefinite;
    else fail("name, id, type, indefinite or definite after '.'");
    return result;
  }

  const Source& source_;
  size_t offset_;
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

class GrammarReader {
 public:
  explicit GrammarReader(const Source& source) : source_(source), text_(source.text) {}

  Grammar read() {
    while (true) {
      skip();
      if (at_ >= text_.size()) break;
      if (word("grammar")) {
        rules(false);
      } else if (word("action")) {
        action();
      } else {
        fail("'grammar' or 'action'");
      }
    }
    for (ActionWords& words : grammar_.actions_) {
      resolve(words.command);
      resolve(words.feedback);
    }
    for (GrammarSymbol& symbol : grammar_.symbols_)
      for (GrammarRule& rule : symbol.rules) resolve(rule.pieces);
    if (has_list_)
      for (const char* needed : {"list_empty", "list_separator", "list_last_separator"})
        if (grammar_.find_symbol(needed) == Grammar::kNoSymbol)
          source_.fail(text_.size(), std::string("expected a rule for #") + needed + "#, since there are lists");
    if (grammar_.find_symbol("intro") == Grammar::kNoSymbol) source_.fail(text_.size(), "expected a rule for #intro#");
    return std::move(grammar_);
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    source_.fail(at_, "expected " + expected + ", got " + (at_ < text_.size() ? shown(text_.substr(at_, 12)) : "the end"));
  }

  // White space, and comments to the end of the line.
  void skip() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (!is_space(text_[at_])) {
        return;
      }
    }
  }
  bool word(std::string_view expected) {
    skip();
    if (text_.substr(at_, expected.size()) != expected) return false;
    if (at_ + expected.size() < text_.size() && is_word(text_[at_ + expected.size()])) return false;
    at_ += expected.size();
    return true;
  }
  void need(std::string_view expected) {
    skip();
    if (text_.substr(at_, expected.size()) != expected) fail("'" + std::string(expected) + "'");
    at_ += expected.size();
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // Between quotes as they are, without escapes.
  std::string_view quoted(std::string_view quotes) {
    need(quotes);
    size_t end = text_.find(quotes, at_);
    if (end == std::string_view::npos) source_.fail(at_, "expected the end of what these quotes begin, got the end");
    std::string_view inside = text_.substr(at_, end - at_);
    at_ = end + quotes.size();
    return inside;
  }

  void rules(bool skips_hash_lines) {
    need("::");
    std::string_view block = quoted("\"\"\"");
    size_t begin = static_cast<size_t>(block.data() - text_.data());
    Json root = parse_json(source_, begin, begin + block.size(), skips_hash_lines);
    need(";");
    if (root.kind != Json::Kind::kObject) source_.fail(root.offset, std::string("expected an object of rules, got ") + name_of(root.kind));
    for (const auto& [name, list] : root.members) {
      if (list.kind != Json::Kind::kArray)
        source_.fail(list.offset, "expected an array of rules for " + shown(name) + ", got " + name_of(list.kind));
      GrammarSymbol& symbol = symbol_named(name);
      symbol.rules.clear();  // the last definition counts
      for (const Json& item : list.items) symbol.rules.push_back(rule(item));
      if (symbol.rules.empty()) source_.fail(list.offset, "expected at least one rule for " + shown(name));
    }
  }

  GrammarSymbol& symbol_named(const std::string& name) {
    auto [found, is_new] = by_name_.emplace(name, static_cast<uint32_t>(grammar_.symbols_.size()));
    if (is_new) grammar_.symbols_.push_back({name, {}});
    return grammar_.symbols_[found->second];
  }

  GrammarRule rule(const Json& item) {
    const Json* rhs = item.find("rhs");
    if (!rhs) source_.fail(item.offset, "expected a rule with \"rhs\"");
    if (rhs->kind != Json::Kind::kString) source_.fail(rhs->offset, std::string("expected a string, got ") + name_of(rhs->kind));
    GrammarRule result;
    result.pieces = pieces(rhs->text, rhs->offset);
    if (const Json* condition = item.find("condition")) {
      if (condition->kind != Json::Kind::kString)
        source_.fail(condition->offset, std::string("expected a string, got ") + name_of(condition->kind));
      result.has_condition = !condition->text.empty();
      if (result.has_condition) result.condition = query(condition->text, condition->offset);
    }
    return result;
  }

  void action() {
    skip();
    size_t first = at_;
    while (at_ < text_.size() && (is_word(text_[at_]) || text_[at_] == '/' || text_[at_] == '-')) ++at_;
    if (at_ == first) fail("the action's name");
    ActionWords words;
    words.name = lower(text_.substr(first, at_ - first));
    need("{");
    bool has_command = false, has_feedback = false, has_rules = false, has_pddl = false;
    auto once = [&](bool& seen) {
      if (seen) source_.fail(first, "expected each part of an action once");
      seen = true;
    };
    while (!take('}')) {
      if (word("template") || word("feedback")) {
        bool is_command = text_[at_ - 1] == 'e';
        once(is_command ? has_command : has_feedback);
        need("::");
        std::string_view inside = quoted("\"");
        (is_command ? words.command : words.feedback) = pieces(inside, static_cast<size_t>(inside.data() - text_.data()));
        need(";");
      } else if (word("grammar")) {
        once(has_rules);
        rules(true);
      } else if (word("pddl")) {
        once(has_pddl);
        need("::");
        quoted("\"\"\"");
        need(";");
      } else {
        fail("template, feedback, grammar, pddl or '}'");
      }
    }
    if (!has_command || !has_feedback) source_.fail(first, "expected a template and a feedback for action " + shown(words.name));
    std::erase_if(grammar_.actions_, [&](const ActionWords& other) { return other.name == words.name; });
    grammar_.actions_.push_back(std::move(words));
    if (grammar_.actions_.size() > 500) source_.fail(first, "expected at most 500 actions");
  }

  // "atlocation(a:agent, l:location) & receptacleatlocation(r:receptacle, l:location)"
  Query query(std::string_view text, size_t offset) {
    size_t at = 0;
    std::vector<std::pair<std::string, uint32_t>> names;
    auto skip_spaces = [&] {
      while (at < text.size() && is_space(text[at])) ++at;
    };
    auto fail_at = [&](const char* expected) {
      source_.fail(offset, std::string("expected ") + expected + " in the query " + shown(text) + ", got " +
                               (at < text.size() ? shown(text.substr(at, 10)) : "the end"));
    };
    auto name = [&](const char* more, const char* expected) {
      skip_spaces();
      size_t first = at;
      while (at < text.size() && (is_word(text[at]) || std::string_view(more).find(text[at]) != std::string_view::npos)) ++at;
      if (at == first) fail_at(expected);
      return std::string(text.substr(first, at - first));
    };
    auto take_now = [&](char c) {
      skip_spaces();
      if (at >= text.size() || text[at] != c) return false;
      ++at;
      return true;
    };
    Query result;
    do {
      QueryAtom atom;
      atom.is_negated = take_now('!');
      atom.predicate = name("/", "a predicate");
      if (atom.predicate.rfind("not_", 0) == 0) {
        if (atom.is_negated) fail_at("one negation");
        atom.is_negated = true;
        atom.predicate.erase(0, 4);
      }
      if (!take_now('(')) fail_at("'('");
      if (!take_now(')')) {
        do {
          Placeholder placeholder;
          placeholder.name = name("'", "a name");
          placeholder.type = take_now(':') ? name("/-", "a type") : placeholder.name;
          uint32_t index = intern(placeholder);
          for (const auto& [other, known] : names)
            if (other == placeholder.name && known != index) fail_at("each name with one type");
          names.emplace_back(placeholder.name, index);
          atom.arguments.push_back(index);
          if (names.size() > 100) fail_at("at most 100 names");
        } while (take_now(','));
        if (!take_now(')')) fail_at("')'");
      }
      result.push_back(std::move(atom));
    } while (take_now('&'));
    skip_spaces();
    if (at < text.size()) fail_at("'&' or the end");
    return result;
  }

  uint32_t intern(const Placeholder& placeholder) {
    auto& all = grammar_.placeholders_;
    auto found = std::find(all.begin(), all.end(), placeholder);
    if (found == all.end()) found = all.insert(all.end(), placeholder);
    if (all.size() > 1000) source_.fail(at_, "expected at most 1000 names of things in queries");
    return static_cast<uint32_t>(found - all.begin());
  }

  // TextWorld's reader of rule texts, as it behaves: at the start of a line it skips white space and // comments, between pieces
  // tabs; and it stops without a word at what it cannot read.
  Pieces pieces(std::string_view text, size_t offset) {
    struct Scan {
      std::string_view text;
      size_t at = 0;
      bool is_at_line_start() const { return at == 0 || text[at - 1] == '\n'; }
      void next_token() {
        size_t before;
        do {
          before = at;
          while (at < text.size() && is_at_line_start()) {
            size_t first = at;
            if (text.substr(at, 2) == "//") {
              while (at < text.size() && text[at] != '\n') ++at;
              if (at < text.size()) ++at;
            } else {
              while (at < text.size() && is_space(text[at])) ++at;
            }
            if (at == first) break;
          }
          while (at < text.size() && text[at] == '\t') ++at;
        } while (at != before);
      }
      bool token(char c) {
        next_token();
        if (at >= text.size() || text[at] != c) return false;
        ++at;
        return true;
      }
      std::string_view until(std::string_view stops) {
        size_t first = at;
        while (at < text.size() && stops.find(text[at]) == std::string_view::npos) ++at;
        return text.substr(first, at - first);
      }
      bool symbol(std::string_view& name) {
        next_token();
        if (!token('#')) return false;
        next_token();
        size_t first = at;
        while (at < text.size() && (is_word(text[at]) || is_space(text[at]) || std::string_view("()/!<>-,.").find(text[at]) != std::string_view::npos)) ++at;
        name = text.substr(first, at - first);
        return at > first && token('#');
      }
    } scan{text};

    auto conditional = [&](Piece& piece) {
      scan.next_token();
      if (!scan.token('{')) return false;
      size_t inside = scan.at;
      std::string_view statement;
      if (scan.symbol(statement)) {
        piece.kind = Piece::Kind::kSymbol;
        piece.text = statement;
      } else {
        scan.at = inside;
        scan.next_token();
        statement = scan.until("|[]{}\n<>");
        if (statement.empty()) return false;
        piece.kind = Piece::Kind::kValue;
      }
      size_t after = scan.at;
      std::string_view given;
      while (scan.at < text.size() && is_space(text[scan.at])) ++scan.at;
      if (scan.at < text.size() && text[scan.at] == '|') {
        ++scan.at;
        while (scan.at < text.size() && is_space(text[scan.at])) ++scan.at;
        scan.next_token();
        given = scan.until(";|{}\n[]#");
      }
      if (given.empty()) scan.at = after;
      if (!scan.token('}')) return false;
      if (piece.kind == Piece::Kind::kValue) piece.value = ExpressionReader(source_, offset, statement).whole();
      piece.has_query = !given.empty();
      if (piece.has_query) piece.query = query(given, offset);
      return true;
    };

    Pieces result;
    while (true) {
      size_t before = scan.at;
      Piece piece;
      piece.is_list = (scan.next_token(), scan.token('[')) && conditional(piece) && scan.token(']');
      if (!piece.is_list) {
        scan.at = before;
        piece = {};
        if (!conditional(piece)) {
          scan.at = before;
          piece = {};
          std::string_view name;
          if (scan.symbol(name)) {
            piece.kind = Piece::Kind::kSymbol;
            piece.text = name;
          } else {
            scan.at = before;
            scan.next_token();
            constexpr std::string_view kStops = ";|\"<>[]#{}";
            size_t first = scan.at;
            std::string_view literal;
            bool is_quoted = false;
            if (scan.token('"')) {
              literal = scan.until(kStops);
              is_quoted = scan.token('"');
            }
            if (!is_quoted) {
              scan.at = first;
              literal = scan.until(kStops);
            }
            piece.text = literal;
          }
        }
      }
      if (scan.at == before && !result.empty()) break;
      bool is_stuck = scan.at == before;
      has_list_ = has_list_ || piece.is_list;
      if (piece.kind == Piece::Kind::kText && !result.empty() && result.back().kind == Piece::Kind::kText)
        result.back().text += piece.text;
      else
        result.push_back(std::move(piece));
      if (is_stuck) break;
    }
    offsets_of_.emplace_back(offset);
    for (Piece& piece : result)
      if (piece.kind == Piece::Kind::kSymbol) piece.symbol = static_cast<uint32_t>(offsets_of_.size() - 1);  // until it is resolved
    return result;
  }

  void resolve(Pieces& pieces) {
    for (Piece& piece : pieces) {
      if (piece.kind != Piece::Kind::kSymbol) continue;
      size_t offset = offsets_of_[piece.symbol];
      auto found = by_name_.find(piece.text);
      if (found != by_name_.end()) piece.symbol = found->second;
      else source_.fail(offset, "expected a symbol that some rule defines, got " + shown("#" + piece.text + "#"));
    }
  }

  const Source& source_;
  std::string_view text_;
  size_t at_ = 0;
  bool has_list_ = false;
  std::vector<size_t> offsets_of_;
  std::unordered_map<std::string, uint32_t> by_name_;
  Grammar grammar_;
};

Grammar Grammar::parse(const Source& source) { return GrammarReader(source).read(); }

uint32_t Grammar::find_symbol(std::string_view name) const {
  for (uint32_t i = 0; i < symbols_.size(); ++i)
    if (symbols_[i].name == name) return i;
  return kNoSymbol;
}

const ActionWords* Grammar::find_action(std::string_view name) const {
  for (const ActionWords& words : actions_)
    if (words.name == name) return &words;
  return nullptr;
}

namespace {

std::string canonical(const Expression& value) {
  std::string out = "(" + std::to_string(static_cast<int>(value.kind)) + ' ' + value.text;
  for (const Expression& part : value.parts) out += ' ' + canonical(part);
  return out + ')';
}

}  // namespace

std::string Grammar::canonical(const Query& query) const {
  std::string out;
  for (const QueryAtom& atom : query) {
    out += atom.is_negated ? "!" : "&";
    out += atom.predicate;
    for (uint32_t argument : atom.arguments) out += ' ' + placeholders_[argument].name + ':' + placeholders_[argument].type;
  }
  return out;
}

std::string Grammar::canonical(const Pieces& pieces) const {
  std::string out;
  for (const Piece& piece : pieces) {
    out += piece.is_list ? "[" : "{";
    out += std::to_string(static_cast<int>(piece.kind)) + piece.text;
    if (piece.kind == Piece::Kind::kValue) out += alfworld::canonical(piece.value);
    if (piece.has_query) out += '|' + canonical(piece.query);
    out += '}';
  }
  return out;
}

std::string Grammar::canonical(const GrammarSymbol& symbol) const {
  std::string out = symbol.name;
  for (const GrammarRule& rule : symbol.rules) out += (rule.has_condition ? "?" + canonical(rule.condition) : "?") + "=" + canonical(rule.pieces);
  return out;
}

std::string Grammar::canonical(const ActionWords& action) const {
  return action.name + '=' + canonical(action.command) + '=' + canonical(action.feedback);
}

}  // namespace vldac::alfworld

#include "envs/webshop/render/html.h"

#include <charconv>

#include "envs/webshop/render/sections.h"
#include "envs/webshop/render/strings.h"
#include "envs/webshop/render/style.h"
#include "envs/webshop/unicode.h"

namespace vldac::webshop {
namespace {

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  Writer& operator<<(std::string_view markup) { return out_.append(markup), *this; }
  Writer& operator<<(int number) {
    char digits[12];
    return out_.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr), *this;
  }
  Writer& operator<<(Color color) {
    out_ += '#';
    for (uint8_t channel : color) out_ += kHex[channel >> 4], out_ += kHex[channel & 15];
    return *this;
  }
  // Data, as text or inside a quoted attribute.
  void data(std::string_view words) {
    for (size_t at = 0; at < words.size();) {
      size_t from = at;
      uint32_t code = next_code_point(words, at);
      if (code == '&') out_ += "&amp;";
      else if (code == '<') out_ += "&lt;";
      else if (code == '>') out_ += "&gt;";
      else if (code == '"') out_ += "&quot;";
      else if (code == '\'') out_ += "&#39;";
      else if (code == 0xFFFD || (code < 0x20 && !is_html_space(static_cast<char>(code))) || (code >= 0x7F && code < 0xA0)) out_ += "\xEF\xBF\xBD";
      else out_.append(words.substr(from, at - from));
    }
  }
  // Data inside a query of an address.
  void query(std::string_view words) {
    for (char c : words) {
      bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
      if (is_plain) {
        out_ += c;
        continue;
      }
      auto byte = static_cast<uint8_t>(c);
      out_ += '%', out_ += kHexUpper[byte >> 4], out_ += kHexUpper[byte & 15];
    }
  }

 private:
  static constexpr char kHex[] = "0123456789abcdef", kHexUpper[] = "0123456789ABCDEF";
  std::string& out_;
};

void font_rule(Writer& css, Type type) {
  const TypeFace& face = face_of(type);
  css << "font-weight:" << (face.weight == Weight::kBold ? 700 : 400) << ";font-size:" << face.size << "px;line-height:" << face.line << "px;";
}

void tone_rule(Writer& css, Tone tone) {
  const ToneColors& colors = colors_of(tone);
  css << "color:" << colors.ink << ";background:" << colors.ground << ";border-color:" << colors.edge << ";";
}

void text_rule(Writer& css, std::string_view selector, Type type, Tone tone, std::string_view more = "") {
  css << selector << "{";
  font_rule(css, type);
  css << "color:" << colors_of(tone).ink << ";" << more << "}\n";
}

void box_rule(Writer& css, std::string_view selector, Tone tone, int pad_y, int pad_x, int radius) {
  css << selector << "{";
  tone_rule(css, tone);
  css << "border-style:solid;border-width:" << kBorder << "px;padding:" << pad_y << "px " << pad_x << "px;border-radius:" << radius << "px}\n";
}

void write_style(Writer& css, double css_width) {
  css << "*{box-sizing:border-box;margin:0;padding:0}\n"
         "body{font-family:\"DejaVu Sans\",sans-serif;font-kerning:none;font-variant-ligatures:none;overflow-wrap:anywhere;text-decoration:none;"
         "display:flex;flex-direction:column;gap:" << kGap << "px;padding:" << kPad << "px;";
  font_rule(css, Type::kBody);
  tone_rule(css, Tone::kPage);
  css << "border-top:" << kBand << "px solid " << kBrand << "}\nbody>*{flex:none}\na,button{text-decoration:none;font-family:inherit;display:inline-block;white-space:nowrap}\n"
         ".bar{display:flex;flex-wrap:wrap;gap:" << kBarGap << "px}\n";
  box_rule(css, ".button", Tone::kButton, kButtonPadY, kButtonPadX, kButtonRadius);
  css << ".button{";
  font_rule(css, Type::kControl);
  css << "}\n";
  for (auto [selector, tone] : {std::pair{".back", Tone::kBack}, {".go", Tone::kGo}, {".buy", Tone::kBuy}}) {
    css << selector << "{";
    tone_rule(css, tone);
    css << "}\n";
  }
  box_rule(css, ".field", Tone::kField, kButtonPadY, kButtonPadX, kButtonRadius);
  css << ".find{display:flex;gap:" << kBarGap << "px;flex:1 1 0;min-width:0}\n.field{flex:1 1 0;min-width:0;font-family:inherit;height:"
      << face_of(Type::kControl).line + 2 * (kButtonPadY + kBorder) << "px;";
  font_rule(css, Type::kSmall);
  css << "}\n";
  box_rule(css, ".note", Tone::kNote, kNotePadY, kNotePadX, kNoteRadius);
  text_rule(css, ".label", Type::kLabel, Tone::kNoteLabel);
  text_rule(css, ".main", Type::kMain, Tone::kPage, "text-align:center");
  text_rule(css, ".title", Type::kTitle, Tone::kPage);
  text_rule(css, ".strong", Type::kStrong, Tone::kPage);
  text_rule(css, ".small", Type::kSmall, Tone::kMuted);
  text_rule(css, ".price", Type::kPrice, Tone::kPrice);
  text_rule(css, ".score", Type::kScore, Tone::kPage, "text-align:center");
  text_rule(css, ".words", Type::kBody, Tone::kMuted, "text-align:center");
  text_rule(css, ".link", Type::kControl, Tone::kLink, "white-space:normal;display:block;width:fit-content;max-width:100%");
  css << ".visited{color:" << colors_of(Tone::kVisited).ink << "}\n.product{display:flex;align-items:flex-start;gap:" << kColumnGap << "px;padding:" << kGap
      << "px 0;border-top:" << kBorder << "px solid " << kHairline << "}\n.side{flex:1 1 0;min-width:0}\n.name{font-weight:inherit;font-size:inherit;margin:" << kTitleGap
      << "px 0}\n.picture{display:block;flex:none;background:#eef1f5;object-fit:contain;border-radius:" << kPictureRadius << "px;width:" << thumb_side(css_width)
      << "px;height:" << thumb_side(css_width) << "px}\n.large{width:" << picture_side(css_width) << "px;height:" << picture_side(css_width)
      << "px}\n.item{display:grid;grid-template-columns:" << picture_side(css_width) << "px minmax(0,1fr);column-gap:" << kColumnGap << "px;row-gap:" << kGap
      << "px;align-items:start}\n.options{grid-column:1/3;grid-row:2}\n.facts{grid-column:2;grid-row:1}\n.group+.group{margin-top:" << kGroupGap
      << "px}\n.chips{display:flex;flex-wrap:wrap;align-items:flex-start;gap:" << kChipGap << "px;margin-top:" << kGroupNameGap << "px}\n";
  box_rule(css, ".chip", Tone::kChip, kChipPadY, kChipPadX, kChipRadius);
  css << ".chip{white-space:normal;max-width:100%;";
  font_rule(css, Type::kSmall);
  css << "}\n.chosen{";
  tone_rule(css, Tone::kChosen);
  css << "}\nul{padding-left:" << kBulletIndent << "px}\nli{min-height:" << face_of(Type::kBody).line << "px}\nli+li{margin-top:" << kBulletGap << "px}\n";
}

// One page on its way into markup.
class PageWriter {
 public:
  PageWriter(const Page& page, const HtmlOptions& options, std::string& out) : page_(page), options_(options), to_(out) {}

  void write() {
    to_ << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'\">\n<title>";
    to_.data(page_.title);
    to_ << "</title>\n<style>\n";
    write_style(to_, options_.css_width);
    to_ << "</style>\n</head>\n<body>\n";
    bool is_in_products = false;
    each_section(page_, [&](const Section& section) {
      bool is_product = section.kind == SectionKind::kProduct;
      if (is_product != is_in_products) to_ << (is_product ? "<div>\n" : "</div>\n");
      is_in_products = is_product;
      switch (section.kind) {
        case SectionKind::kBar: bar(section); break;
        case SectionKind::kProduct: product(section); break;
        case SectionKind::kItem: item(section); break;
        case SectionKind::kSingle: single(page_.blocks[section.first], false); break;
      }
    });
    if (is_in_products) to_ << "</div>\n";
    to_ << "</body>\n</html>\n";
  }

 private:
  void element(std::string_view tag, std::string_view classes, std::string_view words) {
    to_ << "<" << tag << " class=\"" << classes << "\">";
    to_.data(words);
    to_ << "</" << tag << ">\n";
  }
  // A link that says "click[argument]".
  void link(std::string_view classes, std::string_view argument, std::string_view words) {
    to_ << "<a class=\"" << classes << "\" data-command=\"click[";
    to_.data(argument);
    to_ << "]\" href=\"?click=";
    to_.query(argument);
    to_ << "\">";
    to_.data(words);
    to_ << "</a>\n";
  }
  // What stands between the brackets of a command.
  static std::string_view argument_of(const Block& block) {
    std::string_view command = block.command;
    return command.starts_with(kClick) && command.ends_with(']') ? command.substr(kClick.size(), command.size() - kClick.size() - 1) : block.text;
  }
  void picture(const Block& block, bool is_large) {
    std::string address = options_.picture ? options_.picture(block) : std::string();
    to_ << (address.empty() ? "<div" : "<img alt=\"\"") << " class=\"picture" << (is_large ? " large" : "") << "\" data-product=\"";
    to_.data(block.product);
    to_ << "\"";
    if (!address.empty()) {
      to_ << " src=\"";
      to_.data(address);
      to_ << "\"";
    }
    to_ << (address.empty() ? "></div>\n" : ">\n");
  }
  // Buttons; from a search bar on they are the form's.
  void bar(const Section& section) {
    to_ << "<div class=\"bar\">\n";
    bool is_in_form = false;
    for (size_t i = section.first; i < section.last; ++i) {
      const Block& block = page_.blocks[i];
      if (block.kind == BlockKind::kSearchBar) {
        if (is_in_form) to_ << "</form>\n";
        to_ << "<form class=\"find\" method=\"get\"><input class=\"field\" name=\"search\" required data-command=\"" << kSearchCommand << "\" placeholder=\"";
        to_.data(block.text);
        to_ << "\">\n";
        is_in_form = true;
      } else if (is_in_form) {
        to_ << "<button class=\"button" << tone_class(block) << "\" data-command=\"click[";
        to_.data(argument_of(block));
        to_ << "]\">";
        to_.data(block.text);
        to_ << "</button>\n";
      } else {
        to_ << "<a class=\"button" << tone_class(block) << "\" data-command=\"click[";
        to_.data(argument_of(block));
        to_ << "]\" href=\"?click=";
        to_.query(argument_of(block));
        to_ << "\">";
        to_.data(block.text);
        to_ << "</a>\n";
      }
    }
    to_ << (is_in_form ? "</form>\n</div>\n" : "</div>\n");
  }
  static std::string_view tone_class(const Block& block) {
    switch (button_tone(block.text)) {
      case Tone::kBack: return " back";
      case Tone::kGo: return " go";
      case Tone::kBuy: return " buy";
      default: return "";
    }
  }
  void product(const Section& section) {
    to_ << "<div class=\"product\">\n";
    for (size_t i = section.first; i < section.last; ++i)
      if (page_.blocks[i].kind == BlockKind::kImage) picture(page_.blocks[i], false);
    to_ << "<div class=\"side\">\n";
    for (size_t i = section.first; i < section.last; ++i) {
      const Block& block = page_.blocks[i];
      if (block.kind == BlockKind::kProductLink) link(block.is_visited ? "link visited" : "link", argument_of(block), block.text);
      else if (block.kind == BlockKind::kHeading) element("h4", "name", block.text);
      else if (block.kind == BlockKind::kPrice) element("p", "price", block.text);
      else if (block.kind == BlockKind::kText) element("p", "small", block.text);
    }
    to_ << "</div>\n</div>\n";
  }
  void option_group(const Block& block) {
    to_ << "<div class=\"group\">\n";
    element("h4", "small", block.text);
    to_ << "<div class=\"chips\">\n";
    for (const Choice& choice : block.choices) link(choice.is_selected ? "chip chosen" : "chip", choice.value, choice.value);
    to_ << "</div>\n</div>\n";
  }
  void item(const Section& section) {
    to_ << "<div class=\"item\">\n";
    size_t at = section.first;
    picture(page_.blocks[at++], true);
    if (at < section.last && page_.blocks[at].kind == BlockKind::kOptionGroup) {
      to_ << "<div class=\"options\">\n";
      for (; at < section.last && page_.blocks[at].kind == BlockKind::kOptionGroup; ++at) option_group(page_.blocks[at]);
      to_ << "</div>\n";
    }
    if (at < section.last) {
      to_ << "<div class=\"facts\">\n";
      for (; at < section.last; ++at) single(page_.blocks[at], true);
      to_ << "</div>\n";
    }
    to_ << "</div>\n";
  }
  void single(const Block& block, bool is_fact_of_item) {
    switch (block.kind) {
      case BlockKind::kInstruction:
        to_ << "<div class=\"note\">\n";
        element("div", "label", kInstructionLabel);
        element("div", "goal", block.text);
        to_ << "</div>\n";
        break;
      case BlockKind::kHeading:
        if (is_fact_of_item) element("h2", "title", block.text);
        else element(page_.kind == PageKind::kItemSub ? "h4" : "h1", page_.kind == PageKind::kItemSub ? "small" : "main", block.text);
        break;
      case BlockKind::kText:
        if (is_fact_of_item) element("p", "small", block.text);
        else element("p", page_.kind == PageKind::kDone ? "words" : "text", block.text);
        break;
      case BlockKind::kPrice: element("p", "price", block.text); break;
      case BlockKind::kPageNumber: element("h3", "strong", block.text); break;
      case BlockKind::kImage: picture(block, false); break;
      case BlockKind::kOptionGroup: option_group(block); break;
      case BlockKind::kList:
        to_ << "<ul>\n";
        each_line(block.text, [&](std::string_view line) { element("li", "bullet", line); });
        to_ << "</ul>\n";
        break;
      case BlockKind::kScore:
        element("p", "words", kScoreLabel);
        element("p", "score", block.text);
        break;
      case BlockKind::kButton:
      case BlockKind::kSearchBar:
      case BlockKind::kProductLink: break;  // these begin sections of their own
    }
  }

  const Page& page_;
  const HtmlOptions& options_;
  Writer to_;
};

}  // namespace

void write_html(const Page& page, const HtmlOptions& options, std::string& out) {
  out.clear();
  PageWriter(page, options, out).write();
}

}  // namespace vldac::webshop

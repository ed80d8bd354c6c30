// A page as HTML that stands alone: no script, no network, nothing but its own style sheet. Everything that comes from the
// catalogue is escaped. Options, buttons and products are plain links (?click=...), the search bar is a plain form (?search=...).
#pragma once

#include <functional>
#include <string>

#include "envs/webshop/page.h"

namespace vldac::webshop {

struct HtmlOptions {
  double css_width = 512;  // the width that pictures are sized for
  // Address of the picture of an image block (a data: URI; it is escaped); empty: a grey field stands for it.
  std::function<std::string(const Block&)> picture;
};

// `out` is replaced; its capacity is kept. Every clickable element says its command in an attribute `data-command`.
void write_html(const Page& page, const HtmlOptions& options, std::string& out);

}  // namespace vldac::webshop

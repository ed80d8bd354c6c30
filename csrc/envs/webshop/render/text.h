// A page as text, as upstream's `text` and `text_rich` observations spell it. `out` is replaced; its capacity is kept.
#pragma once

#include <string>

#include "envs/webshop/page.h"

namespace vldac::webshop {

// Every visible string, stripped, with " [SEP] " between them. It does not tell which options are selected.
void write_text(const Page& page, std::string& out);

// One string a line; buttons and options between [button] and [button_], those that are selected or visited between
// [clicked button] and [clicked button_], with "You have clicked ..." lines before all else (the last option's first).
void write_text_rich(const Page& page, std::string& out);

}  // namespace vldac::webshop

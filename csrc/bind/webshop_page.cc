// Pages of the shop in all their forms: for tests, for people who look at them, and for the browser that they are compared with.
#include <map>

#include "bind/bind.h"
#include "envs/webshop/page.h"
#include "envs/webshop/render/html.h"
#include "envs/webshop/render/painter.h"
#include "envs/webshop/render/sections.h"
#include "envs/webshop/render/text.h"

namespace vldac::bind {
namespace {

using namespace webshop;

constexpr std::pair<const char*, BlockKind> kBlockNames[] = {
    {"heading", BlockKind::kHeading}, {"text", BlockKind::kText},   {"instruction", BlockKind::kInstruction}, {"search_bar", BlockKind::kSearchBar},
    {"button", BlockKind::kButton},   {"link", BlockKind::kProductLink}, {"options", BlockKind::kOptionGroup}, {"price", BlockKind::kPrice},
    {"image", BlockKind::kImage},     {"list", BlockKind::kList},   {"page_number", BlockKind::kPageNumber},  {"score", BlockKind::kScore}};
constexpr std::pair<const char*, PageKind> kPageNames[] = {
    {"index", PageKind::kIndex}, {"results", PageKind::kResults}, {"item", PageKind::kItem}, {"item_sub", PageKind::kItemSub}, {"done", PageKind::kDone}};

template <class Kind, size_t N>
Kind kind_of(const std::pair<const char*, Kind> (&names)[N], const std::string& name) {
  std::string known;
  for (const auto& [word, kind] : names) {
    if (name == word) return kind;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  throw std::invalid_argument("page: expected one of " + known + ", got '" + name + "'");
}
template <class Kind, size_t N>
const char* name_of(const std::pair<const char*, Kind> (&names)[N], Kind kind) {
  for (const auto& [word, value] : names)
    if (value == kind) return word;
  return "";
}

using ChoiceOf = std::pair<std::string, bool>;

Page make_page(const std::string& kind, const std::string& title) {
  Page page;
  page.kind = kind_of(kPageNames, kind);
  page.title = title;
  return page;
}

void add_block(Page& page, const std::string& kind, const std::string& text, const std::string& command, const std::string& product, bool is_visited,
               const std::vector<ChoiceOf>& choices) {
  Block& block = page.add(kind_of(kBlockNames, kind), text);
  block.command = command, block.product = product, block.is_visited = is_visited;
  for (const auto& [value, is_selected] : choices) block.choices.push_back({value, is_selected});
}

py::list blocks_of(const Page& page) {
  py::list result;
  for (const Block& block : page.blocks) {
    py::list choices;
    for (const Choice& choice : block.choices) choices.append(py::make_tuple(choice.value, choice.is_selected));
    result.append(py::make_tuple(name_of(kBlockNames, block.kind), block.text, block.command, block.product, block.is_visited, choices));
  }
  return result;
}

std::string html_of(const Page& page, double css_width, const std::map<std::string, std::string>& pictures) {
  HtmlOptions options{.css_width = css_width, .picture = [&](const Block& image) {
                        auto found = pictures.find(image.product);
                        return found == pictures.end() ? std::string() : found->second;
                      }};
  std::string out;
  write_html(page, options, out);
  return out;
}

// The drawing of every product that the page shows, in a square of its own.
py::dict pictures_of(const Page& page, int side) {
  if (side < 8 || side > 1024) throw std::invalid_argument("pictures: expected a side of 8 to 1024 pixels");
  auto icons = icons_of(side);
  py::dict result;
  each_section(page, [&](const Section& section) {
    for (size_t i = section.first; i < section.last; ++i) {
      const Block& image = page.blocks[i];
      if (image.kind != BlockKind::kImage) continue;
      py::array_t<uint8_t> rgb({side, side, 3});
      icons->draw({rgb.mutable_data(), side, side}, 0, 0, image, title_of(page, section));
      result[py::str(image.product)] = rgb;
    }
  });
  return result;
}

template <auto write>
std::string written(const Page& page) {
  std::string out;
  write(page, out);
  return out;
}

// A painter, and the commands of the page that it drew last.
struct OwnPainter {
  Painter painter;
  std::vector<std::string> commands;
};

OwnPainter make_painter(double zoom, bool shrinks, std::shared_ptr<PhotoSet> photos) {
  if (!(zoom >= 0.0 && zoom <= 8.0)) throw std::invalid_argument("painter: expected a zoom of 0 (by the width) to 8");
  return {Painter({.zoom = zoom, .shrinks = shrinks, .photos = std::move(photos)}), {}};
}

py::array_t<uint8_t> draw_page(OwnPainter& self, const Page& page, int width, int height, int marked) {
  if (width < 1 || width > 8192 || height < 0 || height > 16384) throw std::invalid_argument("painter: expected a width of 1 to 8192 and a height of 0 (the whole page) to 16384");
  if (height == 0) height = self.painter.full_height(page, width);
  py::array_t<uint8_t> rgb({height, width, 3});
  uint8_t* out = rgb.mutable_data();
  {
    py::gil_scoped_release release;
    self.painter.draw(page, out, width, height, marked);
  }
  self.commands.resize(self.painter.layout().clickables().size());
  for (size_t i = 0; i < self.commands.size(); ++i) write_command(page, self.painter.layout().clickables()[i], self.commands[i]);
  return rgb;
}

py::list boxes_of(const OwnPainter& self) {
  py::list result;
  for (size_t i = 0; i < self.commands.size(); ++i) {
    PixelBox box = self.painter.box(i);
    result.append(py::make_tuple(self.commands[i], box.x, box.y, box.width, box.height, box.is_visible));
  }
  return result;
}

void add_photo(PhotoSet& photos, const std::string& product, const SafeArray<uint8_t>& rgb) {
  if (rgb.ndim() != 3 || rgb.shape(2) != 3) throw std::invalid_argument("photo: expected uint8 of shape [height, width, 3]");
  photos.add(product, static_cast<int>(rgb.shape(1)), static_cast<int>(rgb.shape(0)), {rgb.data(), static_cast<size_t>(rgb.size())});
}

}  // namespace

void bind_webshop_page(py::module_& module) {
  py::class_<Page>(module, "WebshopPage")
      .def(py::init(&make_page), py::arg("kind"), py::arg("title") = "")
      .def("add", &add_block, py::arg("kind"), py::arg("text") = "", py::arg("command") = "", py::arg("product") = "", py::arg("is_visited") = false,
           py::arg("choices") = std::vector<ChoiceOf>{})
      .def("clear", &Page::clear)
      .def_property_readonly("kind", [](const Page& self) { return name_of(kPageNames, self.kind); })
      .def_property_readonly("title", [](const Page& self) { return self.title; })
      .def_property_readonly("blocks", &blocks_of)
      .def("text", &written<write_text>)
      .def("text_rich", &written<write_text_rich>)
      .def("pictures", &pictures_of, py::arg("side"))
      .def("html", &html_of, py::arg("css_width") = 512.0, py::arg("pictures") = std::map<std::string, std::string>{});
  py::class_<PhotoSet, std::shared_ptr<PhotoSet>>(module, "WebshopPhotos")
      .def(py::init<>())
      .def("add", &add_photo, py::arg("product"), py::arg("rgb"))
      .def("__len__", &PhotoSet::size)
      .def_property_readonly("bytes", &PhotoSet::bytes);
  py::class_<OwnPainter>(module, "WebshopPainter")
      .def(py::init(&make_painter), py::arg("zoom") = 0.0, py::arg("shrinks") = true, py::arg("photos") = nullptr)
      .def("draw", &draw_page, py::arg("page"), py::arg("width") = 512, py::arg("height") = 896, py::arg("marked") = -1)
      .def_property_readonly("boxes", &boxes_of)
      .def_property_readonly("zoom", [](const OwnPainter& self) { return self.painter.zoom(); })
      .def_property_readonly("page_size", [](const OwnPainter& self) { return py::make_tuple(self.painter.layout().width(), self.painter.layout().height()); })
      .def_property_readonly("is_cut", [](const OwnPainter& self) { return self.painter.is_cut(); })
      .def_property_readonly("missing_glyphs", [](const OwnPainter& self) { return self.painter.layout().missing_glyphs(); });
}

}  // namespace vldac::bind

// Pages of the shop are written and drawn without allocating, once every size has been seen; what is drawn stays within its picture.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "envs/webshop/render/html.h"
#include "envs/webshop/render/painter.h"
#include "envs/webshop/render/text.h"

static std::atomic<uint64_t> allocations{0};

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace vldac::webshop;

namespace {

Page results(int count) {
  Page page;
  page.kind = PageKind::kResults;
  page.add(BlockKind::kInstruction, "find me a shirt");
  page.add(BlockKind::kButton, "Back to Search");
  for (int i = 0; i < count; ++i) {
    page.add(BlockKind::kProductLink, "B00000000" + std::to_string(i));
    Block& image = page.add(BlockKind::kImage);
    image.product = "B00000000" + std::to_string(i);
    image.choices.push_back({"fashion", false});
    page.add(BlockKind::kHeading, "A shirt of a colour that takes two lines to describe in full \xE2\x80\x93 \xE6\x97\xA5");
    page.add(BlockKind::kPrice, "$10.00");
  }
  return page;
}

Page item() {
  Page page;
  page.kind = PageKind::kItem;
  page.add(BlockKind::kInstruction, "find me a shirt");
  page.add(BlockKind::kImage).product = "B1";
  Block& group = page.add(BlockKind::kOptionGroup, "size");
  for (const char* size : {"small", "medium", "large"}) group.choices.push_back({size, size[0] == 'm'});
  page.add(BlockKind::kHeading, "A shirt");
  page.add(BlockKind::kButton, "Buy Now");
  return page;
}

}  // namespace

int main() {
  constexpr int kWidth = 512, kHeight = 896;
  constexpr size_t kBytes = static_cast<size_t>(kWidth) * kHeight * 3, kGuard = 4096;
  std::vector<Page> pages;
  for (int count : {0, 4, 10, 30}) pages.push_back(results(count));
  pages.push_back(item());
  std::vector<uint8_t> pixels(kBytes + 2 * kGuard, 77);
  Painter painter;
  std::string text, rich, html;
  HtmlOptions options;
  uint64_t before = 0;
  for (int round = 0; round < 4; ++round) {
    if (round == 2) before = allocations;
    for (const Page& page : pages) {
      painter.draw(page, pixels.data() + kGuard, kWidth, kHeight, 0);
      write_text(page, text);
      write_text_rich(page, rich);
      write_html(page, options, html);
    }
  }
  uint64_t found = allocations - before;
  auto is_guard = [](uint8_t byte) { return byte == 77; };
  bool is_whole = std::all_of(pixels.begin(), pixels.begin() + kGuard, is_guard) && std::all_of(pixels.end() - kGuard, pixels.end(), is_guard);
  std::printf("%llu allocations in %zu pages, the picture's surroundings %s\n", static_cast<unsigned long long>(found), 2 * pages.size(),
              is_whole ? "untouched" : "OVERWRITTEN");
  // Odd sizes: the sanitizers look on.
  bool was_cut = false;
  for (auto [width, height] : {std::pair{1, 1}, {3, 900}, {700, 2}, {224, 392}})
    for (const Page& page : pages) {
      std::vector<uint8_t> small(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
      painter.draw(page, small.data(), width, height, 0);
      was_cut = was_cut || painter.is_cut();
    }
  if (found || !is_whole || !was_cut) return 1;
  std::puts("webshop page test passed");
}

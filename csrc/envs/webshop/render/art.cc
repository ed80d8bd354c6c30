#include "envs/webshop/render/art.h"

#include <iterator>
#include <mutex>

namespace vldac::webshop {
namespace {

struct Named {
  std::string_view word;
  Color color;
};
// Longer names before those that they contain.
constexpr Named kColors[] = {
    {"turquoise", {48, 190, 180}}, {"burgundy", {122, 24, 48}}, {"lavender", {178, 160, 220}}, {"charcoal", {64, 68, 74}}, {"champagne", {236, 214, 176}},
    {"magenta", {206, 32, 132}},   {"orange", {240, 134, 36}},  {"purple", {122, 66, 168}},    {"yellow", {245, 205, 56}},  {"silver", {186, 192, 200}},
    {"maroon", {116, 26, 36}},     {"violet", {130, 80, 200}},  {"indigo", {66, 60, 150}},     {"coral", {246, 124, 102}},  {"beige", {222, 204, 172}},
    {"brown", {122, 82, 50}},      {"green", {58, 148, 76}},    {"black", {40, 42, 46}},       {"white", {246, 246, 244}},  {"ivory", {244, 240, 222}},
    {"cream", {246, 236, 208}},    {"khaki", {180, 166, 112}},  {"olive", {118, 122, 54}},     {"peach", {250, 190, 156}},  {"mint", {150, 216, 186}},
    {"navy", {32, 48, 104}},       {"blue", {52, 104, 200}},    {"teal", {22, 130, 132}},      {"aqua", {82, 200, 216}},    {"cyan", {50, 190, 214}},
    {"pink", {242, 142, 178}},     {"rose", {222, 104, 132}},   {"gold", {214, 172, 64}},      {"gray", {142, 148, 156}},   {"grey", {142, 148, 156}},
    {"wine", {116, 30, 54}},       {"plum", {118, 54, 108}},    {"tan", {204, 170, 124}},      {"red", {206, 48, 48}},
};
constexpr Color kPalette[] = {{206, 86, 74},  {226, 142, 66}, {214, 178, 72}, {120, 160, 78},  {66, 148, 110}, {62, 150, 162},
                              {72, 126, 190}, {94, 98, 176},  {140, 96, 170}, {190, 92, 140}, {138, 108, 84}, {110, 122, 138}};
constexpr Color kGrounds[] = {{244, 241, 235}, {236, 242, 247}, {240, 245, 236}, {247, 238, 238}, {241, 238, 247}, {238, 241, 240}};

uint64_t hash_of(std::string_view words) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a, then mixed so that every bit counts
  for (char c : words) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  hash ^= hash >> 33, hash *= 0xFF51AFD7ED558CCDull, hash ^= hash >> 33;
  return hash;
}

Color shade(Color color, Color toward, int share) { return {mixed(color[0], toward[0], share), mixed(color[1], toward[1], share), mixed(color[2], toward[2], share)}; }

// A mask moved by (left, top), in one colour over whatever is there.
void draw_mask_at(const Picture& picture, int left, int top, const Mask& mask, Color color) {
  int x0 = left + mask.left, y0 = top + mask.top;
  int from = std::max(0, -x0), until = std::min(mask.width, picture.width - x0);
  for (int y = std::max(0, -y0); y < std::min(mask.height, picture.height - y0); ++y) {
    const uint8_t* coverage = mask.coverage.data() + static_cast<size_t>(y) * static_cast<size_t>(mask.width);
    for (int x = from; x < until; ++x) {
      if (coverage[x] == 0) continue;
      uint8_t* pixel = picture.at(x0 + x, y0 + y);
      if (coverage[x] == 255) std::memcpy(pixel, color.data(), 3);
      else
        for (size_t c = 0; c < 3; ++c) pixel[c] = mixed(pixel[c], color[c], coverage[x]);
    }
  }
}

}  // namespace

bool find_color(std::string_view words, Color& color) {
  for (const auto& [word, value] : kColors)
    if (contains_word(words, word, true)) return color = value, true;
  return false;
}

Icons::Icons(int side) : side_(side) {
  for (int icon = 0; icon < icon_count(); ++icon) icons_.push_back(make_icon(icon, side));
}

void Icons::draw(const Picture& picture, int left, int top, const Block& image, std::string_view title) const {
  uint64_t hash = hash_of(image.product);
  auto pick = [&hash](uint64_t count) {
    uint64_t value = hash % count;
    hash /= count;
    return static_cast<size_t>(value);
  };
  size_t main = pick(std::size(kPalette)), accent = (main + 2 + pick(std::size(kPalette) - 4)) % std::size(kPalette);
  Color ground = kGrounds[pick(std::size(kGrounds))];
  Color colors[kNumRoles];
  bool is_named = false;
  for (size_t i = 1; i < image.choices.size() && !is_named; ++i) is_named = find_color(image.choices[i].value, colors[kMain]);
  if (!is_named && !find_color(title, colors[kMain])) colors[kMain] = kPalette[main];
  colors[kDark] = shade(colors[kMain], {16, 18, 24}, 110);
  colors[kLight] = shade(colors[kMain], {255, 255, 255}, 190);
  colors[kAccent] = kPalette[accent];
  for (int y = std::max(0, top); y < std::min(picture.height, top + side_); ++y)
    for (int x = std::max(0, left); x < std::min(picture.width, left + side_); ++x) std::memcpy(picture.at(x, y), ground.data(), 3);
  std::string_view category = image.choices.empty() ? std::string_view() : std::string_view(image.choices[0].value);
  for (const auto& [role, mask] : icons_[static_cast<size_t>(find_icon(title, category, hash))]) draw_mask_at(picture, left, top, mask, colors[role]);
}

std::shared_ptr<const Icons> icons_of(int side) {
  static std::mutex mutex;
  static std::vector<std::weak_ptr<const Icons>> known;
  std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.expired(); });
  for (const auto& entry : known)
    if (auto found = entry.lock(); found && found->side() == side) return found;
  auto made = std::make_shared<const Icons>(side);
  known.push_back(made);
  return made;
}

}  // namespace vldac::webshop

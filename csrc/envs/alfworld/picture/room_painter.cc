#include "envs/alfworld/picture/room_painter.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include "envs/alfworld/picture/ego.h"
#include "envs/alfworld/picture/schematic.h"
#include "render/raster/rasterizer.h"

namespace vldac::alfworld {
namespace {

struct Memory {
  EgoScene ego;
  SharedArt<LabelArt> ego_labels, labels;  // a panel has both, of two sizes
  Words words;
};

Memory& memory() {
  thread_local Memory forever;
  return forever;
}

void draw_ego(const RoomPlan& plan, const RoomState& state, const Picture& picture, bool has_decals) {
  Memory& work = memory();
  build_ego(plan, state, has_decals, picture.width, picture.height, nullptr, work.ego);
  Rasterizer().draw(work.ego.scene, work.ego.camera, picture.pixels, picture.width, picture.height);
  const LabelArt& labels = work.ego_labels.get(picture.width, picture.height);
  for (const auto& plate : work.ego.plates) {
    LabelArt::Box box = labels.plate_box(plate.kind, plate.number, plate.x, plate.y);
    if (box.right - box.left <= plate.most * 0.5) labels.draw_plate(picture, plate.kind, plate.number, box);
  }
}

// Colours on a ball in the middle of the colour cube, whose centre is everything else: a mixture of several lies inside the ball, away from
// all of them, as long as there are at most a few hundred.
std::vector<Color> distinct_colours(size_t count) {
  std::vector<Color> colours;
  for (size_t i = 0; i < count; ++i) {
    double y = 1 - 2 * (static_cast<double>(i) + 0.5) / static_cast<double>(count), r = std::sqrt(1 - y * y);
    double turn = 2.399963229728653 * static_cast<double>(i);
    auto channel = [](double value) { return static_cast<uint8_t>(std::lround(128 + 126 * value)); };
    colours.push_back({channel(r * std::cos(turn)), channel(y), channel(r * std::sin(turn))});
  }
  return colours;
}

}  // namespace

std::optional<Mode> mode_of(std::string_view name) {
  if (name == "ego") return Mode::kEgo;
  if (name == "schematic") return Mode::kSchematic;
  if (name == "panel") return Mode::kPanel;
  return std::nullopt;
}

RoomPainter::RoomPainter(std::shared_ptr<const Room> room) : plan_(std::make_shared<const RoomPlan>(std::move(room))) {}

const Room& RoomPainter::room() const { return plan_->room(); }

void RoomPainter::check(const RoomState& state, int width, int height) const {
  if (std::min(width, height) < kLeastSide || std::max(width, height) > kMostSide)
    throw std::invalid_argument("room picture: expected " + std::to_string(kLeastSide) + " to " + std::to_string(kMostSide) + " pixels a side, got " +
                                std::to_string(width) + " x " + std::to_string(height));
  const Room& room = plan_->room();
  size_t objects = room.objects.size();
  if (state.receptacle_of.size() != objects || state.object_state.size() != objects || state.is_open.size() != room.receptacles.size() ||
      state.contents.bits().size() != room.receptacles.size() * ((objects + 63) / 64))
    throw std::invalid_argument("room picture: expected a state of " + std::to_string(objects) + " objects and " +
                                std::to_string(room.receptacles.size()) + " receptacles, got another room's");
}

void RoomPainter::draw(const RoomState& state, Mode mode, uint8_t* pixels, int width, int height, bool has_decals) const {
  check(state, width, height);
  Picture picture{pixels, width, height};
  if (mode == Mode::kEgo) return draw_ego(*plan_, state, picture, has_decals);
  Memory& work = memory();
  const LabelArt& labels = work.labels.get(width, height);
  if (mode == Mode::kSchematic) return draw_schematic(*plan_, state, has_decals, picture, labels, work.words);
  // The view's rows come first, the words below it.
  int view = labels.has_room_for_text() ? height * 2 / 3 : height;
  draw_ego(*plan_, state, {pixels, width, view}, has_decals);
  if (view < height) draw_captions(*plan_, state, picture, {0, view, width, height}, labels, work.words);
}

void RoomPainter::things(const RoomState& state, int32_t* numbers, int width, int height, bool has_decals) const {
  check(state, width, height);
  const Room& room = plan_->room();
  auto colours = distinct_colours(room.receptacles.size() + room.objects.size());
  std::vector<Vec3f> flat;
  std::map<Color, int32_t> thing_of;
  for (const Color& colour : colours) {
    thing_of.try_emplace(colour, static_cast<int32_t>(flat.size()));
    flat.push_back({static_cast<float>(colour[0]) / 255, static_cast<float>(colour[1]) / 255, static_cast<float>(colour[2]) / 255});
  }
  if (thing_of.size() != colours.size()) throw std::invalid_argument("room picture: too many things to tell apart by colour");
  std::vector<uint8_t> pixels(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  Picture picture{pixels.data(), width, height};
  EgoScene ego;
  build_ego(*plan_, state, has_decals, width, height, flat.data(), ego);
  Rasterizer().draw(ego.scene, ego.camera, pixels.data(), width, height);
  const LabelArt& labels = memory().ego_labels.get(width, height);
  for (const auto& plate : ego.plates) {
    LabelArt::Box box = labels.plate_box(plate.kind, plate.number, plate.x, plate.y);
    if (box.right - box.left <= plate.most * 0.5) fill(picture, box, colours[plate.thing]);
  }
  for (size_t i = 0; i < pixels.size() / 3; ++i) {
    auto found = thing_of.find({pixels[i * 3], pixels[i * 3 + 1], pixels[i * 3 + 2]});
    numbers[i] = found == thing_of.end() ? -1 : found->second;
  }
}

}  // namespace vldac::alfworld

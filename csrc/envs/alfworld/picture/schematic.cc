#include "envs/alfworld/picture/schematic.h"

#include <algorithm>
#include <bitset>
#include <cmath>

namespace vldac::alfworld {
namespace {

constexpr Color kInk{35, 35, 42}, kFloor{238, 234, 224}, kWall{96, 92, 88}, kOrange{240, 120, 20}, kAgent{30, 90, 200};

using Box = LabelArt::Box;

Color byte_colour(const Vec3f& colour, double towards_white = 0) {
  Color bytes;
  for (size_t c = 0; c < 3; ++c) bytes[c] = static_cast<uint8_t>(std::lround((colour[c] + (1 - colour[c]) * towards_white) * 255));
  return bytes;
}

void frame(const Picture& picture, const Box& box, int thick, Color colour) {
  fill(picture, {box.left, box.top, box.right, box.top + thick}, colour);
  fill(picture, {box.left, box.bottom - thick, box.right, box.bottom}, colour);
  fill(picture, {box.left, box.top, box.left + thick, box.bottom}, colour);
  fill(picture, {box.right - thick, box.top, box.right, box.bottom}, colour);
}

// A grid of places over the plan.
class Grid {
 public:
  Grid(const Box& area, size_t count) : area_(area) {
    int wide = area.right - area.left, high = area.bottom - area.top;
    double share = static_cast<double>(wide) * high / (static_cast<double>(count) * 2.0 + 4);
    columns_ = std::clamp(static_cast<int>(wide / std::sqrt(share * kShape)), 1, kMost);
    rows_ = std::clamp(static_cast<int>(high / std::sqrt(share / kShape)), 1, kMost);
    while (static_cast<size_t>(columns_) * static_cast<size_t>(rows_) < count && rows_ < kMost) ++rows_;
    while (static_cast<size_t>(columns_) * static_cast<size_t>(rows_) < count && columns_ < kMost) ++columns_;
  }
  // The free place nearest to (x, y), 0 to 1 from the upper left corner, which is then taken.
  Box take(double x, double y) {
    double wide = area_.right - area_.left, high = area_.bottom - area_.top, best = 1e30;
    int place = 0;
    for (int i = 0; i < rows_ * columns_; ++i) {
      if (taken_[static_cast<size_t>(i)]) continue;
      double dx = (i % columns_ + 0.5) / columns_ - x, dy = (i / columns_ + 0.5) / rows_ - y, far = dx * dx * wide * wide + dy * dy * high * high;
      if (far < best) best = far, place = i;
    }
    taken_[static_cast<size_t>(place)] = true;
    auto at = [](int from, int to, int i, int count) { return from + (to - from) * i / count; };
    int column = place % columns_, row = place / columns_;
    return {at(area_.left, area_.right, column, columns_) + 1, at(area_.top, area_.bottom, row, rows_) + 1,
            at(area_.left, area_.right, column + 1, columns_) - 1, at(area_.top, area_.bottom, row + 1, rows_) - 1};
  }

 private:
  static constexpr int kMost = 32;
  static constexpr double kShape = 1.6;  // a place's width over its height
  Box area_;
  int columns_, rows_;
  std::bitset<kMost * kMost> taken_;
};

class Plan {
 public:
  Plan(const RoomPlan& plan, const RoomState& state, bool has_decals, const Picture& picture, const LabelArt& labels, Words& words)
      : plan_(plan), room_(plan.room()), state_(state), has_decals_(has_decals), picture_(picture), labels_(labels), words_(words) {}

  void draw() {
    int strip = labels_.has_room_for_text() ? picture_.height * 3 / 10 : 0;
    int edge = std::max(2, std::min(picture_.width, picture_.height) / 60);
    fill(picture_, {0, 0, picture_.width, picture_.height - strip}, kWall);
    area_ = {edge, edge, picture_.width - edge, picture_.height - strip - edge};
    fill(picture_, area_, kFloor);
    Grid grid(area_, room_.receptacles.size());
    double x = 0.5, y = 0.5;
    bool is_somewhere = state_.location < room_.locations.size() && room_.locations[state_.location].is_known;
    if (is_somewhere) {
      const Pose& pose = room_.locations[state_.location];
      x = share_x(pose.x), y = share_y(pose.z);
    }
    for (size_t i = 0; i < room_.receptacles.size(); ++i) {
      const auto& position = room_.receptacles[i].position;
      Box box = grid.take(share_x(position[0]), share_y(position[2]));
      receptacle(i, box);
      if (plan_.is_faced(i, state_)) line(x, y, box);
    }
    agent(x, y, is_somewhere ? room_.locations[state_.location].yaw : 0);
    if (strip > 0) draw_captions(plan_, state_, picture_, {0, picture_.height - strip, picture_.width, picture_.height}, labels_, words_);
  }

 private:
  double share_x(double x) const { return (x - plan_.min_x()) / (plan_.max_x() - plan_.min_x()); }
  double share_y(double z) const { return (plan_.max_z() - z) / (plan_.max_z() - plan_.min_z()); }

  void receptacle(size_t i, const Box& box) {
    const Receptacle& one = room_.receptacles[i];
    const ReceptacleLook& look = *plan_.piece(i).look;
    bool is_shown = plan_.shows_contents(i, state_), is_faced = plan_.is_faced(i, state_);
    fill(picture_, box, byte_colour(look.main, is_shown ? 0.65 : 0.1));
    frame(picture_, box, is_faced ? 2 : 1, is_faced ? kOrange : kInk);
    int high = box.bottom - box.top, wide = box.right - box.left;
    if (one.is_openable && is_shown) {  // a door that stands out
      int leaf = std::max(2, high / 5);
      fill(picture_, {box.left - 1, box.top - 1, box.left + leaf * 2, box.top + std::max(1, leaf / 2)}, kFloor);
      fill(picture_, {box.left, box.top, box.left + std::max(1, leaf / 2), box.top + leaf * 2}, is_faced ? kOrange : kInk);
    }
    int text_bottom = box.top + 1;
    if (has_decals_) {
      words_.clear();
      words_ << look.code << one.number;
      std::string_view number = words_.text().substr(look.code.size());
      std::string_view shown = labels_.small_width(words_.text()) <= wide - 2 ? words_.text() : number;
      if (labels_.small_height() + 4 <= high && labels_.small_width(shown) <= wide) {
        labels_.fill_page(picture_, {box.left + 2, box.top + 2, box.right - 2, box.top + 2 + labels_.small_height()});
        labels_.draw_small(picture_, (box.left + box.right - labels_.small_width(shown)) / 2, box.top + 2, shown);
        text_bottom = box.top + 2 + labels_.small_height();
      }
    }
    if (is_shown) dots(i, {box.left + 2, text_bottom, box.right - 2, box.bottom - 2});
  }

  // One per object, as large as there is room for.
  void dots(size_t receptacle, const Box& box) {
    int count = 0;
    state_.contents.each(receptacle, [&](size_t) { ++count; });
    int wide = box.right - box.left, high = box.bottom - box.top;
    if (count == 0 || wide < 1 || high < 1) return;
    int side = std::max(4, std::min(picture_.width, picture_.height) / 30);
    while (side > 1 && (wide / side) * (high / side) < count) --side;
    int columns = std::max(1, wide / side), next = 0;
    state_.contents.each(receptacle, [&](size_t object) {
      int left = box.left + next % columns * side, top = box.bottom - (next / columns + 1) * side;
      if (top >= box.top) dot(object, {left, top, left + std::max(1, side - 1), top + std::max(1, side - 1)});
      ++next;
    });
  }
  void dot(size_t object, const Box& box) {
    const ObjectLook& look = object_looks()[plan_.look_of(object)];
    uint8_t bits = state_.object_state[object];
    fill(picture_, box, byte_colour(look.first));
    int side = box.right - box.left;
    if (side >= 3) fill(picture_, {box.left + side / 3, box.top + side / 3, box.right - side / 3, box.bottom - side / 3}, byte_colour(look.second));
    if (side >= 4) frame(picture_, box, 1, bits & kHot ? Color{230, 40, 10} : bits & kCool ? Color{40, 120, 250} : bits & kClean ? Color{255, 255, 255} : kInk);
  }

  void line(double x, double y, const Box& box) {
    double x0 = area_.left + x * (area_.right - area_.left), y0 = area_.top + y * (area_.bottom - area_.top);
    double x1 = std::clamp(x0, box.left + 0.0, box.right - 1.0), y1 = std::clamp(y0, box.top + 0.0, box.bottom - 1.0);
    int steps = static_cast<int>(std::max(std::abs(x1 - x0), std::abs(y1 - y0)));
    for (int i = 0; i <= steps; ++i) {
      double t = steps ? static_cast<double>(i) / steps : 0;
      int px = static_cast<int>(std::floor(x0 + (x1 - x0) * t)), py = static_cast<int>(std::floor(y0 + (y1 - y0) * t));
      fill(picture_, {px, py, px + 2, py + 2}, kOrange);
    }
  }

  // An arrow that points where the agent looks, and what it holds beside it.
  void agent(double x, double y, int yaw) {
    double middle_x = area_.left + x * (area_.right - area_.left), middle_y = area_.top + y * (area_.bottom - area_.top);
    double size = std::max(5.0, std::min(picture_.width, picture_.height) / 22.0);
    middle_x = std::clamp(middle_x, area_.left + size, area_.right - size), middle_y = std::clamp(middle_y, area_.top + size, area_.bottom - size);
    int quarters = quarters_between(0, yaw);
    auto reach = static_cast<int>(std::ceil(size));
    for (int dy = -reach; dy <= reach; ++dy)
      for (int dx = -reach; dx <= reach; ++dx) {
        int px = static_cast<int>(middle_x) + dx, py = static_cast<int>(middle_y) + dy;
        // Along the view and to its right.
        int along[] = {-dy, dx, dy, -dx}, across[] = {dx, dy, -dx, -dy};
        double a = along[quarters] / size, b = std::abs(across[quarters]) / size;
        bool is_inside = a <= 1 && a >= -0.8 && b <= (1 - a) * 0.45, is_edge = a <= 1 && a >= -1 && b <= (1 - a) * 0.45 + 0.18;
        if (is_edge) fill(picture_, {px, py, px + 1, py + 1}, is_inside ? kAgent : Color{255, 255, 255});
      }
    if (state_.held >= room_.objects.size()) return;
    int side = std::max(5, static_cast<int>(size * 0.9)), left = static_cast<int>(middle_x + size * 0.8), top = static_cast<int>(middle_y);
    left = std::min(left, area_.right - side), top = std::min(top, area_.bottom - side);
    fill(picture_, {left - 1, top - 1, left + side + 1, top + side + 1}, Color{255, 255, 255});
    dot(state_.held, {left, top, left + side, top + side});
  }

  const RoomPlan& plan_;
  const Room& room_;
  const RoomState& state_;
  bool has_decals_;
  const Picture& picture_;
  const LabelArt& labels_;
  Words& words_;
  Box area_{};
};

}  // namespace

void draw_schematic(const RoomPlan& plan, const RoomState& state, bool has_decals, const Picture& picture, const LabelArt& labels, Words& words) {
  Plan(plan, state, has_decals, picture, labels, words).draw();
}

}  // namespace vldac::alfworld

#include "envs/alfworld/picture/captions.h"

namespace vldac::alfworld {
namespace {

class Page {
 public:
  Page(const Picture& picture, const LabelArt::Box& box, const LabelArt& labels) : picture_(picture), box_(box), labels_(labels), top_(box.top + 2) {}

  // Lines break after a comma or a blank where they must. The last line that fits ends where the box ends.
  void write(std::string_view words) {
    int left = box_.left + 3, right = box_.right - 2, indent = labels_.line_height() / 2;
    for (bool is_first = true; !words.empty() && top_ + labels_.line_height() <= box_.bottom; is_first = false) {
      int from = is_first ? left : left + indent;
      size_t count = fitting(words, right - from);
      labels_.draw_text(picture_, from, top_, right, words.substr(0, count));
      words.remove_prefix(count);
      while (words.starts_with(' ')) words.remove_prefix(1);
      top_ += labels_.line_height();
    }
  }

 private:
  size_t fitting(std::string_view words, int width) const {
    size_t best = 0;
    for (size_t end = 0; end < words.size();) {
      size_t next = std::min(words.find(' ', end), words.size());
      // A name and its number stay together.
      if (next + 1 < words.size() && words[next + 1] >= '0' && words[next + 1] <= '9') next = std::min(words.find(' ', next + 1), words.size());
      if (labels_.text_width(words.substr(0, next)) > width) break;
      best = next, end = next + 1;
    }
    if (best > 0) return best;
    return std::min(words.find(' '), words.size());
  }

  const Picture& picture_;
  LabelArt::Box box_;
  const LabelArt& labels_;
  int top_;
};

void add_object(Words& words, const Object& object, uint8_t bits) {
  if (bits & kSliced) words << "sliced ";
  if (bits & kHot) words << "hot ";
  if (bits & kCool) words << "cool ";
  if (bits & kClean) words << "clean ";
  words << object.type << " " << object.number;
  if (bits & kOn) words << " (on)";
}

}  // namespace

void draw_captions(const RoomPlan& plan, const RoomState& state, const Picture& picture, const LabelArt::Box& box, const LabelArt& labels, Words& words) {
  labels.fill_page(picture, box);
  Page page(picture, box, labels);
  const Room& room = plan.room();
  words.clear();
  words << "hand: ";
  if (state.held < room.objects.size()) add_object(words, room.objects[state.held], state.object_state[state.held]);
  else words << "empty";
  page.write(words.text());
  bool is_anywhere = false;
  for (size_t i = 0; i < room.receptacles.size(); ++i) {
    if (!plan.is_faced(i, state)) continue;
    is_anywhere = true;
    const Receptacle& receptacle = room.receptacles[i];
    words.clear();
    words << receptacle.type << " " << receptacle.number;
    if (receptacle.is_openable) words << (state.is_open[i] ? " (open)" : " (closed)");
    if (plan.shows_contents(i, state)) {
      words << ": ";
      bool has_any = false;
      state.contents.each(i, [&](size_t object) {
        words << (has_any ? ", " : "");
        add_object(words, room.objects[object], state.object_state[object]);
        has_any = true;
      });
      if (!has_any) words << "nothing";
    }
    page.write(words.text());
  }
  if (!is_anywhere) page.write("in the middle of the room");
}

}  // namespace vldac::alfworld

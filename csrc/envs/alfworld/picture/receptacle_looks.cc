#include "envs/alfworld/picture/receptacle_looks.h"

#include <algorithm>

namespace vldac::alfworld {
namespace {

constexpr double kFloor = ReceptacleLook::kFloor;
constexpr Vec3f kWhite{0.94f, 0.95f, 0.96f}, kSteel{0.62f, 0.64f, 0.68f}, kDark{0.15f, 0.15f, 0.17f}, kInside{0.98f, 0.97f, 0.93f};

// By type.
constexpr ReceptacleLook kLooks[] = {
    {"armchair", "arm", Body::kArmchair, {0.95, 0.46, 0.8}, kFloor, {0.36f, 0.47f, 0.66f}, {0.28f, 0.37f, 0.54f}},
    {"bathtubbasin", "bath", Body::kBath, {1.5, 0.55, 0.8}, kFloor, {0.92f, 0.94f, 0.96f}, {0.6f, 0.78f, 0.86f}},
    {"bed", "bed", Body::kBed, {1.4, 0.5, 1.3}, kFloor, {0.45f, 0.55f, 0.8f}, {0.5f, 0.33f, 0.2f}},
    {"bowl", "bowl", Body::kDish, {0.6, 0.76, 0.6}, kFloor, {0.6f, 0.44f, 0.3f}, {0.45f, 0.7f, 0.85f}},
    {"box", "box", Body::kBox, {0.5, 0.34, 0.4}, 0, {0.74f, 0.56f, 0.36f}, {0.88f, 0.76f, 0.5f}},
    {"cabinet", "cab", Body::kCabinet, {0.8, 0.7, 0.36}, 0.5, {0.74f, 0.56f, 0.36f}, {0.56f, 0.4f, 0.24f}},
    {"cart", "cart", Body::kCart, {0.75, 0.85, 0.5}, kFloor, {0.7f, 0.73f, 0.77f}, {0.35f, 0.36f, 0.4f}},
    {"coffeemachine", "cofm", Body::kCoffeeMachine, {0.34, 0.42, 0.36}, 0, {0.2f, 0.2f, 0.23f}, {0.75f, 0.2f, 0.16f}},
    {"coffeetable", "coft", Body::kTable, {1.2, 0.45, 0.75}, kFloor, {0.52f, 0.34f, 0.2f}, {0.4f, 0.25f, 0.14f}},
    {"countertop", "cou", Body::kCounter, {1.3, 0.95, 0.7}, kFloor, {0.82f, 0.77f, 0.68f}, {0.45f, 0.47f, 0.52f}},
    {"cup", "cup", Body::kDish, {0.6, 0.76, 0.6}, kFloor, {0.6f, 0.44f, 0.3f}, {0.9f, 0.6f, 0.7f}},
    {"desk", "desk", Body::kDesk, {1.2, 0.76, 0.7}, kFloor, {0.66f, 0.46f, 0.28f}, {0.5f, 0.34f, 0.2f}},
    {"diningtable", "din", Body::kTable, {1.3, 0.76, 0.85}, kFloor, {0.74f, 0.54f, 0.34f}, {0.56f, 0.39f, 0.23f}},
    {"drawer", "dra", Body::kDrawer, {0.62, 0.24, 0.46}, 0.5, {0.68f, 0.5f, 0.31f}, {0.84f, 0.66f, 0.44f}},
    {"dresser", "dre", Body::kDresser, {1.2, 0.85, 0.6}, kFloor, {0.5f, 0.34f, 0.22f}, {0.62f, 0.45f, 0.3f}},
    {"fridge", "fri", Body::kFridge, {0.95, 1.7, 0.7}, kFloor, {0.86f, 0.88f, 0.91f}, {0.45f, 0.48f, 0.52f}},
    {"garbagecan", "gar", Body::kBin, {0.46, 0.6, 0.42}, kFloor, {0.42f, 0.46f, 0.44f}, {0.28f, 0.31f, 0.3f}},
    {"handtowelholder", "hand", Body::kBar, {0.7, 0.6, 0.12}, 0.8, {0.8f, 0.82f, 0.86f}, {0.62f, 0.46f, 0.3f}},
    {"laundryhamper", "ham", Body::kHamper, {0.55, 0.65, 0.5}, kFloor, {0.82f, 0.72f, 0.54f}, {0.64f, 0.52f, 0.35f}},
    {"microwave", "mic", Body::kMicrowave, {0.62, 0.4, 0.4}, 0, {0.26f, 0.27f, 0.3f}, {0.5f, 0.62f, 0.66f}},
    {"mug", "mug", Body::kDish, {0.6, 0.76, 0.6}, kFloor, {0.6f, 0.44f, 0.3f}, {0.95f, 0.93f, 0.88f}},
    {"ottoman", "ott", Body::kOttoman, {0.9, 0.45, 0.75}, kFloor, {0.55f, 0.38f, 0.55f}, {0.42f, 0.28f, 0.42f}},
    {"paintinghanger", "pai", Body::kHook, {0.6, 0.7, 0.1}, 0.8, {0.7f, 0.72f, 0.75f}, {0.4f, 0.4f, 0.42f}},
    {"pan", "pan", Body::kDish, {0.6, 0.76, 0.6}, kFloor, {0.6f, 0.44f, 0.3f}, {0.3f, 0.3f, 0.33f}},
    {"plate", "pla", Body::kDish, {0.6, 0.76, 0.6}, kFloor, {0.6f, 0.44f, 0.3f}, {0.95f, 0.96f, 0.98f}},
    {"pot", "pot", Body::kDish, {0.6, 0.76, 0.6}, kFloor, {0.6f, 0.44f, 0.3f}, {0.62f, 0.64f, 0.68f}},
    {"safe", "safe", Body::kSafe, {0.55, 0.5, 0.4}, 0, {0.4f, 0.43f, 0.48f}, {0.78f, 0.72f, 0.5f}},
    {"shelf", "she", Body::kShelf, {0.95, 0.46, 0.26}, 0.1, {0.72f, 0.54f, 0.35f}, {0.56f, 0.4f, 0.25f}},
    {"sidetable", "side", Body::kTable, {0.8, 0.6, 0.6}, kFloor, {0.82f, 0.68f, 0.48f}, {0.64f, 0.5f, 0.33f}},
    {"sinkbasin", "sink", Body::kSink, {0.85, 0.3, 0.55}, 0.95, {0.8f, 0.82f, 0.85f}, {0.52f, 0.62f, 0.7f}},
    {"sofa", "sofa", Body::kSofa, {1.7, 0.45, 0.8}, kFloor, {0.64f, 0.28f, 0.27f}, {0.5f, 0.2f, 0.2f}},
    {"stoveburner", "bur", Body::kBurner, {0.46, 0.1, 0.46}, 0.9, {0.3f, 0.3f, 0.33f}, {0.75f, 0.25f, 0.15f}},
    {"toaster", "toa", Body::kToaster, {0.42, 0.26, 0.26}, 0, {0.74f, 0.76f, 0.8f}, {0.25f, 0.25f, 0.28f}},
    {"toilet", "toi", Body::kToilet, {0.5, 0.45, 0.62}, kFloor, {0.95f, 0.95f, 0.97f}, {0.8f, 0.83f, 0.87f}},
    {"toiletpaperhanger", "roll", Body::kPaperHanger, {0.4, 0.4, 0.12}, 0.8, {0.8f, 0.82f, 0.86f}, {0.5f, 0.52f, 0.56f}},
    {"towelholder", "tow", Body::kBar, {0.9, 0.75, 0.12}, 0.8, {0.62f, 0.65f, 0.7f}, {0.32f, 0.33f, 0.36f}},
    {"tvstand", "tv", Body::kStand, {1.3, 0.5, 0.55}, kFloor, {0.32f, 0.24f, 0.18f}, {0.5f, 0.4f, 0.3f}},
};

bool is_shell(Body body) { return body == Body::kCabinet || body == Body::kFridge || body == Body::kMicrowave || body == Body::kSafe || body == Body::kShelf; }
bool hangs(Body body) { return body == Body::kBar || body == Body::kPaperHanger || body == Body::kHook; }

Vec3f darker(const Vec3f& colour, float by) { return {colour[0] * by, colour[1] * by, colour[2] * by}; }

// An open drawer: how far its front stands out, and how high in it its contents lie.
constexpr double kPulledOut = 0.52, kTray = 0.8;

// A shell's parts, as shares of its size.
double rail_of(const Size& size) { return 0.15 * size.height; }  // below the opening, for the number
constexpr double kSheet = 0.03;
double panel_of(Body body, const Size& size) { return body == Body::kMicrowave ? 0.22 * size.width : 0; }  // buttons, at the right

class Model {
 public:
  Model(Stage& stage, const Frame& frame, const ReceptacleLook& look, const Size& size, const ObjectMeshes& meshes)
      : stage_(stage), frame_(frame), meshes_(meshes), main(look.main), trim(look.trim), body_(look.body), size_(size), w(size.width / 2), h(size.height), d(size.depth / 2) {}

  void draw(bool is_open, int levels) {
    switch (body_) {
      case Body::kArmchair:
      case Body::kSofa: return seat(true);
      case Body::kOttoman: return seat(false);
      case Body::kBath:
      case Body::kSink: return basin();
      case Body::kBed: return bed();
      case Body::kBox: return carton(is_open);
      case Body::kCart: return cart();
      case Body::kCoffeeMachine: return coffee_machine();
      case Body::kCounter: return counter();
      case Body::kDesk: return desk();
      case Body::kDish: return dish();
      case Body::kDrawer: return drawer(is_open);
      case Body::kDresser: return dresser();
      case Body::kBin:
      case Body::kHamper: return bin();
      case Body::kBurner: return burner();
      case Body::kTable: return table();
      case Body::kStand: return stand();
      case Body::kToaster: return toaster();
      case Body::kToilet: return toilet();
      case Body::kBar:
      case Body::kPaperHanger:
      case Body::kHook: return bar();
      default: return shell(is_open, levels);
    }
  }

 private:
  void box(double x0, double x1, double y0, double y1, double z0, double z1, const Vec3f& colour) { stage_.box(frame_, {x0, y0, z0}, {x1, y1, z1}, colour); }
  void legs(double top, double side, const Vec3f& colour) {
    for (double x : {-w + 0.02, w - 0.02 - side})
      for (double z : {-d + 0.02, d - 0.02 - side}) box(x, x + side, 0, top, z, z + side, colour);
  }

  void table() {
    box(-w, w, h - 0.05, h, -d, d, main);
    box(-w + 0.05, w - 0.05, h - 0.2, h - 0.05, -d + 0.05, d - 0.04, trim);
    legs(h - 0.05, 0.07, trim);
  }
  void counter() {
    box(-w, w, h - 0.05, h, -d, d, trim);
    box(-w, w, 0.08, h - 0.05, -d, d - 0.03, main);
    box(-w, w, 0, 0.08, -d, d - 0.08, kDark);
    box(-0.005, 0.005, 0.1, h - 0.26, d - 0.03, d - 0.02, darker(main, 0.7f));
    for (double x : {-0.1, 0.06}) box(x, x + 0.04, h - 0.4, h - 0.32, d - 0.03, d, kSteel);
  }
  void desk() {
    box(-w, w, h - 0.05, h, -d, d, main);
    box(-w + 0.03, -w + 0.4, 0, h - 0.05, -d + 0.03, d - 0.03, trim);
    for (double y : {0.08, 0.3}) box(-w + 0.06, -w + 0.37, y, y + 0.17, d - 0.03, d - 0.015, main);
    box(-w + 0.4, w - 0.03, h - 0.2, h - 0.05, -d + 0.05, d - 0.05, trim);
    box(w - 0.1, w - 0.03, 0, h - 0.05, -d + 0.03, d - 0.03, trim);
  }
  void dresser() {
    box(-w, w, 0.04, h - 0.04, -d, d - 0.02, main);
    box(-w - 0.02, w + 0.02, h - 0.04, h, -d, d, trim);
    for (double y : {0.1, 0.33, 0.56})
      for (double x : {-w + 0.04, 0.02}) {
        box(x, x + w - 0.06, y, y + 0.19, d - 0.02, d - 0.005, trim);
        box(x + w / 2 - 0.06, x + w / 2, y + 0.08, y + 0.11, d - 0.005, d + 0.02, kSteel);
      }
  }
  void stand() {
    box(-w, w, h - 0.05, h, -d, d, trim);
    box(-w, w, 0, h - 0.05, -d, d - 0.02, main);
    for (double x : {-w + 0.05, 0.03}) box(x, x + w - 0.08, 0.06, h - 0.22, d - 0.02, d - 0.015, kDark);
  }
  void cart() {
    for (double y : {0.18, h - 0.05}) box(-w, w, y, y + 0.05, -d, d, main);
    box(-w, w, h - 0.18, h - 0.05, d - 0.04, d - 0.02, trim);
    legs(h - 0.05, 0.05, trim);
  }
  void seat(bool has_back) {
    double arm = has_back ? 0.14 : 0;
    box(-w + arm, w - arm, h - 0.16, h, -d, d, main);
    box(-w, w, 0.06, h - 0.16, -d, d - 0.03, trim);
    if (!has_back) return legs(0.06, 0.08, kDark);
    box(-w, w, h - 0.16, h + 0.42, -d - 0.16, -d, main);
    for (double x : {-w, w - arm}) box(x, x + arm, h - 0.16, h + 0.14, -d, d, trim);
    if (size_.width > 1.2) box(-0.008, 0.008, h - 0.15, h + 0.003, -d, d + 0.003, darker(main, 0.75f));
  }
  void bed() {
    box(-w, w, 0.14, h - 0.1, -d, d, trim);
    box(-w + 0.03, w - 0.03, h - 0.1, h, -d, d - 0.02, main);
    box(-w + 0.02, w - 0.02, h - 0.05, h + 0.015, -d, -d + 0.3, kWhite);
    box(-w, w, 0, h + 0.4, -d - 0.08, -d, trim);
    legs(0.14, 0.09, trim);
  }
  // A rim around a floor that lies a little lower, so that what is in it can be seen.
  void rim(double y, const Vec3f& edge, const Vec3f& floor) {
    double side = 0.09;
    box(-w, w, y - 0.06, y, -d, -d + side, edge);
    box(-w, w, y - 0.06, y, d - side, d, edge);
    box(-w, -w + side, y - 0.06, y, -d + side, d - side, edge);
    box(w - side, w, y - 0.06, y, -d + side, d - side, edge);
    box(-w + side, w - side, y - 0.07, y - 0.05, -d + side, d - side, floor);
  }
  void basin() {
    rim(h, main, trim);
    box(-w, w, 0, h - 0.06, d - 0.06, d - 0.01, main);
    box(-w, -w + 0.05, 0, h - 0.06, -d, d - 0.06, main);
    box(w - 0.05, w, 0, h - 0.06, -d, d - 0.06, main);
    tap();
  }
  void tap() {
    box(-0.03, 0.03, h, h + 0.24, -d + 0.02, -d + 0.07, kSteel);
    box(-0.025, 0.025, h + 0.19, h + 0.24, -d + 0.07, -d + 0.22, kSteel);
    for (double x : {-0.14, 0.08}) box(x, x + 0.06, h, h + 0.06, -d + 0.02, -d + 0.07, kSteel);
  }
  void carton(bool is_open) {
    double wall = 0.02;
    if (!is_open) {
      box(-w, w, 0, h, -d, d, main);
      box(-w, w, h, h + 0.006, -0.05, 0.05, trim);
      box(-0.05, 0.05, h - 0.12, h + 0.004, d - 0.01, d + 0.006, trim);
      return;
    }
    box(-w, w, 0, h, d - wall, d, main);
    box(-w, w, 0, h, -d, -d + wall, main);
    box(-w, -w + wall, 0, h, -d + wall, d - wall, main);
    box(w - wall, w, 0, h, -d + wall, d - wall, main);
    box(-w + wall, w - wall, h - 0.07, h - 0.05, -d + wall, d - wall, darker(main, 0.6f));
    box(-w - 0.15, -w, h - 0.02, h, -d, d, trim);
    box(w, w + 0.15, h - 0.02, h, -d, d, trim);
  }
  void drawer(bool is_open) {
    double front = is_open ? d + kPulledOut : d, panel = 0.03, edge = 0.06;
    Vec3f chest = darker(main, 0.8f);  // that it is part of
    box(-w - edge, w + edge, -0.1, 0, -d, d, chest);
    box(-w - edge, w + edge, h, h + 0.06, -d, d, chest);
    box(-w - edge, -w, 0, h, -d, d, chest);
    box(w, w + edge, 0, h, -d, d, chest);
    box(-w, w, 0, h, -d, d - 0.02, kDark);
    if (is_open) {
      double y = h * kTray;
      box(-w + 0.02, w - 0.02, y - 0.02, y, d - 0.02, front - panel, kInside);
      for (double x : {-w, w - 0.02}) box(x, x + 0.02, y - 0.1, y + 0.02, d - 0.02, front - panel, main);
    }
    box(-w, w, 0.005, is_open ? h * kTray + 0.03 : h - 0.01, front - panel, front, trim);
    box(-0.12, 0.12, h * 0.6, h * 0.6 + 0.03, front, front + 0.04, kSteel);
  }
  void bin() {
    double wall = 0.03;
    Vec3f dark = darker(main, 0.3f);
    box(-w, w, 0, h, d - wall, d, main);
    box(-w, w, 0, h, -d, -d + wall, main);
    box(-w, -w + wall, 0, h, -d + wall, d - wall, main);
    box(w - wall, w, 0, h, -d + wall, d - wall, main);
    box(-w + wall, w - wall, h - 0.07, h - 0.05, -d + wall, d - wall, dark);
    if (body_ == Body::kBin) {
      box(-w - 0.02, w + 0.02, h - 0.05, h + 0.005, d, d + 0.02, trim);
      for (double x : {-w - 0.02, w}) box(x, x + 0.02, h - 0.05, h + 0.005, -d, d, trim);
      return;
    }
    for (double y : {0.08, 0.24, 0.56}) box(-w - 0.005, w + 0.005, y, y + 0.05, d, d + 0.006, trim);
  }
  void burner() {
    box(-w, w, 0, h, -d, d, main);
    stage_.mesh(frame_, meshes_.mark(ObjectMeshes::kRing), {0, h, 0}, 2 * w * 0.86);
    box(-w, w, -0.16, 0, -d, d + 0.005, darker(main, 1.25f));
    box(w - 0.14, w - 0.08, -0.1, -0.04, d, d + 0.03, trim);
  }
  void dish() {
    double top = h - 0.06;
    box(-w, w, top - 0.05, top, -d, d, main);
    box(-w + 0.03, w - 0.03, top - 0.2, top - 0.05, -d + 0.03, d - 0.03, darker(main, 0.8f));
    legs(top - 0.05, 0.06, darker(main, 0.8f));
    stage_.mesh(frame_, meshes_.mark(ObjectMeshes::kPlate), {0, top, 0}, 2 * w * 0.9, trim);
  }
  void toaster() {
    box(-w, w, 0.02, h, -d, d, main);
    box(-w + 0.02, w - 0.02, 0, 0.02, -d + 0.02, d - 0.02, kDark);
    for (double z : {-0.07, 0.03}) box(-w + 0.05, w - 0.05, h, h + 0.004, z, z + 0.05, kDark);
    box(w, w + 0.03, h - 0.12, h - 0.08, -0.03, 0.03, trim);
  }
  void toilet() {
    box(-w * 0.6, w * 0.6, 0, h - 0.1, -d + 0.1, d - 0.14, main);
    box(-w, w, h - 0.1, h - 0.03, -d + 0.06, d, main);
    box(-w + 0.02, w - 0.02, h - 0.03, h, -d + 0.06, d - 0.02, trim);
    box(-w, w, h - 0.1, h + 0.4, -d - 0.12, -d + 0.06, main);
    box(-w - 0.015, w + 0.015, h + 0.4, h + 0.44, -d - 0.14, -d + 0.08, main);
    box(-w + 0.06, -w + 0.14, h + 0.28, h + 0.32, -d + 0.06, -d + 0.09, kSteel);
  }
  void coffee_machine() {
    box(-w, w, 0, 0.07, -d, d, main);
    box(-w, w, 0.07, h - 0.1, -d, -d + 0.14, main);
    box(-w, w, h - 0.1, h, -d, d - 0.04, main);
    box(-0.05, 0.05, h - 0.14, h - 0.1, 0, 0.1, kSteel);
    box(w - 0.1, w - 0.04, h - 0.07, h - 0.03, d - 0.04, d - 0.03, trim);
    box(-w + 0.04, w - 0.04, 0.07, 0.075, -d + 0.16, d - 0.03, kSteel);
  }
  void bar() {
    double y = h * 0.86;
    box(-w, -w + 0.05, y - 0.05, y + 0.05, -d, d - 0.02, trim);
    box(w - 0.05, w, y - 0.05, y + 0.05, -d, d - 0.02, trim);
    box(-w, w, y - 0.015, y + 0.015, d - 0.05, d - 0.02, main);
    box(-w, w, 0, 0.13, -d - 0.02, -d + 0.01, trim);
  }

  // Fridge, cabinet, microwave, safe, shelf: five walls, boards, and doors.
  void shell(bool is_open, int levels) {
    double rail = rail_of(size_), panel = panel_of(body_, size_), right = w - panel;
    bool is_shelf = body_ == Body::kShelf;
    Vec3f inside = body_ == Body::kSafe ? darker(main, 0.55f) : body_ == Body::kMicrowave ? Vec3f{0.8f, 0.8f, 0.74f} : is_shelf ? darker(main, 0.85f) : kInside;
    box(-w, w, 0, rail, -d, d, is_shelf ? trim : main);
    if (!is_open && !is_shelf) {
      box(-w, w, rail, h, -d, d - kSheet, main);
      return closed(rail, right, panel);
    }
    box(-w, w, h - kSheet, h, -d, d, main);
    box(-w, -w + kSheet, rail, h - kSheet, -d, d, main);
    box(right - kSheet, w, rail, h - kSheet, -d, d, main);
    box(-w + kSheet, right - kSheet, rail, h - kSheet, -d, -d + 0.02, inside);
    box(-w + kSheet, right - kSheet, rail, rail + 0.005, -d, d - 0.004, inside);
    double pitch = (h - kSheet - rail) / levels;
    for (int i = 1; i < levels; ++i) box(-w + kSheet, right - kSheet, rail + pitch * i - 0.02, rail + pitch * i, -d, d - 0.02, is_shelf ? main : darker(inside, 0.8f));
    if (is_shelf) return;
    if (panel > 0) buttons(rail, right);
    double width = right + w, height = h - rail;
    if (body_ == Body::kCabinet) {
      stage_.door(frame_, {-w, rail, d}, width / 2, height, kSheet, 112, trim);
      stage_.door(frame_, {w, rail, d}, width / 2, height, kSheet, 68, trim);
    } else {
      stage_.door(frame_, {-w, rail, d}, width * 0.7, height, kSheet, 112, body_ == Body::kFridge ? kWhite : main);
    }
  }
  void closed(double rail, double right, double panel) {
    double front = d - kSheet, gap = 0.012;
    switch (body_) {
      case Body::kCabinet:
        box(-w + gap, -gap / 2, rail + gap, h - gap, front, d, trim);
        box(gap / 2, w - gap, rail + gap, h - gap, front, d, trim);
        for (double side : {-1.0, 1.0}) {
          double x = side * w / 2;
          box(x - w * 0.3, x + w * 0.3, rail + 0.1, h - 0.1, d, d + 0.006, main);
          box(side * 0.06 - 0.015, side * 0.06 + 0.015, h / 2, h / 2 + 0.14, d, d + 0.03, kSteel);
        }
        return;
      case Body::kFridge: {
        double split = rail + (h - rail) * 0.66;
        box(-w + gap, w - gap, rail + gap, split, front, d, kWhite);
        box(-w + gap, w - gap, split + 0.02, h - gap, front, d, kWhite);
        box(w - 0.14, w - 0.09, split - 0.5, split - 0.05, d, d + 0.05, trim);
        box(w - 0.14, w - 0.09, split + 0.07, h - 0.1, d, d + 0.05, trim);
        return;
      }
      case Body::kMicrowave:
        box(-w + gap, right - gap, rail + gap, h - gap, front, d, main);
        box(-w + 0.06, right - 0.07, rail + 0.05, h - 0.06, d, d + 0.004, trim);
        box(right - 0.05, right - 0.025, rail + 0.04, h - 0.05, d, d + 0.03, kSteel);
        if (panel > 0) buttons(rail, right);
        return;
      default:  // safe
        box(-w + 0.03, w - 0.03, rail + 0.02, h - 0.03, front, d, darker(main, 1.2f));
        box(-0.09, 0.09, (rail + h) / 2 - 0.02, (rail + h) / 2 + 0.02, d, d + 0.03, trim);
        box(-0.02, 0.02, (rail + h) / 2 - 0.09, (rail + h) / 2 + 0.09, d, d + 0.03, trim);
        box(w - 0.12, w - 0.07, rail + 0.06, h - 0.08, d, d + 0.025, kSteel);
    }
  }
  void buttons(double rail, double right) {
    box(right, w, rail, h, d - kSheet, d - 0.004, darker(main, 0.8f));
    box(right + 0.025, w - 0.025, h - 0.1, h - 0.05, d - 0.004, d, {0.3f, 0.9f, 0.5f});
    for (double y : {0.06, 0.12}) box(right + 0.03, w - 0.03, rail + y, rail + y + 0.035, d - 0.004, d, kSteel);
  }

  Stage& stage_;
  const Frame& frame_;
  const ObjectMeshes& meshes_;
  const Vec3f &main, &trim;
  Body body_;
  Size size_;
  double w, h, d;  // half the width, the height, half the depth
};

}  // namespace

std::span<const ReceptacleLook> receptacle_looks() { return kLooks; }

const ReceptacleLook& find_receptacle_look(std::string_view type) {
  const auto* found = std::ranges::lower_bound(kLooks, type, {}, &ReceptacleLook::type);
  if (found != std::end(kLooks) && found->type == type) return *found;
  return *std::ranges::find(kLooks, std::string_view("sidetable"), &ReceptacleLook::type);
}

Region region_of(const ReceptacleLook& look, const Size& size, bool is_open) {
  double w = size.width / 2, h = size.height, d = size.depth / 2;
  if (hangs(look.body)) return {Laying::kHanging, -w + 0.06, w - 0.06, 0.14, h * 0.86, 0, d};
  if (is_shell(look.body)) return {Laying::kBoards, -w + 0.05, w - 0.05 - panel_of(look.body, size), rail_of(size), h - kSheet, -d, d - 0.02};
  switch (look.body) {
    case Body::kCoffeeMachine: return {Laying::kBoards, -w + 0.01, w - 0.01, 0.075, h - 0.11, -d, d - 0.02};
    case Body::kToaster: return {Laying::kTop, -w + 0.05, w - 0.05, h + 0.004, h, -d, d};
    case Body::kDrawer: return {Laying::kTop, -w + 0.04, w - 0.04, h * kTray, h, is_open ? d : -d, is_open ? d + kPulledOut - 0.05 : d};
    case Body::kSink:
    case Body::kBath: return {Laying::kTop, -w + 0.1, w - 0.1, h - 0.05, h, -d + 0.1, d - 0.1};
    case Body::kBox:
    case Body::kBin:
    case Body::kHamper: return {Laying::kTop, -w + 0.04, w - 0.04, h - 0.02, h, -d + 0.04, d - 0.04};
    case Body::kArmchair:
    case Body::kSofa: return {Laying::kTop, -w + 0.18, w - 0.18, h, h, -d + 0.02, d - 0.02};
    case Body::kDish: return {Laying::kTop, -w * 0.66, w * 0.66, h + 0.005, h, -d * 0.66, d * 0.66};
    case Body::kBed: return {Laying::kTop, -w + 0.06, w - 0.06, h, h, -d + 0.32, d - 0.04};
    case Body::kBurner: return {Laying::kTop, -w * 0.8, w * 0.8, h + 0.03, h, -d * 0.8, d * 0.8};
    case Body::kToilet: return {Laying::kTop, -w + 0.04, w - 0.04, h, h, -d + 0.1, d - 0.04};
    default: return {Laying::kTop, -w + 0.04, w - 0.04, h, h, -d + 0.04, d - 0.04};
  }
}

Focus focus_of(const ReceptacleLook& look, const Size& size, bool is_open) {
  double w = size.width, h = size.height, d = size.depth / 2;
  if (hangs(look.body)) return {w + 0.1, 0, h, 0, d, {0, 0.065, -d + 0.02}};
  if (is_shell(look.body)) return {w + (look.body == Body::kShelf ? 0.0 : 0.24), 0, h, d * 0.5, d, {0, rail_of(size) / 2, d + 0.01}};
  switch (look.body) {
    case Body::kCoffeeMachine: return {w * 1.3, -0.02, h, 0, d, {0, 0.0, d + 0.01}};
    case Body::kDrawer: return {w + 0.16, 0, h + 0.08, d - 0.05, d + kPulledOut, {0, h * 0.3, (is_open ? d + kPulledOut : d) + 0.01}};
    case Body::kToaster: return {w * 1.5, 0, h + 0.12, -d, d, {0, h * 0.35, d + 0.01}};
    case Body::kBurner: return {w * 1.25, -0.16, h + 0.12, -d, d, {-w * 0.2, -0.08, d + 0.02}};
    case Body::kBin:
    case Body::kHamper: return {w * 1.25, h - 0.3, h + 0.1, -d, d, {0, h - 0.2, d + 0.02}};
    case Body::kBox: return {w + 0.3, 0.04, h + 0.1, -d, d, {0, h * 0.4, d + 0.02}};
    default: return {w, h - 0.24, h + 0.12, -d, d, {0, h - 0.14, d + 0.01}};
  }
}

void draw_receptacle(Stage& stage, const Frame& frame, const ReceptacleLook& look, const Size& size, bool is_open, int levels, const ObjectMeshes& meshes) {
  Model(stage, frame, look, size, meshes).draw(is_open, levels);
}

}  // namespace vldac::alfworld

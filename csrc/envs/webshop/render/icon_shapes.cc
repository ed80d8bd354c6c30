#include "envs/webshop/render/icon_shapes.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>

#include "render/shapes.h"

namespace vldac::webshop {
namespace {

class Maker {
 public:
  explicit Maker(int side) : side_(side) {}
  Icon take() && { return std::move(icon_); }

  Maker& add(Role role, const Path& path) {
    icon_.push_back({role, path.placed(0, 0, side_, side_).mask()});
    return *this;
  }
  Maker& box(Role role, double left, double top, double right, double bottom, double radius = 0.015) {
    return add(role, rounded_rectangle(left, top, right, bottom, radius));
  }
  Maker& disc(Role role, double x, double y, double radius) { return add(role, circle(x, y, radius)); }
  Maker& oval(Role role, double x, double y, double half_width, double half_height) { return add(role, circle(0, 0, 1).placed(x, y, half_width, half_height)); }
  Maker& ring(Role role, double x, double y, double outer, double inner) {
    Path path = circle(x, y, outer);
    path.append(circle(0, 0, 1).placed(x, y, -inner, inner));  // mirrored: a hole
    return add(role, path);
  }
  Maker& shape(Role role, std::initializer_list<Point> points) {
    Path path;
    path.move(*points.begin());
    for (const Point* point = points.begin() + 1; point != points.end(); ++point) path.line(*point);
    path.close();
    return add(role, path);
  }

 private:
  int side_;
  Icon icon_;
};

using Draw = void (*)(Maker&);

struct Kind {
  std::string_view nouns;  // singular, blanks between them
  Draw draw;
};

// A kind further up wins where a title names several: a dress shirt is a shirt, a bar stool is a stool.
constexpr Kind kKinds[] = {
    {"shirt blouse tee tshirt polo tunic",
     [](Maker& m) {
       m.shape(kMain, {{0.36, 0.16}, {0.64, 0.16}, {0.9, 0.34}, {0.8, 0.48}, {0.7, 0.42}, {0.7, 0.86}, {0.3, 0.86}, {0.3, 0.42}, {0.2, 0.48}, {0.1, 0.34}});
       m.oval(kDark, 0.5, 0.17, 0.11, 0.07).box(kLight, 0.3, 0.56, 0.7, 0.62, 0.005).box(kAccent, 0.3, 0.66, 0.7, 0.7, 0.005);
     }},
    {"jacket coat hoodie sweatshirt sweater cardigan parka vest",
     [](Maker& m) {
       m.shape(kMain, {{0.34, 0.16}, {0.66, 0.16}, {0.82, 0.26}, {0.92, 0.74}, {0.79, 0.78}, {0.72, 0.46}, {0.72, 0.88}, {0.28, 0.88}, {0.28, 0.46}, {0.21, 0.78}, {0.08, 0.74}, {0.18, 0.26}});
       m.oval(kDark, 0.5, 0.19, 0.16, 0.1).box(kLight, 0.485, 0.28, 0.515, 0.88, 0.005).box(kDark, 0.34, 0.62, 0.44, 0.74).box(kDark, 0.56, 0.62, 0.66, 0.74).box(kAccent, 0.28, 0.83, 0.72, 0.88, 0.005);
     }},
    {"dress gown skirt",
     [](Maker& m) {
       m.shape(kMain, {{0.36, 0.12}, {0.43, 0.12}, {0.5, 0.22}, {0.57, 0.12}, {0.64, 0.12}, {0.62, 0.44}, {0.82, 0.88}, {0.18, 0.88}, {0.38, 0.44}});
       m.shape(kAccent, {{0.378, 0.42}, {0.622, 0.42}, {0.64, 0.48}, {0.36, 0.48}}).disc(kLight, 0.4, 0.68, 0.03).disc(kLight, 0.54, 0.62, 0.03).disc(kLight, 0.62, 0.76, 0.03);
     }},
    {"pant pants legging trouser trousers jean jeans shorts jogger",
     [](Maker& m) {
       m.shape(kMain, {{0.32, 0.14}, {0.68, 0.14}, {0.76, 0.88}, {0.57, 0.88}, {0.5, 0.4}, {0.43, 0.88}, {0.24, 0.88}});
       m.shape(kDark, {{0.32, 0.12}, {0.68, 0.12}, {0.685, 0.2}, {0.315, 0.2}}).box(kAccent, 0.47, 0.13, 0.53, 0.19);
     }},
    {"boot",
     [](Maker& m) {
       m.shape(kMain, {{0.3, 0.14}, {0.56, 0.14}, {0.56, 0.56}, {0.78, 0.66}, {0.84, 0.8}, {0.3, 0.8}}).box(kDark, 0.28, 0.79, 0.86, 0.87).box(kLight, 0.3, 0.14, 0.56, 0.22, 0.005);
       m.box(kAccent, 0.4, 0.34, 0.56, 0.37).box(kAccent, 0.4, 0.43, 0.56, 0.46).box(kAccent, 0.42, 0.52, 0.57, 0.55);
     }},
    {"shoe sneaker sandal slipper loafer heel trainer clog",
     [](Maker& m) {
       m.shape(kMain, {{0.1, 0.38}, {0.26, 0.44}, {0.38, 0.38}, {0.6, 0.56}, {0.86, 0.6}, {0.92, 0.7}, {0.1, 0.7}}).box(kDark, 0.08, 0.69, 0.93, 0.78, 0.03);
       m.shape(kLight, {{0.4, 0.4}, {0.6, 0.56}, {0.54, 0.6}, {0.34, 0.44}}).shape(kAccent, {{0.14, 0.5}, {0.4, 0.62}, {0.36, 0.67}, {0.12, 0.56}});
     }},
    {"sock stocking tights",
     [](Maker& m) {
       m.shape(kMain, {{0.34, 0.12}, {0.58, 0.12}, {0.58, 0.5}, {0.78, 0.68}, {0.68, 0.86}, {0.52, 0.84}, {0.34, 0.64}}).box(kAccent, 0.33, 0.12, 0.59, 0.2);
       m.box(kLight, 0.34, 0.28, 0.58, 0.33, 0.005).box(kLight, 0.34, 0.4, 0.58, 0.45, 0.005).disc(kDark, 0.7, 0.76, 0.08);
     }},
    {"necklace pendant bracelet earring jewelry chain",
     [](Maker& m) {
       m.ring(kDark, 0.5, 0.38, 0.3, 0.27).shape(kMain, {{0.5, 0.6}, {0.62, 0.74}, {0.5, 0.9}, {0.38, 0.74}}).shape(kLight, {{0.5, 0.65}, {0.56, 0.73}, {0.5, 0.77}, {0.44, 0.73}}).disc(kAccent, 0.5, 0.62, 0.04);
     }},
    {"headphone headphones earbud headset earphone",
     [](Maker& m) {
       Path arch;
       arch.move({0.14, 0.56}), arch.curve({0.14, 0.16}, {0.5, 0.16}), arch.curve({0.86, 0.16}, {0.86, 0.56});
       arch.line({0.8, 0.56}), arch.curve({0.8, 0.22}, {0.5, 0.22}), arch.curve({0.2, 0.22}, {0.2, 0.56}), arch.close();
       m.add(kDark, arch);
       m.box(kMain, 0.11, 0.48, 0.29, 0.78, 0.07).box(kMain, 0.71, 0.48, 0.89, 0.78, 0.07).box(kAccent, 0.25, 0.54, 0.33, 0.72, 0.03).box(kAccent, 0.67, 0.54, 0.75, 0.72, 0.03);
     }},
    {"laptop notebook chromebook keyboard",
     [](Maker& m) {
       m.box(kDark, 0.2, 0.24, 0.8, 0.66, 0.03).box(kMain, 0.235, 0.275, 0.765, 0.625, 0.005).shape(kLight, {{0.14, 0.74}, {0.2, 0.67}, {0.8, 0.67}, {0.86, 0.74}});
       m.box(kDark, 0.12, 0.74, 0.88, 0.775).box(kAccent, 0.3, 0.34, 0.52, 0.42).box(kLight, 0.3, 0.48, 0.66, 0.51);
     }},
    {"tv television monitor projector",
     [](Maker& m) {
       m.box(kDark, 0.1, 0.2, 0.9, 0.7, 0.03).box(kMain, 0.14, 0.24, 0.86, 0.66, 0.005).box(kDark, 0.46, 0.7, 0.54, 0.79, 0.0).box(kDark, 0.32, 0.78, 0.68, 0.83).shape(kLight, {{0.2, 0.3}, {0.4, 0.3}, {0.28, 0.6}, {0.2, 0.6}});
       m.disc(kAccent, 0.66, 0.46, 0.1);
     }},
    {"watch smartwatch",
     [](Maker& m) {
       m.box(kDark, 0.38, 0.08, 0.62, 0.92, 0.03).box(kMain, 0.28, 0.3, 0.72, 0.7, 0.09).box(kLight, 0.33, 0.35, 0.67, 0.65, 0.05).box(kDark, 0.49, 0.4, 0.52, 0.52, 0.0).box(kAccent, 0.49, 0.49, 0.61, 0.52, 0.0);
     }},
    {"camera camcorder webcam",
     [](Maker& m) {
       m.box(kMain, 0.12, 0.3, 0.88, 0.78, 0.06).box(kMain, 0.36, 0.21, 0.64, 0.34, 0.03).disc(kDark, 0.5, 0.54, 0.19).disc(kLight, 0.5, 0.54, 0.13).disc(kDark, 0.5, 0.54, 0.07).box(kAccent, 0.74, 0.36, 0.83, 0.42);
     }},
    {"speaker soundbar subwoofer",
     [](Maker& m) {
       m.box(kMain, 0.28, 0.12, 0.72, 0.88, 0.05).disc(kDark, 0.5, 0.62, 0.17).disc(kAccent, 0.5, 0.62, 0.1).disc(kDark, 0.5, 0.62, 0.04).disc(kDark, 0.5, 0.29, 0.09).disc(kLight, 0.5, 0.29, 0.045);
     }},
    {"cable cord adapter",
     [](Maker& m) {
       m.ring(kMain, 0.5, 0.56, 0.3, 0.24).ring(kMain, 0.5, 0.56, 0.2, 0.14).box(kMain, 0.22, 0.14, 0.28, 0.5, 0.0).box(kMain, 0.74, 0.24, 0.8, 0.56, 0.0);
       m.box(kDark, 0.18, 0.16, 0.32, 0.34).box(kLight, 0.2, 0.07, 0.3, 0.16).box(kAccent, 0.7, 0.18, 0.84, 0.34).box(kLight, 0.72, 0.1, 0.82, 0.18);
     }},
    {"bank charger battery",
     [](Maker& m) {
       m.box(kDark, 0.4, 0.12, 0.6, 0.2).box(kMain, 0.28, 0.18, 0.72, 0.88, 0.06).shape(kLight, {{0.54, 0.3}, {0.38, 0.56}, {0.49, 0.56}, {0.46, 0.76}, {0.62, 0.48}, {0.51, 0.48}}).box(kAccent, 0.34, 0.8, 0.66, 0.83);
     }},
    {"tablet ipad ereader",
     [](Maker& m) {
       m.box(kDark, 0.2, 0.12, 0.8, 0.88, 0.05).box(kMain, 0.25, 0.18, 0.75, 0.8, 0.005).disc(kLight, 0.5, 0.84, 0.02);
       for (double y : {0.28, 0.46})
         for (double x : {0.34, 0.5, 0.66}) m.box(x == 0.5 ? kAccent : kLight, x - 0.05, y - 0.05, x + 0.05, y + 0.05);
     }},
    {"phone smartphone iphone",
     [](Maker& m) {
       m.box(kDark, 0.3, 0.12, 0.7, 0.88, 0.07).box(kMain, 0.335, 0.2, 0.665, 0.76, 0.01).disc(kLight, 0.5, 0.82, 0.03).box(kLight, 0.44, 0.155, 0.56, 0.17, 0.005).disc(kAccent, 0.5, 0.42, 0.1).box(kLight, 0.4, 0.6, 0.6, 0.63);
     }},
    {"dryer",
     [](Maker& m) {
       m.shape(kDark, {{0.46, 0.5}, {0.62, 0.5}, {0.56, 0.88}, {0.42, 0.88}}).disc(kMain, 0.62, 0.38, 0.22).box(kMain, 0.16, 0.26, 0.62, 0.5, 0.03).box(kAccent, 0.1, 0.24, 0.18, 0.52).disc(kLight, 0.66, 0.38, 0.1);
     }},
    {"toothbrush",
     [](Maker& m) {
       m.box(kMain, 0.42, 0.42, 0.58, 0.9, 0.06).box(kLight, 0.47, 0.28, 0.53, 0.44, 0.01).box(kMain, 0.45, 0.1, 0.55, 0.3, 0.03).box(kAccent, 0.34, 0.12, 0.46, 0.28).disc(kDark, 0.5, 0.56, 0.04);
     }},
    {"brush",
     [](Maker& m) {
       for (double x : {0.26, 0.5, 0.74}) m.box(kMain, x - 0.03, 0.46, x + 0.03, 0.9, 0.02).box(kLight, x - 0.05, 0.38, x + 0.05, 0.48).oval(x == 0.5 ? kAccent : kDark, x, 0.26, 0.08, 0.15);
     }},
    {"trimmer shaver razor clipper",
     [](Maker& m) {
       m.box(kMain, 0.36, 0.26, 0.64, 0.9, 0.1).box(kDark, 0.32, 0.14, 0.68, 0.28).box(kLight, 0.32, 0.1, 0.68, 0.15, 0.0).box(kAccent, 0.44, 0.42, 0.56, 0.58, 0.04).box(kDark, 0.42, 0.68, 0.58, 0.71);
     }},
    {"lipstick gloss mascara",
     [](Maker& m) { m.shape(kMain, {{0.42, 0.24}, {0.58, 0.14}, {0.58, 0.44}, {0.42, 0.44}}).box(kLight, 0.39, 0.42, 0.61, 0.58).box(kDark, 0.34, 0.56, 0.66, 0.88).box(kAccent, 0.34, 0.6, 0.66, 0.64, 0.0); }},
    {"perfume cologne fragrance parfum",
     [](Maker& m) { m.box(kAccent, 0.41, 0.12, 0.59, 0.28).box(kDark, 0.45, 0.27, 0.55, 0.36, 0.0).box(kMain, 0.22, 0.35, 0.78, 0.86, 0.08).box(kLight, 0.36, 0.5, 0.64, 0.72).box(kDark, 0.41, 0.59, 0.59, 0.62, 0.0); }},
    {"clip barrette comb hairpin scrunchie",
     [](Maker& m) {
       m.shape(kMain, {{0.14, 0.36}, {0.84, 0.24}, {0.88, 0.36}, {0.18, 0.48}}).disc(kAccent, 0.24, 0.4, 0.05);
       m.shape(kDark, {{0.14, 0.62}, {0.84, 0.5}, {0.88, 0.62}, {0.18, 0.74}}).disc(kLight, 0.24, 0.66, 0.05);
     }},
    {"cream balm mask scrub moisturizer",
     [](Maker& m) { m.box(kAccent, 0.22, 0.3, 0.78, 0.44, 0.04).box(kMain, 0.18, 0.46, 0.82, 0.8, 0.08).box(kLight, 0.3, 0.54, 0.7, 0.7).box(kDark, 0.36, 0.6, 0.64, 0.63); }},
    {"toothpaste sunscreen concealer foundation",
     [](Maker& m) {
       m.shape(kMain, {{0.3, 0.16}, {0.7, 0.16}, {0.62, 0.74}, {0.38, 0.74}}).box(kDark, 0.28, 0.12, 0.72, 0.18, 0.01).box(kAccent, 0.39, 0.75, 0.61, 0.87, 0.02).box(kLight, 0.4, 0.32, 0.6, 0.5).box(kAccent, 0.44, 0.38, 0.56, 0.41);
     }},
    {"lotion shampoo conditioner serum soap cleanser",
     [](Maker& m) {
       m.box(kDark, 0.46, 0.2, 0.54, 0.38).box(kAccent, 0.38, 0.14, 0.58, 0.21, 0.03).box(kAccent, 0.3, 0.16, 0.42, 0.2);
       m.box(kMain, 0.32, 0.36, 0.68, 0.86, 0.08).box(kLight, 0.37, 0.52, 0.63, 0.74).box(kAccent, 0.42, 0.58, 0.58, 0.61).box(kAccent, 0.45, 0.65, 0.55, 0.67);
     }},
    {"sofa couch loveseat futon sectional",
     [](Maker& m) {
       m.box(kDark, 0.16, 0.28, 0.84, 0.6, 0.06).box(kMain, 0.2, 0.3, 0.49, 0.56, 0.03).box(kMain, 0.51, 0.3, 0.8, 0.56, 0.03).box(kLight, 0.2, 0.54, 0.8, 0.66, 0.03).box(kDark, 0.08, 0.44, 0.2, 0.74, 0.05);
       m.box(kDark, 0.8, 0.44, 0.92, 0.74, 0.05).box(kDark, 0.16, 0.64, 0.84, 0.74, 0.01).box(kAccent, 0.14, 0.74, 0.19, 0.82, 0.0).box(kAccent, 0.81, 0.74, 0.86, 0.82, 0.0);
     }},
    {"lamp lantern chandelier",
     [](Maker& m) {
       m.shape(kMain, {{0.38, 0.14}, {0.62, 0.14}, {0.76, 0.46}, {0.24, 0.46}}).disc(kLight, 0.5, 0.47, 0.06).box(kDark, 0.475, 0.46, 0.525, 0.8, 0.005).box(kDark, 0.34, 0.8, 0.66, 0.86, 0.03).box(kAccent, 0.265, 0.42, 0.735, 0.46, 0.005);
     }},
    {"rug carpet mat",
     [](Maker& m) {
       m.shape(kMain, {{0.24, 0.26}, {0.76, 0.26}, {0.9, 0.76}, {0.1, 0.76}}).shape(kLight, {{0.3, 0.33}, {0.7, 0.33}, {0.8, 0.69}, {0.2, 0.69}}).shape(kAccent, {{0.5, 0.38}, {0.64, 0.51}, {0.5, 0.64}, {0.36, 0.51}}).oval(kDark, 0.5, 0.51, 0.05, 0.045);
     }},
    {"pillow cushion",
     [](Maker& m) {
       m.shape(kMain, {{0.16, 0.2}, {0.5, 0.25}, {0.84, 0.2}, {0.79, 0.5}, {0.84, 0.8}, {0.5, 0.75}, {0.16, 0.8}, {0.21, 0.5}});
       m.shape(kLight, {{0.3, 0.34}, {0.7, 0.34}, {0.67, 0.5}, {0.7, 0.66}, {0.3, 0.66}, {0.33, 0.5}}).shape(kAccent, {{0.5, 0.4}, {0.6, 0.5}, {0.5, 0.6}, {0.4, 0.5}});
     }},
    {"stool",
     [](Maker& m) {
       m.shape(kDark, {{0.33, 0.3}, {0.39, 0.3}, {0.3, 0.88}, {0.24, 0.88}}).shape(kDark, {{0.61, 0.3}, {0.67, 0.3}, {0.76, 0.88}, {0.7, 0.88}}).box(kDark, 0.29, 0.64, 0.71, 0.68, 0.0).oval(kMain, 0.5, 0.26, 0.28, 0.1).oval(kLight, 0.5, 0.23, 0.2, 0.05);
     }},
    {"bed mattress headboard bedframe",
     [](Maker& m) {
       m.box(kDark, 0.1, 0.24, 0.18, 0.8).box(kDark, 0.82, 0.46, 0.9, 0.8).box(kDark, 0.1, 0.6, 0.9, 0.7, 0.0).box(kMain, 0.18, 0.46, 0.82, 0.62, 0.03).box(kLight, 0.2, 0.38, 0.38, 0.48, 0.04).box(kAccent, 0.52, 0.46, 0.82, 0.62, 0.03);
     }},
    {"curtain drape",
     [](Maker& m) {
       m.box(kDark, 0.1, 0.14, 0.9, 0.18).disc(kAccent, 0.1, 0.16, 0.04).disc(kAccent, 0.9, 0.16, 0.04).shape(kMain, {{0.16, 0.18}, {0.48, 0.18}, {0.34, 0.54}, {0.38, 0.86}, {0.16, 0.86}}).shape(kMain, {{0.52, 0.18}, {0.84, 0.18}, {0.84, 0.86}, {0.62, 0.86}, {0.66, 0.54}});
       m.box(kLight, 0.22, 0.18, 0.25, 0.86, 0.0).box(kLight, 0.75, 0.18, 0.78, 0.86, 0.0);
     }},
    {"ottoman pouf footstool",
     [](Maker& m) { m.box(kMain, 0.16, 0.36, 0.84, 0.74, 0.05).box(kLight, 0.14, 0.32, 0.86, 0.46, 0.05).disc(kAccent, 0.34, 0.39, 0.02).disc(kAccent, 0.5, 0.39, 0.02).disc(kAccent, 0.66, 0.39, 0.02).box(kDark, 0.22, 0.74, 0.28, 0.82, 0.0).box(kDark, 0.72, 0.74, 0.78, 0.82, 0.0); }},
    {"chair armchair recliner rocker",
     [](Maker& m) {
       m.box(kMain, 0.26, 0.2, 0.74, 0.62, 0.08).box(kLight, 0.3, 0.5, 0.7, 0.64, 0.03).box(kDark, 0.18, 0.42, 0.3, 0.76, 0.05).box(kDark, 0.7, 0.42, 0.82, 0.76, 0.05);
       m.box(kAccent, 0.3, 0.62, 0.7, 0.74, 0.02).box(kDark, 0.26, 0.76, 0.31, 0.86, 0.01).box(kDark, 0.69, 0.76, 0.74, 0.86, 0.01);
     }},
    {"bookshelf bookcase shelf shelves cabinet dresser",
     [](Maker& m) {
       m.box(kMain, 0.22, 0.12, 0.78, 0.88, 0.01);
       for (double y : {0.17, 0.41, 0.65}) m.box(kLight, 0.27, y, 0.73, y + 0.19, 0.0).box(kAccent, 0.31, y + 0.05, 0.36, y + 0.19, 0.0).box(kDark, 0.37, y + 0.03, 0.41, y + 0.19, 0.0).box(kAccent, 0.56, y + 0.09, 0.69, y + 0.19, 0.0);
     }},
    {"candle",
     [](Maker& m) { m.oval(kAccent, 0.5, 0.22, 0.05, 0.1).box(kDark, 0.49, 0.3, 0.51, 0.38, 0.0).box(kMain, 0.3, 0.38, 0.7, 0.86, 0.04).box(kLight, 0.3, 0.54, 0.7, 0.74, 0.0).box(kDark, 0.4, 0.62, 0.6, 0.66, 0.0); }},
    {"table desk",
     [](Maker& m) { m.box(kMain, 0.12, 0.34, 0.88, 0.42).box(kDark, 0.18, 0.42, 0.25, 0.84, 0.0).box(kDark, 0.75, 0.42, 0.82, 0.84, 0.0).box(kLight, 0.25, 0.42, 0.75, 0.48, 0.0).oval(kAccent, 0.5, 0.3, 0.08, 0.05); }},
    {"plant planter pot succulent",
     [](Maker& m) {
       m.oval(kDark, 0.38, 0.36, 0.09, 0.17).oval(kDark, 0.62, 0.36, 0.09, 0.17).oval(kAccent, 0.5, 0.28, 0.1, 0.18).box(kDark, 0.48, 0.4, 0.52, 0.58, 0.005);
       m.box(kMain, 0.28, 0.56, 0.72, 0.64).shape(kMain, {{0.32, 0.64}, {0.68, 0.64}, {0.62, 0.88}, {0.38, 0.88}}).box(kLight, 0.36, 0.7, 0.64, 0.74, 0.005);
     }},
    {"oil vinegar syrup wine",
     [](Maker& m) { m.box(kAccent, 0.44, 0.08, 0.56, 0.18).box(kMain, 0.45, 0.17, 0.55, 0.36, 0.0).shape(kMain, {{0.45, 0.32}, {0.55, 0.32}, {0.66, 0.46}, {0.34, 0.46}}).box(kMain, 0.34, 0.44, 0.66, 0.9, 0.03).box(kLight, 0.34, 0.54, 0.66, 0.76, 0.0).disc(kDark, 0.5, 0.65, 0.07); }},
    {"sauce jam honey salsa butter jar",
     [](Maker& m) { m.box(kAccent, 0.32, 0.14, 0.68, 0.25, 0.03).box(kMain, 0.28, 0.26, 0.72, 0.86, 0.1).box(kLight, 0.28, 0.44, 0.72, 0.68, 0.005).disc(kDark, 0.5, 0.56, 0.07); }},
    {"cookie biscuit cracker",
     [](Maker& m) {
       m.disc(kDark, 0.4, 0.42, 0.25).disc(kMain, 0.58, 0.56, 0.28).disc(kDark, 0.5, 0.48, 0.04).disc(kDark, 0.66, 0.46, 0.045).disc(kDark, 0.58, 0.64, 0.045).disc(kDark, 0.72, 0.62, 0.035).disc(kAccent, 0.3, 0.36, 0.035).disc(kLight, 0.46, 0.66, 0.03);
     }},
    {"coffee tea cup mug oatmeal cocoa",
     [](Maker& m) { m.ring(kDark, 0.74, 0.56, 0.14, 0.09).shape(kMain, {{0.22, 0.38}, {0.74, 0.38}, {0.68, 0.8}, {0.28, 0.8}}).oval(kDark, 0.48, 0.38, 0.26, 0.06).box(kLight, 0.3, 0.54, 0.66, 0.64, 0.0).box(kAccent, 0.38, 0.14, 0.41, 0.28).box(kAccent, 0.5, 0.12, 0.53, 0.28); }},
    {"bar",
     [](Maker& m) {
       m.shape(kMain, {{0.12, 0.36}, {0.16, 0.34}, {0.84, 0.34}, {0.88, 0.36}, {0.88, 0.66}, {0.84, 0.68}, {0.16, 0.68}, {0.12, 0.66}}).box(kDark, 0.12, 0.34, 0.18, 0.68, 0.0).box(kDark, 0.82, 0.34, 0.88, 0.68, 0.0).box(kLight, 0.26, 0.42, 0.6, 0.6).box(kAccent, 0.64, 0.42, 0.76, 0.6);
     }},
    {"chip jerky snack nut candy popcorn mix cereal",
     [](Maker& m) {
       m.shape(kMain, {{0.26, 0.2}, {0.74, 0.2}, {0.78, 0.84}, {0.22, 0.84}}).box(kDark, 0.25, 0.14, 0.75, 0.22, 0.01).oval(kLight, 0.5, 0.52, 0.16, 0.14).disc(kAccent, 0.45, 0.52, 0.06).disc(kAccent, 0.56, 0.54, 0.05).box(kLight, 0.34, 0.72, 0.66, 0.76, 0.005);
     }},
    {"bag backpack purse handbag tote wallet",
     [](Maker& m) {
       m.ring(kDark, 0.5, 0.36, 0.2, 0.15).box(kMain, 0.2, 0.38, 0.8, 0.84, 0.06).box(kDark, 0.2, 0.52, 0.8, 0.55, 0.005).box(kLight, 0.45, 0.49, 0.55, 0.6);
     }},
    {"tin soup bean tuna",
     [](Maker& m) { m.box(kMain, 0.28, 0.22, 0.72, 0.82, 0.02).oval(kDark, 0.5, 0.22, 0.22, 0.06).oval(kMain, 0.5, 0.82, 0.22, 0.06).box(kLight, 0.28, 0.4, 0.72, 0.66, 0.005).disc(kAccent, 0.5, 0.53, 0.09); }},
    {"",  // a parcel: anything
     [](Maker& m) {
       m.shape(kMain, {{0.5, 0.14}, {0.84, 0.3}, {0.84, 0.7}, {0.5, 0.88}, {0.16, 0.7}, {0.16, 0.3}}).shape(kLight, {{0.5, 0.14}, {0.84, 0.3}, {0.5, 0.47}, {0.16, 0.3}}).shape(kDark, {{0.5, 0.47}, {0.84, 0.3}, {0.84, 0.7}, {0.5, 0.88}});
       m.shape(kAccent, {{0.33, 0.22}, {0.42, 0.18}, {0.76, 0.34}, {0.67, 0.385}});
     }},
};

// What stands for a department whose product is none of our kinds: three kinds each, by a noun of theirs.
struct Department {
  std::string_view words;
  std::array<std::string_view, 3> nouns;
};
constexpr Department kDepartments[] = {
    {"beauty skin hair makeup health", {"lotion", "cream", "toothpaste"}},
    {"electronic phone computer camera audio", {"phone", "speaker", "laptop"}},
    {"fashion cloth shoe jewel", {"shirt", "bag", "dress"}},
    {"garden home furniture kitchen", {"plant", "lamp", "chair"}},
    {"grocery food snack drink beverage", {"tin", "chip", "jam"}},
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

bool equals_lower(std::string_view words, std::string_view word) {
  return words.size() == word.size() && std::equal(words.begin(), words.end(), word.begin(), [](char a, char b) { return lower(a) == b; });
}

template <class Visit>
void each_word(std::string_view words, Visit&& visit) {
  for (size_t at = 0; at < words.size();) {
    size_t end = at;
    while (end < words.size() && is_letter(words[end])) ++end;
    if (end > at) visit(words.substr(at, end - at));
    at = end + 1;
  }
}

struct Noun {
  std::string_view word;
  int kind;
};

const std::vector<Noun>& nouns() {
  static const auto sorted = [] {
    std::vector<Noun> all;
    for (int kind = 0; kind < icon_count(); ++kind) each_word(kKinds[kind].nouns, [&](std::string_view word) { all.push_back({word, kind}); });
    std::sort(all.begin(), all.end(), [](const Noun& a, const Noun& b) { return a.word < b.word; });
    return all;
  }();
  return sorted;
}

// The kind that a word names in the singular or with an s; icon_count() where there is none.
int kind_of(std::string_view word) {
  auto find = [](std::string_view wanted) {
    std::array<char, 16> small;
    if (wanted.empty() || wanted.size() > small.size()) return icon_count();
    std::transform(wanted.begin(), wanted.end(), small.begin(), lower);
    std::string_view key(small.data(), wanted.size());
    auto found = std::lower_bound(nouns().begin(), nouns().end(), key, [](const Noun& noun, std::string_view value) { return noun.word < value; });
    return found != nouns().end() && found->word == key ? found->kind : icon_count();
  };
  int kind = find(word);
  if (kind == icon_count() && word.size() > 3 && lower(word.back()) == 's') kind = find(word.substr(0, word.size() - 1));
  if (kind == icon_count() && word.size() > 4 && equals_lower(word.substr(word.size() - 2), "es")) kind = find(word.substr(0, word.size() - 2));
  return kind;
}

}  // namespace

int icon_count() { return static_cast<int>(std::size(kKinds)); }

Icon make_icon(int index, int side) {
  Maker maker(side);
  kKinds[index].draw(maker);
  return std::move(maker).take();
}

int find_icon(std::string_view title, std::string_view category, uint64_t hash) {
  int best = icon_count();
  each_word(title, [&](std::string_view word) { best = std::min(best, kind_of(word)); });
  if (best < icon_count()) return best;
  for (const Department& department : kDepartments) {
    bool is_here = false;
    each_word(department.words, [&](std::string_view word) { is_here = is_here || contains_word(category, word, false); });
    if (is_here) return kind_of(department.nouns[hash % department.nouns.size()]);
  }
  return icon_count() - 1;
}

bool contains_word(std::string_view words, std::string_view word, bool is_whole) {
  for (size_t at = 0; at + word.size() <= words.size(); ++at) {
    if (!equals_lower(words.substr(at, word.size()), word)) continue;
    bool is_left_free = at == 0 || !is_letter(words[at - 1]), is_right_free = at + word.size() == words.size() || !is_letter(words[at + word.size()]);
    if (!is_whole || (is_left_free && is_right_free)) return true;
  }
  return false;
}

}  // namespace vldac::webshop

#include "envs/alfworld/picture/object_shapes.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace vldac::alfworld {
namespace {

using Colour = const Vec3f&;
constexpr auto kX = Along::kX, kY = Along::kY, kZ = Along::kZ;
constexpr Vec3f kDark{0.16f, 0.16f, 0.18f}, kMetal{0.72f, 0.74f, 0.78f}, kPaper{0.95f, 0.94f, 0.9f}, kLeaf{0.25f, 0.6f, 0.2f};

// -- food -------------------------------------------------------------------------------------------------------------------------

void fruit(Solid& s, Colour a, Colour b) {
  s.ball({0, 0.42f, 0}, {0.42f, 0.42f, 0.42f}, a).column(kY, {0, 0.78f, 0}, 0.2f, 0.06f, 0.04f, b).ball({0.16f, 0.9f, 0}, {0.16f, 0.06f, 0.1f}, kLeaf);
}
void tomato(Solid& s, Colour a, Colour b) {
  s.ball({0, 0.38f, 0}, {0.48f, 0.38f, 0.48f}, a);
  s.box({-0.28f, 0.72f, -0.07f}, {0.28f, 0.82f, 0.07f}, b).box({-0.07f, 0.72f, -0.28f}, {0.07f, 0.82f, 0.28f}, b);
}
void tuber(Solid& s, Colour a, Colour b) {
  s.ball({0, 0.3f, 0}, {0.5f, 0.3f, 0.34f}, a);
  for (float x : {-0.2f, 0.12f}) s.box({x, 0.34f, 0.24f}, {x + 0.09f, 0.43f, 0.33f}, b);
}
void egg(Solid& s, Colour a, Colour b) { s.ball({0, 0.5f, 0}, {0.34f, 0.45f, 0.34f}, a).column(kY, {0, 0, 0}, 0.2f, 0.3f, 0.34f, b); }
void loaf(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0, -0.25f}, {0.5f, 0.38f, 0.25f}, a).column(kX, {-0.5f, 0.38f, 0}, 1, 0.28f, 0.28f, a);
  for (float x : {-0.3f, -0.04f, 0.22f}) s.box({x, 0.5f, -0.2f}, {x + 0.08f, 0.68f, 0.24f}, b);
}
void lettuce(Solid& s, Colour a, Colour b) {
  s.ball({0, 0.4f, 0}, {0.4f, 0.4f, 0.4f}, a);
  for (float x : {-0.3f, 0.3f}) s.ball({x, 0.36f, 0.1f}, {0.2f, 0.36f, 0.26f}, b);
  s.ball({0, 0.72f, 0.05f}, {0.3f, 0.2f, 0.3f}, b);
}
void slices(Solid& s, Colour a, Colour b) {
  for (float x : {-0.32f, 0.0f, 0.32f})
    s.column(kX, {x - 0.1f, 0.4f, 0}, 0.15f, 0.4f, 0.4f, a).column(kX, {x + 0.05f, 0.4f, 0}, 0.05f, 0.32f, 0.32f, b);
  s.column(kZ, {-0.1f, 0.36f, 0.2f}, 0.2f, 0.36f, 0.36f, a).column(kZ, {-0.1f, 0.36f, 0.4f}, 0.06f, 0.29f, 0.29f, b);
}

// -- dishes -----------------------------------------------------------------------------------------------------------------------

void mug(Solid& s, Colour a, Colour b) {
  s.column(kY, {-0.1f, 0, 0}, 0.85f, 0.36f, 0.36f, a).column(kY, {-0.1f, 0.85f, 0}, 0.02f, 0.28f, 0.28f, b);
  s.box({0.22f, 0.62f, -0.08f}, {0.48f, 0.74f, 0.08f}, a).box({0.38f, 0.2f, -0.08f}, {0.5f, 0.74f, 0.08f}, a).box({0.22f, 0.14f, -0.08f}, {0.48f, 0.26f, 0.08f}, a);
}
void cup(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.95f, 0.24f, 0.4f, a).column(kY, {0, 0.95f, 0}, 0.02f, 0.33f, 0.33f, b).column(kY, {0, 0.4f, 0}, 0.18f, 0.33f, 0.36f, b);
}
void bowl(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.1f, 0.22f, 0.22f, a).column(kY, {0, 0.1f, 0}, 0.4f, 0.24f, 0.5f, a).column(kY, {0, 0.5f, 0}, 0.02f, 0.43f, 0.43f, b);
}
void plate(Solid& s, Colour a, Colour b) {
  s.column(kZ, {0, 0.5f, -0.06f}, 0.1f, 0.5f, 0.5f, a).column(kZ, {0, 0.5f, 0.04f}, 0.03f, 0.33f, 0.33f, b).box({-0.3f, 0, -0.2f}, {0.3f, 0.06f, 0.2f}, b);
}
void pan(Solid& s, Colour a, Colour b) {
  s.column(kZ, {-0.15f, 0.45f, -0.08f}, 0.14f, 0.35f, 0.38f, a).column(kZ, {-0.15f, 0.45f, 0.06f}, 0.02f, 0.3f, 0.3f, kMetal);
  s.box({0.15f, 0.62f, -0.06f}, {0.5f, 0.76f, 0.06f}, b);
}
void pot(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.6f, 0.38f, 0.38f, a).column(kY, {0, 0.6f, 0}, 0.1f, 0.4f, 0.3f, b).ball({0, 0.78f, 0}, {0.09f, 0.09f, 0.09f}, kDark);
  s.box({-0.5f, 0.4f, -0.07f}, {-0.34f, 0.5f, 0.07f}, b).box({0.34f, 0.4f, -0.07f}, {0.5f, 0.5f, 0.07f}, b);
}
void kettle(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.6f, 0.38f, 0.22f, a).ball({0, 0.6f, 0}, {0.22f, 0.12f, 0.22f}, a).box({0.24f, 0.32f, -0.07f}, {0.5f, 0.44f, 0.07f}, a);
  s.box({0.42f, 0.4f, -0.06f}, {0.5f, 0.6f, 0.06f}, a).box({-0.3f, 0.86f, -0.06f}, {0.3f, 0.97f, 0.06f}, b);
  s.box({-0.3f, 0.5f, -0.06f}, {-0.2f, 0.9f, 0.06f}, b).box({0.2f, 0.6f, -0.06f}, {0.3f, 0.9f, 0.06f}, b);
}

// -- cutlery: upright, its head upwards, thick enough to be seen ------------------------------------------------------------------------

void fork(Solid& s, Colour a, Colour b) {
  s.box({-0.12f, 0, -0.1f}, {0.12f, 0.52f, 0.1f}, b).box({-0.3f, 0.48f, -0.09f}, {0.3f, 0.66f, 0.09f}, a);
  for (float x : {-0.3f, -0.08f, 0.14f}) s.box({x, 0.62f, -0.09f}, {x + 0.16f, 1, 0.09f}, a);
}
void spoon(Solid& s, Colour a, Colour b) {
  s.box({-0.12f, 0, -0.1f}, {0.12f, 0.6f, 0.1f}, b).ball({0, 0.74f, 0}, {0.28f, 0.26f, 0.16f}, a);
}
void knife(Solid& s, Colour a, Colour b) {
  s.box({-0.15f, 0, -0.11f}, {0.15f, 0.38f, 0.11f}, b).box({-0.15f, 0.38f, -0.07f}, {0.2f, 0.82f, 0.07f}, a);
  s.triangle({-0.15f, 0.82f, 0.07f}, {0.2f, 0.82f, 0.07f}, {-0.15f, 1, 0.07f}, a);
}
void butter_knife(Solid& s, Colour a, Colour b) {
  s.box({-0.14f, 0, -0.11f}, {0.14f, 0.46f, 0.11f}, b).box({-0.21f, 0.46f, -0.07f}, {0.21f, 0.84f, 0.07f}, a);
  s.ball({0, 0.84f, 0}, {0.21f, 0.14f, 0.08f}, a);
}
void spatula(Solid& s, Colour a, Colour b) {
  s.box({-0.11f, 0, -0.09f}, {0.11f, 0.56f, 0.09f}, b).box({-0.3f, 0.54f, -0.07f}, {0.3f, 1, 0.07f}, a);
  for (float x : {-0.14f, 0.06f}) s.box({x, 0.66f, 0.06f}, {x + 0.08f, 0.92f, 0.09f}, kMetal);
}
void ladle(Solid& s, Colour a, Colour b) {
  s.box({0.1f, 0.2f, -0.09f}, {0.28f, 1, 0.09f}, b).box({0.1f, 0.86f, -0.09f}, {0.44f, 1, 0.09f}, b);
  s.column(kY, {-0.08f, 0, 0}, 0.34f, 0.2f, 0.38f, a).column(kY, {-0.08f, 0.34f, 0}, 0.02f, 0.28f, 0.28f, kDark);
}
void stick(Solid& s, Colour a, Colour b) {
  s.box({-0.15f, 0.2f, -0.12f}, {0.15f, 0.84f, 0.12f}, a).box({-0.15f, 0.84f, -0.12f}, {0.15f, 1, 0.12f}, b);
  s.column(kY, {0, 0, 0}, 0.2f, 0.02f, 0.16f, kPaper);
}
void pen(Solid& s, Colour a, Colour b) {
  s.box({-0.13f, 0.14f, -0.12f}, {0.13f, 0.5f, 0.12f}, a).box({-0.16f, 0.5f, -0.14f}, {0.16f, 1, 0.14f}, b);
  s.box({0.16f, 0.6f, -0.05f}, {0.25f, 0.96f, 0.05f}, a).column(kY, {0, 0, 0}, 0.14f, 0.02f, 0.13f, kDark);
}

// -- bottles and vessels ------------------------------------------------------------------------------------------------------------

void bottle(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.55f, 0.22f, 0.22f, a).column(kY, {0, 0.55f, 0}, 0.15f, 0.22f, 0.09f, a).column(kY, {0, 0.7f, 0}, 0.22f, 0.09f, 0.08f, a);
  s.column(kY, {0, 0.9f, 0}, 0.1f, 0.1f, 0.1f, b).column(kY, {0, 0.16f, 0}, 0.26f, 0.235f, 0.235f, b);
}
void carafe(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.5f, 0.34f, 0.2f, a).column(kY, {0, 0.5f, 0}, 0.35f, 0.12f, 0.16f, a).column(kY, {0, 0.85f, 0}, 0.12f, 0.14f, 0.14f, b).column(kY, {0, 0.06f, 0}, 0.12f, 0.345f, 0.32f, b);
}
void pump(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.6f, 0.3f, 0.26f, a).column(kY, {0, 0.6f, 0}, 0.22f, 0.1f, 0.1f, b).box({-0.36f, 0.8f, -0.09f}, {0.14f, 0.93f, 0.09f}, b);
}
void spray(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.5f, 0.3f, 0.3f, a).column(kY, {0, 0.5f, 0}, 0.18f, 0.3f, 0.09f, a).box({-0.4f, 0.76f, -0.1f}, {0.24f, 0.96f, 0.1f}, b);
  s.box({-0.22f, 0.54f, -0.06f}, {-0.12f, 0.78f, 0.06f}, b).box({-0.08f, 0.66f, -0.08f}, {0.08f, 0.8f, 0.08f}, b);
}
void vase(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.4f, 0.18f, 0.38f, a).column(kY, {0, 0.4f, 0}, 0.35f, 0.38f, 0.13f, a).column(kY, {0, 0.75f, 0}, 0.2f, 0.13f, 0.26f, a);
  s.column(kY, {0, 0.34f, 0}, 0.12f, 0.385f, 0.385f, b);
}
void watering_can(Solid& s, Colour a, Colour b) {
  s.column(kY, {-0.08f, 0, 0}, 0.6f, 0.32f, 0.28f, a).box({0.16f, 0.3f, -0.07f}, {0.4f, 0.42f, 0.07f}, a).box({0.32f, 0.36f, -0.07f}, {0.42f, 0.8f, 0.07f}, a);
  s.box({0.28f, 0.78f, -0.14f}, {0.5f, 0.92f, 0.14f}, b).box({-0.5f, 0.2f, -0.06f}, {-0.4f, 0.8f, 0.06f}, b).box({-0.5f, 0.7f, -0.06f}, {0.1f, 0.8f, 0.06f}, b);
}
void shaker(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.65f, 0.32f, 0.26f, a).ball({0, 0.66f, 0}, {0.28f, 0.24f, 0.28f}, b).box({-0.1f, 0.2f, 0.26f}, {0.1f, 0.5f, 0.33f}, b);
}
void candle(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.1f, 0.34f, 0.34f, kMetal).column(kY, {0, 0.1f, 0}, 0.55f, 0.22f, 0.22f, a).column(kY, {0, 0.68f, 0}, 0.3f, 0.13f, 0, b);
}

// -- paper, cloth, bath -------------------------------------------------------------------------------------------------------------

void book(Solid& s, Colour a, Colour b) {
  s.box({-0.36f, 0, -0.16f}, {0.36f, 0.95f, 0.16f}, a).box({0.3f, 0.04f, -0.1f}, {0.4f, 0.91f, 0.1f}, kPaper).box({-0.2f, 0.6f, 0.15f}, {0.24f, 0.76f, 0.19f}, b);
  s.box({-0.4f, 0, -0.18f}, {-0.28f, 0.95f, 0.18f}, b);
}
void newspaper(Solid& s, Colour a, Colour b) {
  s.box({-0.42f, 0, -0.1f}, {0.42f, 0.85f, 0.1f}, a).box({-0.34f, 0.66f, 0.09f}, {0.34f, 0.78f, 0.13f}, b);
  for (float y : {0.1f, 0.28f, 0.46f}) s.box({-0.34f, y, 0.09f}, {-0.04f, y + 0.08f, 0.12f}, b).box({0.06f, y, 0.09f}, {0.34f, y + 0.08f, 0.12f}, b);
}
void roll(Solid& s, Colour a, Colour b) {
  s.column(kZ, {0, 0.42f, -0.3f}, 0.6f, 0.42f, 0.42f, a).column(kZ, {0, 0.42f, 0.3f}, 0.02f, 0.17f, 0.17f, b).box({0.3f, 0, -0.3f}, {0.44f, 0.42f, 0.3f}, a);
}
void tall_roll(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0.06f, 0}, 0.8f, 0.3f, 0.3f, a).column(kY, {0, 0, 0}, 0.06f, 0.4f, 0.4f, b).column(kY, {0, 0.86f, 0}, 0.14f, 0.09f, 0.09f, b);
}
void sheet(Solid& s, Colour a, Colour b) {
  s.box({-0.42f, 0, -0.04f}, {0.42f, 0.9f, 0.04f}, a).box({-0.42f, 0.16f, 0.03f}, {0.42f, 0.28f, 0.06f}, b).box({-0.42f, 0.7f, 0.03f}, {0.42f, 0.76f, 0.06f}, b);
}
void cloth(Solid& s, Colour a, Colour b) {
  s.box({-0.48f, 0, -0.4f}, {0.48f, 0.12f, 0.4f}, a).box({-0.4f, 0.12f, -0.34f}, {0.4f, 0.26f, 0.34f}, b).ball({0.05f, 0.28f, 0.1f}, {0.34f, 0.2f, 0.26f}, a);
}
void towel(Solid& s, Colour a, Colour b) {
  s.box({-0.45f, 0.1f, -0.1f}, {0.45f, 1, 0.1f}, a).box({-0.45f, 0.22f, 0.08f}, {0.45f, 0.38f, 0.13f}, b);
  for (float x : {-0.42f, -0.14f, 0.14f}) s.box({x, 0, -0.06f}, {x + 0.26f, 0.12f, 0.06f}, b);
}
void small_towel(Solid& s, Colour a, Colour b) {
  s.box({-0.34f, 0.06f, -0.12f}, {0.34f, 0.9f, 0.02f}, a).box({-0.3f, 0.3f, 0}, {0.3f, 0.9f, 0.12f}, b).column(kX, {-0.34f, 0.88f, 0}, 0.68f, 0.12f, 0.12f, a);
}
void bar_of_soap(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0, -0.36f}, {0.5f, 0.12f, 0.36f}, b).ball({0, 0.26f, 0}, {0.44f, 0.22f, 0.3f}, a).ball({0.26f, 0.5f, 0}, {0.13f, 0.13f, 0.13f}, kPaper).ball({0.05f, 0.56f, 0}, {0.09f, 0.09f, 0.09f}, kPaper);
}
void sponge(Solid& s, Colour a, Colour b) { s.box({-0.48f, 0, -0.32f}, {0.48f, 0.36f, 0.32f}, a).box({-0.48f, 0.36f, -0.32f}, {0.48f, 0.52f, 0.32f}, b); }
void plunger(Solid& s, Colour a, Colour b) { s.column(kY, {0, 0, 0}, 0.3f, 0.36f, 0.16f, a).column(kY, {0, 0.3f, 0}, 0.7f, 0.08f, 0.08f, b); }
void brush(Solid& s, Colour a, Colour b) {
  s.box({-0.09f, 0.36f, -0.09f}, {0.09f, 1, 0.09f}, a).box({-0.3f, 0, -0.14f}, {0.3f, 0.26f, 0.14f}, b).box({-0.3f, 0.26f, -0.16f}, {0.3f, 0.38f, 0.16f}, a);
}
void tissues(Solid& s, Colour a, Colour b) {
  s.box({-0.45f, 0, -0.28f}, {0.45f, 0.5f, 0.28f}, a).box({-0.2f, 0.5f, -0.06f}, {0.2f, 0.6f, 0.06f}, kPaper).box({-0.38f, 0.12f, 0.27f}, {0.38f, 0.26f, 0.31f}, b);
  s.triangle({-0.2f, 0.55f, 0.07f}, {0.2f, 0.55f, 0.07f}, {0.08f, 0.95f, 0.07f}, kPaper).triangle({-0.2f, 0.55f, 0.08f}, {0.05f, 0.55f, 0.08f}, {-0.16f, 0.85f, 0.08f}, kPaper);
}
void pillow(Solid& s, Colour a, Colour b) { s.ball({0, 0.34f, 0}, {0.5f, 0.34f, 0.26f}, a).ball({0, 0.34f, 0.1f}, {0.28f, 0.19f, 0.2f}, b); }
void hamper_lid(Solid& s, Colour a, Colour b) { s.box({-0.5f, 0, -0.36f}, {0.5f, 0.12f, 0.36f}, a).box({-0.14f, 0.12f, -0.07f}, {0.14f, 0.26f, 0.07f}, b); }

// -- small things -------------------------------------------------------------------------------------------------------------------

void phone(Solid& s, Colour a, Colour b) {
  s.box({-0.28f, 0, -0.09f}, {0.28f, 0.98f, 0.09f}, a).box({-0.22f, 0.16f, 0.08f}, {0.22f, 0.9f, 0.12f}, b).box({-0.06f, 0.04f, 0.08f}, {0.06f, 0.11f, 0.12f}, kMetal);
}
void remote(Solid& s, Colour a, Colour b) {
  s.box({-0.2f, 0, -0.11f}, {0.2f, 1, 0.11f}, a).box({-0.06f, 0.82f, 0.1f}, {0.06f, 0.93f, 0.14f}, b);
  for (float y : {0.2f, 0.4f, 0.6f}) s.box({-0.14f, y, 0.1f}, {-0.03f, y + 0.11f, 0.14f}, kMetal).box({0.03f, y, 0.1f}, {0.14f, y + 0.11f, 0.14f}, kMetal);
}
void card(Solid& s, Colour a, Colour b) {
  s.box({-0.48f, 0.08f, -0.06f}, {0.48f, 0.68f, 0.06f}, a).box({-0.48f, 0.48f, 0.05f}, {0.48f, 0.6f, 0.09f}, kDark).box({-0.38f, 0.16f, 0.05f}, {-0.12f, 0.34f, 0.09f}, b);
}
void key(Solid& s, Colour a, Colour b) {
  s.column(kZ, {0, 0.7f, -0.09f}, 0.18f, 0.3f, 0.3f, b).column(kZ, {0, 0.7f, 0.09f}, 0.02f, 0.15f, 0.15f, kDark);
  s.box({-0.28f, 0, -0.08f}, {-0.06f, 0.5f, 0.08f}, a).box({-0.44f, 0.04f, -0.08f}, {-0.26f, 0.2f, 0.08f}, a);
  s.box({0.06f, 0.08f, -0.08f}, {0.28f, 0.5f, 0.08f}, a).box({0.26f, 0.14f, -0.08f}, {0.44f, 0.28f, 0.08f}, a);
}
void disc(Solid& s, Colour a, Colour b) {
  s.column(kZ, {0, 0.48f, -0.04f}, 0.08f, 0.48f, 0.48f, a).column(kZ, {0, 0.48f, 0.04f}, 0.02f, 0.22f, 0.22f, b).column(kZ, {0, 0.48f, 0.06f}, 0.02f, 0.08f, 0.08f, kDark);
}
void watch(Solid& s, Colour a, Colour b) {
  s.box({-0.16f, 0, -0.06f}, {0.16f, 1, 0.06f}, a).column(kZ, {0, 0.5f, 0}, 0.14f, 0.32f, 0.32f, b).box({-0.03f, 0.5f, 0.13f}, {0.03f, 0.72f, 0.17f}, kDark).box({-0.03f, 0.47f, 0.13f}, {0.18f, 0.53f, 0.17f}, kDark);
}
void clock(Solid& s, Colour a, Colour b) {
  s.column(kZ, {0, 0.42f, -0.15f}, 0.3f, 0.4f, 0.4f, a).column(kZ, {0, 0.42f, 0.15f}, 0.02f, 0.32f, 0.32f, b).box({-0.03f, 0.42f, 0.16f}, {0.03f, 0.68f, 0.2f}, kDark).box({-0.03f, 0.39f, 0.16f}, {0.22f, 0.45f, 0.2f}, kDark);
  for (float x : {-0.26f, 0.26f}) s.ball({x, 0.84f, 0}, {0.16f, 0.13f, 0.16f}, kMetal);
}
void laptop(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0, -0.2f}, {0.5f, 0.07f, 0.45f}, a).box({-0.5f, 0.07f, -0.28f}, {0.5f, 0.78f, -0.2f}, a).box({-0.42f, 0.16f, -0.21f}, {0.42f, 0.7f, -0.17f}, b).box({-0.4f, 0.06f, -0.08f}, {0.4f, 0.1f, 0.22f}, kDark);
}
void carton(Solid& s, Colour a, Colour b) {
  s.box({-0.48f, 0, -0.36f}, {0.48f, 0.7f, 0.36f}, a).box({-0.09f, 0.3f, -0.37f}, {0.09f, 0.72f, 0.38f}, b).box({-0.48f, 0.7f, -0.36f}, {-0.06f, 0.76f, 0.36f}, a).box({0.06f, 0.7f, -0.36f}, {0.48f, 0.76f, 0.36f}, a);
}
void statue(Solid& s, Colour a, Colour b) {
  s.box({-0.3f, 0, -0.25f}, {0.3f, 0.16f, 0.25f}, b).column(kY, {0, 0.16f, 0}, 0.5f, 0.26f, 0.15f, a).ball({0, 0.8f, 0}, {0.17f, 0.19f, 0.17f}, a).box({-0.32f, 0.46f, -0.07f}, {0.32f, 0.58f, 0.07f}, a);
}
void bear(Solid& s, Colour a, Colour b) {
  s.ball({0, 0.3f, 0}, {0.32f, 0.3f, 0.28f}, a).ball({0, 0.72f, 0}, {0.26f, 0.24f, 0.24f}, a).ball({0, 0.66f, 0.2f}, {0.12f, 0.1f, 0.1f}, b);
  for (float x : {-0.22f, 0.22f}) s.ball({x, 0.92f, 0}, {0.1f, 0.08f, 0.08f}, b).ball({x * 1.5f, 0.1f, 0.18f}, {0.13f, 0.11f, 0.16f}, b);
}
void bat(Solid& s, Colour a, Colour b) { s.column(kY, {0, 0, 0}, 0.36f, 0.14f, 0.12f, b).column(kY, {0, 0.36f, 0}, 0.58f, 0.12f, 0.24f, a).ball({0, 0.94f, 0}, {0.24f, 0.06f, 0.24f}, a); }
void sports_ball(Solid& s, Colour a, Colour b) {
  s.ball({0, 0.46f, 0}, {0.46f, 0.46f, 0.46f}, a).box({-0.03f, 0.02f, -0.1f}, {0.03f, 0.94f, 0.46f}, b).box({-0.46f, 0.43f, -0.1f}, {0.46f, 0.49f, 0.44f}, b);
}
void racket(Solid& s, Colour a, Colour b) {
  s.box({-0.07f, 0, -0.07f}, {0.07f, 0.42f, 0.07f}, b).column(kZ, {0, 0.7f, -0.05f}, 0.1f, 0.3f, 0.3f, a).column(kZ, {0, 0.7f, 0.05f}, 0.02f, 0.23f, 0.23f, kPaper);
  s.box({-0.02f, 0.48f, 0.06f}, {0.02f, 0.92f, 0.09f}, kDark).box({-0.22f, 0.68f, 0.06f}, {0.22f, 0.72f, 0.09f}, kDark);
}
void boots(Solid& s, Colour a, Colour b) {
  for (float x : {-0.27f, 0.27f})
    s.box({x - 0.16f, 0.12f, -0.25f}, {x + 0.16f, 0.85f, 0.05f}, a).box({x - 0.16f, 0.12f, 0.05f}, {x + 0.16f, 0.38f, 0.4f}, a).box({x - 0.18f, 0, -0.27f}, {x + 0.18f, 0.12f, 0.42f}, b);
}
void plant(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.36f, 0.2f, 0.28f, b);
  s.ball({0, 0.66f, 0}, {0.26f, 0.32f, 0.26f}, a).ball({-0.27f, 0.56f, 0}, {0.2f, 0.22f, 0.2f}, a).ball({0.27f, 0.56f, 0}, {0.2f, 0.22f, 0.2f}, a);
}
void lamp(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.08f, 0.26f, 0.24f, a).column(kY, {0, 0.08f, 0}, 0.5f, 0.06f, 0.06f, a).column(kY, {0, 0.52f, 0}, 0.44f, 0.4f, 0.2f, b);
}
void floor_lamp(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0}, 0.05f, 0.2f, 0.2f, a).column(kY, {0, 0.05f, 0}, 0.68f, 0.04f, 0.04f, a).column(kY, {0, 0.7f, 0}, 0.28f, 0.26f, 0.16f, b);
}

// -- fixtures and furniture: seldom objects of a game, small models when they are --------------------------------------------------

void screen(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0.16f, -0.07f}, {0.5f, 0.8f, 0.07f}, a).box({-0.44f, 0.22f, 0.06f}, {0.44f, 0.74f, 0.1f}, b).box({-0.2f, 0, -0.14f}, {0.2f, 0.06f, 0.14f}, a).box({-0.06f, 0.06f, -0.05f}, {0.06f, 0.18f, 0.05f}, a);
}
void framed(Solid& s, Colour a, Colour b) {
  s.box({-0.46f, 0.04f, -0.06f}, {0.46f, 0.96f, 0.06f}, a).box({-0.36f, 0.14f, 0.05f}, {0.36f, 0.86f, 0.09f}, b).column(kZ, {0.12f, 0.62f, 0.08f}, 0.02f, 0.12f, 0.12f, a);
}
void panes(Solid& s, Colour a, Colour b) {
  s.box({-0.46f, 0.04f, -0.05f}, {0.46f, 0.96f, 0.05f}, a).box({-0.38f, 0.12f, 0.04f}, {-0.04f, 0.46f, 0.08f}, b).box({0.04f, 0.12f, 0.04f}, {0.38f, 0.46f, 0.08f}, b);
  s.box({-0.38f, 0.54f, 0.04f}, {-0.04f, 0.88f, 0.08f}, b).box({0.04f, 0.54f, 0.04f}, {0.38f, 0.88f, 0.08f}, b);
}
void slats(Solid& s, Colour a, Colour b) {
  s.box({-0.48f, 0.9f, -0.08f}, {0.48f, 1, 0.08f}, b);
  for (int i = 0; i < 6; ++i) s.box({-0.46f, 0.04f + 0.14f * static_cast<float>(i), -0.05f}, {0.46f, 0.13f + 0.14f * static_cast<float>(i), 0.05f}, a);
}
void curtains(Solid& s, Colour a, Colour b) {
  s.column(kX, {-0.5f, 0.94f, 0}, 1, 0.05f, 0.05f, b);
  for (float x : {-0.46f, -0.3f, 0.16f, 0.32f}) s.box({x, 0, -0.06f}, {x + 0.13f, 0.92f, 0.06f}, a);
}
void door(Solid& s, Colour a, Colour b) { s.box({-0.34f, 0, -0.05f}, {0.34f, 1, 0.05f}, a).box({0.18f, 0.4f, 0.04f}, {0.26f, 0.6f, 0.12f}, b); }
void pane(Solid& s, Colour a, Colour b) { s.box({-0.4f, 0.05f, -0.03f}, {0.4f, 0.98f, 0.03f}, a).box({-0.46f, 0, -0.08f}, {0.46f, 0.08f, 0.08f}, b); }
void wall_switch(Solid& s, Colour a, Colour b) { s.box({-0.3f, 0.05f, -0.05f}, {0.3f, 0.95f, 0.05f}, a).box({-0.1f, 0.36f, 0.04f}, {0.1f, 0.66f, 0.16f}, b); }
void knob(Solid& s, Colour a, Colour b) { s.column(kZ, {0, 0.5f, -0.1f}, 0.2f, 0.46f, 0.42f, a).box({-0.07f, 0.5f, 0.1f}, {0.07f, 0.92f, 0.18f}, b); }
void faucet(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, -0.2f}, 0.8f, 0.1f, 0.1f, a).box({-0.09f, 0.7f, -0.2f}, {0.09f, 0.86f, 0.4f}, a).box({-0.09f, 0.5f, 0.24f}, {0.09f, 0.7f, 0.4f}, a).ball({0, 0.92f, -0.2f}, {0.16f, 0.08f, 0.16f}, b);
}
void bar(Solid& s, Colour a, Colour b) { s.column(kX, {-0.48f, 0.5f, 0.1f}, 0.96f, 0.07f, 0.07f, a).box({-0.48f, 0.36f, -0.1f}, {-0.36f, 0.64f, 0.1f}, b).box({0.36f, 0.36f, -0.1f}, {0.48f, 0.64f, 0.1f}, b); }
void hook(Solid& s, Colour a, Colour b) { s.box({-0.2f, 0.3f, -0.1f}, {0.2f, 0.9f, 0}, b).column(kX, {-0.3f, 0.4f, 0.14f}, 0.6f, 0.09f, 0.09f, a).box({-0.3f, 0.4f, -0.1f}, {-0.2f, 0.5f, 0.14f}, a); }
void table(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0.5f, -0.34f}, {0.5f, 0.62f, 0.34f}, a);
  for (float x : {-0.46f, 0.36f}) s.box({x, 0, 0.2f}, {x + 0.1f, 0.5f, 0.3f}, b).box({x, 0, -0.3f}, {x + 0.1f, 0.5f, -0.2f}, b);
}
void chair(Solid& s, Colour a, Colour b) {
  s.box({-0.3f, 0.4f, -0.3f}, {0.3f, 0.5f, 0.3f}, a).box({-0.3f, 0.5f, -0.3f}, {0.3f, 1, -0.2f}, a);
  for (float x : {-0.3f, 0.2f}) s.box({x, 0, 0.2f}, {x + 0.1f, 0.4f, 0.3f}, b).box({x, 0, -0.3f}, {x + 0.1f, 0.4f, -0.2f}, b);
}
void couch(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0.05f, -0.3f}, {0.5f, 0.4f, 0.3f}, a).box({-0.5f, 0.4f, -0.3f}, {0.5f, 0.8f, -0.12f}, a).box({-0.5f, 0.4f, -0.3f}, {-0.38f, 0.56f, 0.3f}, b).box({0.38f, 0.4f, -0.3f}, {0.5f, 0.56f, 0.3f}, b);
}
void bed(Solid& s, Colour a, Colour b) {
  s.box({-0.4f, 0.1f, -0.5f}, {0.4f, 0.3f, 0.5f}, kPaper).box({-0.42f, 0.12f, -0.1f}, {0.42f, 0.34f, 0.51f}, a).box({-0.42f, 0, -0.5f}, {0.42f, 0.56f, -0.42f}, b);
}
void cupboard(Solid& s, Colour a, Colour b) {
  s.box({-0.4f, 0, -0.3f}, {0.4f, 0.95f, 0.3f}, a).box({-0.02f, 0.04f, 0.29f}, {0.02f, 0.91f, 0.32f}, kDark).box({-0.12f, 0.42f, 0.29f}, {-0.06f, 0.58f, 0.36f}, b).box({0.06f, 0.42f, 0.29f}, {0.12f, 0.58f, 0.36f}, b);
}
void drawers(Solid& s, Colour a, Colour b) {
  s.box({-0.45f, 0, -0.3f}, {0.45f, 0.8f, 0.3f}, a);
  for (float y : {0.06f, 0.32f, 0.58f}) s.box({-0.4f, y, 0.29f}, {0.4f, y + 0.18f, 0.33f}, b);
}
void basin(Solid& s, Colour a, Colour b) {
  s.box({-0.5f, 0, -0.36f}, {0.5f, 0.34f, 0.36f}, a).box({-0.38f, 0.33f, -0.24f}, {0.38f, 0.37f, 0.26f}, b).box({-0.05f, 0.34f, -0.36f}, {0.05f, 0.7f, -0.28f}, kMetal).box({-0.05f, 0.6f, -0.3f}, {0.05f, 0.7f, 0}, kMetal);
}
void throne(Solid& s, Colour a, Colour b) {
  s.column(kY, {0, 0, 0.1f}, 0.4f, 0.2f, 0.32f, a).column(kY, {0, 0.4f, 0.1f}, 0.06f, 0.34f, 0.32f, b).box({-0.34f, 0.3f, -0.4f}, {0.34f, 0.9f, -0.18f}, a);
}
void bin(Solid& s, Colour a, Colour b) { s.column(kY, {0, 0, 0}, 0.8f, 0.28f, 0.38f, a).column(kY, {0, 0.8f, 0}, 0.08f, 0.42f, 0.42f, b).column(kY, {0, 0.88f, 0}, 0.01f, 0.34f, 0.34f, kDark); }
void appliance(Solid& s, Colour a, Colour b) {
  s.box({-0.48f, 0, -0.3f}, {0.48f, 0.6f, 0.3f}, a).box({-0.42f, 0.08f, 0.29f}, {0.2f, 0.52f, 0.33f}, b).box({0.28f, 0.36f, 0.29f}, {0.42f, 0.5f, 0.33f}, kLeaf);
}
void tall_appliance(Solid& s, Colour a, Colour b) {
  s.box({-0.34f, 0, -0.3f}, {0.34f, 1, 0.3f}, a).box({-0.34f, 0.64f, 0.29f}, {0.34f, 0.67f, 0.31f}, kDark).box({0.2f, 0.3f, 0.29f}, {0.26f, 0.6f, 0.36f}, b).box({0.2f, 0.7f, 0.29f}, {0.26f, 0.9f, 0.36f}, b);
}
void coffee_maker(Solid& s, Colour a, Colour b) {
  s.box({-0.34f, 0, -0.3f}, {0.34f, 0.14f, 0.36f}, a).box({-0.34f, 0.14f, -0.3f}, {0.34f, 0.7f, -0.06f}, a).box({-0.34f, 0.7f, -0.3f}, {0.34f, 0.95f, 0.3f}, a).column(kY, {0, 0.14f, 0.14f}, 0.4f, 0.2f, 0.18f, b);
}
void toaster(Solid& s, Colour a, Colour b) {
  s.box({-0.46f, 0, -0.28f}, {0.46f, 0.6f, 0.28f}, a).box({-0.34f, 0.59f, -0.14f}, {0.34f, 0.62f, -0.04f}, kDark).box({-0.34f, 0.59f, 0.06f}, {0.34f, 0.62f, 0.16f}, kDark).box({0.46f, 0.3f, -0.06f}, {0.5f, 0.42f, 0.06f}, b);
}
void strongbox(Solid& s, Colour a, Colour b) { s.box({-0.42f, 0, -0.36f}, {0.42f, 0.84f, 0.36f}, a).column(kZ, {0, 0.42f, 0.36f}, 0.06f, 0.2f, 0.18f, b); }
void burner(Solid& s, Colour a, Colour b) { s.box({-0.5f, 0, -0.5f}, {0.5f, 0.08f, 0.5f}, a).column(kY, {0, 0.08f, 0}, 0.05f, 0.4f, 0.4f, b).column(kY, {0, 0.13f, 0}, 0.02f, 0.22f, 0.22f, a); }
void cart(Solid& s, Colour a, Colour b) {
  s.box({-0.45f, 0.2f, -0.3f}, {0.45f, 0.26f, 0.3f}, a).box({-0.45f, 0.7f, -0.3f}, {0.45f, 0.76f, 0.3f}, a);
  for (float x : {-0.45f, 0.37f}) s.box({x, 0.08f, 0.22f}, {x + 0.08f, 0.95f, 0.3f}, b).box({x, 0.08f, -0.3f}, {x + 0.08f, 0.95f, -0.22f}, b);
}
void board(Solid& s, Colour a, Colour b) { s.box({-0.5f, 0.55f, -0.2f}, {0.5f, 0.8f, 0.2f}, a).box({-0.42f, 0, -0.2f}, {-0.2f, 0.55f, 0}, b).box({0.2f, 0, -0.2f}, {0.42f, 0.55f, 0}, b); }

using Builder = void (*)(Solid&, Colour, Colour);
constexpr std::pair<std::string_view, Builder> kShapes[] = {
    {"fruit", fruit}, {"tomato", tomato}, {"tuber", tuber}, {"egg", egg}, {"loaf", loaf}, {"lettuce", lettuce},
    {"slices", slices}, {"mug", mug}, {"cup", cup}, {"bowl", bowl}, {"plate", plate}, {"pan", pan}, {"pot", pot},
    {"kettle", kettle}, {"fork", fork}, {"spoon", spoon}, {"knife", knife}, {"butter knife", butter_knife}, {"spatula", spatula},
    {"ladle", ladle}, {"stick", stick}, {"pen", pen}, {"bottle", bottle}, {"carafe", carafe}, {"pump", pump}, {"spray", spray},
    {"vase", vase}, {"watering can", watering_can}, {"shaker", shaker}, {"candle", candle}, {"book", book},
    {"newspaper", newspaper}, {"roll", roll}, {"tall roll", tall_roll}, {"sheet", sheet}, {"cloth", cloth}, {"towel", towel},
    {"small towel", small_towel}, {"soap", bar_of_soap}, {"sponge", sponge}, {"plunger", plunger}, {"brush", brush},
    {"tissues", tissues}, {"pillow", pillow}, {"lid", hamper_lid}, {"phone", phone}, {"remote", remote}, {"card", card},
    {"keys", key}, {"disc", disc}, {"watch", watch}, {"clock", clock}, {"laptop", laptop}, {"carton", carton}, {"statue", statue},
    {"bear", bear}, {"bat", bat}, {"ball", sports_ball}, {"racket", racket}, {"boots", boots}, {"plant", plant}, {"lamp", lamp},
    {"floor lamp", floor_lamp}, {"screen", screen}, {"framed", framed}, {"panes", panes}, {"slats", slats},
    {"curtains", curtains}, {"door", door}, {"pane", pane}, {"switch", wall_switch}, {"knob", knob}, {"faucet", faucet},
    {"bar", bar}, {"hook", hook}, {"table", table}, {"chair", chair}, {"couch", couch}, {"bed", bed}, {"cupboard", cupboard},
    {"drawers", drawers}, {"basin", basin}, {"toilet", throne}, {"bin", bin}, {"appliance", appliance},
    {"tall appliance", tall_appliance}, {"coffee maker", coffee_maker}, {"toaster", toaster}, {"safe", strongbox},
    {"burner", burner}, {"cart", cart}, {"board", board},
};

}  // namespace

void add_shape(Solid& solid, std::string_view shape, const Vec3f& first, const Vec3f& second) {
  for (const auto& [name, builder] : kShapes)
    if (name == shape) return builder(solid, first, second);
  throw std::logic_error("no shape \"" + std::string(shape) + "\"");
}

}  // namespace vldac::alfworld

#include "envs/alfworld/picture/object_looks.h"

#include <algorithm>

#include "envs/alfworld/picture/object_shapes.h"

namespace vldac::alfworld {
namespace {

// By type. Types whose shape agrees differ in colour.
constexpr ObjectLook kLooks[] = {
    {"alarmclock", "clock", {0.85f, 0.2f, 0.2f}, {0.97f, 0.95f, 0.9f}, 0.85f},
    {"apple", "fruit", {0.85f, 0.12f, 0.12f}, {0.4f, 0.25f, 0.12f}, 0.75f},
    {"applesliced", "slices", {0.85f, 0.12f, 0.12f}, {0.98f, 0.94f, 0.75f}, 0.8f},
    {"armchair", "couch", {0.35f, 0.45f, 0.65f}, {0.25f, 0.33f, 0.5f}, 0.9f},
    {"baseballbat", "bat", {0.8f, 0.58f, 0.3f}, {0.2f, 0.2f, 0.22f}, 1.0f},
    {"basketball", "ball", {0.92f, 0.45f, 0.1f}, {0.15f, 0.12f, 0.1f}, 0.95f},
    {"bathtub", "basin", {0.93f, 0.94f, 0.96f}, {0.6f, 0.75f, 0.85f}, 1.0f},
    {"bathtubbasin", "basin", {0.85f, 0.88f, 0.92f}, {0.45f, 0.65f, 0.8f}, 1.0f},
    {"bed", "bed", {0.35f, 0.4f, 0.7f}, {0.45f, 0.28f, 0.16f}, 1.0f},
    {"blinds", "slats", {0.9f, 0.88f, 0.8f}, {0.55f, 0.5f, 0.45f}, 0.95f},
    {"book", "book", {0.15f, 0.3f, 0.7f}, {0.95f, 0.8f, 0.3f}, 0.95f},
    {"boots", "boots", {0.4f, 0.24f, 0.1f}, {0.15f, 0.1f, 0.08f}, 0.9f},
    {"bowl", "bowl", {0.2f, 0.55f, 0.75f}, {0.93f, 0.96f, 0.98f}, 0.9f},
    {"box", "carton", {0.72f, 0.53f, 0.32f}, {0.9f, 0.8f, 0.55f}, 1.0f},
    {"bread", "loaf", {0.78f, 0.5f, 0.2f}, {0.96f, 0.82f, 0.52f}, 0.95f},
    {"breadsliced", "slices", {0.72f, 0.45f, 0.18f}, {0.97f, 0.88f, 0.64f}, 0.8f},
    {"butterknife", "butter knife", {0.78f, 0.8f, 0.84f}, {0.9f, 0.85f, 0.7f}, 0.85f},
    {"cabinet", "cupboard", {0.75f, 0.6f, 0.42f}, {0.85f, 0.85f, 0.85f}, 0.95f},
    {"candle", "candle", {0.96f, 0.9f, 0.75f}, {1.0f, 0.6f, 0.1f}, 0.85f},
    {"cart", "cart", {0.7f, 0.72f, 0.75f}, {0.3f, 0.3f, 0.32f}, 0.95f},
    {"cd", "disc", {0.8f, 0.85f, 0.92f}, {0.55f, 0.3f, 0.75f}, 0.8f},
    {"cellphone", "phone", {0.12f, 0.13f, 0.16f}, {0.35f, 0.75f, 0.95f}, 0.85f},
    {"chair", "chair", {0.6f, 0.38f, 0.2f}, {0.4f, 0.25f, 0.12f}, 0.95f},
    {"cloth", "cloth", {0.3f, 0.65f, 0.6f}, {0.45f, 0.8f, 0.75f}, 0.9f},
    {"coffeemachine", "coffee maker", {0.18f, 0.18f, 0.2f}, {0.5f, 0.3f, 0.15f}, 0.95f},
    {"coffeetable", "table", {0.5f, 0.32f, 0.18f}, {0.3f, 0.2f, 0.12f}, 1.0f},
    {"countertop", "board", {0.55f, 0.55f, 0.58f}, {0.45f, 0.35f, 0.28f}, 1.0f},
    {"creditcard", "card", {0.2f, 0.4f, 0.85f}, {0.95f, 0.8f, 0.3f}, 0.8f},
    {"cup", "cup", {0.95f, 0.55f, 0.65f}, {0.98f, 0.9f, 0.92f}, 0.85f},
    {"curtains", "curtains", {0.65f, 0.2f, 0.3f}, {0.7f, 0.6f, 0.3f}, 0.95f},
    {"desk", "table", {0.65f, 0.45f, 0.28f}, {0.22f, 0.22f, 0.25f}, 1.0f},
    {"desklamp", "lamp", {0.25f, 0.27f, 0.3f}, {0.88f, 0.82f, 0.6f}, 1.0f},
    {"diningtable", "table", {0.72f, 0.5f, 0.3f}, {0.5f, 0.33f, 0.18f}, 1.0f},
    {"dishsponge", "sponge", {0.96f, 0.85f, 0.2f}, {0.2f, 0.6f, 0.3f}, 0.75f},
    {"drawer", "drawers", {0.7f, 0.55f, 0.38f}, {0.85f, 0.85f, 0.85f}, 0.95f},
    {"dresser", "drawers", {0.5f, 0.35f, 0.22f}, {0.66f, 0.5f, 0.34f}, 1.0f},
    {"egg", "egg", {0.96f, 0.9f, 0.8f}, {0.85f, 0.7f, 0.5f}, 0.68f},
    {"faucet", "faucet", {0.75f, 0.78f, 0.82f}, {0.5f, 0.52f, 0.56f}, 0.9f},
    {"floorlamp", "floor lamp", {0.3f, 0.3f, 0.33f}, {0.9f, 0.84f, 0.62f}, 1.0f},
    {"footstool", "couch", {0.6f, 0.4f, 0.3f}, {0.4f, 0.25f, 0.18f}, 0.7f},
    {"fork", "fork", {0.78f, 0.8f, 0.84f}, {0.7f, 0.72f, 0.77f}, 0.9f},
    {"fridge", "tall appliance", {0.9f, 0.92f, 0.94f}, {0.5f, 0.52f, 0.55f}, 1.0f},
    {"garbagecan", "bin", {0.45f, 0.48f, 0.5f}, {0.3f, 0.32f, 0.34f}, 0.95f},
    {"glassbottle", "bottle", {0.55f, 0.85f, 0.75f}, {0.9f, 0.95f, 0.93f}, 1.0f},
    {"handtowel", "small towel", {0.9f, 0.6f, 0.3f}, {0.98f, 0.85f, 0.65f}, 0.9f},
    {"handtowelholder", "bar", {0.8f, 0.82f, 0.85f}, {0.6f, 0.45f, 0.3f}, 0.9f},
    {"houseplant", "plant", {0.2f, 0.55f, 0.22f}, {0.75f, 0.4f, 0.25f}, 1.0f},
    {"kettle", "kettle", {0.75f, 0.15f, 0.15f}, {0.15f, 0.15f, 0.16f}, 0.95f},
    {"keychain", "keys", {0.85f, 0.7f, 0.25f}, {0.9f, 0.3f, 0.25f}, 0.85f},
    {"knife", "knife", {0.82f, 0.84f, 0.88f}, {0.12f, 0.12f, 0.14f}, 1.0f},
    {"ladle", "ladle", {0.7f, 0.72f, 0.76f}, {0.35f, 0.2f, 0.12f}, 0.95f},
    {"laptop", "laptop", {0.65f, 0.67f, 0.7f}, {0.2f, 0.4f, 0.75f}, 1.0f},
    {"laundryhamper", "bin", {0.8f, 0.7f, 0.52f}, {0.65f, 0.52f, 0.35f}, 1.0f},
    {"laundryhamperlid", "lid", {0.8f, 0.7f, 0.52f}, {0.6f, 0.48f, 0.32f}, 0.9f},
    {"lettuce", "lettuce", {0.55f, 0.8f, 0.35f}, {0.3f, 0.62f, 0.2f}, 0.95f},
    {"lettucesliced", "slices", {0.3f, 0.62f, 0.2f}, {0.75f, 0.9f, 0.55f}, 0.8f},
    {"lightswitch", "switch", {0.95f, 0.95f, 0.93f}, {0.8f, 0.8f, 0.75f}, 0.7f},
    {"microwave", "appliance", {0.2f, 0.2f, 0.22f}, {0.4f, 0.5f, 0.55f}, 1.0f},
    {"mirror", "framed", {0.6f, 0.62f, 0.65f}, {0.8f, 0.92f, 0.97f}, 1.0f},
    {"mug", "mug", {0.95f, 0.93f, 0.88f}, {0.35f, 0.2f, 0.1f}, 0.85f},
    {"newspaper", "newspaper", {0.9f, 0.9f, 0.86f}, {0.3f, 0.3f, 0.32f}, 0.95f},
    {"ottoman", "couch", {0.5f, 0.35f, 0.5f}, {0.38f, 0.25f, 0.38f}, 0.75f},
    {"painting", "framed", {0.75f, 0.6f, 0.25f}, {0.3f, 0.5f, 0.7f}, 1.0f},
    {"pan", "pan", {0.2f, 0.2f, 0.22f}, {0.35f, 0.22f, 0.14f}, 1.0f},
    {"papertowel", "tall roll", {0.97f, 0.97f, 0.97f}, {0.35f, 0.6f, 0.85f}, 0.95f},
    {"papertowelroll", "tall roll", {0.97f, 0.96f, 0.92f}, {0.6f, 0.45f, 0.3f}, 0.95f},
    {"pen", "pen", {0.1f, 0.2f, 0.65f}, {0.15f, 0.3f, 0.85f}, 0.85f},
    {"pencil", "stick", {0.95f, 0.75f, 0.15f}, {0.95f, 0.5f, 0.55f}, 0.85f},
    {"peppershaker", "shaker", {0.2f, 0.18f, 0.17f}, {0.55f, 0.55f, 0.58f}, 0.75f},
    {"pillow", "pillow", {0.93f, 0.9f, 0.98f}, {0.65f, 0.55f, 0.85f}, 1.0f},
    {"plate", "plate", {0.94f, 0.95f, 0.97f}, {0.55f, 0.7f, 0.85f}, 0.95f},
    {"plunger", "plunger", {0.75f, 0.25f, 0.15f}, {0.8f, 0.6f, 0.35f}, 1.0f},
    {"poster", "sheet", {0.2f, 0.5f, 0.75f}, {0.95f, 0.85f, 0.3f}, 1.0f},
    {"pot", "pot", {0.6f, 0.62f, 0.66f}, {0.45f, 0.47f, 0.5f}, 1.0f},
    {"potato", "tuber", {0.72f, 0.55f, 0.3f}, {0.45f, 0.32f, 0.16f}, 0.75f},
    {"potatosliced", "slices", {0.62f, 0.45f, 0.22f}, {0.97f, 0.9f, 0.55f}, 0.8f},
    {"remotecontrol", "remote", {0.2f, 0.2f, 0.24f}, {0.9f, 0.2f, 0.2f}, 0.85f},
    {"safe", "safe", {0.4f, 0.42f, 0.46f}, {0.75f, 0.76f, 0.8f}, 0.95f},
    {"saltshaker", "shaker", {0.95f, 0.95f, 0.97f}, {0.65f, 0.67f, 0.7f}, 0.75f},
    {"scrubbrush", "brush", {0.25f, 0.6f, 0.8f}, {0.95f, 0.93f, 0.85f}, 0.95f},
    {"shelf", "board", {0.7f, 0.52f, 0.33f}, {0.3f, 0.3f, 0.32f}, 1.0f},
    {"showerdoor", "door", {0.75f, 0.88f, 0.92f}, {0.6f, 0.62f, 0.65f}, 1.0f},
    {"showerglass", "pane", {0.7f, 0.87f, 0.93f}, {0.5f, 0.52f, 0.55f}, 1.0f},
    {"sidetable", "table", {0.8f, 0.68f, 0.5f}, {0.6f, 0.48f, 0.34f}, 0.85f},
    {"sink", "basin", {0.72f, 0.74f, 0.78f}, {0.5f, 0.52f, 0.56f}, 1.0f},
    {"sinkbasin", "basin", {0.8f, 0.82f, 0.86f}, {0.55f, 0.6f, 0.66f}, 1.0f},
    {"soapbar", "soap", {0.95f, 0.7f, 0.8f}, {0.4f, 0.7f, 0.75f}, 0.75f},
    {"soapbottle", "pump", {0.5f, 0.75f, 0.95f}, {0.95f, 0.96f, 0.98f}, 0.9f},
    {"sofa", "couch", {0.6f, 0.25f, 0.25f}, {0.45f, 0.17f, 0.17f}, 1.0f},
    {"spatula", "spatula", {0.25f, 0.25f, 0.27f}, {0.8f, 0.3f, 0.2f}, 0.95f},
    {"spoon", "spoon", {0.78f, 0.8f, 0.84f}, {0.7f, 0.72f, 0.77f}, 0.85f},
    {"spraybottle", "spray", {0.3f, 0.75f, 0.4f}, {0.95f, 0.3f, 0.2f}, 0.95f},
    {"statue", "statue", {0.7f, 0.6f, 0.4f}, {0.4f, 0.34f, 0.24f}, 1.0f},
    {"stoveburner", "burner", {0.25f, 0.25f, 0.27f}, {0.12f, 0.12f, 0.13f}, 0.95f},
    {"stoveknob", "knob", {0.3f, 0.3f, 0.32f}, {0.95f, 0.95f, 0.95f}, 0.7f},
    {"teddybear", "bear", {0.6f, 0.4f, 0.2f}, {0.88f, 0.72f, 0.5f}, 1.0f},
    {"television", "screen", {0.1f, 0.1f, 0.12f}, {0.25f, 0.35f, 0.45f}, 1.0f},
    {"tennisracket", "racket", {0.2f, 0.55f, 0.3f}, {0.15f, 0.15f, 0.16f}, 1.0f},
    {"tissuebox", "tissues", {0.45f, 0.6f, 0.85f}, {0.9f, 0.75f, 0.85f}, 0.9f},
    {"toaster", "toaster", {0.75f, 0.76f, 0.8f}, {0.2f, 0.2f, 0.22f}, 0.95f},
    {"toilet", "toilet", {0.95f, 0.95f, 0.97f}, {0.8f, 0.82f, 0.85f}, 1.0f},
    {"toiletpaper", "roll", {0.97f, 0.97f, 0.97f}, {0.6f, 0.45f, 0.3f}, 0.75f},
    {"toiletpaperhanger", "hook", {0.8f, 0.82f, 0.85f}, {0.55f, 0.57f, 0.6f}, 0.8f},
    {"toiletpaperroll", "roll", {0.93f, 0.88f, 0.8f}, {0.35f, 0.3f, 0.25f}, 0.75f},
    {"tomato", "tomato", {0.9f, 0.2f, 0.1f}, {0.2f, 0.55f, 0.15f}, 0.75f},
    {"tomatosliced", "slices", {0.9f, 0.2f, 0.1f}, {0.98f, 0.6f, 0.45f}, 0.8f},
    {"towel", "towel", {0.25f, 0.45f, 0.8f}, {0.93f, 0.95f, 0.98f}, 1.0f},
    {"towelholder", "bar", {0.6f, 0.62f, 0.66f}, {0.3f, 0.3f, 0.32f}, 1.0f},
    {"tvstand", "cupboard", {0.3f, 0.22f, 0.16f}, {0.5f, 0.38f, 0.28f}, 0.9f},
    {"vase", "vase", {0.5f, 0.25f, 0.6f}, {0.9f, 0.8f, 0.4f}, 1.0f},
    {"watch", "watch", {0.3f, 0.2f, 0.12f}, {0.95f, 0.9f, 0.7f}, 0.75f},
    {"wateringcan", "watering can", {0.25f, 0.65f, 0.45f}, {0.2f, 0.5f, 0.35f}, 1.0f},
    {"window", "panes", {0.92f, 0.92f, 0.9f}, {0.6f, 0.82f, 0.95f}, 1.0f},
    {"winebottle", "bottle", {0.15f, 0.3f, 0.15f}, {0.6f, 0.1f, 0.2f}, 1.0f},
};

constexpr Vec3f kLamplight{1.0f, 0.95f, 0.55f};

}  // namespace

std::span<const ObjectLook> object_looks() { return kLooks; }

size_t find_object_look(std::string_view type) {
  const auto* found = std::ranges::lower_bound(kLooks, type, {}, &ObjectLook::type);
  if (found != std::end(kLooks) && found->type == type) return static_cast<size_t>(found - kLooks);
  size_t sum = 0;
  for (char letter : type) sum = sum * 31 + static_cast<unsigned char>(letter);
  return sum % std::size(kLooks);
}

ObjectMeshes::ObjectMeshes(bool is_blank) {
  for (const ObjectLook& look : kLooks) {
    Solid whole(is_blank), sliced(is_blank), lit(is_blank);
    add_shape(whole, look.shape, look.first, look.second);
    add_shape(sliced, "slices", look.first, look.shape == "slices" ? look.first : look.second);
    add_shape(lit, look.shape, look.first, kLamplight);
    meshes_.push_back({whole.mesh(), sliced.mesh(), lit.mesh()});
  }
  auto mark = [&](Mark name, auto&& build) {
    Solid solid(is_blank);
    build(solid);
    marks_[name] = solid.mesh();
  };
  mark(kHotMark, [](Solid& s) {
    s.column(Along::kY, {0, 0, 0}, 0.3f, 0.2f, 0.34f, {0.95f, 0.25f, 0.05f}).column(Along::kY, {0, 0.3f, 0}, 0.7f, 0.34f, 0, {0.95f, 0.25f, 0.05f});
    s.column(Along::kY, {0, 0.05f, 0.2f}, 0.5f, 0.2f, 0, {1, 0.8f, 0.1f});
  });
  mark(kColdMark, [](Solid& s) {
    Vec3f ice{0.45f, 0.75f, 1};
    s.box({-0.1f, 0, -0.1f}, {0.1f, 1, 0.1f}, ice).box({-0.5f, 0.4f, -0.1f}, {0.5f, 0.6f, 0.1f}, ice);
    for (float x : {-0.38f, 0.18f})
      for (float y : {0.12f, 0.68f}) s.box({x, y, -0.1f}, {x + 0.2f, y + 0.2f, 0.1f}, ice);
  });
  mark(kCleanMark, [](Solid& s) {  // a star with four points
    Vec3f shine{1, 1, 1};
    s.triangle({0.13f, 0.63f, 0}, {0, 1, 0}, {-0.13f, 0.63f, 0}, shine).triangle({-0.13f, 0.37f, 0}, {0, 0, 0}, {0.13f, 0.37f, 0}, shine);
    s.triangle({-0.13f, 0.63f, 0}, {-0.5f, 0.5f, 0}, {-0.13f, 0.37f, 0}, shine).triangle({0.13f, 0.37f, 0}, {0.5f, 0.5f, 0}, {0.13f, 0.63f, 0}, shine);
    s.triangle({-0.13f, 0.63f, 0}, {-0.13f, 0.37f, 0}, {0.13f, 0.63f, 0}, shine).triangle({0.13f, 0.63f, 0}, {-0.13f, 0.37f, 0}, {0.13f, 0.37f, 0}, shine);
  });
  mark(kHand, [](Solid& s) {
    Vec3f skin{0.87f, 0.67f, 0.53f};
    s.box({-0.5f, 0, -0.3f}, {0.5f, 0.4f, 0.3f}, skin);
    for (float x : {-0.5f, -0.24f, 0.02f, 0.28f}) s.box({x, 0.36f, 0.1f}, {x + 0.22f, 0.74f, 0.34f}, skin);
    s.box({-0.3f, -0.6f, -0.25f}, {0.3f, 0, 0.25f}, {0.3f, 0.4f, 0.6f});
  });
  mark(kPlate, [](Solid& s) { s.column(Along::kY, {0, 0, 0}, 0.1f, 0.3f, 0.5f, {0.95f, 0.95f, 0.97f}).column(Along::kY, {0, 0.1f, 0}, 0.005f, 0.36f, 0.36f, {0.8f, 0.85f, 0.9f}); });
  mark(kRing, [](Solid& s) {
    s.column(Along::kY, {0, 0, 0}, 0.04f, 0.5f, 0.5f, {0.1f, 0.1f, 0.11f}).column(Along::kY, {0, 0.04f, 0}, 0.02f, 0.38f, 0.38f, {0.32f, 0.3f, 0.3f});
    s.column(Along::kY, {0, 0.06f, 0}, 0.02f, 0.24f, 0.24f, {0.1f, 0.1f, 0.11f});
  });
  mark(kPan, [](Solid& s) { s.column(Along::kY, {0, 0, 0}, 0.3f, 0.42f, 0.5f, {0.4f, 0.42f, 0.45f}).column(Along::kY, {0, 0.3f, 0}, 0.005f, 0.45f, 0.45f, {0.2f, 0.2f, 0.22f}); });
}

const ObjectMeshes& ObjectMeshes::of(bool is_blank) {
  static const auto* coloured = new ObjectMeshes(false);
  if (!is_blank) return *coloured;
  static const auto* blank = new ObjectMeshes(true);
  return *blank;
}

}  // namespace vldac::alfworld

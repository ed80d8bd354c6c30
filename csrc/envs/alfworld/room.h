// A household in small integers: what never changes in a game (Room), and what does (RoomState). The fast path plays on them, the
// expert plans on them, and pictures are drawn from them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace vldac::alfworld {

constexpr uint16_t kNone = 0xFFFF;

// A table of bits, rows apart by whole words so that a row can be combined with another.
class BitTable {
 public:
  void resize(size_t rows, size_t columns) {
    words_ = (columns + 63) / 64;
    bits_.assign(rows * words_, 0);
  }
  size_t words() const { return words_; }
  uint64_t* row(size_t r) { return bits_.data() + r * words_; }
  const uint64_t* row(size_t r) const { return bits_.data() + r * words_; }
  bool test(size_t r, size_t c) const { return bits_[r * words_ + c / 64] >> (c % 64) & 1; }
  void set(size_t r, size_t c) { bits_[r * words_ + c / 64] |= uint64_t{1} << (c % 64); }
  void clear(size_t r, size_t c) { bits_[r * words_ + c / 64] &= ~(uint64_t{1} << (c % 64)); }
  bool any(size_t r) const {
    for (size_t w = 0; w < words_; ++w)
      if (bits_[r * words_ + w]) return true;
    return false;
  }
  // Calls with every set column of the row, lowest first.
  template <class F>
  void each(size_t r, F&& call) const {
    for (size_t w = 0; w < words_; ++w)
      for (uint64_t rest = bits_[r * words_ + w]; rest; rest &= rest - 1) call(w * 64 + static_cast<size_t>(__builtin_ctzll(rest)));
  }
  const std::vector<uint64_t>& bits() const { return bits_; }
  std::vector<uint64_t>& bits() { return bits_; }
  bool operator==(const BitTable&) const = default;

 private:
  size_t words_ = 0;
  std::vector<uint64_t> bits_;
};

// Where an agent can stand, as a location's id says it: loc|x|z|turn|pitch in cells of 0.25 m, quarter turns, degrees downwards.
struct Pose {
  float x = 0, z = 0;  // metres
  int yaw = 0;         // degrees: 0 looks along +z, 90 along +x, as in AI2-THOR
  int pitch = 0;       // degrees below the horizon
  bool is_known = false;
  std::string name;  // "loc 7": games of the old wording arrive there
};

struct Receptacle {
  std::string type;  // lower case: "countertop"
  std::string name;  // "countertop 1"
  int number = 0;
  std::array<float, 3> position{};  // metres; of ids without coordinates 0
  uint16_t location = kNone;        // into Room::locations; kNone: nobody can go there
  bool is_openable = false;
  bool is_sink = false, is_microwave = false, is_fridge = false;  // what is held can be cleaned, heated, cooled here
};

struct Object {
  std::string type;  // lower case: "mug"
  std::string name;  // "mug 1"
  int number = 0;
  std::array<float, 3> position{};  // where its id says that it was
  bool is_pickupable = false, is_cleanable = false, is_heatable = false, is_coolable = false, is_toggleable = false, is_sliceable = false;
  bool is_receptacle = false;      // holds other objects, such as a plate
  bool is_knife = false;           // slices while it is held
  std::vector<uint16_t> contents;  // of a plate and the like, into Room::objects; no action changes them
};

struct Room {
  std::vector<Pose> locations;
  std::vector<Receptacle> receptacles;  // by sorted id, the order in which texts list them
  std::vector<Object> objects;          // by sorted id
  uint16_t start = kNone;               // into locations
  BitTable fits;                        // receptacle x object: may be put there
};

enum ObjectState : uint8_t { kClean = 1, kHot = 2, kCool = 4, kOn = 8, kToggled = 16, kSliced = 32 };

// An object can be in several receptacles at once: in real games a pan lies on up to four stove burners, and taking it from one leaves
// it on the others, held and all. `contents` is what texts and goals go by.
struct RoomState {
  uint16_t location = kNone;            // into Room::locations
  uint16_t held = kNone;                // into Room::objects
  std::vector<uint16_t> receptacle_of;  // per object, one receptacle that it is in: the last that it was put in, else the first; kNone: held, or in none
  std::vector<uint8_t> object_state;    // per object, bits of ObjectState
  std::vector<uint8_t> is_open;         // per receptacle
  BitTable contents;                    // receptacle x object: is in it
  BitTable taken;                       // receptacle x object: was taken out of it and not put back; only then texts see it "next to" it
  BitTable at;                          // location x object: lies there
};

}  // namespace vldac::alfworld

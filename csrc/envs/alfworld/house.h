// The fast path: games of a known form (known.h), played on Room and RoomState with commands and phrases made beforehand. A step
// allocates nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "envs/alfworld/known.h"
#include "envs/alfworld/normal.h"
#include "envs/alfworld/player.h"

namespace vldac::alfworld {

// In the order of what commands begin with.
enum class Verb : uint8_t { kClean, kClose, kCool, kExamineObject, kExamineReceptacle, kGo, kHeat, kHelp, kInventory, kLook, kOpen, kPut, kSlice, kTake, kUse };

struct HouseCommand {
  const Symbol* symbol;
  Verb verb;
  uint16_t object, receptacle;  // of kSlice: what is sliced, and the knife
};

// What the game can ever say, shared by its players.
struct HouseTables {
  Form form;
  std::string task_sentence;
  std::vector<HouseCommand> commands;  // sorted by text: a command's place is its number
  std::vector<uint16_t> go;            // of kGo, in order
  std::vector<uint16_t> open, close, examine_receptacle;                // per receptacle
  std::vector<uint16_t> examine_object, use;                            // per object
  std::vector<uint16_t> take, put;                                      // receptacle x object; kNone where it can never be
  std::vector<std::vector<uint16_t>> clean, heat, cool;                 // per receptacle: per object; empty where it cannot be done
  std::vector<uint16_t> slice;                                          // sliceable x knife, in the order of these two
  std::vector<uint16_t> sliceable, knives, knife_index;                 // objects; per object its place among knives, or kNone
  uint16_t help = kNone, inventory = kNone, look = kNone;
  std::vector<std::vector<uint16_t>> here;                              // per location: its receptacles
  std::vector<uint64_t> pickupable, toggleable;                         // bits of objects
};

// Null, and `why_not` set, where the game is not of a known form.
std::unique_ptr<const HouseTables> make_house(const World& world, const Game& game, std::string& why_not);

std::unique_ptr<Player> play_house(std::shared_ptr<const Game> game);

}  // namespace vldac::alfworld

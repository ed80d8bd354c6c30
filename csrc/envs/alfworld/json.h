// A strict JSON reader for untrusted files: bounded depth, exact positions, no recovery.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "envs/alfworld/source.h"

namespace vldac::alfworld {

struct JsonMember;

struct Json {
  enum class Kind : uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  size_t offset = 0;  // of its first byte in the source
  std::string text;   // of a string: its value (UTF-8); of a number: as it is written
  std::vector<Json> items;
  std::vector<JsonMember> members;  // in the order of the file; of a name that comes twice the last counts

  // The member's value, or null.
  const Json* find(std::string_view key) const;
};

struct JsonMember {
  std::string name;
  Json value;
};

const char* name_of(Json::Kind kind);

// The value that `source.text` is, white space around it. Lines that begin with '#' are skipped where told (grammars comment so).
// Throws GameError.
Json parse_json(const Source& source, bool skips_hash_lines = false);
// The same for a piece of the source, [begin, end).
Json parse_json(const Source& source, size_t begin, size_t end, bool skips_hash_lines);

}  // namespace vldac::alfworld

// A pool's environments to bytes and back.
#include "core/pool.h"

namespace vldac {

namespace {
constexpr uint32_t kMagic = 0x43414456u, kVersion = 2u;
constexpr size_t kMaxStateBytes = size_t{1} << 32;
uint64_t checksum(const char* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<uint8_t>(data[i])) * 0x100000001b3ULL;
  return hash;
}
}  // namespace

// Layout: magic, version, hash of id and options, number of environments, then each environment's stream, counters and own
// state; a checksum at the end.
std::string Pool::save() {
  Exclusive guard(*this);
  require_none_in_flight("save");
  std::string identity = config_.env_id;
  for (const auto& [name, value] : config_.options) identity += ' ' + name + '=' + std::to_string(value);
  Bytes out;
  out.put(kMagic);
  out.put(kVersion);
  out.put(checksum(identity.data(), identity.size()));
  out.put(static_cast<uint64_t>(num_envs()));
  for (const auto& runner : crew_->runners) runner->save(out);
  out.put(checksum(out.data.data(), out.data.size()));
  return std::move(out.data);
}

// All or nothing: the environments are replaced only after the whole state was read.
void Pool::load(const std::string& state) {
  Exclusive guard(*this);
  require_none_in_flight("load");
  if (state.size() < 8) throw std::invalid_argument("environment state is truncated");
  if (state.size() > kMaxStateBytes) throw std::invalid_argument("environment state is larger than any real one");
  Bytes in{state.substr(0, state.size() - 8), 0};
  uint64_t expected;
  std::memcpy(&expected, state.data() + state.size() - 8, 8);
  if (checksum(in.data.data(), in.data.size()) != expected) throw std::invalid_argument("environment state is altered");
  if (in.get<uint32_t>() != kMagic || in.get<uint32_t>() != kVersion)
    throw std::invalid_argument("environment state is of another format");
  std::string identity = config_.env_id;
  for (const auto& [name, value] : config_.options) identity += ' ' + name + '=' + std::to_string(value);
  if (in.get<uint64_t>() != checksum(identity.data(), identity.size()))
    throw std::invalid_argument("environment state is of another environment id or of other options");
  if (in.get<uint64_t>() != num_envs()) throw std::invalid_argument("environment state has another number of environments");
  std::vector<std::unique_ptr<Runner>> runners;
  for (int i = 0; i < config_.num_envs; ++i) {
    runners.push_back(std::make_unique<Runner>(crew_->config, i));
    runners.back()->load(in);
  }
  if (in.cursor != in.data.size()) throw std::invalid_argument("environment state has bytes left over");
  crew_->runners.swap(runners);
  is_reset_ = true;
}

}  // namespace vldac

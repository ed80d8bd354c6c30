// The environment interface. An environment is small, owns no threads and no image memory, and is called by one thread at
// a time. Its state is written to and read from bytes, so that a run resumes bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"

namespace vldac {

struct StepResult {
  double reward = 0.0;
  bool terminated = false;
  bool truncated = false;
};

// Appends and reads plain values; reading past the end throws.
class Bytes {
 public:
  std::string data;
  size_t cursor = 0;
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    data.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (cursor + sizeof(T) > data.size()) throw std::invalid_argument("environment state is truncated");
    T value;
    std::memcpy(&value, data.data() + cursor, sizeof(T));
    cursor += sizeof(T);
    return value;
  }
};

using Facts = std::vector<std::pair<std::string, std::string>>;

class Env {
 public:
  virtual ~Env() = default;
  virtual void reset(Pcg64& rng) = 0;
  virtual StepResult step(int64_t action) = 0;
  virtual bool success() const = 0;
  virtual int64_t oracle_action() const = 0;
  // What is on the picture, as strings; the Python face knows which are numbers.
  virtual Facts facts() const = 0;
  // Draw into [height][width][3] bytes.
  virtual void render(uint8_t* pixels, int width, int height) const = 0;
  virtual void save(Bytes& out) const = 0;
  virtual void load(Bytes& in) = 0;
};

// Id to constructor and action names (envs/registry.cc).
std::unique_ptr<Env> make_env(const std::string& id);
std::vector<std::string> action_names(const std::string& id);
std::vector<std::string> env_ids();

}  // namespace vldac

// The parameters that domain randomisation draws: each has a value for when it is off, and a range.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/env.h"
#include "core/rng.h"

namespace vldac::miniworld {

struct DomainParam {
  const char* name;
  double initial, low, high;
  const char* help;
};

// Scalars first, then vectors component by component. Angles are degrees, lengths metres.
enum class Domain : uint8_t {
  kForwardStep, kForwardDrift, kTurnStep, kBotRadius, kCamPitch, kCamFovY, kCamHeight, kCamFwdDisp,
  kSkyColour, kLightPos = kSkyColour + 3, kLightColour = kLightPos + 3, kLightAmbient = kLightColour + 3,
  kObjColourBias = kLightAmbient + 3, kEnd = kObjColourBias + 3,
};

class DomainParams {
 public:
  static constexpr size_t kCount = static_cast<size_t>(Domain::kEnd);
  // The package's defaults.
  DomainParams();
  // Those of the fast variants: steps of 0.7 m and 45 degrees, no ranges.
  static DomainParams fast();

  const DomainParam& of(Domain name, size_t component = 0) const { return params_[static_cast<size_t>(name) + component]; }
  // rng: null where randomisation is off.
  double sample(Pcg64* rng, Domain name, size_t component = 0) const {
    const DomainParam& param = of(name, component);
    return rng ? rng->uniform(param.low, param.high) : param.initial;
  }
  std::array<double, 3> sample3(Pcg64* rng, Domain name) const {
    std::array<double, 3> values;
    for (size_t i = 0; i < 3; ++i) values[i] = sample(rng, name, i);
    return values;
  }

  // As options: params.<name>, params.<name>.min and params.<name>.max, where a component's name is <vector>.r or <vector>.x.
  void declare(std::vector<Option>& options) const;
  // Throws std::invalid_argument unless every min <= value <= max.
  void take(const Options& options);

 private:
  std::array<DomainParam, kCount> params_;
};

}  // namespace vldac::miniworld

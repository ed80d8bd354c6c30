#include "envs/miniworld/domain.h"

#include <cmath>

namespace vldac::miniworld {

DomainParams::DomainParams()
    : params_{{
          {"forward_step", 0.15, 0.12, 0.17},
          {"forward_drift", 0, -0.05, 0.05},
          {"turn_step", 15, 10, 20},
          {"bot_radius", 0.4, 0.38, 0.42},
          {"cam_pitch", 0, -5, 5},
          {"cam_fov_y", 60, 55, 65},
          {"cam_height", 1.5, 1.45, 1.55},
          {"cam_fwd_disp", 0, -0.05, 0.10},
          {"sky_color.r", 0.25, 0.1, 1.0},
          {"sky_color.g", 0.82, 0.1, 1.0},
          {"sky_color.b", 1, 0.1, 1.0},
          {"light_pos.x", 0, -40, 40},
          {"light_pos.y", 2.5, 2.5, 5},
          {"light_pos.z", 0, -40, 40},
          {"light_color.r", 0.7, 0.45, 0.8},
          {"light_color.g", 0.7, 0.45, 0.8},
          {"light_color.b", 0.7, 0.45, 0.8},
          {"light_ambient.r", 0.45, 0.35, 0.55},
          {"light_ambient.g", 0.45, 0.35, 0.55},
          {"light_ambient.b", 0.45, 0.35, 0.55},
          {"obj_color_bias.r", 0, -0.2, 0.2},
          {"obj_color_bias.g", 0, -0.2, 0.2},
          {"obj_color_bias.b", 0, -0.2, 0.2},
      }} {}

DomainParams DomainParams::fast() {
  DomainParams fast;
  fast.params_[static_cast<size_t>(Domain::kForwardStep)].initial = 0.7;
  fast.params_[static_cast<size_t>(Domain::kTurnStep)].initial = 45;
  for (DomainParam& param : fast.params_) param.low = param.high = param.initial;
  return fast;
}

void DomainParams::declare(std::vector<Option>& options) const {
  for (const DomainParam& param : params_) {
    std::string name = std::string("params.") + param.name;
    options.push_back({name, param.initial, "domain parameter, without domain_rand"});
    options.push_back({name + ".min", param.low, "its least value with domain_rand"});
    options.push_back({name + ".max", param.high, "its largest; that of forward_step counts without domain_rand, too"});
  }
}

void DomainParams::take(const Options& options) {
  for (DomainParam& param : params_) {
    std::string name = std::string("params.") + param.name;
    param.initial = options.at(name);
    param.low = options.at(name + ".min");
    param.high = options.at(name + ".max");
    if (!(param.low <= param.initial && param.initial <= param.high) || !std::isfinite(param.low) || !std::isfinite(param.high))
      throw std::invalid_argument(name + ": expected min <= value <= max, all finite, got " + std::to_string(param.low) +
                                  " <= " + std::to_string(param.initial) + " <= " + std::to_string(param.high) + "; set " + name +
                                  ".min and " + name + ".max, too");
  }
}

}  // namespace vldac::miniworld

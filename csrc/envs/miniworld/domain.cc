#include "envs/miniworld/domain.h"

#include <cmath>

namespace vldac::miniworld {

DomainParams::DomainParams()
    : params_{{
          {"forward_step", 0.15, 0.12, 0.17, "metres that a move goes"},
          {"forward_drift", 0, -0.05, 0.05, "metres to the right in a move"},
          {"turn_step", 15, 10, 20, "degrees of a turn"},
          {"bot_radius", 0.4, 0.38, 0.42, "no effect, as upstream"},
          {"cam_pitch", 0, -5, 5, "degrees that the camera looks up"},
          {"cam_fov_y", 60, 55, 65, "degrees of the vertical field of view"},
          {"cam_height", 1.5, 1.45, 1.55, "metres of the camera above the floor"},
          {"cam_fwd_disp", 0, -0.05, 0.10, "metres of the camera before the agent's middle"},
          {"sky_color.r", 0.25, 0.1, 1.0, "of the sky, 0 to 1"},
          {"sky_color.g", 0.82, 0.1, 1.0, "of the sky, 0 to 1"},
          {"sky_color.b", 1, 0.1, 1.0, "of the sky, 0 to 1"},
          {"light_pos.x", 0, -40, 40, "where the light comes from, metres"},
          {"light_pos.y", 2.5, 2.5, 5, "where the light comes from, metres"},
          {"light_pos.z", 0, -40, 40, "where the light comes from, metres"},
          {"light_color.r", 0.7, 0.45, 0.8, "of the directional light"},
          {"light_color.g", 0.7, 0.45, 0.8, "of the directional light"},
          {"light_color.b", 0.7, 0.45, 0.8, "of the directional light"},
          {"light_ambient.r", 0.45, 0.35, 0.55, "of the light from everywhere"},
          {"light_ambient.g", 0.45, 0.35, 0.55, "of the light from everywhere"},
          {"light_ambient.b", 0.45, 0.35, 0.55, "of the light from everywhere"},
          {"obj_color_bias.r", 0, -0.2, 0.2, "added to the colours of boxes"},
          {"obj_color_bias.g", 0, -0.2, 0.2, "added to the colours of boxes"},
          {"obj_color_bias.b", 0, -0.2, 0.2, "added to the colours of boxes"},
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
    std::string largest = "the largest with domain_rand";
    if (&param == &of(Domain::kForwardStep)) largest += "; always in how near is near and how far away things are held";
    options.push_back({name, param.initial, param.help});
    options.push_back({name + ".min", param.low, "the least with domain_rand"});
    options.push_back({name + ".max", param.high, largest});
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

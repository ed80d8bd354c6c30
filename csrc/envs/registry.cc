// Id to constructor and action names, nothing else.
#include "envs/ez_points.h"
#include "envs/number_line.h"

namespace vldac {

std::vector<std::string> env_ids() { return {"gym_cards/NumberLine-v0", "gym_cards/EZPoints-v0"}; }

std::unique_ptr<Env> make_env(const std::string& id) {
  if (id == "gym_cards/NumberLine-v0") return std::make_unique<NumberLine>();
  if (id == "gym_cards/EZPoints-v0") return std::make_unique<EzPoints>();
  throw std::invalid_argument("unknown native environment " + id);
}

std::vector<std::string> action_names(const std::string& id) {
  if (id == "gym_cards/NumberLine-v0") return {"-", "+"};
  if (id == "gym_cards/EZPoints-v0") return {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "+", "*", "="};
  throw std::invalid_argument("unknown native environment " + id);
}

}  // namespace vldac

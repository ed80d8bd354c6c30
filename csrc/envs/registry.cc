// The native environments, one line each.
#include "core/env.h"
#include "envs/alfworld/alfworld_env.h"
#include "envs/blackjack.h"
#include "envs/doors.h"
#include "envs/ez_points.h"
#include "envs/miniworld/ids.h"
#include "envs/number_line.h"
#include "envs/points24.h"
#include "envs/template.h"
#include "envs/testing.h"
#include "envs/webshop/webshop_env.h"

namespace vldac {
namespace {

template <class T>
EnvEntry entry() {
  return {T::spec(), [](const Options& options) { return std::make_unique<T>(options); }};
}

}  // namespace

const std::vector<EnvEntry>& registry() {
  static const std::vector<EnvEntry> entries = [] {
    std::vector<EnvEntry> all = {
        entry<NumberLine>(),
        entry<EzPoints>(),
        entry<Points24>(),
        entry<Blackjack>(),
        entry<BlackjackSymbolic>(),
        entry<CartPole>(),
        entry<Misbehaving>(),
        entry<NameTheColour>(),
        entry<Doors>(),
    };
    all.push_back(entry<alfworld::AlfworldEnv>());
    all.push_back(entry<webshop::WebshopEnv>());
    for (EnvEntry& world : miniworld::entries()) all.push_back(std::move(world));
    return all;
  }();
  return entries;
}

const EnvEntry& find_env(const std::string& id) {
  for (const auto& entry : registry())
    if (entry.spec.id == id) return entry;
  throw std::invalid_argument("unknown native environment " + id);
}

Options with_defaults(const EnvSpec& spec, const Options& given) {
  Options options;
  for (const auto& option : spec.options) options[option.name] = option.initial;
  for (const auto& [name, value] : given) {
    if (!options.count(name)) throw std::invalid_argument(spec.id + " has no option " + name);
    options[name] = value;
  }
  return options;
}

}  // namespace vldac

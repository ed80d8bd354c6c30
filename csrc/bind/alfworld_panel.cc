// Panels of ALFWorld games.
#include "bind/bind.h"
#include "core/symbols.h"
#include "envs/alfworld/library.h"

namespace vldac::bind {

using namespace alfworld;

void bind_alfworld_panel(py::module_& module) {
  module.def(
      "alfworld_keep_panel",
      [](int64_t number, const std::vector<std::string>& paths, std::vector<std::vector<std::string>> human_goals, size_t max_loaded) {
        if (paths.size() != human_goals.size()) throw std::invalid_argument("alfworld_keep_panel: expected goals for each path");
        std::vector<Entry> entries;
        for (size_t i = 0; i < paths.size(); ++i) entries.push_back({paths[i], std::move(human_goals[i])});
        keep_panel(number, std::move(entries), max_loaded);
      },
      py::arg("number"), py::arg("paths"), py::arg("human_goals"), py::arg("max_loaded"));
  module.def("num_symbols", &num_symbols);
  module.def(
      "alfworld_left_out",
      [](int64_t number) {
        py::list result;
        for (const auto& left : find_panel(number)->left_out()) result.append(py::make_tuple(left.path, left.reason));
        return result;
      },
      py::arg("number"));
}

}  // namespace vldac::bind

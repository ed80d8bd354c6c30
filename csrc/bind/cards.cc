// The card games' formulas: their values and solutions, for tests and for people who study the games.
#include "bind/bind.h"
#include "envs/formula_search.h"
#include "envs/python_value.h"

namespace vldac::bind {
namespace {

std::vector<Item> items_of(const std::vector<std::string>& tokens) {
  constexpr std::string_view kSymbols = "+-*/() ";
  std::vector<Item> items;
  for (const auto& token : tokens) {
    Item item = 0;
    if (token.size() == 1 && kSymbols.find(token[0]) != kSymbols.npos) item = static_cast<Item>(token[0]);
    for (Item number = 1; number <= 13; ++number)
      if (token == std::to_string(number)) item = number;
    if (item == 0) throw std::invalid_argument("formula: expected items \"1\" to \"13\", one of + - * / ( ) or a blank, got \"" + token + "\"");
    items.push_back(item);
  }
  return items;
}

py::int_ python_int(__int128 value) {
  auto magnitude = static_cast<unsigned __int128>(value < 0 ? -value : value);
  py::int_ result = py::int_(static_cast<uint64_t>(magnitude >> 64)).attr("__lshift__")(64).attr("__or__")(static_cast<uint64_t>(magnitude));
  return value < 0 ? py::int_(result.attr("__neg__")()) : result;
}

// The exact value as (numerator, denominator), with compat Python's own int or float; None where there is none.
py::object evaluate_formula(const std::vector<std::string>& tokens, bool compat) {
  std::vector<Item> items = items_of(tokens);
  if (compat) {
    auto value = python_value(items);
    if (!value) return py::none();
    if (const double* real = std::get_if<double>(&*value)) return py::float_(*real);
    return python_int(std::get<__int128>(*value));
  }
  auto value = exact_value(items);
  if (!value) return py::none();
  return py::make_tuple(python_int(value->numerator), python_int(value->denominator));
}

py::object solve_points(const std::vector<int>& numbers, int64_t target, const std::vector<std::string>& prefix) {
  if (numbers.empty() || numbers.size() > FormulaSearch::kMaxCards)
    throw std::invalid_argument("solve_points: expected one to four numbers");
  for (int number : numbers)
    if (number < 1 || number > 13) throw std::invalid_argument("solve_points: expected numbers in 1..13");
  FormulaSearch search(target, "+-*/", true, 20);
  FormulaSearch::Completion completion;
  if (!search.complete(items_of(prefix), numbers, completion)) return py::none();
  py::list result;
  for (size_t i = 0; i < completion.length; ++i) {
    FixedText<4> text;
    Formula<1>::append(text, completion.items[i], " ");
    result.append(py::str(std::string(std::string_view(text))));
  }
  return result;
}

}  // namespace

void bind_cards(py::module_& module) {
  module.def("evaluate_formula", &evaluate_formula, py::arg("tokens"), py::arg("compat"));
  module.def("solve_points", &solve_points, py::arg("numbers"), py::arg("target"), py::arg("prefix"));
}

}  // namespace vldac::bind

"""Formulas of the card games: their exact value, what Python's eval makes of them, and solutions. Oracles: fractions and eval."""

from __future__ import annotations

import ast
import itertools
import math
import operator
import random
import warnings
from collections.abc import Iterator
from fractions import Fraction

import pytest

from vldac import _core

SYMBOLS = ["+", "-", "*", "/", "(", ")"]


def is_a_tower(text: str) -> bool:
    """Whether a power in this text is too large to compute: the deliberate bound."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return False

    def size(node: ast.AST) -> float:
        """Upper bound of the natural logarithm of the largest magnitude in the subtree, at least 1."""
        match node:
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return max(1.0, size(left)) * math.exp(min(size(right), 700.0)) + 1
            case ast.BinOp(left=left, right=right):
                return size(left) + size(right) + 1
            case ast.UnaryOp(operand=operand):
                return size(operand)
            case ast.Constant(value=value):
                return max(1.0, math.log(max(value, 1)))
            case _:
                return 1.0

    return any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow) and size(n) > 1e7 for n in ast.walk(tree))


def by_python(items: list[str]) -> object:
    """What upstream computes: eval of the joined items, or None for an exception. Items come from the fixed alphabet only."""
    assert all(item in (" ", *SYMBOLS) or 1 <= int(item) <= 13 for item in items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval("".join(items), {"__builtins__": {}})  # noqa: S307
        except Exception:  # noqa: BLE001
            return None


def formulas(rng: random.Random, count: int) -> Iterator[list[str]]:
    """Formulas of at most four numbers and 21 items: noise, well-formed ones, and well-formed ones with a few items changed."""
    for _ in range(count):
        style = rng.random()
        numbers = [str(rng.choice([1, 2, 3, 4, 10, 13, rng.randint(1, 13)])) for _ in range(rng.randint(1, 4))]
        if style < 0.2:
            items = numbers + rng.choices([*SYMBOLS, " "], k=rng.randint(0, 17))
            rng.shuffle(items)
        else:
            items = well_formed(rng, numbers)
            for _ in range(rng.choice([0, 0, 0, 1, 2])):
                at = rng.randrange(len(items) + 1)
                items[at : at + rng.randint(0, 1)] = rng.choices([*SYMBOLS, " ", "*", "/", "-"], k=rng.randint(0, 2))
        if len(items) <= 21 and sum(item.isdigit() for item in items) <= 4:
            yield items


def well_formed(rng: random.Random, numbers: list[str]) -> list[str]:
    """An expression of these numbers with every operator that can arise, signs, brackets and concatenated digits."""
    if len(numbers) == 1 or rng.random() < 0.06:
        items = list(numbers)
    else:
        cut = rng.randint(1, len(numbers) - 1)
        middle = rng.choice([["+"], ["-"], ["*"], ["/"], ["*", "*"], ["/", "/"]])
        items = [*well_formed(rng, numbers[:cut]), *middle, *well_formed(rng, numbers[cut:])]
    if rng.random() < 0.3:
        items = ["(", *items, ")"]
    while rng.random() < 0.15:
        items = [rng.choice("+-"), *items]
    return items


def same(ours: object, theirs: object) -> bool:
    if ours is None:
        # Python has no value either, a complex number or tuple, or what came of an integer beyond the bounds.
        return not isinstance(theirs, int | float) or abs(theirs) > 1e24 or abs(theirs) < 1e-24
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.copysign(1, ours) == math.copysign(1, theirs) and ours == theirs
    return type(ours) is type(theirs) and ours == theirs


def test_compat_equals_pythons_eval_on_random_formulas() -> None:
    """At least 100,000 compared, at least a third of them with a value, some with powers, floors, huge numbers."""
    compared = valued = floats = powers = without = 0
    for items in formulas(random.Random(24), 102_000):
        text = "".join(items)
        if is_a_tower(text):
            continue
        ours, theirs = _core.evaluate_formula(items, True), by_python(items)
        assert same(ours, theirs), (text, ours, theirs)
        compared += 1
        valued += ours is not None
        floats += isinstance(ours, float)
        powers += ours is not None and "**" in text
        without += theirs is None
        if ours is None and isinstance(theirs, int | float):
            assert "**" in text
    assert compared >= 100_000 and valued > compared / 3
    assert floats > 10_000 and powers > 5_000 and without > 10_000


@pytest.mark.parametrize(
    "text",
    [
        "8/(3-8/3)", "2 ** 3", "2**3**2", "-2**2", "2**-1", "(-8)**(1/3)", "2**- 1", "1//3", "-7//2", "()", "2(3)",
        "(2)(3)", "(2)3", "2 3", "23", "10 1", "101", "+ +2", "-+-2", "--2", "2---2", "2***3", "2///3", "2* *3",
        "2/ /3", "((2))", "(2", "2)", "", " ", "  2 ", "1/(1-1)", "10**10/10**10", "13**13*13*13", "1313**13",
        "13**1313", "13**13//13**13", "13**13-13**13", "(13**13)/(13**13)", "10**-310", "9**13**2//10", "(1-2)**13",
        "2**(1/2)", "(1-1)**(1-1)", "(1-1)**-1", "-(1/2)//3", "(1/2)**-13", "1**10**13", "(-1)**1313", "(2*(3",
        "3//(1/3)", "-3//(1/3)", "13**13/7", "1310**11/3", "-13**-2", "2**2**2**2", "(1/3)*3*8", "()*2", "2*()",
        "()()", "(())", "10101010",
    ],
)  # fmt: skip
def test_compat_equals_pythons_eval_on_nasty_formulas(text: str) -> None:
    items: list[str] = []
    for character in text:
        if character == "0":
            assert items[-1] == "1"  # the only item with a nought is "10"
            items[-1] = "10"
        else:
            items.append(character)
    assert same(_core.evaluate_formula(items, True), by_python(items)), text


def test_no_complex_number_equals_24() -> None:
    """A negative number to a broken power is complex in Python and has no value here. It takes three numbers, so that one is left
    for what could make it real again: a power (a sum, product or quotient keeps the imaginary part). None gives 24."""
    found = 0
    for base, a, b, d in itertools.product(range(1, 14), repeat=4):
        for exponent in (a / b, -a / b, float(a) ** -b, -(float(a) ** -b)):
            if exponent == int(exponent):
                continue
            value = complex(-base) ** exponent
            for power in (d, -d):
                found += 1
                assert abs(value**power) == 0 or value**power not in (24, -24)
    assert found > 100_000


def by_fractions(items: list[str]) -> Fraction | None:
    """The value by Python's own parser over exact fractions; None where a rule of the game is broken."""
    kept = [item for item in items if item != " "]
    if any(a.isdigit() and b.isdigit() for a, b in itertools.pairwise(kept)):
        return None
    try:
        tree = ast.parse(" ".join(kept), mode="eval").body
    except SyntaxError:
        return None
    operators = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

    def value(node: ast.expr) -> Fraction:
        match node:
            case ast.Constant(value=int(number)):
                return Fraction(number)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in operators:
                result: Fraction = operators[type(op)](value(left), value(right))
                return result
            case _:
                raise ZeroDivisionError("a call, a sign, a power or a tuple")

    try:
        return value(tree)
    except ZeroDivisionError:
        return None


def test_the_exact_value_equals_fractions_on_random_formulas() -> None:
    compared = valued = 0
    for items in formulas(random.Random(12), 30_000):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = by_fractions(items)
        ours = _core.evaluate_formula(items, False)
        assert ours == (None if theirs is None else (theirs.numerator, theirs.denominator)), "".join(items)
        compared += 1
        valued += theirs is not None
    assert compared > 25_000 and valued > 5_000


def test_the_exact_value_has_no_quirks() -> None:
    def exact(text: str) -> object:
        return _core.evaluate_formula(text.split(), False)

    assert exact("8 / ( 3 - 8 / 3 )") == (24, 1)
    assert _core.evaluate_formula(list("8/(3-8/3)"), True) == 23.99999999999999
    for text in ("2 4", "2 * * 3", "7 / / 2", "- 2 + 3", "2 ( 3 )", "( )", "", "2 +", "( 2", "2 / ( 1 - 1 )"):
        assert exact(text) is None, text
    assert _core.evaluate_formula(["2", " ", "+", " ", " ", "3"], False) == (5, 1)


def test_items_outside_the_alphabet_are_refused() -> None:
    for token in ("14", "0", "01", "**", "x", "", "=", "1.5", "__import__('os')"):
        with pytest.raises(ValueError, match="formula: expected items"):
            _core.evaluate_formula([token], True)
    assert (
        _core.evaluate_formula(["("] * 10_000, True) is None and _core.evaluate_formula(["("] * 10_000, False) is None
    )


def reachable(values: tuple[Fraction, ...]) -> bool:
    """Whether 24 can be made, by trying every pair and operator in exact fractions."""
    if len(values) == 1:
        return values[0] == 24
    for i, j in itertools.combinations(range(len(values)), 2):
        rest = tuple(v for k, v in enumerate(values) if k not in (i, j))
        a, b = values[i], values[j]
        results = {a + b, a - b, b - a, a * b} | ({a / b} if b else set()) | ({b / a} if a else set())
        if any(reachable((*rest, value)) for value in results):
            return True
    return False


@pytest.mark.parametrize(("largest", "multisets", "solvable"), [(10, 715, 566), (13, 1820, 1362)])
def test_the_solver_solves_exactly_the_solvable_deals(largest: int, multisets: int, solvable: int) -> None:
    """Against exact fractions for every tenth deal, against the known counts for all; every solution is right."""
    count = 0
    deals = list(itertools.combinations_with_replacement(range(1, largest + 1), 4))
    for index, deal in enumerate(deals):
        solution = _core.solve_points(deal, 24, [])
        count += solution is not None
        if solution is not None:
            assert sorted(int(item) for item in solution if item.isdigit()) == list(deal)
            assert _core.evaluate_formula(solution, False) == (24, 1)
        if index % 10 == 0:
            assert (solution is not None) == reachable(tuple(map(Fraction, deal)))
    assert (len(deals), count) == (multisets, solvable)


def test_the_share_of_solvable_deals_is_73_percent() -> None:
    weights = [4 if value == 10 else 1 for value in range(1, 11)]
    total = 0
    for deal in itertools.combinations_with_replacement(range(1, 11), 4):
        if _core.solve_points(deal, 24, []) is not None:
            orders = math.factorial(4) // math.prod(math.factorial(deal.count(v)) for v in set(deal))
            total += orders * math.prod(weights[v - 1] for v in deal)
    assert round(total / 13**4, 4) == 0.7309


def completable(deal: list[int], prefix: list[str]) -> bool:
    """Whether any formula that begins like this is 24: by trying every item, one after the other (two cards left at most)."""
    left = list(deal)
    for item in prefix:
        if item.isdigit():
            left.remove(int(item))
    stack = [(prefix, left)]
    while stack:
        items, left = stack.pop()
        if not left and _core.evaluate_formula(items, False) == (24, 1):
            return True
        if len(items) >= len(prefix) + 2 * len(prefix) + 5 or len(items) >= 20:
            continue
        last = items[-1]
        opened = items.count("(") - items.count(")")
        if last.isdigit() or last == ")":
            stack += [([*items, op], left) for op in "+-*/" if left]
            stack += [([*items, ")"], left)] if opened else []
        else:
            stack += [([*items, str(v)], [w for k, w in enumerate(left) if k != i]) for i, v in enumerate(left)]
            stack += [([*items, "("], left)] if len(left) == 2 and opened < 3 else []
    return False


def test_a_prefix_can_be_completed_exactly_where_trying_everything_completes_it() -> None:
    rng, outcomes = random.Random(3), []
    while len(outcomes) < 400:
        deal = [rng.randint(1, 10) for _ in range(4)]
        cards = rng.sample(deal, 2)
        opened = rng.choice([[], ["("], ["(", "("]])
        prefix = [*opened, str(cards[0]), rng.choice("+-*/"), str(cards[1])] + [")"] * rng.randint(0, len(opened))
        rest = _core.solve_points(deal, 24, prefix)
        if rest is not None:
            assert _core.evaluate_formula(prefix + rest, False) == (24, 1)
        assert (rest is not None) == completable(deal, prefix), (deal, prefix)
        outcomes.append(rest is not None)
    assert 40 < sum(outcomes) < 360


def test_a_prefix_that_leaves_too_few_items_cannot_be_completed() -> None:
    prefix = ["("] * 8 + ["4", "*", "6"]
    assert _core.solve_points([4, 6], 24, [*prefix, " "]) == [")"] * 8
    assert _core.solve_points([4, 6], 24, [*prefix, " ", " "]) is None
    assert _core.solve_points([1, 1, 4, 6], 24, ["4", "*", "*"]) is None

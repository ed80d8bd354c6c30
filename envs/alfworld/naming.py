"""How ids are written: AI2-THOR's coordinates, PDDL's names."""

from __future__ import annotations

from vldac.envs.alfworld.tables import Pose

# In upstream's order; `#` stands for the typing dash, which must survive the escaping of minus signs.
_ESCAPES = (("-", "_minus_"), ("#", "-"), ("|", "_bar_"), ("+", "_plus_"), (".", "_dot_"), (",", "_comma_"))


def coordinate(metres: float) -> str:
    """Write a coordinate as AI2-THOR's ids do: sign, two digits, point, two digits; zero has no sign."""
    return f"{metres:+06.2f}" if f"{abs(metres):.2f}" != "0.00" else "00.00"


def location_id(pose: Pose) -> str:
    """Return the id of a pose: "loc|-4|2|1|30"."""
    return "loc|" + "|".join(map(str, pose))


def escape(text: str) -> str:
    """Replace what PDDL cannot have in a name: "Mug|+00.10|+00.95|-01.00" is Mug_bar__plus_00_dot_10_bar_..."""
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text

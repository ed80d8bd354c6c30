"""The stub of the extension names exactly what the extension has, with the same arguments."""

import ast
import re
from pathlib import Path

import vldac
from vldac import _core

SPECIAL = ("__init__", "__len__", "__dlpack__", "__dlpack_device__")


def stubbed() -> dict[str, list[str] | None]:
    """Dotted name to argument names (None: a property) as the stub says."""
    tree = ast.parse((Path(vldac.__file__).parent / "_core.pyi").read_text(encoding="utf-8"))
    found: dict[str, list[str] | None] = {}

    def visit(node: ast.FunctionDef, prefix: str) -> None:
        is_property = any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list)
        names = [argument.arg for argument in node.args.args + node.args.kwonlyargs if argument.arg != "self"]
        found[prefix + node.name] = None if is_property else names

    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    visit(item, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            visit(node, "")
    return found


def arguments(function: object) -> list[str]:
    signature = (function.__doc__ or "").split("->")[0]
    return [name for name in re.findall(r"(\w+): ", signature) if name != "self"]


def actual() -> dict[str, list[str] | None]:
    found: dict[str, list[str] | None] = {}
    for name, value in vars(_core).items():
        if isinstance(value, type):
            for item, member in vars(value).items():
                if isinstance(member, property):
                    found[f"{name}.{item}"] = None
                elif item == "__init__" and str(member.__doc__).startswith("Initialize self"):
                    continue  # made by the extension alone
                elif callable(member) and (item in SPECIAL or not item.startswith("_")):
                    found[f"{name}.{item}"] = arguments(member.__func__ if isinstance(member, staticmethod) else member)
        elif callable(value):
            found[name] = arguments(value)
    return found


def test_the_stub_equals_the_extension() -> None:
    assert stubbed() == actual()

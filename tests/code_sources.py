"""Where the code of an error is written in the source, found by reading it and not by running it.

A code is a literal: behind `code=`, in the place of a parameter called `code` of a function or
class of ours, as that parameter's default, or as a `default_code`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = re.compile(r"[a-z]+(\.[a-z]+[a-z0-9]*(-[a-z]+)*)?")


@dataclass(frozen=True)
class Written:
    """A code in the source; `type` is the exception it is given to, where the place shows it."""

    code: str
    where: str
    type: str | None = None


@dataclass(frozen=True)
class _Taker:
    """A function or class with a parameter called `code`: its place, and what it makes."""

    place: int
    makes: str | None


def written(source: Path) -> list[Written]:
    """Every code in the files below `source`."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in source.rglob("*.py")}
    known: dict[str, _Taker] = {}
    for tree in trees.values():
        known |= {name: t for name, t in _takers(tree).items() if not name.startswith("_")}
    found = []
    for path, tree in sorted(trees.items()):
        takers, named = known | _takers(tree), _named(tree)
        where = path.relative_to(source).as_posix()
        found += [
            Written(code, f"{where}:{line}", makes)
            for expression, line, makes in _places(tree, takers)
            for code in _literals(expression, named)
        ]
    return found


def _takers(tree: ast.Module) -> dict[str, _Taker]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            names = [a.arg for a in node.args.args if a.arg not in ("self", "cls")]
            if "code" in names:
                found[node.name] = _Taker(names.index("code"), _error_name(node.returns))
        if isinstance(node, ast.ClassDef):
            fields = [
                part.target.id
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            ]
            if "code" in fields:
                found[node.name] = _Taker(fields.index("code"), None)
    return found


def _error_name(node: ast.expr | None) -> str | None:
    name = node.id if isinstance(node, ast.Name) else None
    if name == "PydanticCustomError":  # how a validator says it; `plan_error` makes a PlanError
        return "PlanError"
    return name if name is not None and name.endswith("Error") else None


def _places(
    tree: ast.Module, takers: dict[str, _Taker]
) -> Iterator[tuple[ast.expr, int, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                target = part.target if isinstance(part, ast.AnnAssign) else None
                named = part.targets[0] if isinstance(part, ast.Assign) else target
                if isinstance(named, ast.Name) and named.id == "default_code":
                    value = part.value  # type: ignore[union-attr]
                    if value is not None:
                        yield value, part.lineno, node.name
        if isinstance(node, ast.FunctionDef):
            names = [a.arg for a in node.args.args]
            defaults = dict(zip(reversed(names), reversed(node.args.defaults), strict=False))
            keywords = dict(
                zip((a.arg for a in node.args.kwonlyargs), node.args.kw_defaults, strict=True)
            )
            default = defaults.get("code") or keywords.get("code")
            if default is not None:
                yield default, node.lineno, _error_name(node.returns)
        if isinstance(node, ast.Call):
            yield from _of_call(node, takers)


def _of_call(
    node: ast.Call, takers: dict[str, _Taker]
) -> Iterator[tuple[ast.expr, int, str | None]]:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    taker = takers.get(name)
    makes = name if name.endswith("Error") else taker.makes if taker else None
    makes = "PlanError" if name == "PydanticCustomError" else makes
    if name == "StrictObject":
        makes = _error_name(given.get("error")) if "error" in given else "WireError"
    if "code" in given:
        yield given["code"], node.lineno, makes
    elif taker is not None and len(node.args) > taker.place:
        yield node.args[taker.place], node.lineno, makes


def _named(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What the names of a file are set to, anywhere in it."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            if isinstance(node.value, ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=False))
        elif isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        for target, value in pairs:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    return found


def _literals(expression: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    """What an expression may be: itself, what a name was set to, a branch, an entry of a table."""
    parts: list[ast.expr] = []
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        yield expression.value
    elif isinstance(expression, ast.Name):
        parts = named.get(expression.id, [])
        named = {name: found for name, found in named.items() if name != expression.id}
    elif isinstance(expression, ast.IfExp):
        parts = [expression.body, expression.orelse]
    elif isinstance(expression, ast.Dict):
        parts = expression.values
    elif isinstance(expression, ast.Call) and isinstance(expression.func, ast.Attribute):
        parts = (
            [expression.func.value, *expression.args[1:]] if expression.func.attr == "get" else []
        )
    for part in parts:
        yield from _literals(part, named)

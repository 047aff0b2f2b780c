"""Modules that import each other in a loop, also within one package: which may, and why."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import grievance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.lint

SOURCE = Path(grievance.__file__).parent
Graph = dict[str, set[str]]

AT_RUN_TIME = {
    ("cli.app", "cli.demo", "cli.stage"): "the demo is a command, and types commands",
    ("plan.load", "plan.model"): "`Plan.from_toml` and its like read what `load` makes a plan of",
    ("pool.bundle", "pool.remote", "pool.store"): "`open_store` opens every kind of store, all of "
    "which build on the folder's; a client that is not installed is not loaded",
}
"""Circles that also exist without imports for types. All are closed by an import in a function."""

FOR_TYPES = {
    ("audit.heads", "audit.ledgers", "audit.witnesses"): "a ledger is checked with its heads, and "
    "a head is one of a ledger",
    (
        "audit.opening",
        "audit.trust",
        "audit.trustees",
    ): "a round is opened if somebody vouches, and who vouches is asked of an opened round",
    ("audit.decisions", "audit.needs", "audit.plausible", "audit.releases"): "what must have come "
    "before is asked of the decisions and releases that are being checked",
    ("cost", "errors"): "an error says what a release would cost; two kinds of cost raise one",
    ("plan.encode", "plan.layout", "plan.tables"): "a layout encodes answers and reads totals",
    ("plan.implied", "plan.parts"): "a part says which larger one it is read off",
    ("release.base", "release.frames", "release.plots"): "a table has methods that give frames",
    ("task.task", "task.verify_key"): "a task commits to a verify key that is sealed for a task",
}
"""Circles that imports for types close."""

AROUND = {
    "plan.model": "whoever checks or lays out a plan speaks of `Plan`, and a `Plan` exists only "
    "checked",
    "release.release": "a release writes its own page, and the page is about a release",
}
"""Modules around which imports for types close a circle of a package: every part names the type
of the whole. Without that module there is none."""


def modules() -> dict[str, Path]:
    """Every module of the library by its name below `grievance`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """What a file imports from the library, and whether for types alone; also inside functions."""
    for_types = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.startswith("grievance."):
                yield name.removeprefix("grievance."), id(node) in for_types


def graph(sources: Mapping[str, str], *, types: bool) -> Graph:
    """Who imports whom. Of a package and a module in it, the module is meant."""
    found: Graph = {}
    for name, text in sources.items():
        every = {n for n, for_types in imported(ast.parse(text)) if types or not for_types}
        known = every & set(sources)
        inner = {n.rpartition(".")[0] for n in known}
        found[name] = {n for n in known if n != name and n not in inner}
    return found


def circles(of: Graph) -> set[tuple[str, ...]]:
    """The sets of modules that reach each other, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = set()

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in of.get(name, ()):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.add(tuple(sorted(group)))

    for name in of:
        if name not in number:
            visit(name)
    return found


def texts() -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in modules().items() if name}


def test_no_circle_at_run_time_is_new() -> None:
    assert circles(graph(texts(), types=False)) == set(AT_RUN_TIME)


def test_no_circle_of_types_is_new() -> None:
    whole = graph(texts(), types=True)
    for middle in AROUND:
        assert any(middle in circle for circle in circles(whole)), f"{middle} closes none any more"
    without = {name: others - set(AROUND) for name, others in whole.items() if name not in AROUND}
    left = set(AT_RUN_TIME) | set(FOR_TYPES)
    allowed = {circle for circle in left if not set(circle) & set(AROUND)}
    assert circles(without) == allowed


def test_circles_are_found() -> None:
    """The control: circles of each kind, and a chain that is none."""
    chain = {"a": "from grievance.b import x", "b": "import grievance.c", "c": ""}
    assert circles(graph(chain, types=True)) == set()
    closed = chain | {"c": "def f():\n    from grievance import b\n    from grievance.a import y"}
    assert circles(graph(closed, types=False)) == {("a", "b", "c")}
    typed = chain | {"c": "if TYPE_CHECKING:\n    from grievance.a import y"}
    assert circles(graph(typed, types=False)) == set()
    assert circles(graph(typed, types=True)) == {("a", "b", "c")}

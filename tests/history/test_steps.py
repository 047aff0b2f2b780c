"""The table of steps: every kind of file and event has its step, and the package knows no disk."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from grievance import history
from grievance.history import STEPS, needs
from grievance.ledger import entry
from grievance.pool import events as order_events
from grievance.pool import layout
from grievance.pool.layout import BackupPaths, RoundPaths

PACKAGE = Path(inspect.getfile(history)).parent
SAMPLES = {
    "name": "north", "aggregator": "north", "witness": "south", "partner": "nurses",
    "trustee": "anna", "size": 3, "seq": 5, "number": 2, "request": "ab" * 8,
    "set_id": "cd" * 8, "release_id": "ef" * 8, "request_id": "0123-4567-89AB-CDEF-GHJK",
    "digest": bytes(32), "path": "rounds/pressure-01234567/task.json",
}  # fmt: skip


def pattern(kind: str) -> re.Pattern[str]:
    """A kind of file as `pool.layout` writes it, as an expression."""
    return re.compile(re.sub(r"<\w+>", r"[^/.]+", re.escape(kind).replace(r"\<", "<")))


def paths() -> dict[str, str]:
    """What every function of `pool.layout` that names a file names, by the function."""
    found = {}
    places = [(layout, ""), (RoundPaths("pressure-01234567"), ""), (BackupPaths("north"), "")]
    for owner, _ in places:
        for name in dir(owner):
            if name.startswith("_") or name in ("round_id", "owner"):
                continue
            value = getattr(owner, name)
            if isinstance(value, str):
                found[name] = value
            elif inspect.isfunction(value) or inspect.ismethod(value):
                if getattr(value, "__module__", "") != layout.__name__:
                    continue
                wanted = inspect.signature(value).parameters
                if set(wanted) <= set(SAMPLES) and not name.startswith(("is_", "parse_")):
                    answer = value(**{key: SAMPLES[key] for key in wanted})
                    if isinstance(answer, str):
                        found[name] = answer
    return found


FOLDERS = {
    "folder", "cards", "batches", "releases", "requests", "set_folder", "ledger_folder",
    "heads_folder",
}  # fmt: skip


def leaves() -> set[str]:
    return {kind for step in STEPS for kind in step.leaves}


def unlisted(kinds: set[str], named: dict[str, str]) -> set[str]:
    """Functions that name a file which none of these kinds is; events have kinds of their own."""
    known = [pattern(kind) for kind in (*kinds, "rounds/<id>/order/<seq>.json")]
    return {
        name
        for name, path in named.items()
        if name not in FOLDERS and not any(one.fullmatch(path) for one in known)
    }


def test_every_kind_of_file_is_left_by_a_step() -> None:
    named = paths()
    assert len(named) > 25, sorted(named)
    assert unlisted(leaves(), named) == set()


@pytest.mark.parametrize("kind", sorted(leaves()))
def test_without_its_step_a_kind_is_missed(kind: str) -> None:
    """The control: every kind is the only one that some file, or event, is of."""
    rest = leaves() - {kind}
    if ": " in kind:
        assert events() - rest == {kind}
    else:
        assert unlisted(rest, paths())


def events() -> set[str]:
    """Every event of the order and of ledgers there is."""
    classes = [member.__name__ for member in get_args(entry.Event)]
    ledger = {f"ledger: {name.removesuffix('Event').lower()}" for name in classes}
    return ledger | {f"order: {event.kind}" for event in get_args(order_events.Event)}


def test_every_event_is_left_by_a_step() -> None:
    assert events() <= leaves()


def test_no_step_leaves_what_there_is_not() -> None:
    """Each kind of file that a step leaves is one that `pool.layout` can name."""
    named = paths().values()
    for kind in leaves() - events():
        assert any(pattern(kind).fullmatch(path) for path in named), kind


@pytest.mark.lint
def test_a_need_is_a_question_of_a_few_lines() -> None:
    functions = {name: value for name, value in vars(needs).items() if inspect.isfunction(value)}
    used = {need.__name__ for step in STEPS for need in (*step.needs, *step.awaited)}
    assert used == set(functions), used ^ set(functions)
    for value in functions.values():
        assert len(inspect.getsource(value).splitlines()) <= 10, value.__name__
    assert sum(len(step.needs) for step in STEPS) >= 40


@pytest.mark.lint
def test_the_package_knows_no_disk_key_or_clock() -> None:
    allowed = {"__future__", "collections", "dataclasses", "functools", "typing", "grievance"}
    reading = {"find"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                assert module.split(".")[0] in allowed, (path, module)
                names = {alias.name for alias in node.names}
                if module == "grievance.pool.store":
                    assert names <= reading | {"Store"}, (path, names)
                assert not names & {"SigningKey", "failpoint", "open_store"}, (path, names)
        text = path.read_text("utf-8")
        assert not re.search(r"\.(put|delete|sign)\(|\bopen\(", text), path


def test_it_loads_neither_numpy_nor_arrow() -> None:
    code = (
        "import sys, grievance.history; "
        "print(sorted({'numpy', 'opendp', 'pyarrow', 'numba'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


PAGE = PACKAGE.parents[2] / "docs" / "formats" / "order.md"
BEGIN, END = "<!-- steps -->\n", "<!-- end of steps -->"


def page_of_steps() -> str:
    """The table of steps as the page of the order has it."""
    lines = ["| step | who | once for each | needs | leaves |", "|---|---|---|---|---|"]
    for step in STEPS:
        asked = "; ".join(_first_words(need) for need in step.needs) or "-"
        left = ", ".join(f"`{kind}`" for kind in step.leaves) or "-"
        lines.append(f"| {step.name} | {step.who} | {step.per} | {asked} | {left} |")
    return "\n".join(lines) + "\n"


def _first_words(need: object) -> str:
    """What a need asks: its docstring's sentence."""
    text = " ".join((inspect.getdoc(need) or "").split())
    return text[0].lower() + text[1:].removesuffix(".")


@pytest.mark.lint
def test_the_page_of_the_order_is_made_from_the_table() -> None:
    """To write it anew: `PYTHONPATH=tests python tests/history/test_steps.py`."""
    text = PAGE.read_text("utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == page_of_steps()


if __name__ == "__main__":
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + page_of_steps() + END + rest.split(END)[1], "utf-8")

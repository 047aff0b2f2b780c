"""One history: outside `history/`, the audit and `recover`, nobody else puts two kinds together.

A function that asks whether two kinds of files of a round are there, and does one thing or another
by that, states a piece of the order by itself, and pieces that differ are how readers come to
disagree. The few that are left are listed, each with its reason.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import grievance

pytestmark = pytest.mark.lint

SOURCE = Path(grievance.__file__).parent
APART = ("history", "audit", "vdaf", "kernels")
"""The package itself; the audit, which states the order a second time; names that mean other
things."""

ASKS = {
    "find_batch": "batch", "find_file": "batch", "find_batch_file": "batch",
    "read_findings": "verify", "read_signed_header": "verify", "verify": "verify",
    "read_decision": "decide", "find_decision": "decide", "decide": "decide",
    "is_decided": "decide",
    "missing": "answers", "declined_by": "answers", "approval": "answers",
    "release": "entry", "released": "entry", "own_ledger": "entry",
    "read_checkpoint": "head", "missing_cosignatures": "head", "has_cosigned": "head",
    "witnessed_by": "witness", "waived_by_all": "witness", "read_waivers": "witness",
    "noisy": "share", "destroyed": "destroyed", "closed": "close",
    "read_task_and_signatures": "signatures", "read_cards": "cards",
}  # fmt: skip
"""What tells whether a file of a kind is there, by name."""

STILL = {
    "aggregator/collected.py:never_released": "says why a round is over, which is no step",
    "aggregator/destroy.py:pending": "what would be lost here and now, in words with numbers",
    "aggregator/releases.py:accepted_set": "adds decisions up, and refuses where two differ",
    "aggregator/releases.py:draft": "a person's act: which statistics are still to be had",
    "aggregator/releases.py:answer": "a person's act: holds a proposal against our own books",
    "aggregator/remembered.py:opening_of": "reads what the history of an opening is made of",
    "aggregator/run.py:_open_round": "not swapped: signs what was agreed",
    "aggregator/run.py:_new_batches": "not swapped: looks for batches that have no place",
    "aggregator/shares.py:missing_share": "compares our own state with our own state",
    "aggregator/witness.py:check_round_not_behind": "refuses an old memory; nothing is taken",
    "backup/restore.py:_destroyed": "which keys a backup must not bring back",
    "ledger/log.py:append": "what one ledger may hold, entry by entry",
    "relay/standing.py:standing": "counts a relay's own batches",
}
"""Functions that put two kinds together all the same."""


def kinds(function: ast.AST) -> set[str]:
    """The kinds whose presence a function asks about, but for what it asks a history."""
    found = set()
    for node in ast.walk(function):
        name = node.func if isinstance(node, ast.Call) else node
        if isinstance(name, ast.Name) and isinstance(node, ast.Call):
            found.add(ASKS.get(name.id))
        elif isinstance(name, ast.Attribute) and (
            isinstance(node, ast.Call) or name.attr in ("closed", "declined_by")
        ):
            asked = name.value
            if "history" not in (getattr(asked, "id", ""), getattr(asked, "attr", "")):
                found.add(ASKS.get(name.attr))
    return {kind for kind in found if kind}


def interpreters(source: Path) -> set[str]:
    found = set()
    for path in sorted(source.rglob("*.py")):
        place = path.relative_to(source)
        if place.parts[0] in APART or place.name == "recover.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and len(kinds(node)) > 1:
                found.add(f"{place.as_posix()}:{node.name}")
    return found


def test_nobody_else_puts_two_kinds_together() -> None:
    assert interpreters(SOURCE) == set(STILL)
    assert all(STILL.values())


def test_one_more_would_be_seen(tmp_path: Path) -> None:
    """The control: what status did before it asked the history."""
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "collect.py").write_text(
        "def shown(store, task, view):\n"
        "    if view.missing(task) or missing_cosignatures(store, task):\n"
        "        return None\n"
        "    return store.size(paths.noisy(view))\n"
        "def asked(history, view):\n"
        "    return history.chain.closed and history.destroyed('north')\n",
        encoding="utf-8",
    )
    assert interpreters(tmp_path) == {"release/collect.py:shown"}

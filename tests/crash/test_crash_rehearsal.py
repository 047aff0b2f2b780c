"""A power cut while a rehearsal is destroyed: no key of either side survives the next command.

Its two homes lie on one machine, so one command deletes the keys of both. A cut anywhere in it,
and then the same command again, or nothing but a sync, must come to the same end.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from crash_town import Command, Runner, Town, copy, scratch

from grievance.audit import audit_pool
from grievance.ledger import read_ledger
from grievance.pool.rounds import read_task
from grievance.pool.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOMES = ("me", "me/rehearsal-helper")
DESTROY: Command = ("me", ("round", "destroy", "--yes"))
SYNC: Command = ("me", ("sync",))
REHEARSAL: tuple[Command, ...] = (
    ("me", ("init", "me", "--pool", "pool")),
    ("me", ("round", "new", "plan.toml", "--rehearsal", "--yes")),
    ("me", ("round", "invite", "round.json")),
    (
        "me",
        (
            *("seal", "round.json", "--trust", "{digest}"),
            *("--table", "rows.csv", "--out", "sealed"),
        ),
    ),
    ("me", ("relay", "sealed", "--trust", "{digest}")),
    SYNC,
    ("me", ("round", "close", "--yes")),
    ("me", ("release", "propose", "--yes")),
    SYNC,
)
# The mark and the keys of our side, then of the helper's, and between the two.
QUICK = [
    ("destroy.marked", 1),
    ("destroy.unlinked", 2),
    ("destroy.keyless", 1),
    ("destroy.marked", 2),
    ("destroy.overwritten", 5),
    ("destroy.keyless", 2),
]


class Rehearsal:
    """A released rehearsal, kept before it is destroyed, and what destroying it meets."""

    def __init__(self, town: Town) -> None:
        self.town = town
        town.lay_out()
        for command in REHEARSAL:
            town.done(command)
        copy(town.folder, town.base / "released")
        assert len(self.keys()) == 6
        self.points = town.run(DESTROY, record=True).points()

    def keys(self) -> list[Path]:
        return sorted((self.town.folder / "me").rglob("rounds/*/*.key"))

    def cut(self, label: str, number: int, then: Command) -> None:
        town = self.town
        shutil.rmtree(town.folder)
        copy(town.base / "released", town.folder)
        assert town.run(DESTROY, failpoint=f"{label}:{number}:kill").killed, (label, number)
        marked = self.marked()
        town.done(then, SYNC)
        if then == SYNC and not marked[0]:
            # The cut came before anything was given up: the round goes on.
            assert len(self.keys()) == 6
            town.done(DESTROY, SYNC)
        assert self.keys() == []
        assert self.marked() == [1, 1]
        assert "Nothing to do now" in town.done(SYNC).err
        self.check_pool()

    def marked(self) -> list[int]:
        """In how many rounds each home has given its keys up."""
        found = []
        for home in HOMES:
            path = self.town.folder / home / "state.sqlite"
            with contextlib.closing(sqlite3.connect(path)) as state:
                found += state.execute("SELECT COUNT(*) FROM destroyed").fetchone()
        return found

    def check_pool(self) -> None:
        """Both ledgers say it once, and the audit finds no fault."""
        store = open_store(self.town.pool)
        task = read_task(store, store.names("rounds")[0])
        assert task is not None
        for party in task.aggregators:
            log = read_ledger(store, party.name, party.identity)
            assert [type(e.event).__name__ for e in log.entries] == [
                "ReleaseEvent",
                "DestroyedEvent",
            ]
        report = audit_pool(self.town.pool, trust=[task.short_digest])
        assert not report.faults, [str(finding) for finding in report.faults]


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with scratch() as base:
        runner = Runner()
        try:
            yield Rehearsal(Town(base, runner))
        finally:
            runner.close()


@pytest.mark.parametrize(("label", "number"), QUICK)
def test_a_cut_where_a_key_could_stay(rehearsal: Rehearsal, label: str, number: int) -> None:
    assert (label, number) in rehearsal.points
    rehearsal.cut(label, number, SYNC)


@pytest.mark.slow
@pytest.mark.parametrize("then", [DESTROY, SYNC], ids=["again", "sync"])
def test_a_cut_at_every_step(rehearsal: Rehearsal, then: Command) -> None:
    assert len(rehearsal.points) > 50
    for label, number in rehearsal.points:
        rehearsal.cut(label, number, then)

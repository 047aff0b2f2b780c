"""A relay's spool through cuts: the same batch, each report once, every file in its place.

The spool is laid out before carers relay; their look at it is killed at every point it meets, and
typed again. A control shows what the tests would see if blank reports were drawn before anything
is remembered.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from crash_town import Command, Town

from grievance.home import Home
from grievance.pool.batch import BatchFile

if TYPE_CHECKING:
    from pathlib import Path

RELAYS = 14
"""The number of the command that the spool takes the place of."""
LOOK: Command = ("carers", ("relay", "--spool", "spool", "--trust", "{digest}"))
QUICK = ("relay.remembered", "state.commit.after", "pool.put.written", "publish.put", "relay.moved")


class Spool:
    """A town with a spool of three files, one of which does not read."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.lay_out()
        self.points = self.look(record=True)
        self.check()

    @property
    def folder(self) -> Path:
        return self.town.folder / "spool"

    def lay_out(self) -> None:
        self.town.back_to(f"before-{RELAYS}")
        shutil.copytree(self.town.folder / "sealed", self.folder)
        shutil.copy(self.town.folder / "one.report", self.folder)
        (self.folder / "bad.report").write_bytes(b"x")
        # Long ago: it is not still arriving.
        os.utime(self.folder / "bad.report", (1_700_000_000, 1_700_000_000))

    def look(self, **how: object) -> list[tuple[str, int]]:
        ended = self.town.run(LOOK, **how)
        assert ended.code in (0, 1), ended
        assert "Traceback" not in ended.err, ended
        return ended.points()

    def batches(self) -> list[bytes]:
        return [path.read_bytes() for path in self.town.pool.glob("rounds/*/batches/carers-*")]

    def check(self) -> bytes:
        """One batch, its rows different, and every file where it belongs."""
        (data,) = self.batches()
        rows = list(BatchFile(data, self.town.task()).digests())
        assert len(set(rows)) == len(rows) == 11
        assert [path.name for path in self.folder.iterdir() if path.is_file()] == []
        assert [path.name for path in (self.folder / "refused").iterdir()] == ["bad.report"]
        (batch,) = (self.folder / "relayed").iterdir()
        assert sorted(p.name for p in batch.iterdir()) == ["all.reports", "one.report"]
        kept = self.town.memory("carers").outgoing
        assert data in kept.values()
        return data


@pytest.fixture(scope="module")
def spool(town: Town) -> Spool:
    return Spool(town)


def cut(spool: Spool, label: str, number: int) -> None:
    spool.lay_out()
    assert spool.town.run(LOOK, failpoint=f"{label}:{number}:kill").killed, (label, number)
    remembered = set(spool.town.memory("carers").outgoing.values())
    spool.look()
    data = spool.check()
    assert not remembered or remembered == {data}, "what was remembered is what went out"
    spool.look()
    assert spool.check() == data


def test_the_look_meets_the_relays_failpoints(spool: Spool) -> None:
    labels = {label for label, _ in spool.points}
    assert set(QUICK) <= labels
    assert len(spool.points) > 20


@pytest.mark.parametrize("label", QUICK)
def test_a_cut_where_it_would_hurt_most(spool: Spool, label: str) -> None:
    cut(spool, label, max(number for found, number in spool.points if found == label))


@pytest.mark.slow
def test_a_cut_at_every_step(spool: Spool) -> None:
    for label, number in spool.points:
        cut(spool, label, number)


@pytest.mark.parametrize("action", ["full", "io"])
def test_a_disk_that_refuses_is_told_and_gone_on_with(spool: Spool, action: str) -> None:
    # The first file that moves is the one that does not read: that it cannot stops nothing.
    for point in ("state.commit.before:1", "pool.put.opened:1", "relay.moved:2"):
        spool.lay_out()
        ended = spool.town.run(LOOK, failpoint=f"{point}:{action}")
        ended.refused()
        spool.look()
        spool.check()


def test_control_a_relay_that_forgets_between_put_and_memory_makes_two_batches(
    spool: Spool,
) -> None:
    """What a cut would leave if the batch were put before it is remembered."""
    spool.lay_out()
    for _ in range(2):
        assert spool.town.run(LOOK, failpoint="publish.put:1:kill").killed
        home = Home.open(spool.town.folder / "carers")
        for path in home.root.glob("state.sqlite*"):
            path.unlink()
        # Nor does the pool say which are ours: it has not arrived here.
        for path in spool.town.pool.glob("rounds/*/batches/carers-*"):
            path.rename(spool.town.folder / path.name)
    assert len(list(spool.town.folder.glob("carers-*"))) == 2

"""Any history of one relay's spool, against a model that knows only what was handed in.

New files, copies, files that do not read, looks, looks that are cut at a failpoint, a folder that
loses a batch, a home that forgets, the leader's sync, the close, late files. Whatever comes: a
report that read and was looked at lies in exactly one batch, no row lies in two, a batch never
changes its bytes, and no file is lost.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from relay_scene import Scene

from cuts import PowerCutError, power
from dishonest import TINY_PLAN
from grievance.client import read_report, write_report
from grievance.errors import StateError
from grievance.pool import relay
from grievance.pool.events import Close
from grievance.relay.memory import Memory

if TYPE_CHECKING:
    from grievance.client import Report

CUTS = (
    *("state.commit.before", "state.commit.after", "pool.put.begin", "pool.put.written"),
    *("pool.put.renamed", "pool.put.done", "publish.put", "relay.remembered", "relay.moved"),
)
NUMBERS = st.integers(0, 40)
START = datetime(2026, 11, 2, tzinfo=UTC)


class Spool(RuleBasedStateMachine):
    """One spool. `papers` are made once for all; every example has a fresh copy of the round."""

    papers: ClassVar[list[Report]]
    base: ClassVar[Path]
    examples: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        type(self).examples += 1
        self.scene = Scene.opened(self.base / f"{self.examples}", TINY_PLAN)
        self.spool = self.scene.inbox(0, "spool")
        self.now, self.count, self.used = START, 0, 0
        self.waiting: set[bytes] = set()
        """Handed in, and not looked at."""
        self.out: set[bytes] = set()
        """Looked at: each lies in one batch."""
        self.bad: set[bytes] = set()
        self.seen: dict[str, bytes] = {}
        self.closed = False

    def hand_in(self, report: Report) -> None:
        self.count += 1
        write_report(self.spool / f"{self.count}.report", report)
        if report.digest not in self.out:
            self.waiting.add(report.digest)

    @rule(number=st.integers(1, 3))
    def new_files(self, number: int) -> None:
        for _ in range(min(number, len(self.papers) - self.used)):
            self.hand_in(self.papers[self.used])
            self.used += 1

    @precondition(lambda self: self.used)
    @rule(which=NUMBERS)
    def copy_of_one(self, which: int) -> None:
        self.hand_in(self.papers[which % self.used])

    @rule()
    def bad_file(self) -> None:
        self.count += 1
        data = b"%d is no report" % self.count
        (self.spool / f"{self.count}.report").write_bytes(data)
        self.bad.add(data)

    @rule(cut=st.none() | st.tuples(st.sampled_from(CUTS), st.integers(1, 4)))
    def look(self, cut: tuple[str, int] | None) -> None:
        # Long after the files were written: none of them may still be arriving.
        self.now += timedelta(hours=1)
        try:
            with power(cut):
                done = self.scene.look(self.spool, now=datetime.now(UTC) + timedelta(hours=1))
        except PowerCutError:
            # Typed again, as the message says; a cut leaves nothing that this does not mend.
            done = self.scene.look(self.spool, now=datetime.now(UTC) + timedelta(hours=1))
        if not self.closed:
            self.out |= self.waiting
            self.waiting.clear()
            top = [path for path in self.spool.iterdir() if path.is_file()]
            assert top == [], "everything has its place"
        else:
            assert (done.left.reports if done.left else 0) == len(self.waiting)

    @precondition(lambda self: self.seen and not self.closed)
    @rule(which=NUMBERS)
    def the_folder_loses_a_batch(self, which: int) -> None:
        self.scene.file(sorted(self.seen)[which % len(self.seen)]).unlink(missing_ok=True)

    @precondition(lambda self: self.out and not self.closed)
    @rule()
    def the_home_forgets(self) -> None:
        """The folder has arrived whole; the steward goes on without the memory."""
        self.look(None)
        self.scene.lose_memory()
        with pytest.raises(StateError):
            self.scene.look(self.spool)
        self.scene.look(self.spool, lost=True, now=datetime.now(UTC) + timedelta(hours=1))

    @rule()
    def the_leader_syncs(self) -> None:
        self.scene.sync("north")

    @precondition(lambda self: not self.closed and self.out)
    @rule()
    def close(self) -> None:
        self.look(None)
        self.scene.sync("north")
        from grievance.aggregator import Office

        with Office.open(self.scene.leader) as office:
            _, chain = office.open_bench(self.scene.round_id)
            office.order(chain, Close())
            office.publish()
        self.closed = True

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "scene"):
            return
        batches = self.scene.batches()
        for path, data in batches.items():
            assert self.seen.setdefault(path, data) == data, "a batch has changed"
        rows = [row for data in self.seen.values() for row in self.scene.rows(data)]
        assert len(rows) == len(set(rows)), "a report went out twice"
        assert self.out <= set(rows), "a report that was looked at did not go out"
        given = {report.digest for report in self.papers[: self.used]}
        blank = set(rows) - given
        assert len(rows) % 3 == 0 and len(blank) < 3 * max(1, len(self.seen)), "cover drawn twice"
        if self.closed:
            assert not self.waiting & set(rows), "passed on after the close"

    def teardown(self) -> None:
        if sys.exc_info()[0] is None and hasattr(self, "scene"):
            self.look(None)
            self.holds()
            aside = {path.read_bytes() for path in (self.spool / "refused").glob("*")}
            assert aside == self.bad
            kept = {
                read_report(p, self.scene.task).digest
                for p in self.spool.rglob("*.report")
                if p.parent.name != "refused"
            }
            assert kept == self.out | self.waiting, "a file was lost"
            shutil.rmtree(self.scene.folder)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Spool]:
    # Cover up to three, so that an example takes no minute; a hundred shows nothing more here.
    monkeypatch.setitem(relay.make_batches.__kwdefaults__, "pad_to", 3)
    if not hasattr(Spool, "papers"):
        Spool.papers = Scene.opened(tmp_path / "first", TINY_PLAN).seal_here(24)
    Spool.base = tmp_path
    return Spool


def play(machine: type[Spool], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_history_sends_each_report_once(machine: type[Spool]) -> None:
    play(machine, 15, 12)


@pytest.mark.slow
def test_many_histories(machine: type[Spool]) -> None:
    play(machine, 300, 25)


@pytest.mark.slow
def test_control_without_a_memory_a_short_history_is_enough(
    machine: type[Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memory, "of", classmethod(lambda cls, _rows, _found=(): cls({})))
    with pytest.raises(AssertionError):
        play(machine, 30, 12)

"""Power cuts: at every durable step in turn, and at random moments of the real command.

Whatever happens, running `grievance sync` again ends in the release that was charged first:
one ledger entry each, the same noisy bytes, every accepted report counted.
Source: docs/design.md, sections 8 and 10; docs/faults.md, faults D1 to D3 and D24.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dishonest import (
    TINY_ANSWERS,
    TINY_PLAN,
    Snapshot,
    at_bench,
    exact_totals,
    own_total,
    publish,
    weigh,
)
from federation import Federation, seal_measurement
from grievance.aggregator.releases import _share_context
from grievance.aggregator.state import State
from grievance.crypto.boxes import open_at_rest
from grievance.pool.store import LocalStore
from grievance.release import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from grievance.aggregator.bench import Bench

INNER_STEPS = (
    "spool",
    "add_batch",
    "decide_batch",
    "charge",
    "add_accepted",
    "see_order",
    "witness",
)
ACCEPTED = 13


class PowerCut(BaseException):
    """Nothing that code may catch."""


class Fuse:
    """Counts durable steps of all aggregators, and blows at step number `at`."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.at is not None and self.steps == self.at:
            raise PowerCut

    def wired(self, function: Callable[..., object]) -> Callable[..., object]:
        """`function` with a step before it and one after it."""

        def call(*args: object) -> object:
            self.step()
            result = function(*args)
            self.step()
            return result

        return call

    @contextlib.contextmanager
    def plugged_in(self) -> Iterator[None]:
        transaction = State.transaction
        fuse = self

        @contextlib.contextmanager
        def wired_transaction(state: State) -> Iterator[None]:
            with transaction(state):
                yield
                fuse.step()  # all was written, nothing is committed
            fuse.step()  # committed, nothing is published

        with pytest.MonkeyPatch.context() as patch:
            for name in INNER_STEPS:
                patch.setattr(State, name, self.wired(getattr(State, name)))
            patch.setattr(State, "transaction", wired_transaction)
            patch.setattr(LocalStore, "put", self.wired(LocalStore.put))
            yield


@dataclass
class Scene:
    """A coalition at a moment from which it can start again, and how many steps lie ahead."""

    start: Snapshot
    release_id: str | None
    steps: int = 0

    def rewind(self) -> Federation:
        return self.start.restore()


def relayed(folder: Path) -> Federation:
    """Three batches wait: honest, with refused rows, and with a replay."""
    federation = Federation.opened(folder, TINY_PLAN)
    task = federation.task
    reports = federation.seal(ACCEPTED, TINY_ANSWERS)
    bad = seal_measurement(task, weigh(task, [1] * task.layout.num_bits))
    publish(federation, "nurses", reports[:5])
    publish(federation, "carers", [bad, *reports[5:]])
    publish(federation, "nurses", [reports[0], reports[7]])
    return federation


def approved(federation: Federation) -> str:
    settle(federation)
    federation.close()
    release_id = federation.propose().release_id
    federation.answer("south", release_id)
    return release_id


def charged(federation: Federation, release_id: str | None) -> dict[str, tuple[bytes, bytes]]:
    """What each aggregator has charged: its ledger entry and the noisy share it paid for."""

    def look(bench: Bench) -> tuple[bytes, bytes] | None:
        entries = bench.state.ledger()
        sealed = bench.state.noisy_share(bench.seat.task.digest, release_id or "")
        assert (len(entries), sealed is None) in ((0, True), (1, False))
        if sealed is None:
            return None
        share = open_at_rest(bench.state_key, sealed, _share_context(bench, release_id or ""))
        return entries[0], share

    found = {name: at_bench(federation, name, look) for name in federation.aggregators}
    return {name: pair for name, pair in found.items() if pair is not None}


def check_end(
    federation: Federation, release_id: str, before: dict[str, tuple[bytes, bytes]]
) -> None:
    """Everything was counted once and charged once, and what was charged first was published."""
    after = charged(federation, release_id)
    assert set(after) == set(federation.aggregators)
    assert before.items() <= after.items()
    for name, (entry, share) in after.items():
        noisy = federation.file(federation.paths.noisy(release_id, name))
        assert noisy.read_bytes() == share
        assert federation.file(f"ledger/{name}/1.json").read_bytes() == entry
        assert not federation.file(f"ledger/{name}/2.json").exists()
        with contextlib.closing(sqlite3.connect(federation.homes[name].state_path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("SELECT COUNT(*) FROM ledger").fetchone() == (1,)
    release = collect(federation.leader.store, federation.task, release_id)
    assert release.accepted == ACCEPTED


def expected_totals(federation: Federation) -> list[int]:
    bits = federation.task.layout.encode(federation.task.layout.answers(TINY_ANSWERS))
    return [bit * ACCEPTED for bit in bits]


def settle(federation: Federation) -> None:
    """Sync everybody until nobody does, or publishes, anything more."""
    while any(result.done or result.written for result in federation.sync()):
        pass


def run_with(fuse: Fuse, federation: Federation) -> None:
    with fuse.plugged_in(), contextlib.suppress(PowerCut):
        settle(federation)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    folder = tmp_path_factory.mktemp("crash")
    federation = relayed(folder / "now")
    found = {}
    for name in ("verify and decide", "charge and publish"):
        release_id = approved(federation) if found else None
        scene = Scene(Snapshot(federation), release_id)
        fuse = Fuse()
        run_with(fuse, federation)
        scene.steps = fuse.steps
        assert scene.steps > 40
        if release_id is not None:
            check_end(federation, release_id, {})
        found[name] = scene
    return found


def play(scene: Scene, at: int) -> None:
    federation = scene.rewind()
    run_with(Fuse(at), federation)
    before = charged(federation, scene.release_id)
    settle(federation)
    release_id = scene.release_id
    if release_id is None:
        assert exact_totals(federation) == expected_totals(federation)
        return
    check_end(federation, release_id, before)
    assert not [path for path in federation.file(".").rglob(".*") if path.is_file()]


@pytest.mark.parametrize("name", ["verify and decide", "charge and publish"])
def test_a_power_cut_at_some_steps(scenes: dict[str, Scene], name: str) -> None:
    scene = scenes[name]
    for at in range(1, scene.steps + 1, scene.steps // 9):
        play(scene, at)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["verify and decide", "charge and publish"])
def test_a_power_cut_at_every_step(scenes: dict[str, Scene], name: str) -> None:
    for at in range(1, scenes[name].steps + 1):
        play(scenes[name], at)


@pytest.mark.parametrize("method", ["charge", "spool"])
def test_a_power_cut_while_charging(
    scenes: dict[str, Scene], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Before the transaction commits nothing is charged and nothing is published."""
    federation, release_id = scenes["charge and publish"].rewind(), None
    release_id = scenes["charge and publish"].release_id
    real = getattr(State, method)

    def cut(state: State, *args: object) -> None:
        real(state, *args)
        if method == "charge" or str(args[0]).startswith("ledger/"):
            raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(State, method, cut)
        for _ in range(2):
            for name in federation.aggregators:
                with contextlib.suppress(PowerCut):
                    federation.sync(name)
    assert not charged(federation, release_id)
    assert not federation.file("ledger").exists()
    settle(federation)
    check_end(federation, release_id or "", {})


# -- the real command, killed ----------------------------------------------------------------

SERVER = """
import os, sys
import grievance.aggregator, grievance.cli.app, grievance.release
import opendp.prelude, pyarrow
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        sys.argv = ["grievance", "sync", "--home", line.strip()]
        from grievance.cli import main
        try:
            main()
        except SystemExit as end:
            os._exit(int(end.code or 0))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Killer:
    """Runs `grievance sync` in forks of a process that has loaded everything, and kills some."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._read() == "ready"
        self.killed = 0

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def sync(self, root: Path, kill_after: float | None = None) -> float:
        """Run to the end, or kill after so many seconds. Returns how long it ran."""
        assert self.process.stdin is not None
        began = time.monotonic()
        self.process.stdin.write(f"{root}\n")
        self.process.stdin.flush()
        child = int(self._read())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        code = int(self._read())
        self.killed += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL)
        return time.monotonic() - began

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=600)
        self.process.stdout.close()


@pytest.mark.slow
def test_the_command_killed_at_random_moments(scenes: dict[str, Scene]) -> None:
    draw, killer = random.Random(20), Killer()
    federation = scenes["verify and decide"].rewind()
    roots = [federation.homes[name].root for name in federation.aggregators]
    try:
        # A kill comes within most of the time that this machine takes just now.
        most = 0.75 * min(killer.sync(root) for root in roots)
        federation = scenes["verify and decide"].rewind()
        for number in range(8):
            killer.sync(roots[number % 2], draw.uniform(0.0, most) if number else 0.0)
        release_id = approved(federation)
        at_bench(federation, "north", own_total)
        first: dict[str, tuple[bytes, bytes]] = {}
        for number in range(10):
            killer.sync(roots[number % 2], draw.uniform(0.0, most) if number else 0.0)
            now = charged(federation, release_id)
            assert first.items() <= now.items()
            first = now
        for number in range(6):
            killer.sync(roots[number % 2])
    finally:
        killer.close()
    assert killer.killed  # how many more than the two at once depends on the machine
    assert exact_totals(federation) == expected_totals(federation)
    check_end(federation, release_id, first)
    # A killed write leaves its temporary file behind, which no reader ever sees.
    for path in federation.file(".").rglob(".*"):
        assert path.name not in federation.leader.store.names(
            path.parent.relative_to(federation.file(".")).as_posix()
        )

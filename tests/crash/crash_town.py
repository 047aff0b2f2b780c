"""A small coalition on one machine whose commands are killed, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grievance.aggregator import Office
from grievance.audit import audit_pool
from grievance.home import Home
from grievance.pool.rounds import read_task
from grievance.pool.store import open_store
from plan_head import plan_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.task import Task

PLAN = (
    plan_head("Two questions", "tiny", regions=("North", "South"), mechanism="gaussian")
    + """
[statistics.region]
count = ["region"]
"""
)
ROWS = ["North"] * 7 + ["South"] * 3
EXTRA = "South"
TOTALS = [7, 4]
AGGREGATORS = ("north", "south")
RELAYS = ("nurses", "carers")

Command = tuple[str, tuple[str, ...]]


def _c(name: str, *words: str) -> Command:
    return name, words


ROUND: tuple[Command, ...] = (
    _c("north", "init", "north", "--pool", "pool"),
    _c("south", "init", "south", "--pool", "pool"),
    _c("nurses", "init", "nurses", "--pool", "pool"),
    _c("carers", "init", "carers", "--pool", "pool"),
    _c("north", "plan", "new", "draft.toml"),
    _c(
        *("north", "round", "new", "plan.toml", "--no-backup", "--yes"),
        *("--with", "south:{print:south}"),
        *("--admit", "nurses:{print:nurses}", "--admit", "carers:{print:carers}"),
    ),
    _c(
        *("south", "round", "join", "{round}", "--no-backup", "--yes"),
        *("--expect", "north:{print:north}"),
    ),
    _c("north", "sync"),
    _c("south", "sync"),
    _c("north", "sync"),
    _c("north", "round", "invite", "round.json"),
    _c(
        *("nurses", "seal", "round.json", "--trust", "{digest}"),
        *("--answers", "answers.json", "--out", "one.report"),
    ),
    _c(
        *("carers", "seal", "round.json", "--trust", "{digest}"),
        *("--table", "rows.csv", "--out", "sealed"),
    ),
    _c("nurses", "relay", "one.report", "--trust", "{digest}"),
    _c("carers", "relay", "sealed", "one.report", "--trust", "{digest}"),
    _c("north", "sync"),
    _c("south", "sync"),
    _c("north", "sync"),
    _c("south", "sync"),
    _c("north", "round", "close", "--yes"),
    _c("south", "sync"),
    _c("north", "release", "propose", "--yes"),
    _c("south", "release", "approve", "--yes"),
    _c("north", "sync"),
    _c("south", "sync"),
    _c("north", "sync"),
    _c("nurses", "sync"),
    _c("north", "release", "waive", "--yes"),
    _c("south", "release", "waive", "--yes"),
    _c("north", "sync"),
    _c("south", "sync"),
    _c("north", "release", "export", "tables"),
)
END: tuple[Command, ...] = (
    _c("north", "round", "destroy", "--yes"),
    _c("south", "round", "destroy", "--yes"),
    _c("north", "sync"),
    _c("south", "sync"),
)

SETTLE: tuple[Command, ...] = tuple(_c(name, "sync") for name in AGGREGATORS * 3)
"""Enough for everybody to come to rest, which the last two show."""


def at_pool(commands: Sequence[Command], location: str) -> tuple[Command, ...]:
    """The same commands, in which the pool is another place."""
    return tuple(
        (name, tuple(location if before == "--pool" else word for before, word in pairwise(words)))
        for name, typed in commands
        for words in [("", *typed)]
    )


# What a command that is typed again may say when the cut one had done everything.
DONE_ALREADY = {
    "init": "already belongs to an organisation",
    "plan": "exists already",
    "invite": "exists already",
    "seal": ("exists already", "is not an empty folder"),
    "propose": "has some of these statistics already",
    "export": "is not empty",
}


@dataclass(frozen=True)
class Ended:
    """How commands ended: the exit code (-9: killed), what they wrote, which labels they met."""

    code: int
    out: str
    err: str
    reached: dict[str, int]

    @property
    def killed(self) -> bool:
        return self.code == -9

    def points(self) -> list[tuple[str, int]]:
        """Every occurrence of every label."""
        return [(label, n) for label, times in self.reached.items() for n in range(1, times + 1)]

    def refused(self, *words: str, code: int = 1) -> Ended:
        """Assert a refusal in words with a next step."""
        assert self.code == code, (self.code, self.err)
        assert "Traceback" not in self.err, self.err
        assert "error: " in self.err, self.err
        assert "hint: " in self.err, self.err
        for word in words:
            assert word in self.err, (word, self.err)
        return self


class Runner:
    """The process of `crash_runner`, and what is asked of it."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("crash_runner.py")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GRIEVANCE_")}
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean,
        )
        assert self._read() == "ready"

    def _read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def run(self, folder: Path, commands: Sequence[Command], **how: Any) -> Ended:
        """Type commands one after the other in one fork, until one fails."""
        request = {"folder": str(folder), "commands": list(commands), **how}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self._read()
        return Ended(answer["code"], answer["out"], answer["err"], dict(answer["reached"]))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=600)
        self.process.stdout.close()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: a killed process loses nothing there either."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="grievance-crash-", dir=where) as folder:
        yield Path(folder)


def done_already(command: Command, ended: Ended) -> bool:
    """Whether a command typed again found its work done."""
    words = DONE_ALREADY.get(next(w for w in command[1] if w not in ("round", "release")), ())
    known = (words,) if isinstance(words, str) else words
    return "Traceback" not in ended.err and any(word in ended.err for word in known)


@dataclass
class Town:
    """A folder with a pool and homes, at one place; snapshots of it lie beside.

    `points[i]`: the occurrences of failpoints that command i of the round meets. `homes`: the
    folder in which each aggregator works. `remote`: they reach the pool as a remote one, through
    fsspec; it is a folder all the same, so that it can be looked at.
    """

    base: Path
    runner: Runner
    snapshots: dict[str, Path] = field(default_factory=dict)
    points: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=lambda: {name: name for name in AGGREGATORS})
    remote: bool = False

    @property
    def folder(self) -> Path:
        return self.base / "town"

    @property
    def pool(self) -> Path:
        return self.folder / "pool"

    @property
    def round(self) -> tuple[Command, ...]:
        return self.placed(ROUND)

    def placed(self, commands: Sequence[Command]) -> tuple[Command, ...]:
        """Commands as they are typed here: with this town's pool in them."""
        return at_pool(commands, f"file://{self.pool}") if self.remote else tuple(commands)

    def warm(self) -> None:
        """Play the whole round once in the runner itself, beside."""
        other = Town(self.base / "warm", self.runner)
        other.lay_out()
        ended = self.runner.run(other.folder, (), here=[*ROUND, *END])
        assert ended.code == 0, ended.err
        shutil.rmtree(other.base)

    def lay_out(self) -> None:
        """An empty pool and the files people wrote by hand."""
        self.pool.mkdir(parents=True)
        (self.folder / "plan.toml").write_text(PLAN)
        (self.folder / "answers.json").write_text(json.dumps({"region": EXTRA}))
        (self.folder / "rows.csv").write_text("\n".join(["region", *ROWS]) + "\n")

    def run(self, *commands: Command, **how: Any) -> Ended:
        return self.runner.run(self.folder, commands, **how)

    def done(self, *commands: Command) -> Ended:
        ended = self.run(*commands)
        assert ended.code == 0, (commands, ended)
        return ended

    def record(self) -> None:
        """Play the whole round, a snapshot before every command; note what each one meets."""
        self.lay_out()
        for index, command in enumerate(self.round + END):
            self.keep(f"before-{index}")
            ended = self.run(command, record=True)
            assert ended.code == 0, (command, ended.err)
            self.points[index] = ended.points()
        self.keep("end")

    def keep(self, name: str) -> None:
        self.snapshots[name] = self.base / f"snapshot-{name}"
        copy(self.folder, self.snapshots[name])

    def back_to(self, name: str) -> None:
        shutil.rmtree(self.folder)
        copy(self.snapshots[name], self.folder)

    def cut(self, cuts: dict[int, str], **how: Any) -> list[Ended]:
        """Play the round from the first cut on; a cut command is typed again, then all goes on.

        `cuts` maps a command's number to a failpoint. Whatever happens, the round must end as
        if nothing had: this asserts it. Returns how the cut commands ended.
        """
        first, commands = min(cuts), self.round + END
        self.back_to(f"before-{first}")
        ended, before, index = [], {}, first
        while index < len(commands):
            stop = min(i for i in (*cuts, len(ROUND), len(commands)) if i > index)
            rest = SETTLE if stop == len(ROUND) else ()
            if index in cuts:
                ended.append(self.run(commands[index], failpoint=cuts[index], **how))
                before = self.memories()
                # Also typed again first, in the fork that goes on: forks are what costs here.
                again = self.run(*commands[index:stop], *rest, first_may_fail=True)
                assert again.code == 0, (cuts, again)
                assert "(exit code" not in again.err or done_already(commands[index], again), again
            else:
                again = self.done(*commands[index:stop], *rest)
            if stop == len(ROUND):
                self.check_counted(again)
            index = stop
        self.check_kept(before)
        self.check_relayed_once()
        self.check_charged_once(2)
        self.check_audit()
        for name in AGGREGATORS:
            # Keys of a card that was never stored may lie beside; nothing was sealed to them.
            assert not (self.folder / name / "rounds" / self.task().round_id).exists()
        return ended

    # What must hold.

    def check_counted(self, ended: Ended) -> None:
        """Everybody has come to rest, every report counts, and once; one release was charged."""
        said = [line for line in ended.err.splitlines() if not line.startswith("warning: ")]
        assert all("Nothing to do now" in line for line in said[-2:]), ended.err
        assert self.totals() == TOTALS
        self.check_charged_once(1)

    def task(self) -> Task:
        store = open_store(self.pool)
        (round_id,) = store.names("rounds")
        task = read_task(store, round_id)
        assert task is not None
        return task

    def memory(self, name: str) -> Memory:
        """What an organisation's state holds on disk now, read from a copy; the log stays."""
        path = self.folder / self.homes.get(name, name) / "state.sqlite"
        with tempfile.TemporaryDirectory(dir=self.base) as copies:
            for suffix in ("", "-wal"):
                if path.with_name(path.name + suffix).exists():
                    shutil.copy(path.with_name(path.name + suffix), copies)
            if not (Path(copies) / path.name).exists():
                return Memory({}, [])
            with contextlib.closing(sqlite3.connect(Path(copies) / path.name)) as db:
                if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    return Memory({}, [])
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                return Memory(
                    dict(db.execute("SELECT path, data FROM outgoing")),
                    [row[0] for row in db.execute("SELECT data FROM ledger ORDER BY size")],
                )

    def memories(self) -> dict[str, Memory]:
        return {name: self.memory(name) for name in AGGREGATORS + RELAYS}

    def totals(self) -> list[int]:
        """What all aggregators together hold of accepted reports, un-noised: the truth."""
        task, shares = self.task(), []
        for name in AGGREGATORS:
            with Office.open(Home.open(self.folder / self.homes[name])) as office:
                bench, chain = office.open_bench(task.round_id)
                assert chain.counted
                total = task.vdaf.agg_init()
                for row in office.state.batches(task.digest).values():
                    assert row.decided
                    total = task.vdaf.agg_update(total, bench.open_sum(row.seq, row.sum))
                shares.append(total)
        return task.vdaf.merge(shares)

    def check_kept(self, before: dict[str, Memory]) -> None:
        """What was spooled is in the pool byte for byte, and no charge was made twice."""
        for name, memory in before.items():
            now = self.memory(name)
            for path, data in memory.outgoing.items():
                assert (self.pool / path).read_bytes() == data, path
                assert now.outgoing[path] == data
            assert now.ledger[: len(memory.ledger)] == memory.ledger

    def check_relayed_once(self) -> None:
        """Each relay typed its command once or twice, and made one batch."""
        # Whoever is killed while it writes leaves a hidden part of a file, which nobody reads.
        paths = self.pool.glob("rounds/*/batches/[!.]*")
        made = [path.name.rsplit("-", 1)[0] for path in paths]
        assert sorted(made) == sorted(RELAYS)

    def check_charged_once(self, entries: int) -> None:
        """One release, charged once by everybody; `entries` with the ones about destruction.

        Who recovered alone has an entry more, which says so.
        """
        for name in AGGREGATORS:
            events = [json.loads(entry)["body"]["event"] for entry in self.memory(name).ledger]
            types = [event["type"] for event in events]
            assert [kind for kind in types if kind != "alone"] == ["release", "destroyed"][:entries]
            assert types.count("alone") <= 1
            assert len(list((self.pool / "ledger" / name).glob("*.json"))) == len(types)

    def check_audit(self) -> None:
        """Nothing to find but, at most, half-written files left where a write was cut."""
        trust = [entry.identity.fingerprint.hex() for entry in self.task().aggregators]
        report = audit_pool(self.pool, trust=trust)
        assert not report.faults, [str(finding) for finding in report.faults]


@dataclass(frozen=True)
class Memory:
    """The outgoing files and the ledger of one aggregator."""

    outgoing: dict[str, bytes]
    ledger: list[bytes]


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)

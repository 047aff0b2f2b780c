"""A coalition whose every published byte is remembered, and that power cuts and strangers visit.

`Town` plays steps on a `Federation`; `look` holds what they left in the pool against the model.
"""

# ruff: noqa: PT017 (a step may be refused or not; what is refused must be so rightly)

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections import Counter
from copy import copy
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from history_model import Book, Paper, Purse

from dishonest import Snapshot, new_salt, weigh
from federation import Federation, encode, seal_measurement
from grievance import failpoints
from grievance.aggregator import Desk, SyncResult, sync
from grievance.aggregator.recover import recover
from grievance.client import Report, seal
from grievance.errors import GrievanceError
from grievance.pool.batch import reports_to_table, write_batch
from grievance.pool.relay import publish_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")

PLAN = b"""
title = "Three questions"
campaign = "tiny"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 3.0
minimum_reports = 10
hide_below = 0

[fields.region]
question = "Where do you work?"
choices = ["London", "North"]
required = true

[fields.problems]
question = "What is a problem?"
choices = ["overtime", "targets"]
pick = 2
required = true

[fields.union]
question = "Are you in a union?"
choices = ["yes", "no"]
required = true

[statistics.problems_by_region]
count = ["region", "problems"]

[statistics.members]
count = ["union"]
"""
STATISTICS = ("problems_by_region", "members")
ROUNDS = 2
"""So many rounds of this plan the campaign's lifetime pays for; a third one is refused."""

ANSWERS: tuple[dict[str, object], ...] = (
    {"region": "London", "problems": ["targets"], "union": "yes"},
    {"region": "North", "problems": ["overtime", "targets"], "union": "no"},
    {"region": "North", "problems": [], "union": "yes"},
)
BEHIND = {"state.behind", "ledger.rollback"}
"""What an aggregator says that works from an old memory."""

OVERLAP = {"release.twice"}
"""What a sync may say of a pool nobody has touched: a second release came too late."""

OUTSIDER = "porters"
"""A partner that is not admitted when the round opens."""


class PowerCutError(BaseException):
    """The moment at which a machine stops; no `except Exception` survives it either."""


@contextlib.contextmanager
def power(cut: tuple[str, int] | None) -> Iterator[None]:
    """Run a step on a machine that stops when it reaches a failpoint for the n-th time.

    An exception stands in for SIGKILL, which tests/crash uses: blocks that tidy up still run.
    """
    if cut is None:
        yield
        return

    def fail(_action: str) -> None:
        raise PowerCutError

    kept, failpoints._fail = failpoints._fail, fail  # type: ignore[assignment]
    failpoints._reached.clear()
    os.environ[failpoints.VARIABLE] = f"{cut[0]}:{cut[1]}:kill"
    try:
        yield
    finally:
        del os.environ[failpoints.VARIABLE]
        failpoints._fail = kept


class Town(Federation):
    """North leads, south helps; nurses and carers relay, porters may join later.

    `first` has every file of the pool as its owner first published it, `spoiled` what strangers
    made of some (None: deleted), `old` the aggregators put back to an older copy, and whether
    the pool shows that they are; `unsure` those that recovered from a pool that was spoilt.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, relays=("nurses", "carers", OUTSIDER))
        self.relays.remove(OUTSIDER)
        task = self.open_round(PLAN)
        self._task, self._backups = task, folder / "backups"
        self._sealed: dict[tuple[bytes, int], list[Paper]] = {}
        self._days: dict[str, tuple[Snapshot, dict[str, Any]]] = {}
        self.tally: Counter[str] = Counter()
        self.books = {self.round_id: Book(task)}
        self.first: dict[str, bytes] = {}
        self.spoiled: dict[str, bytes | None] = {}
        self.old: dict[str, bool] = {}
        self.unsure: set[str] = set()
        self.backups: list[tuple[str, Path]] = []
        self.released: dict[str, bytes] = {}
        self.checked: set[tuple[str, int]] = set()
        self.purses: dict[str, Purse] = {}
        self.note_budget()
        self.scan()
        self.remember("open")

    def remember(self, day: str) -> None:
        """Keep everything as it is, to begin other histories with."""
        self._days[day] = (Snapshot(self), self._memory())

    def begin(self, day: str = "open") -> None:
        """Go back to a day that was remembered."""
        folders, memory = self._days[day]
        folders.restore()
        vars(self).update(memory)
        vars(self).update(self._memory())

    def _memory(self) -> dict[str, Any]:
        """What the model knows, copied as deep as it changes."""
        books = {
            name: replace(book, papers=list(book.papers), batches=dict(book.batches))
            for name, book in self.books.items()
        }
        purses = {name: replace(purse) for name, purse in self.purses.items()}
        plain = ("first", "spoiled", "old", "unsure", "backups", "released", "checked")
        kept = {name: copy(getattr(self, name)) for name in plain}
        return {"round_id": self.round_id, "books": books, "purses": purses, **kept}

    def note_budget(self) -> None:
        """What each aggregator may charge, as the tasks say."""
        rounds = {b.task.digest.hex(): b.task.cost.amount for b in self.books.values()}
        for name in self.aggregators:
            kept = self.purses.get(name)
            lifetime = Fraction(self._task.lifetime.amount)
            self.purses[name] = Purse(lifetime, rounds, kept.charges if kept else [])

    def add_book(self) -> None:
        """A further round was opened: keep a book of it too."""
        self.books[self.round_id] = Book(self.task)
        self.note_budget()

    @property
    def book(self) -> Book:
        """The book of the round that is looked at."""
        return self.books[self.round_id]

    @property
    def quiet(self) -> bool:
        """Whether every file is as its owner wrote it, and nobody works from an old memory."""
        return not (self.spoiled or self.old or self.unsure)

    # What workers and relays do.

    def draw(self, kind: str, which: int) -> Paper:
        """Seal one report of a kind; see `history_machine` for what each is."""
        book, task = self.book, self.book.task
        opens = (True,) * len(task.aggregators)
        if kind == "honest":
            return self._honest(which % len(ANSWERS))
        zero = (0,) * task.layout.num_bits
        if kind == "blank":
            return Paper(seal(task, None), zero, valid=True, opens=opens)
        if kind == "greedy":  # ticks every cell there is
            meas = weigh(task, [1] * task.layout.num_bits)
            made = seal_measurement(task, meas, salt=new_salt())
            return Paper(made, zero, valid=False, opens=opens)
        if kind == "twins":  # two reports under one nonce: only the first may ever be looked at
            salt, answers = new_salt(), ANSWERS[which % len(ANSWERS)]
            bits = tuple(task.layout.encode(task.layout.answers(answers)))
            bad = which % 2 == 0
            meas = weigh(task, [1] * task.layout.num_bits) if bad else encode(task, answers)
            book.papers.append(
                Paper(
                    seal_measurement(task, meas, salt=salt),
                    zero if bad else bits,
                    valid=not bad,
                    opens=opens,
                )
            )
            made = seal_measurement(task, encode(task, answers), salt=salt)
            return Paper(made, bits, valid=True, opens=opens)
        # "garbled": somebody else's report, one ciphertext of it spoilt on its way.
        if not book.papers:
            return self.draw("honest", which)
        paper, place = book.papers[which % len(book.papers)], which % len(opens)
        sealed = list(paper.report.ciphertexts)
        sealed[place] = sealed[place][:-1] + bytes([sealed[place][-1] ^ 1])
        report = paper.report
        made = Report(report.task_digest, report.nonce, report.public_share, tuple(sealed))
        still = tuple(ok and i != place for i, ok in enumerate(paper.opens))
        return Paper(made, paper.bits, paper.valid, still)

    def _honest(self, which: int) -> Paper:
        """A worker's report; what one history has sealed another one may use."""
        book, task = self.book, self.book.task
        kept = self._sealed.setdefault((task.digest, which), [])
        for paper in kept:
            if paper not in book.papers:
                return paper
        bits = tuple(task.layout.encode(task.layout.answers(ANSWERS[which])))
        made = seal(task, ANSWERS[which])
        kept.append(Paper(made, bits, valid=True, opens=(True,) * len(task.aggregators)))
        return kept[-1]

    def carry(self, relay: str, papers: Sequence[Paper]) -> str:
        """Publish a batch of exactly these rows; whoever does it again puts the same file back."""
        task, home = self.book.task, self.homes[relay]
        table = reports_to_table(task, [paper.report for paper in papers])
        data = write_batch(task, table, home.key)
        path = publish_batch(home.store, task, relay, data)
        self.book.batches[path[-64:]] = (relay, list(papers), data)
        return path

    # What aggregators do.

    def at_desk(
        self, name: str, what: Callable[[Desk], T], cut: tuple[str, int] | None = None
    ) -> T | None:
        """Do something at a desk; None when the power was cut."""
        try:
            with power(cut), Desk.open(self.homes[name]) as desk:
                return what(desk)
        except PowerCutError:
            self.tally[f"cut at {cut[0] if cut else ''}"] += 1
            return None

    def publish_waiting(self, name: str) -> None:
        """Put into the pool what a power cut has left in the spool, so that all can be seen."""
        self.at_desk(name, Desk.publish)

    def sync(self, *names: str, clean: bool = True) -> list[SyncResult]:
        """As a federation does; a second release that came too late is no fault of the pool."""
        results = []
        for name in names or self.aggregators:
            result = self.at_desk(name, sync)
            assert result is not None
            codes = {fault.code for fault in result.faults}
            assert not clean or codes <= OVERLAP, (name, [str(f) for f in result.faults])
            results.append(result)
        return results

    def sync_one(self, name: str, cut: tuple[str, int] | None = None) -> SyncResult | None:
        """Sync, and hold what it says against what it had to find."""
        before = set(self.files())
        try:
            result = self.at_desk(name, sync, cut)
        except GrievanceError as error:
            assert not self.quiet, f"{name}: {error}"
            if name in self.unsure and error.code in BEHIND:
                self.old[name] = True
            if self.old.get(name):
                assert error.code in BEHIND or self.spoiled, error
                self.tally[f"refused {error.code}"] += 1
                if error.code in BEHIND:
                    assert set(self.files()) == before, "an old memory has published something"
            return None
        if result is None:
            return None
        codes = {fault.code for fault in result.faults}
        if self.quiet:
            assert codes <= OVERLAP, [str(fault) for fault in result.faults]
        if name in self.unsure and codes & BEHIND:
            self.old[name] = True
        if self.old.get(name):
            assert codes & BEHIND or self.spoiled, f"{name} works on from an old memory"
            self.tally["refused state.behind"] += 1
        else:
            left = self.own_files(name) & set(self.damaged())
            assert not left, f"{name} has left its own files spoilt: {sorted(left)}"
        self.tally["fault while spoilt"] += bool(codes and self.spoiled)
        return result

    def own_files(self, name: str, home: Path | None = None) -> set[str]:
        """Every file an aggregator remembers to have written."""
        rows = self.query(home or self.folder / name, "SELECT path FROM outgoing")
        return {row[0] for row in rows}

    @staticmethod
    def query(home: Path, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask an aggregator's state."""
        with contextlib.closing(sqlite3.connect(home / "state.sqlite")) as db:
            return db.execute(text, values).fetchall()

    # Backups of a whole machine.

    def back_up(self, name: str) -> None:
        """Copy an aggregator's folder, as it is now."""
        kept = self._backups / f"{name}-{len(self.backups)}"
        shutil.copytree(self.folder / name, kept)
        self.backups.append((name, kept))

    def put_back(self, name: str, kept: Path) -> None:
        """Put an older copy in the place of an aggregator's folder; keys are backed up apart."""
        home, keys = self.folder / name, self._backups / "keys"
        shutil.copytree(home / "rounds", keys)
        shutil.rmtree(home)
        shutil.copytree(kept, home)
        shutil.copytree(keys, home / "rounds", dirs_exist_ok=True)
        shutil.rmtree(keys)
        self.old[name] = bool(self._published_by(name) - self.own_files(name, kept))

    def _published_by(self, name: str) -> set[str]:
        """What shows an old memory: cards, verifier shares, approvals, ledger and order."""
        found = {path for path in self.first if path.startswith(f"ledger/{name}/")}
        found = {path for path in found if path.removesuffix(".json").rsplit("/", 1)[1].isdigit()}
        found |= {path for path in self.first if "/verify/" in path and path.endswith(f"/{name}")}
        ends = (f"/cards/{name}.json", f"/approvals/{name}.json")
        found |= {path for path in self.first if path.endswith(ends)}
        if name == self.aggregators[0]:
            found |= {path for path in self.first if "/order/" in path}
        return found

    def written_by(self, name: str) -> set[str]:
        """Every file in the pool that carries an aggregator's signature, or that it wrote."""
        ends = (f"/{name}", f"/{name}.json", f".{name}.cosignature")
        found = {path for path in self.first if path.endswith(ends)}
        found |= {path for path in self.first if path.startswith(f"ledger/{name}/")}
        found |= {
            path
            for path in self.first
            if path.endswith("/proposal.json") and self.body(path)["proposer"] == name
        }
        if name == self.aggregators[0]:
            leads = ("/plan.toml", "/task.json", "/verify-key.json")
            found |= {path for path in self.first if path.endswith(leads) or "/order/" in path}
        return found

    def lose(self, name: str) -> None:
        """The state is gone, or was moved away."""
        for path in (self.folder / name).glob("state.sqlite*"):
            path.unlink()
        self.old[name] = True

    def rebuild(self, name: str, cut: tuple[str, int] | None = None) -> None:
        """Recover. Where a spoilt pool stops it, it goes on once the pool is whole again.

        A round whose first files are spoilt is not seen at all, and must be missed afterwards.
        """
        self.lose(name)
        home = self.homes[name]
        try:
            with power(cut):
                recover(home)
        except PowerCutError:
            self.tally[f"cut at {cut[0] if cut else ''}"] += 1
            if home.state_path.exists():
                self.lose(name)
            recover(home)
        except GrievanceError as error:
            assert self.spoiled, error
            assert not home.state_path.exists()
            self.tally[f"recovery stopped: {error.code}"] += 1
            self.heal_all()
            recover(home)
        del self.old[name]
        if self.spoiled:
            self.unsure.add(name)
        else:
            self.unsure.discard(name)

    # What strangers do to the pool.

    def files(self) -> list[str]:
        """All files of the pool, half-written ones left out."""
        pool = Path(self.pool)
        found = (path for path in pool.rglob("*") if path.is_file())
        return sorted(
            path.relative_to(pool).as_posix() for path in found if not path.name.startswith(".")
        )

    def spoil(self, path: str, data: bytes | None) -> None:
        """Write other bytes over a file, or delete it (None)."""
        if data is None:
            self.file(path).unlink(missing_ok=True)
        else:
            self.file(path).write_bytes(data)
        self.spoiled[path] = data

    def heal(self, path: str) -> None:
        """The right version arrives again."""
        self.file(path).write_bytes(self.first[path])
        del self.spoiled[path]

    def heal_all(self) -> None:
        for path in list(self.spoiled):
            self.heal(path)

    def damaged(self) -> list[str]:
        """Spoilt files that nobody has written again."""
        return [path for path in self.spoiled if self._read(path) != self.first[path]]

    def _read(self, path: str) -> bytes | None:
        return self.file(path).read_bytes() if self.file(path).is_file() else None

    # What is in the pool for ever.

    def scan(self) -> list[str]:
        """Remember new files; every other one must have the bytes it had. Returns the new ones."""
        here, fresh = self.files(), []
        for path in here:
            data = self.file(path).read_bytes()
            if path not in self.first:
                self.first[path] = data
                fresh.append(path)
            elif data == self.first[path]:
                self.tally["healed by its owner"] += self.spoiled.pop(path, data) != data
            else:
                assert path in self.spoiled, f"{path} was published with other bytes"
                assert data == self.spoiled[path], f"{path} was written anew with other bytes"
        gone = set(self.first) - set(here)
        assert gone <= {path for path, data in self.spoiled.items() if data is None}, gone
        proofs = [path for path in fresh if "/evidence/" in path or path.endswith(".fork")]
        assert not proofs, f"honest parties are accused: {proofs}"
        return fresh

    def body(self, path: str) -> dict[str, Any]:
        """What a document said when it was published."""
        body: dict[str, Any] = json.loads(self.first[path])["body"]
        return body

    def events(self, round_id: str) -> list[dict[str, Any]]:
        """Everything the leader ever ordered in a round."""
        found: list[dict[str, Any]] = []
        while (path := f"rounds/{round_id}/order/{len(found) + 1}.json") in self.first:
            found.append(self.body(path)["event"])
        return found

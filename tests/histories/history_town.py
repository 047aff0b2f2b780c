"""A coalition that power cuts and strangers visit, and whose pool is remembered.

`Town` plays steps on a `Federation`; `look` holds what they left in the pool against the model.
"""

# ruff: noqa: PT017 (a step may be refused or not; what is refused must be so rightly)

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from copy import copy
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from history_model import Book, Paper, Purse
from history_plan import ANSWERS, OUTSIDER, PLAN
from history_pool import RememberedPool

from cuts import PowerCutError, power
from dishonest import Snapshot, new_seed, weigh
from federation import encode, seal_measurement
from grievance.aggregator import Office, SyncResult, sync
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.client import Report, seal
from grievance.errors import GrievanceError
from grievance.pool.batch import write_batch
from grievance.pool.relay import publish_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

BEHIND = {"state.behind", "ledger.rollback"}
"""What an aggregator says that works from an old memory."""

OVERLAP = {"release.twice"}
"""What a sync may say of a pool nobody has touched: a second release came too late."""


class Town(RememberedPool):
    """North leads, south helps; nurses and carers relay, porters may join later.

    `old` has the aggregators put back to an older copy, and whether the pool shows that they
    are; `unsure` those that recovered from a pool that was spoilt.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("nurses", "carers", OUTSIDER))
        self.relays.remove(OUTSIDER)
        task = self.open_round(PLAN)
        self._task, self._backups = task, folder / "backups"
        self._sealed: dict[tuple[bytes, int], list[Paper]] = {}
        self._days: dict[str, tuple[Snapshot, dict[str, Any]]] = {}
        self.books = {self.round_id: Book(task)}
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
            made = seal_measurement(task, meas, seed=new_seed())
            return Paper(made, zero, valid=False, opens=opens)
        if kind == "twins":  # two reports under one nonce: only the first may ever be looked at
            seed, answers = new_seed(), ANSWERS[which % len(ANSWERS)]
            bits = tuple(task.layout.encode(task.layout.answers(answers)))
            bad = which % 2 == 0
            meas = weigh(task, [1] * task.layout.num_bits) if bad else encode(task, answers)
            book.papers.append(
                Paper(
                    seal_measurement(task, meas, seed=seed),
                    zero if bad else bits,
                    valid=not bad,
                    opens=opens,
                )
            )
            made = seal_measurement(task, encode(task, answers), seed=seed)
            return Paper(made, bits, valid=True, opens=opens)
        # "garbled": somebody else's report, one ciphertext of it spoilt on its way.
        if not book.papers:
            return self.draw("honest", which)
        paper, place = book.papers[which % len(book.papers)], which % len(opens)
        sealed = list(paper.report.ciphertexts)
        sealed[place] = sealed[place][:-1] + bytes([sealed[place][-1] ^ 1])
        report = paper.report
        made = Report(report.task_digest, report.commitment, report.public_share, tuple(sealed))
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
        data = write_batch(task, [paper.report for paper in papers], home.key)
        path = publish_batch(home.store, task, relay, data)
        self.book.batches[path[-64:]] = (relay, list(papers), data)
        return path

    # What aggregators do.

    def at_office(
        self, name: str, what: Callable[[Office], T], cut: tuple[str, int] | None = None
    ) -> T | None:
        """Do something at an office; None when the power was cut."""
        try:
            with power(cut), Office.open(self.homes[name]) as office:
                return what(office)
        except PowerCutError:
            self.tally[f"cut at {cut[0] if cut else ''}"] += 1
            return None

    def publish_waiting(self, name: str) -> None:
        """Put into the pool what a power cut has left in the spool, so that all can be seen."""
        self.at_office(name, Office.publish)

    def sync(self, *names: str, clean: bool = True) -> list[SyncResult]:
        """As a federation does; a second release that came too late is no fault of the pool."""
        results = []
        for name in names or self.aggregators:
            result = self.at_office(name, sync)
            assert result is not None
            codes = {fault.code for fault in result.faults}
            assert not clean or codes <= OVERLAP, (name, [str(f) for f in result.faults])
            results.append(result)
        return results

    def sync_one(self, name: str, cut: tuple[str, int] | None = None) -> SyncResult | None:
        """Sync, and hold what it says against what it had to find."""
        before = set(self.files())
        try:
            result = self.at_office(name, sync, cut)
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
                recover(home, Told())
        except PowerCutError:
            self.tally[f"cut at {cut[0] if cut else ''}"] += 1
            if home.state_path.exists():
                self.lose(name)
            recover(home, Told())
        except GrievanceError as error:
            assert self.spoiled, error
            assert not home.state_path.exists()
            self.tally[f"recovery stopped: {error.code}"] += 1
            self.heal_all()
            recover(home, Told())
        del self.old[name]
        if self.spoiled:
            self.unsure.add(name)
        else:
            self.unsure.discard(name)

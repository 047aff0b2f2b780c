"""A coalition whose shared folder is a `HostilePool`, and scenes to go back to."""

from __future__ import annotations

import json
import random
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hostile_pool import Content, HostilePool

from dishonest import TINY_ANSWERS, TINY_PLAN
from federation import Federation
from grievance.aggregator import Office
from grievance.audit import AuditResult, audit_pool
from grievance.crypto.documents import sign_document
from grievance.pool.events import Close
from grievance.pool.order import OrderChain, read_chain
from grievance.pool.rounds import read_task
from grievance.release import Release, collect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grievance.client import Report
    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store
    from grievance.task import Task

ROWS = 12
WAITING = {"pool.behind", "pool.waiting", "release.early"}
"""What a sync may say while the pool lacks something: codes that end in exit code 3."""


class HostileCoalition(Federation):
    """North leads, south helps, nurses and carers relay; each meets the pool by its own view."""

    hostile: HostilePool

    def __init__(self, folder: Path, aggregators: Sequence[str] = ("north", "south")) -> None:
        super().__init__(folder, aggregators)
        self.hostile = HostilePool.from_folder(Path(self.pool))
        for name, home in self.homes.items():
            home.__dict__["store"] = self.hostile.reader(name)

    def file(self, path: str) -> Path:
        raise AssertionError("there is no folder here; look at self.hostile.files")

    def open_tiny(self) -> None:
        """Open a round of a small plan that admits nurses and carers."""
        self.open_round(TINY_PLAN)

    def invite(self) -> None:
        """As far as people have to type: an invitation, and south's consent to it."""
        self.round_id = self.invite_to(TINY_PLAN, *self.aggregators[1:])
        self.leader.admit_later(self.round_id, self.relays)

    def order_close(self) -> None:
        """The leader's steward closes the round; nobody syncs."""
        with Office.open(self.leader) as office:
            _, chain = office.open_bench(self.round_id)
            office.order(chain, Close())
            office.publish()

    def seal(self, number: int, answers: Mapping[str, object] = TINY_ANSWERS) -> list[Report]:
        return super().seal(number, answers)

    def codes(self, *names: str) -> list[str]:
        """Sync each of them once; the codes of everything that went wrong."""
        results = self.sync(*names, clean=False)
        self.faults = [f"{f.code}: {f}" for result in results for f in result.faults]
        return [fault.code for result in results for fault in result.faults]

    def audit(self, reader: str = "auditor") -> AuditResult:
        """Audit the pool as this reader sees it, knowing the task's digest from outside."""
        return audit_pool(self.hostile.reader(reader), trust=[self.digest])

    @property
    def task(self) -> Task:
        """The task as it truly is, whatever anybody is shown."""
        task = read_task(self.truth, self.round_id)
        assert task is not None
        return task

    @property
    def truth(self) -> Store:
        """The pool without a lie."""
        return HostilePool(self.hostile.files).reader("nobody")

    def chain(self) -> OrderChain:
        return read_chain(self.truth, self.task)

    @property
    def digest(self) -> str:
        return self.task.digest.hex()

    def sign_again(self, path: str, signer: str, change: Callable[[dict[str, Any]], None]) -> bytes:
        """A signed file of the pool with another body, signed by `signer`. Writes nothing."""
        document = json.loads(self.hostile.files[path])
        change(document["body"])
        return sign_document(document["kind"], document["body"], self.homes[signer].key)


class Scene:
    """A coalition's homes and pool at one moment."""

    def __init__(self, coalition: HostileCoalition) -> None:
        self.coalition, self.round_id = coalition, coalition.round_id
        self.files = coalition.hostile.snapshot()
        self.copy = coalition.folder.with_name(f"{coalition.folder.name}-{secrets.token_hex(4)}")
        shutil.copytree(coalition.folder, self.copy)

    def restore(self) -> HostileCoalition:
        """Put every home, the pool and the round back, all lies forgotten."""
        made = self.coalition
        shutil.rmtree(made.folder)
        shutil.copytree(self.copy, made.folder)
        made.hostile.honest()
        made.hostile.roll_back(self.files)
        made.hostile.log.clear()
        made.hostile.looked.clear()
        made.round_id = self.round_id
        return made


def keep_home(coalition: HostileCoalition, name: str) -> Path:
    """Back up one organisation's own folder."""
    copy = coalition.folder.with_name(f"{name}-{secrets.token_hex(4)}")
    shutil.copytree(coalition.folder / name, copy)
    return copy


def restore_home(coalition: HostileCoalition, name: str, copy: Path) -> None:
    """Put an organisation's folder back from a backup."""
    shutil.rmtree(coalition.folder / name)
    shutil.copytree(copy, coalition.folder / name)


def noisy_files(pool: HostilePool) -> list[str]:
    return sorted(path for path in pool.files if "/noisy/" in path)


def approve(coalition: HostileCoalition) -> str:
    """Propose and approve by hand; nobody syncs."""
    view = coalition.propose()
    coalition.answer("south", view.release_id)
    return view.release_id


def finish(coalition: HostileCoalition, release_id: str, *, audited: bool = True) -> Release:
    """With an honest pool a round comes to its end, and nobody ever wrote a file twice."""
    coalition.hostile.honest()
    coalition.settle()
    assert coalition.hostile.rewritten() == []
    assert not [path for path in coalition.hostile.files if "evidence" in path or "fork" in path]
    release = collect(coalition.leader.store, coalition.task, release_id)
    assert release.accepted == ROWS
    assert not audited or coalition.audit().verdict == "pass"
    return release


def play(
    coalition: HostileCoalition, victim: str, lies: list[Callable[[str, bytes], Content]]
) -> None:
    """A whole round in which one look in ten shows something else."""
    draw = random.Random(5)

    def flicker(path: str, _look: int, truth: bytes) -> Content:
        return draw.choice(lies)(path, truth) if draw.random() < 0.1 else truth

    def some_syncs() -> None:
        coalition.hostile.distort(victim, flicker)
        for _ in range(6):
            assert set(coalition.codes()) <= WAITING, coalition.faults
        coalition.hostile.honest()
        coalition.settle()

    coalition.relay("nurses", coalition.seal(ROWS))
    some_syncs()
    coalition.order_close()
    some_syncs()
    release_id = approve(coalition)
    some_syncs()
    finish(coalition, release_id)


def signed_by(key: SigningKey, truth: bytes) -> bytes:
    """The same document by somebody else; other files as they are."""
    try:
        document = json.loads(truth)
        return sign_document(document["kind"], document["body"], key)
    except (ValueError, KeyError):
        return truth[:-1]

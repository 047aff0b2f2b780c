"""Finished pools to audit, and what guilty parties do to them with their own keys."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation import ANSWERS, PLAN, Federation
from grievance.aggregator import Office
from grievance.audit import AuditResult, Finding, audit_pool
from grievance.crypto.documents import canonical, sign_document
from grievance.crypto.merkle import root
from grievance.crypto.signing import SigningKey
from grievance.ledger.checkpoint import cosign, parse_checkpoint, sign_checkpoint
from grievance.pool.batch import BatchFile, row_digests
from grievance.pool.events import Expel, Void
from grievance.pool.layout import RoundPaths

if TYPE_CHECKING:
    from grievance.task import Task

WALES: dict[str, object] = {"region": "Wales", "problems": [], "hours": "10"}


def make_round(federation: Federation, **options: Any) -> None:
    """One round from opening to release: two batches, one of them with a replayed report.

    `watched`: nurses and carers are its witnesses.
    """
    if options.pop("watched", False):
        federation.open_watched()
    else:
        federation.open_round(**options)
    reports = federation.seal(7)
    federation.relay("nurses", reports)
    federation.settle()
    federation.relay("carers", [*federation.seal(4, WALES), reports[0]])
    federation.settle()
    federation.release()
    federation.settle()


@dataclass
class Pool:
    """A copy of a finished pool that a test may spoil, with everybody's keys at hand."""

    folder: Path
    keys: dict[str, SigningKey]
    names: tuple[str, ...]
    tasks: list[Task]
    receipts: list[bytes]

    @property
    def task(self) -> Task:
        return self.tasks[-1]

    @property
    def paths(self) -> RoundPaths:
        return RoundPaths(self.task.round_id)

    @property
    def leader(self) -> SigningKey:
        return self.keys[self.names[0]]

    @property
    def trust(self) -> list[str]:
        return [entry.identity.fingerprint.hex() for entry in self.task.aggregators]

    @property
    def release_id(self) -> str:
        return next((self.folder / self.paths.releases).iterdir()).name

    def copy(self, folder: Path) -> Pool:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Pool(folder, self.keys, self.names, self.tasks, self.receipts)

    def file(self, path: str) -> Path:
        return self.folder / path

    def files(self) -> list[str]:
        found = (p for p in self.folder.rglob("*") if p.is_file())
        return sorted(p.relative_to(self.folder).as_posix() for p in found)

    def read(self, path: str) -> bytes:
        return self.file(path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_bytes(data)

    def remove(self, *paths: str) -> None:
        for path in paths:
            full = self.file(path)
            if full.is_dir():
                shutil.rmtree(full)
            else:
                full.unlink()

    def body(self, path: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.read(path))["body"]
        return body

    def sign_again(
        self, path: str, key: SigningKey, change: Callable[[dict[str, Any]], None]
    ) -> None:
        """Change a document's body and sign it, as its owner or anybody else can."""
        document = json.loads(self.read(path))
        change(document["body"])
        self.write(path, sign_document(document["kind"], document["body"], key))

    def audit(self, **options: Any) -> AuditResult:
        return audit_pool(self.folder, **{"trust": self.trust, **options})

    # Stages: a pool only grows, so an earlier one is what is left without the later files.

    def without_ledger(self) -> Pool:
        """Until a release was ordered: nothing charged, nothing published."""
        shutil.rmtree(self.folder / "ledger")
        shutil.rmtree(self.folder / self.paths.releases / self.release_id / "noisy")
        return self

    def without_release(self) -> Pool:
        """Until the round was closed and decided."""
        self.without_ledger()
        shutil.rmtree(self.folder / self.paths.releases)
        events = sorted((self.folder / self.paths.folder / "order").iterdir(), key=_number)
        events[-1].unlink()
        return self

    def without_close(self) -> Pool:
        """Until all batches were decided, the round still open."""
        self.without_release()
        events = sorted((self.folder / self.paths.folder / "order").iterdir(), key=_number)
        events[-1].unlink()
        return self

    def events(self) -> list[str]:
        """Paths of the order chain, in order."""
        folder = self.folder / self.paths.folder / "order"
        return [self.paths.order(int(path.stem)) for path in sorted(folder.iterdir(), key=_number)]

    def append_event(self, event: dict[str, Any], key: SigningKey | None = None) -> str:
        """Order an event after the last one, whatever the rules say."""
        events = sorted((self.folder / self.paths.folder / "order").iterdir(), key=_number)
        body = {
            "task": self.task.digest.hex(),
            "seq": len(events) + 1,
            "previous": hashlib.sha256(events[-1].read_bytes()).hexdigest(),
            "event": event,
        }
        path = self.paths.order(len(events) + 1)
        self.write(path, sign_document("grievance/2 order", body, key or self.leader))
        return path

    # Ledgers.

    def charge_again(
        self, name: str, size: int, change: Callable[[dict[str, Any]], None] = lambda _body: None
    ) -> None:
        """Rewrite one entry of an aggregator's ledger, with its head and all cosignatures."""
        path = f"ledger/{name}/{size}.json"
        if not self.file(path).exists():
            before = self.read(f"ledger/{name}/{size - 1}.json")
            document = json.loads(before)
            document["body"] |= {"size": size, "previous": hashlib.sha256(before).hexdigest()}
            self.write(path, canonical(document))
        self.sign_again(path, self.keys[name], change)
        self.sign_head(name, size)

    def sign_head(self, name: str, size: int, head: bytes | None = None) -> None:
        entries = [self.read(f"ledger/{name}/{n}.json") for n in range(1, size + 1)]
        note = sign_checkpoint(name, size, head or root(entries), self.keys[name])
        self.write(f"ledger/{name}/{size}.checkpoint", note)
        checkpoint = parse_checkpoint(note, name, self.keys[name].public)
        for witness in self.names:
            if witness != name:
                line = cosign(checkpoint, witness, 1_800_000_000, self.keys[witness])
                self.write(f"ledger/{name}/{size}.{witness}.cosignature", line)

    # Decisions.

    def decide_again(self, seq: int, change: Callable[[dict[str, Any]], None], *names: str) -> None:
        for name in names or self.names:
            self.sign_again(self.paths.decide(seq, name), self.keys[name], change)

    def batch_places(self) -> list[int]:
        folder = self.folder / self.paths.folder / "decide"
        return sorted(int(path.name) for path in folder.iterdir())


def _number(path: Path) -> int:
    return int(path.stem)


def pool_of(federation: Federation, tasks: Sequence[Task], receipts: Sequence[bytes] = ()) -> Pool:
    return Pool(
        Path(federation.pool),
        {name: home.key for name, home in federation.homes.items()},
        tuple(federation.aggregators),
        list(tasks),
        list(receipts),
    )


def make_few(folder: Path) -> Pool:
    """A closed and decided round with fewer reports than its plan asks for."""
    federation = Federation(folder)
    federation.open_round()
    federation.relay("nurses", federation.seal(5))
    federation.settle()
    federation.close()
    return pool_of(federation, [federation.task])


def make_partial(folder: Path) -> Pool:
    """A round of which one statistic was released."""
    federation = Federation(folder)
    federation.open_round()
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    federation.release(["hours_mean"])
    return pool_of(federation, [federation.task])


def make_quarrel(folder: Path) -> Pool:
    """A round with an expelled partner, a voided batch and a proposal that was declined."""
    federation = Federation(folder)
    federation.open_round()
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.relay("carers", federation.seal(3))
    federation.sync("north")
    lost = federation.chain().batches[-1]
    federation.file(federation.paths.batch("carers", lost.digest)).unlink()
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, Void(lost.seq))
        office.order(chain, Expel("carers"))
        office.publish()
    federation.settle()
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id, "decline", "let us talk first")
    federation.settle()
    return pool_of(federation, [federation.task])


def make_campaign(folder: Path) -> Pool:
    """A campaign of two finished rounds."""
    federation, tasks = Federation(folder), []
    for _ in range(2):
        make_round(federation)
        tasks.append(federation.task)
    return pool_of(federation, tasks)


def make_pool(folder: Path, names: tuple[str, ...] = ("north", "south"), **options: Any) -> Pool:
    """A finished pool of one round."""
    federation = Federation(folder, names)
    make_round(federation, **options)
    return pool_of(federation, [federation.task])


BASES: dict[str, Callable[[Path], Pool]] = {
    "round": make_pool,
    "three": lambda folder: make_pool(folder, ("north", "south", "west")),
    "watched": lambda folder: make_pool(folder, watched=True),
    "campaign": make_campaign,
    "few": make_few,
    "partial": make_partial,
    "quarrel": make_quarrel,
}
"""Finished pools by name, to be spoilt; the names are those of `audit_defects`."""


def faults(report: AuditResult) -> set[str]:
    """The rules that are broken."""
    return {finding.rule for finding in report.faults}


def amiss(report: AuditResult) -> list[Finding]:
    """What keeps a pool from passing: faults, and what waits or could not be checked."""
    return [finding for finding in report.findings if finding.severity != "note"]


def leaves_of(pool: Pool, seq: int) -> list[bytes]:
    """Leaves of a batch's rows, as the aggregators compute them."""
    digest = json.loads(pool.read(pool.paths.order(seq)))["body"]["event"]["batch"]
    path = next(path for path in pool.files() if path.endswith(digest))
    file = BatchFile(pool.read(path), pool.task)
    rows = [
        row
        for span in file.spans()
        for row in zip(*(column.to_pylist() for column in file.rows(span).columns), strict=True)
    ]
    digests = row_digests(pool.task, rows)
    return [row[0] + digest for row, digest in zip(rows, digests, strict=True)]


def set_bits(body: dict[str, Any], row: int, *, accept: bool) -> None:
    """Flip one row in a decision's bits, and in nothing else."""
    bits = bytearray(base64.urlsafe_b64decode(body["bits"]))
    bits[row // 8] = bits[row // 8] | 1 << row % 8 if accept else bits[row // 8] & ~(1 << row % 8)
    body["bits"] = base64.urlsafe_b64encode(bytes(bits)).decode()


__all__ = [
    "ANSWERS",
    "BASES",
    "PLAN",
    "WALES",
    "Pool",
    "amiss",
    "faults",
    "leaves_of",
    "make_pool",
    "make_round",
    "pool_of",
    "set_bits",
]

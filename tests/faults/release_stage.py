"""A coalition at the moments at which a release can go wrong, to go back to, and to type at.

The same folders serve three drivers: the library (`Federation`), the command line typed in this
process, and commands in forks that are killed or kept waiting (`crash_town.Runner`).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli_shell import Ran, type_words

from dishonest import TINY_ANSWERS, TINY_PLAN, Snapshot
from federation import Federation
from grievance import failpoints
from grievance.crypto.documents import sign_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crash_town import Runner

    from grievance.audit import AuditResult

SYNC = ("sync",)
ROWS, FEW = 12, 5
KEPT = ("burns", "accepted", "batches", "outgoing", "ledger", "noisy_shares", "witnessed")
"""Tables of an aggregator's state that a refused step must leave as they were."""


def _rows(db: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]


@dataclass
class Stage:
    """One federation and snapshots of its whole folder.

    `relayed`: a batch of 12 reports waits. `checked`: it is decided. `closed`, `approved` (nobody
    has synced since), `ordered` (the leader has charged, the helper not), `released`,
    `destroyed`: two ledger entries each. `second`: from `checked`, with a second round into which
    five reports were relayed.
    """

    federation: Federation
    snapshots: dict[str, Snapshot]
    release_id: str = ""
    round_id: str = ""
    second_id: str = ""

    @classmethod
    def build(cls, folder: Path) -> Stage:
        federation = Federation.opened(folder, TINY_PLAN)
        made = cls(federation, {}, round_id=federation.round_id)
        federation.relay("nurses", federation.seal(ROWS, TINY_ANSWERS))
        made.snapshots["relayed"] = Snapshot(federation)
        federation.settle()
        made.snapshots["checked"] = Snapshot(federation)
        federation.close()
        made.snapshots["closed"] = Snapshot(federation)
        made.release_id = federation.propose().release_id
        federation.answer("south", made.release_id)
        made.snapshots["approved"] = Snapshot(federation)
        federation.sync("north")
        made.snapshots["ordered"] = Snapshot(federation)
        federation.settle()
        made.snapshots["released"] = Snapshot(federation)
        for name in federation.aggregators:
            made.type(name, "round", "destroy", "--yes").done()
        federation.settle()
        made.snapshots["destroyed"] = Snapshot(federation)
        made.back_to("checked")
        federation.open_round(TINY_PLAN)
        made.second_id = federation.round_id
        federation.relay("nurses", federation.seal(FEW, TINY_ANSWERS))
        made.snapshots["second"] = Snapshot(federation)
        return made

    def back_to(self, name: str) -> Stage:
        self.snapshots[name].restore()
        self.federation.round_id = self.round_id
        return self

    @property
    def pool(self) -> Path:
        return Path(self.federation.pool)

    def type(self, name: str, *words: str, **how: Any) -> Ran:
        """Type a command as an organisation does."""
        failpoints._reached.clear()
        return type_words(*words, home=self.federation.homes[name].root, **how)

    def killed(self, runner: Runner, name: str, point: str) -> None:
        """`grievance sync` in a process of its own, ended by SIGKILL at a failpoint."""
        ended = runner.run(self.federation.folder, [(name, SYNC)], failpoint=f"{point}:kill")
        assert ended.killed, ended

    def sign_again(self, path: str, signer: str, change: Callable[[dict[str, Any]], None]) -> bytes:
        """Write another body into a signed file of the pool, signed by its owner or anybody."""
        document = json.loads((self.pool / path).read_bytes())
        change(document["body"])
        key = self.federation.homes[signer].key
        data = sign_document(document["kind"], document["body"], key)
        (self.pool / path).write_bytes(data)
        return data

    def refused(self, name: str, *words: str, code: str, says: str, next_step: str) -> Ran:
        """Type a command that must be refused: its code, its words and its next step.

        Typed twice, as a person reads it and with --json; nothing may change.
        """
        with self.unchanged():
            ran = self.type(name, *words)
            assert ran.code in (1, 2, 3), ran
            assert "Traceback" not in ran.err
            told = flat(ran.err)
            assert "grievance: error: " in told and says in told, ran.err
            assert "grievance: hint: " in told and next_step in told, ran.err
            as_json = self.type(name, *words, "--json")
            assert as_json.code == ran.code
            assert code in codes_in(as_json), (code, as_json)
        return ran

    def files(self) -> dict[str, bytes]:
        """Every file of the pool."""
        found = (path for path in self.pool.rglob("*") if path.is_file())
        return {path.relative_to(self.pool).as_posix(): path.read_bytes() for path in found}

    def memory(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """What an aggregator's state holds, read from a copy: rows by column, in order.

        A file that does not read is kept whole, so that two of them can still be compared.
        """
        path = self.federation.homes[name].state_path
        with tempfile.TemporaryDirectory() as copies:
            for found in path.parent.glob("state.sqlite*"):
                shutil.copy(found, copies)
            try:
                with contextlib.closing(sqlite3.connect(Path(copies) / path.name)) as db:
                    db.row_factory = sqlite3.Row
                    return {table: _rows(db, table) for table in KEPT}
            except sqlite3.Error:
                return {"unreadable": [{"bytes": path.read_bytes()}]}

    def ledger(self, name: str) -> list[bytes]:
        """The entries an aggregator has charged."""
        return [row["data"] for row in self.memory(name)["ledger"]]

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing in the pool and in any aggregator's memory changes meanwhile."""
        before = self.files(), [self.memory(name) for name in self.federation.aggregators]
        yield
        assert (self.files(), [self.memory(n) for n in self.federation.aggregators]) == before

    def audit(self) -> AuditResult:
        from grievance.audit import audit_pool

        return audit_pool(self.pool, trust=[self.federation.task.digest.hex()])

    def told_by_audit(self, *words: str, where: Path | None = None) -> str:
        """What an auditor who knows the task's digest reads about the pool, or another folder."""
        trust = ("--trust", self.federation.task.digest.hex())
        ran = self.type("north", "audit", str(where or self.pool), *trust, *words)
        assert "Traceback" not in ran.err
        return ran.out + ran.err

    def finish(self) -> None:
        """The release comes to its end: every report in it, charged once by everybody."""
        from grievance.release import collect

        self.federation.settle()
        found = collect(self.federation.leader.store, self.federation.task, self.release_id)
        assert found.accepted == ROWS
        for name in self.federation.aggregators:
            assert len(self.ledger(name)) == 1
            assert (self.pool / f"ledger/{name}/1.json").read_bytes() == self.ledger(name)[0]
            assert not (self.pool / f"ledger/{name}/2.json").exists()
        assert not self.audit().faults


def flat(text: str) -> str:
    """What a person reads, whatever the width of the terminal."""
    return " ".join(text.split())


def codes_in(ran: Ran) -> set[str]:
    """Every code in what a command wrote as JSON, in its answer and in its refusals."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.update(v for k, v in value.items() if k in ("error", "code") and type(v) is str)
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    if ran.out.strip():
        look(json.loads(ran.out))
    for line in ran.err.splitlines():
        if line.startswith("{"):
            look(json.loads(line))
    return found


def spoil_pages(path: Path) -> None:
    """Write noise into the middle of every page but the first, as a dying disk does."""
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = b"\xa5" * 64
    path.write_bytes(bytes(data))

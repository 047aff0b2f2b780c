"""An organisation's own memory: one SQLite file, one writer, flushed before anything leaves.

What is in it: which nonces were verified with which bytes, sealed sums per batch, every
outgoing file byte for byte, the ledger, the noisy shares, and of a relay which reports it passed
on. What is not: keys (they lie beside it) and any un-noised number in the clear.
Source: docs/design.md, section 8.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grievance.aggregator.relay_rows import RELAY_SCHEMA, RelayRows
from grievance.aggregator.state_faults import damaged, in_words
from grievance.errors import StateError
from grievance.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SCHEMA_VERSION = 3
# What is large stands last: SQLite reads a row up to the column that is asked for, and writes all
# of it anew when one column changes. So whether a file is published is a row of its own.
_SCHEMA = """
CREATE TABLE tasks (
    digest BLOB PRIMARY KEY, round TEXT NOT NULL UNIQUE, campaign TEXT NOT NULL,
    position INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (campaign, position)
) STRICT;
CREATE TABLE consents (
    round TEXT PRIMARY KEY, cards TEXT, invitation BLOB NOT NULL, plan BLOB NOT NULL
) STRICT;
CREATE TABLE destroyed (task BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE order_seen (
    task BLOB NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE burns (
    task BLOB NOT NULL, seq INTEGER NOT NULL, entries BLOB NOT NULL, PRIMARY KEY (task, seq)
) STRICT;
CREATE TABLE accepted (
    task BLOB NOT NULL, seq INTEGER NOT NULL, nonces BLOB NOT NULL, PRIMARY KEY (task, seq)
) STRICT;
CREATE TABLE batches (
    task BLOB NOT NULL, seq INTEGER NOT NULL, batch BLOB NOT NULL, accepted INTEGER, root BLOB,
    sum BLOB NOT NULL, findings BLOB, PRIMARY KEY (task, seq)
) STRICT;
CREATE TABLE outgoing (path TEXT PRIMARY KEY, made TEXT NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE published (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE witnessed (
    ledger BLOB PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
    checkpoint BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE alone (request BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE seen (path TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE ledger (size INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE noisy_shares (
    task BLOB NOT NULL, release TEXT NOT NULL, share BLOB NOT NULL, PRIMARY KEY (task, release)
) STRICT;
"""


@contextlib.contextmanager
def open_state(path: Path) -> Iterator[State]:
    """Open the state and close it after; what SQLite says meanwhile becomes a StateError."""
    state = State(path)
    try:
        yield state
    except sqlite3.Error as error:
        raise in_words(path, error) from None
    finally:
        state.close()


@dataclass(frozen=True, repr=False)
class BatchRow:
    """What is known about one ordered batch. `sum` is sealed."""

    seq: int
    batch: bytes
    sum: bytes
    accepted: int | None
    root: bytes | None

    @property
    def decided(self) -> bool:
        """Whether the decision is made."""
        return self.accepted is not None


class State(RelayRows):
    """Opens, or creates, the state file. Raises StateError when it is damaged or foreign."""

    def __init__(self, path: Path) -> None:
        self.path = path
        fresh = not path.exists()
        try:
            if fresh:
                path.touch(mode=0o600)
                failpoint("state.created")
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            if fresh or not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                with self.transaction():
                    for statement in (_SCHEMA + RELAY_SCHEMA).split(";")[:-1]:
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._check()
        except (sqlite3.Error, OSError) as error:
            raise in_words(path, error) from None

    def _check(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise StateError(
                f"{self.path}: written by another version (schema {version})",
                code="state.version",
                hint="use the version of this program that wrote it; nothing was changed",
            )
        found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(self.path, "its pages do not fit together")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk before it returns."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            failpoint("state.commit.before")
            self._db.execute("COMMIT")
        except BaseException as error:
            # A full or failing disk can make SQLite roll back by itself, or fail to.
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error | OSError):
                raise in_words(self.path, error) from None
            raise
        failpoint("state.commit.after")

    # Tasks we signed, in the order of their campaign.

    def add_task(self, digest: bytes, round_id: str, campaign: str, data: bytes) -> None:
        """Remember a task as the newest of its campaign."""
        position = self._db.execute(
            "SELECT COALESCE(MAX(position), 0) + 1 FROM tasks WHERE campaign = ?", (campaign,)
        ).fetchone()[0]
        self._db.execute(
            "INSERT INTO tasks VALUES (?, ?, ?, ?, ?)", (digest, round_id, campaign, position, data)
        )

    def task_of_round(self, round_id: str) -> bytes | None:
        """The task we signed for a round, as JCS bytes."""
        row = self._db.execute("SELECT data FROM tasks WHERE round = ?", (round_id,)).fetchone()
        return row[0] if row else None

    def last_task(self, campaign: str) -> bytes | None:
        """The newest task of a campaign that we signed, as JCS bytes."""
        row = self._db.execute(
            "SELECT data FROM tasks WHERE campaign = ? ORDER BY position DESC LIMIT 1", (campaign,)
        ).fetchone()
        return row[0] if row else None

    def rounds(self) -> Sequence[str]:
        """Ids of every round whose task we signed, oldest first."""
        return [row[0] for row in self._db.execute("SELECT round FROM tasks ORDER BY rowid")]

    def tasks(self) -> Sequence[bytes]:
        """Every task we signed, as JCS bytes."""
        rows = self._db.execute("SELECT data FROM tasks ORDER BY campaign, position")
        return [row[0] for row in rows]

    # What our steward agreed to: read and written by `aggregator.consent` alone.

    def add_consent(self, round_id: str, plan: bytes, invitation: bytes) -> None:
        """Keep the plan and the leader's card that were shown, together with our own card."""
        self._db.execute(
            "INSERT INTO consents (round, invitation, plan) VALUES (?, ?, ?)",
            (round_id, invitation, plan),
        )

    def pin_cards(self, round_id: str, cards: str) -> None:
        """Remember that all cards of a round were agreed to, as they then lay."""
        self._db.execute("UPDATE consents SET cards = ? WHERE round = ?", (cards, round_id))

    def consent(self, round_id: str) -> tuple[bytes, bytes, str | None] | None:
        """Plan, leader's card and pinned cards of a round; None when they are not kept."""
        row = self._db.execute(
            "SELECT plan, invitation, cards FROM consents WHERE round = ?", (round_id,)
        ).fetchone()
        return (row[0], row[1], row[2]) if row else None

    # Rounds whose keys are gone.

    def is_destroyed(self, task: bytes) -> bool:
        """Whether we destroyed a round."""
        found = self._db.execute("SELECT 1 FROM destroyed WHERE task = ?", (task,)).fetchone()
        return found is not None

    def forget_round(self, task: bytes) -> None:
        """Mark a round as destroyed and delete its sums, findings and sealed shares."""
        self._db.execute("INSERT OR IGNORE INTO destroyed VALUES (?)", (task,))
        self._db.execute("UPDATE batches SET sum = X'', findings = NULL WHERE task = ?", (task,))
        self._db.execute("DELETE FROM noisy_shares WHERE task = ?", (task,))

    def compact(self) -> None:
        """Rewrite the file, so that deleted rows are in no free page and no log."""
        failpoint("state.compact.before")
        self._db.execute("VACUUM")
        failpoint("state.compact.vacuumed")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        failpoint("state.compact.after")

    # The order chain as far as we acted on it.

    def order_file(self, task: bytes, seq: int) -> bytes | None:
        """The file of the event we saw at a place."""
        row = self._db.execute(
            "SELECT data FROM order_seen WHERE task = ? AND seq = ?", (task, seq)
        ).fetchone()
        return row[0] if row else None

    def order_length(self, task: bytes) -> int:
        """How many events we have seen."""
        found = self._db.execute("SELECT MAX(seq) FROM order_seen WHERE task = ?", (task,))
        return int(found.fetchone()[0] or 0)

    def see_order(self, task: bytes, seq: int, data: bytes) -> None:
        """Remember an event's file: against another one for its place it is evidence."""
        self._db.execute("INSERT INTO order_seen VALUES (?, ?, ?)", (task, seq, data))

    # The burn rule: one blob a batch, read and written by `aggregator.burns` alone.

    def burns(self, task: bytes) -> Sequence[bytes]:
        """The new entries of every batch, in order."""
        rows = self._db.execute("SELECT entries FROM burns WHERE task = ? ORDER BY seq", (task,))
        return [row[0] for row in rows]

    def accepted(self, task: bytes) -> Sequence[bytes]:
        """The accepted nonces of every decided batch, in order."""
        rows = self._db.execute("SELECT nonces FROM accepted WHERE task = ? ORDER BY seq", (task,))
        return [row[0] for row in rows]

    def add_burns(self, task: bytes, seq: int, entries: bytes) -> None:
        """Store the entries a batch added, before its verifier shares can leave."""
        self._db.execute("INSERT INTO burns VALUES (?, ?, ?)", (task, seq, entries))

    def add_accepted(self, task: bytes, seq: int, nonces: bytes) -> None:
        """Store the nonces a decision accepted."""
        self._db.execute("INSERT INTO accepted VALUES (?, ?, ?)", (task, seq, nonces))

    # Batches.

    def add_batch(self, task: bytes, seq: int, batch: bytes, sum_: bytes, findings: bytes) -> None:
        """Store what verifying a batch gave, sealed."""
        self._db.execute(
            "INSERT INTO batches (task, seq, batch, sum, findings) VALUES (?, ?, ?, ?, ?)",
            (task, seq, batch, sum_, findings),
        )

    def decide_batch(self, task: bytes, seq: int, sum_: bytes, accepted: int, root: bytes) -> None:
        """Store the sum over accepted rows, sealed, and forget the findings."""
        self._db.execute(
            "UPDATE batches SET sum = ?, findings = NULL, accepted = ?, root = ? "
            "WHERE task = ? AND seq = ?",
            (sum_, accepted, root, task, seq),
        )

    def batches(self, task: bytes) -> dict[int, BatchRow]:
        """All batches of a round by their place in the order."""
        rows = self._db.execute(
            "SELECT seq, batch, sum, accepted, root FROM batches WHERE task = ? ORDER BY seq",
            (task,),
        )
        return {row[0]: BatchRow(*row) for row in rows}

    def batch(self, task: bytes, seq: int) -> BatchRow | None:
        """One batch of a round; None until it is verified."""
        row = self._db.execute(
            "SELECT seq, batch, sum, accepted, root FROM batches WHERE task = ? AND seq = ?",
            (task, seq),
        ).fetchone()
        return BatchRow(*row) if row else None

    def findings(self, task: bytes, seq: int) -> bytes | None:
        """What verifying a batch gave, sealed, until it is decided; large, so only when needed."""
        row = self._db.execute(
            "SELECT findings FROM batches WHERE task = ? AND seq = ?", (task, seq)
        ).fetchone()
        return row[0] if row else None

    # Outgoing files, byte for byte.

    def spool(self, path: str, data: bytes) -> None:
        """Queue a file for the pool, for ever the same bytes. Raises StateError if it differs."""
        known = self.outgoing(path)
        if known is not None and known != data:
            raise StateError(f"{path}: we have published other bytes", code="state.twice")
        if known is None:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._db.execute("INSERT INTO outgoing VALUES (?, ?, ?)", (path, now, data))

    def outgoing(self, path: str) -> bytes | None:
        """The bytes we made for a path."""
        row = self._db.execute("SELECT data FROM outgoing WHERE path = ?", (path,)).fetchone()
        return row[0] if row else None

    def made_at(self, path: str) -> datetime | None:
        """When we made the file for a path."""
        row = self._db.execute("SELECT made FROM outgoing WHERE path = ?", (path,)).fetchone()
        return datetime.fromisoformat(row[0]) if row else None

    def newest_file(self) -> datetime | None:
        """When the newest of our files was made, by the clock of that moment."""
        made = self._db.execute("SELECT MAX(made) FROM outgoing").fetchone()[0]
        return datetime.fromisoformat(made) if made else None

    def unpublished(self) -> Sequence[str]:
        """Paths not yet known to be in the pool, oldest first."""
        rows = self._db.execute(
            "SELECT path FROM outgoing WHERE path NOT IN (SELECT path FROM published) "
            "ORDER BY rowid"
        )
        return [row[0] for row in rows]

    def all_outgoing(self) -> Sequence[tuple[str, int]]:
        """Every path we ever made with its size, oldest first."""
        rows = self._db.execute("SELECT path, LENGTH(data) FROM outgoing ORDER BY rowid")
        return [(row[0], row[1]) for row in rows]

    def mark_published(self, path: str) -> None:
        """Remember that a file is in the pool."""
        self._db.execute("INSERT OR IGNORE INTO published VALUES (?)", (path,))

    # Heads of the others' ledgers.

    def witnessed(self, key: bytes) -> tuple[int, bytes, bytes] | None:
        """Size, root and checkpoint of the last head of a ledger that we cosigned."""
        row = self._db.execute(
            "SELECT size, root, checkpoint FROM witnessed WHERE ledger = ?", (key,)
        ).fetchone()
        return (row[0], row[1], row[2]) if row else None

    def witness(self, key: bytes, name: str, size: int, root: bytes, checkpoint: bytes) -> None:
        """Store a head; in the same transaction the cosignature is spooled, not before."""
        self._db.execute(
            "INSERT INTO witnessed VALUES (?, ?, ?, ?, ?) ON CONFLICT (ledger) DO UPDATE SET "
            "size = excluded.size, root = excluded.root, checkpoint = excluded.checkpoint",
            (key, name, size, root, checkpoint),
        )

    # Whether our memory came back without anybody outside having confirmed it.

    def is_alone(self) -> bool:
        """Whether we recovered alone, and had no answers since."""
        return self.alone_since() is not None

    def alone_since(self) -> bytes | None:
        """The question that stood open when we recovered alone, if no answers came since."""
        row = self._db.execute("SELECT request FROM alone").fetchone()
        return row[0] if row else None

    def set_alone(self, request: bytes | None) -> None:
        """Remember that we recovered alone, with this question open; None: it was answered."""
        self._db.execute("DELETE FROM alone")
        if request is not None:
            self._db.execute("INSERT INTO alone VALUES (?)", (request,))

    # What the others signed, as far as a second version of it would be evidence.

    def seen(self, path: str) -> bytes | None:
        """The first version of a peer's file that we read, as far as it was kept."""
        row = self._db.execute("SELECT data FROM seen WHERE path = ?", (path,)).fetchone()
        return row[0] if row else None

    def see(self, path: str, data: bytes) -> None:
        """Keep the first version of a peer's file."""
        self._db.execute("INSERT INTO seen VALUES (?, ?)", (path, data))

    def seen_paths(self, prefix: str) -> list[str]:
        """Paths of the peers' files that we read, below a folder."""
        return self._below("seen", prefix)

    def outgoing_paths(self, prefix: str) -> list[str]:
        """Paths of our own files below a folder."""
        return self._below("outgoing", prefix)

    def _below(self, table: str, prefix: str) -> list[str]:
        rows = self._db.execute(
            f"SELECT path FROM {table} WHERE path >= ? AND path < ? ORDER BY path",  # noqa: S608
            (prefix, prefix[:-1] + "0"),  # the character after the slash
        )
        return [row[0] for row in rows]

    # Ledger and noisy shares.

    def ledger(self) -> Sequence[bytes]:
        """All our ledger entries, in order."""
        return [row[0] for row in self._db.execute("SELECT data FROM ledger ORDER BY size")]

    def charge(self, size: int, entry: bytes, task: bytes, release: str, share: bytes) -> None:
        """Store an entry together with the sealed noisy share it pays for."""
        self.add_entry(size, entry)
        self.add_share(task, release, share)

    def add_entry(self, size: int, entry: bytes) -> None:
        """Store one ledger entry."""
        self._db.execute("INSERT INTO ledger VALUES (?, ?)", (size, entry))

    def add_share(self, task: bytes, release: str, share: bytes) -> None:
        """Store the sealed noisy share of a charged release."""
        self._db.execute("INSERT INTO noisy_shares VALUES (?, ?, ?)", (task, release, share))

    def noisy_share(self, task: bytes, release: str) -> bytes | None:
        """The sealed noisy share of a release that was charged."""
        row = self._db.execute(
            "SELECT share FROM noisy_shares WHERE task = ? AND release = ?", (task, release)
        ).fetchone()
        return row[0] if row else None

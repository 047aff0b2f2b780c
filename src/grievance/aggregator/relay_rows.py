"""What the state remembers of our own relaying: a part of `State`, whose file and rules it shares.

The batches themselves lie among the outgoing files, byte for byte. Here stands which reports are
in them, by digest. Every row of a batch is listed, blank ones like real ones: whoever takes this
file learns what the batches in the pool say anyway, and not which of their rows are real.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

RELAY_SCHEMA = """
CREATE TABLE relaying (
    task BLOB PRIMARY KEY, round TEXT NOT NULL, looked TEXT, closed TEXT, released TEXT,
    releases INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE relayed (path TEXT PRIMARY KEY, task BLOB NOT NULL, digests BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Relaying:
    """How far we are as a relay of one round. Moments are ISO 8601; None: not yet.

    `looked`: when what lay in the spool last fell due; `closed`: when we first saw the round
    closed; `released`: when we last saw a new release whole, of `releases` by then.
    """

    looked: str | None = None
    closed: str | None = None
    released: str | None = None
    releases: int = 0


class RelayRows:
    """The methods of `State` about relaying. Writers run inside the caller's transaction."""

    _db: sqlite3.Connection

    def relaying(self, task: bytes) -> Relaying | None:
        """Where we are as a relay of a round; None when we do not remember being one."""
        row = self._db.execute(
            "SELECT looked, closed, released, releases FROM relaying WHERE task = ?", (task,)
        ).fetchone()
        return Relaying(*row) if row else None

    def relaying_rounds(self) -> Sequence[str]:
        """Ids of the rounds into which we relay, as far as we remember."""
        return [row[0] for row in self._db.execute("SELECT round FROM relaying ORDER BY round")]

    def note_relaying(self, task: bytes, round_id: str, **news: str | int | None) -> None:
        """Remember that we relay into a round, and what is new: fields of `Relaying`."""
        now = replace(self.relaying(task) or Relaying(), **news)  # type: ignore[arg-type]
        self._db.execute(
            "INSERT OR REPLACE INTO relaying VALUES (?, ?, ?, ?, ?, ?)",
            (task, round_id, now.looked, now.closed, now.released, now.releases),
        )

    def add_relayed(self, path: str, task: bytes, digests: bytes) -> None:
        """Remember the reports of a batch of ours, 32 bytes each; none where nobody knows them."""
        self._db.execute("INSERT INTO relayed VALUES (?, ?, ?)", (path, task, digests))

    def relayed(self, task: bytes) -> dict[str, bytes]:
        """Our batches of a round by path, oldest first, with the digests of their reports."""
        rows = self._db.execute(
            "SELECT path, digests FROM relayed WHERE task = ? ORDER BY rowid", (task,)
        )
        return dict(rows.fetchall())

    def forget_relaying(self, task: bytes) -> None:
        """Delete our batches of a round and all we remember of relaying into it."""
        for table in ("published", "outgoing"):
            self._db.execute(
                f"DELETE FROM {table} WHERE path IN (SELECT path FROM relayed WHERE task = ?)",  # noqa: S608
                (task,),
            )
        for table in ("relayed", "relaying"):
            self._db.execute(f"DELETE FROM {table} WHERE task = ?", (task,))  # noqa: S608

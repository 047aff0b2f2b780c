"""What somebody who seals tables remembers of a round: which people and rows were sealed.

A later, longer export holds the people of the earlier one again. Whoever sealed them must
know, or they count twice. So the sealer's home keeps, for every sealed row, two keyed hashes
(HMAC-SHA256, 16 bytes): of the person's id, where the mapping names one, and of the row's
cells. The key is drawn for this round alone and lies beside them. Without this file nobody
can tell whose rows were sealed; with it one can try ids. It never leaves the home, is in no
backup, and is deleted with the round's keys, or by `grievance seal ROUND --forget`.

Order of the steps, so that nobody is counted twice and nobody is lost, wherever the power
fails: the reports are whole in a folder `.sealing-*.part` inside the output folder; the rows
are remembered, with the names of both folders, in one transaction; the files move to their
names; the sealing is marked done. Before the second step nothing was sealed; after it the next
run moves what has not been moved. SQLite's exclusive lock, held throughout, keeps a second run
out.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from grievance.errors import StateError, after_fault
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grievance.tables.rows import Cell
    from grievance.task import Task

Tags = tuple[bytes | None, bytes]
"""Of one row: the person's, where the mapping names one, and the cells'."""

_TAG_SIZE = 16
_SCHEMA = """
CREATE TABLE about (task BLOB NOT NULL, key BLOB NOT NULL);
CREATE TABLE sealing (id INTEGER PRIMARY KEY, folder TEXT NOT NULL, part TEXT NOT NULL,
                      day TEXT NOT NULL, done INTEGER NOT NULL);
CREATE TABLE row (sealing INTEGER NOT NULL, person BLOB, cells BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Overlap:
    """How many rows of a table stand in an earlier sealing, cell by cell."""

    num_rows: int
    folder: str
    day: str


class SealMemory:
    """The open memory of one round. Made by `open`; close it, or use `with`."""

    def __init__(self, database: sqlite3.Connection, key: bytes) -> None:
        self._database = database
        self._key = key

    @classmethod
    def open(cls, folder: Path, task: Task) -> Self:
        """Open the memory of a round, or begin it. `folder` is the round's own, in a home.

        Raises StateError: `seal.busy` while another run has it open, `seal.memory` when it is
        damaged or cannot be written.
        """
        path = memory_path(folder, task)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise StateError(
                f"{path} cannot be written: {error.strerror}",
                code="seal.memory",
                hint=f"it remembers who was sealed; {after_fault(error)}",
            ) from None
        database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with _in_words(path):
                database.execute("PRAGMA locking_mode = EXCLUSIVE")
                database.execute("PRAGMA synchronous = FULL")
                database.execute("PRAGMA secure_delete = ON")
                database.execute("BEGIN IMMEDIATE")
                if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in _SCHEMA.split(";"):
                        database.execute(statement)
                    about = (task.digest, secrets.token_bytes(32))
                    database.execute("INSERT INTO about VALUES (?, ?)", about)
                database.execute("COMMIT")
                rows = database.execute("SELECT task, key FROM about").fetchall()
            if len(rows) != 1 or rows[0][0] != task.digest:
                raise _damaged(path)
            return cls(database, rows[0][1])
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lock."""
        self._database.close()

    def __repr__(self) -> str:
        return "<SealMemory>"

    # -- hashes --------------------------------------------------------------------------------

    def person_tag(self, person: str) -> bytes:
        """Hash an id."""
        return self._tag(b"person", [person])

    def row_tag(self, cells: Sequence[Cell]) -> bytes:
        """Hash the cells of a row, in the order of the table's columns."""
        texts = ["\n".join(cell) if isinstance(cell, list) else cell or "" for cell in cells]
        return self._tag(b"row", [text.strip() for text in texts])

    def _tag(self, what: bytes, texts: Iterable[str]) -> bytes:
        data = length_prefixed(what, *(t.encode("utf-8", "surrogateescape") for t in texts))
        return hmac.digest(self._key, data, hashlib.sha256)[:_TAG_SIZE]

    # -- what was sealed -----------------------------------------------------------------------

    def people(self) -> dict[bytes, Counter[bytes]]:
        """Everybody who was sealed: the person's tag -> how often which row."""
        found: dict[bytes, Counter[bytes]] = {}
        query = "SELECT person, cells FROM row WHERE person IS NOT NULL"
        for person, cells in self._database.execute(query):
            found.setdefault(person, Counter())[cells] += 1
        return found

    def overlap(self, tags: Iterable[Tags]) -> Overlap | None:
        """Return the earlier sealing that has most of these rows, if it is half of either."""
        new = Counter(cells for _, cells in tags)
        worst: Overlap | None = None
        query = "SELECT id, folder, day FROM sealing"
        for number, folder, day in self._database.execute(query).fetchall():
            rows = self._database.execute("SELECT cells FROM row WHERE sealing = ?", (number,))
            old = Counter(cells for (cells,) in rows)
            same = (new & old).total()
            half = min(new.total(), old.total()) / 2
            if same and same >= half and (worst is None or same > worst.num_rows):
                worst = Overlap(same, folder, day)
        return worst

    def folders(self) -> list[tuple[str, str]]:
        """Folder and day of every sealing, in order."""
        return self._database.execute("SELECT folder, day FROM sealing ORDER BY id").fetchall()

    # -- sealing -------------------------------------------------------------------------------

    def remember(self, folder: Path, part: Path, day: str, tags: Iterable[Tags]) -> int:
        """Remember rows whose reports are whole in `part` and about to move to `folder`."""
        with _in_words(Path(str(folder))):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                number = self._database.execute(
                    "INSERT INTO sealing (folder, part, day, done) VALUES (?, ?, ?, 0)",
                    (str(folder.resolve()), str(part.resolve()), day),
                ).lastrowid
                self._database.executemany(
                    "INSERT INTO row VALUES (?, ?, ?)", ((number, *tag) for tag in tags)
                )
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        return number or 0

    def holds(self, part: Path) -> bool:
        """Whether the rows whose reports lie in `part` are remembered; in doubt they are."""
        try:
            query = "SELECT count(*) FROM sealing WHERE part = ?"
            return bool(self._database.execute(query, (str(part.resolve()),)).fetchone()[0])
        except sqlite3.Error:
            return True

    def done(self, number: int) -> None:
        """Mark a sealing whose files have their names."""
        self._database.execute("UPDATE sealing SET done = 1 WHERE id = ?", (number,))

    def unfinished(self) -> Iterator[tuple[int, Path, Path]]:
        """Yield what an earlier run remembered and did not mark: number, folder, part."""
        query = "SELECT id, folder, part FROM sealing WHERE NOT done"
        for number, folder, part in self._database.execute(query).fetchall():
            yield number, Path(folder), Path(part)


def memory_path(folder: Path, task: Task) -> Path:
    """Where a round's memory lies: the digest is in the name, since ids repeat between pools."""
    return folder / f"sealed-{task.digest.hex()[:16]}.sqlite"


def forget(folder: Path, task: Task) -> bool:
    """Delete the memory of a round, key included, and say whether there was one."""
    path = memory_path(folder, task)
    if not path.exists():
        return False
    # Overwriting helps on some media and hurts on none; it is no promise.
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's complaints into StateError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise StateError(
                "another `grievance seal` of this round is at work",
                code="seal.busy",
                hint="wait until it ends; of two at once neither would know whom the other sealed",
            ) from None
        raise StateError(
            f"{path}: what was sealed cannot be remembered: {error}",
            code="seal.memory",
            hint="free some space there, or see to the disk; nothing was sealed",
        ) from None
    except sqlite3.DatabaseError:
        raise _damaged(path) from None


def _damaged(path: Path) -> StateError:
    return StateError(
        f"{path}: the memory of who was sealed in this round is damaged",
        code="seal.memory",
        hint="put it back from a copy of your home; without one nobody can tell who was sealed: "
        "move it away only if no sealed file of this round was handed over",
    )

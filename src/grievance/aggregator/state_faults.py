"""What goes wrong with a state file, in words: a full disk, another program, damage.

An error means one thing: a disk that refuses is no damage, and a mistake of ours is neither.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from grievance.errors import StateError, after_fault

if TYPE_CHECKING:
    from pathlib import Path

# Of SQLite's primary result codes: what only a mistake of ours brings, and what a disk does.
# Everything else is damage.
_OURS = {
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
}
_REFUSED = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


def in_words(path: Path, error: sqlite3.Error | OSError) -> Exception:
    """What SQLite or the system says about a state file, with the next step: a StateError.

    A mistake of ours in the use of SQLite stays what it is: nobody is to move a sound state away.
    """
    if isinstance(error, sqlite3.Error):
        primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        if primary == sqlite3.SQLITE_NOMEM:
            return MemoryError()
        if primary in _OURS:
            return error
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StateError(
                f"another program has {path} open",
                code="state.busy",
                hint="close it, then run the same command again; nothing was changed",
            )
        if primary not in _REFUSED:
            return damaged(path, str(error))
        error = OSError(_REFUSED[primary], str(error), str(path))
    return StateError(
        f"{error.filename or path}: {error.strerror}; this step was not done, and nothing of it "
        "is kept",
        code="state.write",
        hint=after_fault(error),
    )


def damaged(path: Path, why: str) -> StateError:
    """A state file that does not read, with the next step."""
    return StateError(
        f"{path}: the state is damaged ({why})",
        code="state.damaged",
        hint="stop here and keep the file, never edit it; move it away with the files beside it "
        "that begin with its name, then run `grievance recover`",
    )

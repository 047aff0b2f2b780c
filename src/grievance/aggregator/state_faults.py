"""What goes wrong with a state file, in words: a full disk, another program, damage."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from grievance.errors import StateError, after_fault

if TYPE_CHECKING:
    from pathlib import Path

# What a disk does to SQLite, by its primary result code; everything else is damage.
_REFUSED = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


def in_words(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """What SQLite or the system says about a state file, with the next step."""
    if isinstance(error, sqlite3.Error):
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
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

"""Backup of an organisation's keys with trustees, of whom any `threshold` together suffice.

    make, refresh, status, statement      the owner's own machine (statement_of: another's)
    rehearse                              the same as after a loss, into memory
    pleas, find_plea, answer              a trustee
    ask, finish                           the new machine after a loss

Whoever can give the keys back can also use them: any `threshold` trustees together are to the
others what the owner is. Source: docs/design.md, sections 5 and 13.
"""

from grievance.backup.owner import (
    BackupStatus,
    Refreshed,
    current_set,
    make,
    refresh,
    statement,
    statement_of,
    status,
)
from grievance.backup.rehearsal import Rehearsal, no_backup, rehearse
from grievance.backup.restore import Restore, Restored, ask, finish
from grievance.backup.trustee import Plea, answer, find_plea, pleas

__all__ = [
    "BackupStatus",
    "Plea",
    "Refreshed",
    "Rehearsal",
    "Restore",
    "Restored",
    "answer",
    "ask",
    "current_set",
    "find_plea",
    "finish",
    "make",
    "no_backup",
    "pleas",
    "refresh",
    "rehearse",
    "statement",
    "statement_of",
    "status",
]

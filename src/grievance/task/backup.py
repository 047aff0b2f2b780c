"""What an aggregator says in its card about the backup of its keys.

All aggregators are needed to the end of a round, so whoever consents to one wants to know
whether each of them could come back from a lost machine, and who could bring it back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from grievance.crypto.strict import StrictObject
from grievance.errors import TaskError
from grievance.names import is_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_THRESHOLD = 2
"""One trustee alone must never be able to act as the organisation it helps."""
MAX_TRUSTEES = 16

_KEYS = ("rehearsed", "set", "threshold", "trustees")
_SET_ID = re.compile(r"[0-9a-f]{16}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class BackupClaim:
    """A backup that was rehearsed: any `threshold` of `trustees` together give the keys back.

    `rehearsed` is the day, YYYY-MM-DD, on which that was last tried.
    """

    set_id: str
    threshold: int
    trustees: tuple[str, ...]
    rehearsed: str

    def to_json(self) -> dict[str, Any]:
        """Write the claim as it stands in cards and tasks."""
        return {
            "rehearsed": self.rehearsed,
            "set": self.set_id,
            "threshold": self.threshold,
            "trustees": list(self.trustees),
        }


def read_backup_claim(value: object, owner: str, where: str, code: str) -> BackupClaim | None:
    """Read what `owner` claims; None: it claims no backup. Raises TaskError with `code`."""
    if value is None:
        return None
    fields = StrictObject(value, _KEYS, where=where, error=TaskError, code=code)
    set_id, rehearsed = fields.text("set"), fields.text("rehearsed")
    if not _SET_ID.fullmatch(set_id):
        fields.refuse("is not the id of a backup", "set")
    if not is_day(rehearsed):
        fields.refuse("is not a day like 2026-10-01", "rehearsed")
    trustees = fields.items("trustees")
    if not all(is_name(name) for name in trustees) or len(set(trustees)) < len(trustees):
        fields.refuse("are not the names of different organisations", "trustees")
    if len(trustees) > MAX_TRUSTEES or owner in trustees:
        fields.refuse("are too many, or one is the organisation itself", "trustees")
    threshold = fields.integer("threshold", MIN_THRESHOLD, max(MIN_THRESHOLD, len(trustees)))
    if threshold > len(trustees):
        fields.refuse("are fewer than the threshold", "trustees")
    return BackupClaim(set_id, threshold, tuple(trustees), rehearsed)


def backup_in_words(name: str, claim: BackupClaim | None) -> str:
    """Say in one sentence what a claim means for a round, and for whom it has to be trusted."""
    if claim is None:
        return (
            f"{name} has no rehearsed backup of its keys: if they are lost, the round ends "
            "without a result."
        )
    return (
        f"If {name} loses its keys, any {claim.threshold} of {', '.join(claim.trustees)} "
        f"together can give them back (tried on {claim.rehearsed}); so could those "
        f"{claim.threshold} read what {name} can read."
    )


def overlap_in_words(trustees: Mapping[str, Sequence[str]]) -> str:
    """Warn of people who would help to give back the keys of several aggregators; "" if none.

    `trustees` maps every aggregator of a round to the names of its trustees, if it has any. With
    the keys of all aggregators every answer can be read, so whoever counts for two of them makes
    the group that could do it smaller.
    """
    held = [name for names in trustees.values() for name in names]
    twice = sorted({name for name in held if held.count(name) > 1 or name in trustees})
    if not twice:
        return ""
    return (
        f"Take care: {', '.join(twice)} would hold the keys, or pieces of the keys, of more than "
        "one aggregator. The fewer people hold all of them together, the fewer could read every "
        "answer; two aggregators should have different trustees."
    )


def is_day(text: str) -> bool:
    """Whether `text` is a day of the calendar, written YYYY-MM-DD."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return bool(_DAY.fullmatch(text))

"""What an aggregator says about the backup of its keys, in its card, and so in the task.

People and keys decide it, nothing follows from it. It says who could act as the aggregator
together if it were lost, by their keys, so that whoever consents to a round can see how few
people could open both sides of it (`grievance.task.trustees`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import b64encode
from grievance.crypto.signing import VerifyingKey
from grievance.crypto.strict import StrictObject
from grievance.errors import CryptoError, TaskError
from grievance.names import is_name

if TYPE_CHECKING:
    from grievance.task.identity import Identity

MIN_THRESHOLD = 2
"""One trustee alone must never be able to act as the organisation it helps."""
MAX_TRUSTEES = 16

_KEYS = ("rehearsed", "set", "threshold", "trustees")
_SET_ID = re.compile(r"[0-9a-f]{16}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class ClaimedTrustee:
    """Who holds a piece of a backup: the name people read, the key that it is sealed for."""

    name: str
    key: VerifyingKey

    def to_json(self) -> dict[str, str]:
        """Write the two facts as they stand in cards and tasks."""
        return {"identity": b64encode(self.key.raw), "name": self.name}


@dataclass(frozen=True)
class BackupClaim:
    """A backup that was rehearsed: any `threshold` of `trustees` together give the keys back.

    `rehearsed` is the day, YYYY-MM-DD, on which that was last tried.
    """

    set_id: str
    threshold: int
    trustees: tuple[ClaimedTrustee, ...]
    rehearsed: str

    @property
    def keys(self) -> frozenset[VerifyingKey]:
        """The trustees by their keys: a name is only what the owner calls them."""
        return frozenset(trustee.key for trustee in self.trustees)

    @property
    def names(self) -> list[str]:
        """The trustees' names, in the owner's order."""
        return [trustee.name for trustee in self.trustees]

    def to_json(self) -> dict[str, Any]:
        """Write the claim as it stands in cards and tasks."""
        return {
            "rehearsed": self.rehearsed,
            "set": self.set_id,
            "threshold": self.threshold,
            "trustees": [trustee.to_json() for trustee in self.trustees],
        }


def read_backup_claim(value: object, owner: Identity, where: str, code: str) -> BackupClaim | None:
    """Read what `owner` claims; None: it claims no backup. Raises TaskError with `code`."""
    if value is None:
        return None
    fields = StrictObject(value, _KEYS, where=where, error=TaskError, code=code)
    set_id, rehearsed = fields.text("set"), fields.text("rehearsed")
    if not _SET_ID.fullmatch(set_id):
        fields.refuse("is not the id of a backup", "set")
    if not is_day(rehearsed):
        fields.refuse("is not a day like 2026-10-01", "rehearsed")
    listed = fields.items("trustees")
    if len(listed) > MAX_TRUSTEES:
        fields.refuse("are too many", "trustees")
    trustees = tuple(_read_trustee(item, f"{where}.trustees", code) for item in listed)
    everybody = [*trustees, ClaimedTrustee(owner.name, owner.key)]
    names, keys = {one.name for one in everybody}, {one.key for one in everybody}
    if len(names) < len(everybody) or len(keys) < len(everybody):
        fields.refuse("are not different organisations, and others than the owner", "trustees")
    threshold = fields.integer("threshold", MIN_THRESHOLD, max(MIN_THRESHOLD, len(trustees)))
    if threshold > len(trustees):
        fields.refuse("are fewer than the threshold", "trustees")
    return BackupClaim(set_id, threshold, trustees, rehearsed)


def _read_trustee(value: object, where: str, code: str) -> ClaimedTrustee:
    fields = StrictObject(value, ("identity", "name"), where=where, error=TaskError, code=code)
    name, raw = fields.text("name"), fields.blob("identity")
    if not is_name(name):
        fields.refuse("is not the name of an organisation", "name")
    try:
        return ClaimedTrustee(name, VerifyingKey(raw))
    except CryptoError:
        fields.refuse("is not the key of an organisation", "identity")


def same_claim(one: BackupClaim | None, other: BackupClaim | None) -> bool:
    """Whether two claims let the same people give the same keys back, as many together.

    The day of the last rehearsal and the id of the set may differ: they change nothing about
    whom one has to trust.
    """
    if one is None or other is None:
        return one is other
    return (one.threshold, one.keys) == (other.threshold, other.keys)


def backup_in_words(name: str, claim: BackupClaim | None) -> str:
    """Say in one sentence what a claim means for a round, and for whom it has to be trusted."""
    if claim is None:
        return (
            f"{name} has no rehearsed backup of its keys: if they are lost, the round ends "
            "without a result."
        )
    return (
        f"If {name} loses its keys, any {claim.threshold} of {', '.join(claim.names)} "
        f"together can give them back (tried on {claim.rehearsed}); so could those "
        f"{claim.threshold} read what {name} can read."
    )


def is_day(text: str) -> bool:
    """Whether `text` is a day of the calendar, written YYYY-MM-DD."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return bool(_DAY.fullmatch(text))

"""One entry of a ledger, in its final form.

An entry is a signed document of kind `grievance/2 ledger entry`:

    {"ledger": aggregator, "size": n, "previous": SHA-256 of entry n-1 or "",
     "campaign": name, "task": digest, "spent": cumulative cost in the campaign,
     "event": {"type": "release", "release": id, "proposal": digest,
               "statistics": {name: cost}, "accepted": n, "root": hex,
               "noisy_share": SHA-256 of the noisy share}}

or `{"type": "destroyed"}`: the round's keys are gone, and nothing of it can be opened any
more; or `{"type": "alone", "answered": [names]}`: the owner lost its memory, rebuilt it from the
pool, and fewer witnesses than wanted told it how long this ledger was. `spent` counts this entry
in. Source: docs/design.md, section 10; docs/threats.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.cost import Cost
from grievance.crypto.documents import Document, parse_document, sign_document
from grievance.errors import GrievanceError, LedgerError
from grievance.names import is_name
from grievance.pool.layout import is_release_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.crypto.signing import SigningKey, VerifyingKey

KIND = "grievance/2 ledger entry"


def entry_size_limit() -> int:
    """No entry is larger, in bytes."""
    return 1 << 20


@dataclass(frozen=True)
class ReleaseEvent:
    """What is charged: each statistic's cost, bound to one accepted set and one noisy share."""

    release: str
    proposal: bytes
    statistics: Mapping[str, Cost]
    accepted: int
    root: bytes
    noisy_share: bytes

    @property
    def cost(self) -> Cost:
        """The sum over the statistics. Raises LedgerError when there are none."""
        costs = list(self.statistics.values())
        if not costs:
            raise LedgerError("a release without statistics costs nothing", code="ledger.event")
        total = costs[0]
        for cost in costs[1:]:
            total = total + cost
        return total

    def to_json(self) -> dict[str, Any]:
        """The event's canonical form."""
        return {
            "type": "release",
            "release": self.release,
            "proposal": self.proposal.hex(),
            "statistics": {name: cost.to_json() for name, cost in self.statistics.items()},
            "accepted": self.accepted,
            "root": self.root.hex(),
            "noisy_share": self.noisy_share.hex(),
        }

    @classmethod
    def from_json(cls, value: Any) -> ReleaseEvent:
        """Read an event. Raises LedgerError when it is not exactly one."""
        try:
            event = cls(
                value["release"],
                bytes.fromhex(value["proposal"]),
                {name: Cost.from_json(cost) for name, cost in value["statistics"].items()},
                value["accepted"],
                bytes.fromhex(value["root"]),
                bytes.fromhex(value["noisy_share"]),
            )
            digests = (event.proposal, event.root, event.noisy_share)
            if (
                event.to_json() == value
                and is_release_id(event.release)
                and all(len(digest) == 32 for digest in digests)
                and type(event.accepted) is int
                and event.accepted >= 0
            ):
                return event
        except (KeyError, TypeError, ValueError, AttributeError, GrievanceError):
            pass
        raise LedgerError("the entry's event is not one we know", code="ledger.event")


@dataclass(frozen=True)
class DestroyedEvent:
    """The aggregator deleted its keys of the round. It costs nothing."""

    def to_json(self) -> dict[str, Any]:
        """The event's canonical form."""
        return {"type": "destroyed"}


@dataclass(frozen=True)
class AloneEvent:
    """The aggregator rebuilt a lost memory without the answers it wanted. It costs nothing.

    `answered`: who told it, in order; too few, or nobody.
    """

    answered: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The event's canonical form."""
        return {"type": "alone", "answered": list(self.answered)}

    @classmethod
    def from_json(cls, value: Any) -> AloneEvent:
        """Read an event. Raises LedgerError when it is not exactly one."""
        names = value.get("answered")
        if isinstance(names, list) and all(is_name(name) for name in names):
            event = cls(tuple(names))
            if event.to_json() == value and names == sorted(set(names)):
                return event
        raise LedgerError("the entry's event is not one we know", code="ledger.event")


Event = ReleaseEvent | DestroyedEvent | AloneEvent


@dataclass(frozen=True)
class LedgerEntry:
    """One entry; `digest` is the SHA-256 of its file, which the next entry names."""

    ledger: str
    size: int
    previous: bytes
    campaign: str
    task: bytes
    spent: Cost
    event: Event
    data: bytes
    digest: bytes

    @property
    def cost(self) -> Cost:
        """What this entry charges."""
        if isinstance(self.event, ReleaseEvent):
            return self.event.cost
        return Cost.zero(self.spent.kind)

    @property
    def statistics(self) -> Mapping[str, Cost]:
        """The statistics this entry charges for, each with its cost."""
        return self.event.statistics if isinstance(self.event, ReleaseEvent) else {}

    @classmethod
    def sign(
        cls,
        key: SigningKey,
        *,
        ledger: str,
        after: LedgerEntry | None,
        campaign: str,
        task: bytes,
        spent: Cost,
        event: Event,
    ) -> LedgerEntry:
        """Make the entry after `after` (None: the first one)."""
        body = {
            "ledger": ledger,
            "size": after.size + 1 if after else 1,
            "previous": after.digest.hex() if after else "",
            "campaign": campaign,
            "task": task.hex(),
            "spent": spent.to_json(),
            "event": event.to_json(),
        }
        data = sign_document(KIND, body, key)
        return cls._from_document(parse_document(data, kind=KIND, signer=key.public), data)

    @classmethod
    def parse(cls, data: bytes, signer: VerifyingKey) -> LedgerEntry:
        """Read one entry's file. Raises SignatureError or LedgerError."""
        document = parse_document(data, kind=KIND, signer=signer, limit=entry_size_limit())
        return cls._from_document(document, data)

    @classmethod
    def _from_document(cls, document: Document, data: bytes) -> LedgerEntry:
        body = document.body
        fields = {"ledger", "size", "previous", "campaign", "task", "spent", "event"}
        try:
            if set(body) != fields or type(body["size"]) is not int or body["size"] < 1:
                raise ValueError("fields")
            names, digests = (body["ledger"], body["campaign"]), (body["previous"], body["task"])
            if not all(isinstance(name, str) for name in names):
                raise ValueError("names")
            # One spelling of a digest, so that nobody can sign one entry in two forms.
            if not all(bytes.fromhex(text).hex() == text for text in digests):
                raise ValueError("digests")
            return cls(
                body["ledger"],
                body["size"],
                bytes.fromhex(body["previous"]),
                body["campaign"],
                bytes.fromhex(body["task"]),
                Cost.from_json(body["spent"]),
                _event(body["event"]),
                data,
                document.digest,
            )
        except (TypeError, ValueError) as error:
            raise LedgerError("this is not a ledger entry", code="ledger.syntax") from error


def _event(value: Any) -> Event:
    if value == DestroyedEvent().to_json():
        return DestroyedEvent()
    if isinstance(value, dict) and value.get("type") == "alone":
        return AloneEvent.from_json(value)
    return ReleaseEvent.from_json(value)

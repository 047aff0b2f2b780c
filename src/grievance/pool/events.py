"""What the leader can order: the events of a round's chain, each with one form.

Read from a signed document's `event`, and written into one. None with a field out of range can be
made: that raises OrderError. Whether an event may follow those before it is for the chain to say
(`pool.order`). Source: docs/formats/order.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from grievance.crypto.documents import MAX_INTEGER, b64decode, b64encode
from grievance.crypto.signing import VerifyingKey
from grievance.errors import CryptoError, OrderError, WireError
from grievance.names import is_name
from grievance.pool.batch import MAX_BATCH_ROWS
from grievance.pool.layout import is_release_id

_UNKNOWN = "its event is not one we know, or a field of it is out of range"


@dataclass(frozen=True)
class Admit:
    """A partner may pass reports on, in batches that this key signs."""

    kind: ClassVar = "admit"
    partner: str
    identity: VerifyingKey

    def __post_init__(self) -> None:
        _check(is_name(self.partner))

    def to_json(self) -> dict[str, object]:
        """The event's form in the chain."""
        key = b64encode(self.identity.raw)
        return {"type": self.kind, "partner": self.partner, "identity": key}


@dataclass(frozen=True)
class Expel:
    """No further batch of a partner is taken; those that were stay."""

    kind: ClassVar = "expel"
    partner: str

    def __post_init__(self) -> None:
        _check(is_name(self.partner))

    def to_json(self) -> dict[str, object]:
        """The event's form in the chain."""
        return {"type": self.kind, "partner": self.partner}


@dataclass(frozen=True)
class OrderBatch:
    """A partner's batch has its place here. `batch`: SHA-256 of its file, which has `rows` rows."""

    kind: ClassVar = "batch"
    partner: str
    batch: bytes
    rows: int

    def __post_init__(self) -> None:
        _check(
            is_name(self.partner)
            and len(self.batch) == 32
            and _is_number(self.rows, MAX_BATCH_ROWS)
        )

    def to_json(self) -> dict[str, object]:
        """The event's form in the chain."""
        batch = self.batch.hex()
        return {"type": self.kind, "partner": self.partner, "batch": batch, "rows": self.rows}


@dataclass(frozen=True)
class Void:
    """The batch that was ordered at place `batch` is given up."""

    kind: ClassVar = "void"
    batch: int

    def __post_init__(self) -> None:
        _check(_is_number(self.batch, MAX_INTEGER))

    def to_json(self) -> dict[str, object]:
        """The event's form in the chain."""
        return {"type": self.kind, "batch": self.batch}


@dataclass(frozen=True)
class Close:
    """The round takes no more batches."""

    kind: ClassVar = "close"

    def to_json(self) -> dict[str, object]:
        """The event's form in the chain."""
        return {"type": self.kind}


@dataclass(frozen=True)
class OrderRelease:
    """A release has its place here. `proposal`: the digest of what was proposed."""

    kind: ClassVar = "release"
    release: str
    proposal: bytes

    def __post_init__(self) -> None:
        _check(is_release_id(self.release) and len(self.proposal) == 32)

    def to_json(self) -> dict[str, object]:
        """The event's form in the chain."""
        return {"type": self.kind, "release": self.release, "proposal": self.proposal.hex()}


Event = Admit | Expel | OrderBatch | Void | Close | OrderRelease


def read_event(value: object) -> Event:
    """Read an event. Raises OrderError when it is not exactly one."""
    event: Event | None = None
    try:
        match value:
            case {"type": Admit.kind, "partner": str(name), "identity": str(key)}:
                event = Admit(name, VerifyingKey(b64decode(key)))
            case {"type": Expel.kind, "partner": str(name)}:
                event = Expel(name)
            case {
                "type": OrderBatch.kind,
                "partner": str(name),
                "batch": str(batch),
                "rows": int(rows),
            }:
                event = OrderBatch(name, bytes.fromhex(batch), rows)
            case {"type": Void.kind, "batch": int(place)}:
                event = Void(place)
            case {"type": Close.kind}:
                event = Close()
            case {"type": OrderRelease.kind, "release": str(release), "proposal": str(proposal)}:
                event = OrderRelease(release, bytes.fromhex(proposal))
    except (ValueError, CryptoError, WireError):  # no hex digits, no key, or not in its letters
        pass
    # Nothing but these fields, and each in its one spelling.
    if event is None or event.to_json() != value:
        raise OrderError(_UNKNOWN)
    return event


def _check(holds: bool) -> None:
    if not holds:
        raise OrderError(_UNKNOWN)


def _is_number(value: object, most: int) -> bool:
    """Whether it counts from 1 to `most`. To Python, true equals 1."""
    return type(value) is int and 1 <= value <= most

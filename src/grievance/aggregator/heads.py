"""The heads of ledgers that this home holds, for people to read out and to hold against others'."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from grievance.aggregator.releases import own_ledger
from grievance.aggregator.watched import watched
from grievance.crypto.merkle import root
from grievance.ledger.asked import spoken
from grievance.ledger.checkpoint import parse_checkpoint, sign_checkpoint

if TYPE_CHECKING:
    from grievance.aggregator.office import Office
    from grievance.ledger.checkpoint import Checkpoint


@dataclass(frozen=True)
class StoredHead:
    """The last head of a ledger that we stored: 160 bits of it to be read out, and the note."""

    ledger: str
    size: int
    spoken: str
    note: str

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)


def stored_heads(office: Office) -> list[StoredHead]:
    """The newest head of every ledger that we watch, and of our own."""
    found, home = [], office.home
    for name, ledger in watched(home, office.state).items():
        stored = office.state.witnessed(ledger.key.raw)
        if stored is not None:
            found.append(_of(name, parse_checkpoint(stored[2], name, ledger.key)))
    log = own_ledger(office.state, home.name, home.key.public)
    if log.entries:
        data = [entry.data for entry in log.entries]
        note = sign_checkpoint(home.name, len(data), root(data), home.key)
        found.append(_of(home.name, parse_checkpoint(note, home.name, home.key.public)))
    return sorted(found, key=lambda head: head.ledger)


def _of(name: str, head: Checkpoint) -> StoredHead:
    return StoredHead(name, head.size, spoken(head), head.data.decode("utf-8"))

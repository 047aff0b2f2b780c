"""A ledger as a chain: appended by its owner, read and checked by everybody.

The chain alone does not stop a rolled-back copy from being continued; that is what the
other aggregators' cosignatures are for. `LedgerLog.head` is what they will sign: the size
and the RFC 6962 root over the entries' bytes. Source: docs/threats.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.cost import Cost
from grievance.crypto.merkle import root
from grievance.errors import LedgerError, PrivacyError, SignatureError, WireError
from grievance.ledger.entry import (
    AloneEvent,
    DestroyedEvent,
    LedgerEntry,
    ReleaseEvent,
    entry_size_limit,
)
from grievance.pool.layout import ledger_path
from grievance.pool.store import find
from grievance.task.heads import LedgerHead

if TYPE_CHECKING:
    from grievance.cost import Kind
    from grievance.crypto.signing import VerifyingKey
    from grievance.pool.store import Store


@dataclass(frozen=True)
class ReleaseEntry:
    """What an entry says about a release, and how long it made the ledger."""

    size: int
    event: ReleaseEvent


@dataclass
class LedgerLog:
    """The entries of one aggregator's ledger, in order, each checked against the one before."""

    aggregator: str
    entries: list[LedgerEntry] = field(default_factory=list)

    @property
    def last(self) -> LedgerEntry | None:
        """The newest entry."""
        return self.entries[-1] if self.entries else None

    @property
    def head(self) -> LedgerHead | None:
        """Size and Merkle root, as a task names them; None while the ledger is empty."""
        if not self.entries:
            return None
        return LedgerHead(len(self.entries), root([e.data for e in self.entries]))

    def spent(self, campaign: str, kind: Kind) -> Cost:
        """What this ledger has charged to a campaign so far."""
        for entry in reversed(self.entries):
            if entry.campaign == campaign:
                return entry.spent
        return Cost.zero(kind)

    def spent_in_round(self, task: bytes, kind: Kind) -> Cost:
        """What this ledger has charged to one round so far."""
        return sum((e.cost for e in self.entries if e.task == task), Cost.zero(kind))

    def release(self, task: bytes, release: str) -> ReleaseEntry | None:
        """The entry that charges a release, if there is one, with its place."""
        for entry in self.entries:
            event = entry.event
            if entry.task == task and isinstance(event, ReleaseEvent) and event.release == release:
                return ReleaseEntry(entry.size, event)
        return None

    def destroyed(self, task: bytes) -> bool:
        """Whether the owner has declared its keys of a round destroyed."""
        return any(e.task == task and isinstance(e.event, DestroyedEvent) for e in self.entries)

    def append(self, entry: LedgerEntry) -> None:
        """Add an entry. Raises LedgerError, changing nothing, when it does not extend the chain."""
        last = self.last
        expected = (last.size + 1, last.digest) if last else (1, b"")
        where = f"{ledger_path(self.aggregator, entry.size)}"
        if entry.ledger != self.aggregator:
            raise LedgerError(f"{where}: it is another aggregator's entry", code="ledger.owner")
        if (entry.size, entry.previous) != expected:
            raise LedgerError(
                f"{where}: it does not follow the last entry",
                code="ledger.chain",
                hint=f"keep the file as evidence and ask {self.aggregator}; nothing goes on until "
                "the chain holds",
            )
        if entry.spent != self._after(entry, where):
            raise LedgerError(
                f"{where}: its sum is wrong",
                code="ledger.sum",
                hint=f"keep the file as evidence and ask {self.aggregator}; sums are exact, so no "
                "rounding explains it",
            )
        if self.destroyed(entry.task) and not isinstance(entry.event, AloneEvent):
            raise LedgerError(f"{where}: its round was destroyed before", code="ledger.destroyed")
        for name in entry.statistics:
            if self.released(entry.task, name):
                raise LedgerError(f"{where}: {name} was released before", code="ledger.twice")
        self.entries.append(entry)

    def _after(self, entry: LedgerEntry, where: str) -> Cost:
        """What the campaign has spent with this entry: costs of one kind, or LedgerError."""
        try:
            return self.spent(entry.campaign, entry.spent.kind) + entry.cost
        except PrivacyError:
            raise LedgerError(
                f"{where}: its costs are of another kind than the campaign's", code="ledger.sum"
            ) from None

    def released(self, task: bytes, statistic: str) -> bool:
        """Whether a statistic of a round was charged before."""
        return any(e.task == task and statistic in e.statistics for e in self.entries)


def read_ledger(store: Store, aggregator: str, key: VerifyingKey) -> LedgerLog:
    """Read a ledger from the pool as far as it has arrived.

    A missing file, or one its owner did not sign for this place, ends it. Raises LedgerError
    when the owner signed an entry that does not extend the chain.
    """
    log = LedgerLog(aggregator)
    while True:
        data = find(store, ledger_path(aggregator, len(log.entries) + 1), entry_size_limit())
        if data is None:
            return log
        try:
            entry = LedgerEntry.parse(bytes(data), key)
        except (SignatureError, WireError):
            return log
        if (entry.ledger, entry.size) != (aggregator, len(log.entries) + 1):
            return log  # a true entry of another place, which anybody can put here
        log.append(entry)

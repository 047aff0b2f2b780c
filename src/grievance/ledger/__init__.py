"""Each aggregator's own ledger: what every release cost, signed, chained, published."""

from grievance.ledger.entry import (
    KIND,
    AloneEvent,
    DestroyedEvent,
    LedgerEntry,
    ReleaseEvent,
    entry_size_limit,
)
from grievance.ledger.log import LedgerLog, read_ledger

__all__ = [
    "KIND",
    "AloneEvent",
    "DestroyedEvent",
    "LedgerEntry",
    "LedgerLog",
    "ReleaseEvent",
    "entry_size_limit",
    "read_ledger",
]

"""The head of a ledger, as a task names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LedgerHead:
    """How many entries a ledger has, and the RFC 6962 root over them, 32 bytes."""

    size: int
    root: bytes

    def to_json(self) -> dict[str, object]:
        """The head's form in a task."""
        return {"root": self.root.hex(), "size": self.size}


LedgerHeads = Mapping[str, LedgerHead | None]
"""For each aggregator the head of its ledger, or None: empty."""

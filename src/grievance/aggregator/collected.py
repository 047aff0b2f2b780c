"""What a round has collected, relay by relay, and whether it can ever be released."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from grievance.errors import LedgerError
from grievance.ledger import read_ledger
from grievance.pool.layout import RoundPaths

if TYPE_CHECKING:
    from datetime import datetime

    from grievance.aggregator.state import State
    from grievance.pool.order import OrderChain
    from grievance.pool.store import Store


@dataclass(frozen=True)
class RelayLine:
    """What one relay has passed on. `rows` count blank reports too; `last`: ISO 8601, or None."""

    partner: str
    batches: int
    rows: int
    last: str | None
    expelled: bool


@dataclass(frozen=True)
class Collected:
    """All relays of a round, and its reports, blank ones included.

    `waiting` have a place and are not decided; `minimum` is what the plan asks for.
    """

    relays: tuple[RelayLine, ...]
    accepted: int
    waiting: int
    minimum: int

    @property
    def silent(self) -> list[str]:
        """Relays that may pass reports on and have passed none on."""
        return [line.partner for line in self.relays if not line.batches and not line.expelled]

    @property
    def is_met(self) -> bool:
        """Whether enough reports are accepted for a release."""
        return self.accepted >= self.minimum

    @property
    def can_be_met(self) -> bool:
        """Whether what has its place could be enough, if all of it counts."""
        return self.accepted + self.waiting >= self.minimum

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {**asdict(self), "silent": self.silent, "minimum_met": self.is_met}


def collected(state: State, chain: OrderChain) -> Collected:
    """What has its place in a round, by our own decisions.

    `last` is when this organisation wrote the event that gave a relay's newest batch its place;
    only the leader writes them.
    """
    paths, stored = RoundPaths(chain.task.round_id), state.batches(chain.task.digest)
    lines, accepted, waiting = [], 0, 0
    for name in chain.partners:
        placed = [batch for batch in chain.counted if batch.partner == name]
        made: datetime | None = state.made_at(paths.order(placed[-1].seq)) if placed else None
        rows = sum(batch.rows for batch in placed)
        last = made.isoformat() if made is not None else None
        lines.append(RelayLine(name, len(placed), rows, last, name in chain.expelled))
    for batch in chain.counted:
        row = stored.get(batch.seq)
        if row is None or row.accepted is None:
            waiting += batch.rows
        else:
            accepted += row.accepted
    return Collected(tuple(lines), accepted, waiting, chain.task.plan.privacy.minimum_reports)


def never_released(store: Store, chain: OrderChain, found: Collected) -> str | None:
    """Why a closed round can never be released, in words; None as long as it may be.

    Asked of rounds of which nothing is released.
    """
    if not chain.closed:
        return None
    if not found.can_be_met:
        # A batch that was given up cannot come again either: the round is closed.
        return (
            f"{found.accepted + found.waiting:,} sealed reports at most count, cover included, and "
            f"the plan asks for {found.minimum:,}"
        )
    for party in chain.task.aggregators:
        try:
            ledger = read_ledger(store, party.name, party.identity)
        except LedgerError:
            continue
        if ledger.destroyed(chain.task.digest):
            return f"{party.name} has destroyed its keys of it"
    return None

"""What an audit learnt about a pool, beside its findings: parties, rounds, budgets, releases.

Every text in it was written by a stranger, and counts mean what the findings leave of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PartyFacts:
    """An organisation in a round. `fingerprint` is the short form that people compare."""

    name: str
    display_name: str
    role: str
    fingerprint: str


@dataclass(frozen=True)
class ReleaseFacts:
    """A release. Digests are hex: `proposal`, `root`, and `shares` by aggregator.

    `complete`: all noisy shares are there, hold, and were added up again. `watched` says how many
    witnesses saw what it costs, and `waived` whom nobody waited for.
    """

    release_id: str
    statistics: tuple[str, ...]
    accepted: int
    proposal: str
    root: str
    shares: dict[str, str]
    complete: bool
    watched: str
    waived: tuple[str, ...]


@dataclass(frozen=True)
class RoundFacts:
    """A round. Amounts are exact fractions, of what `unit` says ("rho" or "epsilon").

    `cost` is what the whole round may cost and `spent` what each ledger charged for it;
    `accepted` is None where the decisions leave it open.
    """

    round_id: str
    digest: str
    short_digest: str
    title: str
    campaign: str
    opens: str
    closes: str
    rehearsal: bool
    closed: bool
    vouched: bool
    parties: tuple[PartyFacts, ...]
    unit: str
    epsilon: str
    delta: str
    minimum_reports: int
    cost: str
    spent: dict[str, str]
    batches: int
    reports: int
    accepted: int | None
    releases: tuple[ReleaseFacts, ...]

    def to_json(self) -> dict[str, Any]:
        """Write the facts for programs."""
        return asdict(self)


@dataclass(frozen=True)
class CampaignTotals:
    """What a campaign may cost, what its rounds reserved, what each ledger charged.

    Exact fractions of `unit`; `lifetime` is the promise of the plan in words.
    """

    unit: str
    budget: str
    reserved: str
    spent: dict[str, str]
    lifetime: str

    def to_json(self) -> dict[str, Any]:
        """Write the totals."""
        return asdict(self)

"""What stands in a task, in one type for everybody who reads a round's signed documents.

`task.task` reads a `Task`, whose noise and costs it computed itself. The audit reads a type of its
own (`audit.terms`), which has them as they are stated, and loads nothing that computes them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from grievance.crypto.documents import b64encode
from grievance.crypto.fingerprint import TASK_GROUPS, short
from grievance.errors import TaskError
from grievance.task.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from grievance.cost import Cost
    from grievance.crypto.hpke import HpkePublicKey
    from grievance.crypto.signing import VerifyingKey
    from grievance.plan import Layout, Plan
    from grievance.privacy.mechanisms import Mechanism
    from grievance.task.backup import BackupClaim
    from grievance.task.heads import LedgerHeads
    from grievance.vdaf import Prio3BlockCountVec


class Charged(Protocol):
    """Noise and cost of one statistic."""

    @property
    def mechanism(self) -> Mechanism:
        """The kind of noise."""

    @property
    def scale(self) -> Fraction:
        """Its scale, in counts."""

    @property
    def cost(self) -> Cost:
        """What releasing the statistic once costs."""


@dataclass(frozen=True)
class AggregatorEntry:
    """One aggregator of a task: who it is, and the HPKE key it offered in which card.

    `backup` repeats what its card says about the backup of its keys.
    """

    name: str
    display_name: str
    identity: VerifyingKey
    card: bytes
    hpke: HpkePublicKey
    backup: BackupClaim | None = None

    @property
    def member(self) -> Identity:
        """The organisation alone, without the round's key."""
        return Identity(self.name, self.display_name, self.identity)

    def to_json(self) -> dict[str, Any]:
        """Write the entry as it stands in a task."""
        keys = {"card": self.card.hex(), "hpke": b64encode(self.hpke.raw), "kem": self.hpke.kem}
        backup = None if self.backup is None else self.backup.to_json()
        return {**self.member.to_json(), **keys, "backup": backup}


@dataclass(frozen=True)
class RoundTerms:
    """What a task says, whoever read it, and on whose word noise and costs stand.

    `data` is the file, `digest` its SHA-256, `ctx` the VDAF application context. `mechanism` is
    the noise: the plan's, or what "auto" stood for when the task was built. `allocations`
    maps each charged statistic to its noise and cost, in the plan's order; `cost` is their
    sum, `lifetime` the campaign's budget, `reserved` what all its rounds so far may spend,
    this one included in full. `aggregators[0]` is the leader.
    """

    data: bytes
    digest: bytes
    round_id: str
    rehearsal: bool
    plan: Plan
    plan_sha256: bytes
    layout: Layout
    aggregators: tuple[AggregatorEntry, ...]
    mechanism: Mechanism
    allocations: Mapping[str, Charged]
    cost: Cost
    lifetime: Cost
    reserved: Cost
    verify_key_commitment: bytes
    previous: bytes | None
    ledger_heads: LedgerHeads

    @property
    def campaign(self) -> str:
        """The campaign this round belongs to."""
        return self.plan.campaign

    @property
    def ctx(self) -> bytes:
        """The VDAF application context: every share is bound to this task."""
        return b"grievance/2" + self.digest

    @cached_property
    def vdaf(self) -> Prio3BlockCountVec:
        """Prio3 with this task's circuit and number of aggregators."""
        return self.layout.vdaf(len(self.aggregators))

    @property
    def short_digest(self) -> str:
        """The digest as it is read aloud."""
        return short(self.digest, TASK_GROUPS)

    def index_of(self, name: str) -> int:
        """Return the index of an aggregator. Raises TaskError when `name` is not one."""
        for index, entry in enumerate(self.aggregators):
            if entry.name == name:
                return index
        raise TaskError(f"{name!r:.60} is no aggregator of this round", code="plan.aggregators")

"""The facts an exposure statement is worked out from: rounds, backups, parties and their keys."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from grievance.backup.sets import BackupSet
    from grievance.task import Task

How = Literal["found", "locked", "inferred"]
"""How a key is known: it lies there and opens; it lies there under a passphrase; the pool says
that its owner made it and not that it is gone."""

KeyKind = Literal["identity", "mailbox", "hpke", "verify", "state", "sums", "request"]


def count(number: int, what: str, several: str | None = None) -> str:
    """Write a number of things: "1 report", "1,200 reports"."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


class Key(NamedTuple):
    """Something that opens something: whose it is, and which round or request it is for.

    `sums` are the sealed sums of a round in its owner's state file: they need `state`.
    """

    kind: KeyKind
    owner: str
    place: str = ""


@dataclass(frozen=True)
class Held:
    """One thing a party holds: where it lies, what ends it, what it yields alone."""

    what: str
    where: str
    known: How
    until: str
    alone: str
    command: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return asdict(self)


@dataclass
class Party:
    """One organisation, or a role without keys, and what it holds.

    `at_hand` says whether its folder was read; otherwise `keys` are what the pool tells.
    """

    name: str
    shown: str
    roles: list[str] = field(default_factory=list)
    at_hand: bool = False
    held: list[Held] = field(default_factory=list)
    keys: dict[Key, How] = field(default_factory=dict)


@dataclass(frozen=True)
class RelayedBatches:
    """What lies in the pool under one relay's name: batches, reports, first and last time."""

    batches: int
    reports: int
    first: str | None
    last: str | None


@dataclass
class RoundFacts:
    """One round, as the pool tells it. `reports` lie in the pool, blank ones included."""

    task: Task
    closed: bool = False
    reports: int = 0
    relays: dict[str, RelayedBatches] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    noisy: dict[str, set[str]] = field(default_factory=dict)
    """Release id -> the aggregators whose noisy share lies in the pool."""

    @property
    def names(self) -> list[str]:
        """All aggregators, the leader first."""
        return [party.name for party in self.task.aggregators]


@dataclass(frozen=True)
class BackupFacts:
    """One backup whose archives lie in the pool.

    `contents`: what the archives hold, and how that is known. `answers`: request -> indices of
    the trustees whose piece lies in the pool, sealed to that request.
    """

    backup_set: BackupSet
    archives: tuple[int, ...]
    contents: dict[Key, How]
    answers: dict[str, frozenset[int]]

    @property
    def owner(self) -> str:
        """Whose keys it gives back."""
        return self.backup_set.owner.name


@dataclass
class World:
    """Everything that was read. `faults`: what could not be, in words."""

    rounds: dict[str, RoundFacts] = field(default_factory=dict)
    backups: list[BackupFacts] = field(default_factory=list)
    parties: dict[str, Party] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

"""What has happened in one round, as one reader holds it: bytes in, a state out.

A `History` asks the store it is given for the signed documents of a round, one at a time and each
once, and for nothing else: it knows no disk, no key and no clock, and changes nothing. What is not
signed by the owner of its place has not happened. An aggregator's own memory of what it did counts
for more than what a folder shows (`Memory`). Source: docs/design.md, sections 7 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from grievance.errors import LedgerError, SignatureError
from grievance.ledger import read_ledger
from grievance.ledger.cosigned import missing_cosignatures, quorum_of, witnessed_by, witnesses_of
from grievance.pool.batch import find_batch_file
from grievance.pool.decisions import (
    find_decision,
    read_signed_header,
    verify_size,
)
from grievance.pool.layout import RoundPaths
from grievance.pool.order import read_chain
from grievance.pool.proposals import read_releases
from grievance.pool.store import find
from grievance.pool.waivers import read_waivers, waived_by_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grievance.ledger import LedgerLog
    from grievance.ledger.log import ReleaseEntry
    from grievance.pool.order import OrderChain, OrderedBatch
    from grievance.pool.proposals import ReleaseView
    from grievance.pool.store import Store
    from grievance.task import Task

T = TypeVar("T")


class Entry(NamedTuple):
    """A release in the ledger of one aggregator, charged there or not yet."""

    view: ReleaseView
    owner: str


class Memory(Protocol):
    """What an aggregator of the round remembers of its own work."""

    @property
    def name(self) -> str:
        """Its name."""

    def verified(self, seq: int) -> bool:
        """Whether we have verified a batch."""

    def decided(self, seq: int) -> bool:
        """Whether we have decided it."""

    def answered(self, release_id: str) -> bool:
        """Whether we have answered a proposal."""

    def charged(self, release_id: str) -> bool:
        """Whether we have charged a release to our ledger."""

    def published(self, release_id: str) -> bool:
        """Whether our noisy share of a release has left."""

    def trouble(self, view: ReleaseView) -> Mapping[str, str]:
        """Whose ledger cannot bear a release, and what they have to do."""

    def lost_share(self, release_id: str) -> str | None:
        """Where our noisy share of a charged release has yet to arrive; None where we have it."""


@dataclass
class History:
    """One round, task signed by all, seen in one store and by one reader.

    `chain` is read from the store where it is not given.
    """

    task: Task
    store: Store
    given: OrderChain | None = None
    memory: Memory | None = None
    _read: dict[tuple[object, ...], object] = field(default_factory=dict)

    @cached_property
    def chain(self) -> OrderChain:
        """The leader's events as far as they have arrived. Raises OrderError."""
        return self.given or read_chain(self.store, self.task)

    @cached_property
    def paths(self) -> RoundPaths:
        """Where the round's files lie."""
        return RoundPaths(self.task.round_id)

    @cached_property
    def names(self) -> list[str]:
        """The aggregators, the leader first."""
        return [party.name for party in self.task.aggregators]

    @property
    def leader(self) -> str:
        """Who fixes the order of events."""
        return self.names[0]

    def _once(self, key: tuple[object, ...], read: Callable[[], T]) -> T:
        """What `read` finds; the same for the whole life of this state."""
        if key not in self._read:
            self._read[key] = read()
        found: T = self._read[key]  # type: ignore[assignment]
        return found

    def _is_me(self, name: str) -> bool:
        return self.memory is not None and self.memory.name == name

    # Batches.

    def arrived(self, batch: OrderedBatch) -> bool:
        """Whether a file with an ordered batch's name and header is here, or was read by all."""
        if self.memory is not None and self.memory.decided(batch.seq):
            return True
        return find_batch_file(self.store, self.task, batch.partner, batch.digest) is not None

    def verified(self, batch: OrderedBatch, name: str) -> bool:
        """Whether an aggregator's verifier shares for a batch are here, or we made them.

        Raises PoolError where it signed some that cannot be.
        """
        memory = self.memory
        if memory is not None and memory.decided(batch.seq):
            return True  # by everybody's verifier shares
        if memory is not None and self._is_me(name):
            return memory.verified(batch.seq)
        return self._once(("verified", batch.seq, name), lambda: self._has_shares(batch, name))

    def _has_shares(self, batch: OrderedBatch, name: str) -> bool:
        data = find(
            self.store, self.paths.verify(batch.seq, name), verify_size(self.task, batch.rows)
        )
        try:
            read_signed_header(data or b"", self.task, batch, self.names.index(name))
        except SignatureError:
            return False
        return True

    def decided(self, batch: OrderedBatch, name: str) -> bool:
        """Whether an aggregator's decision about a batch is here, or we made it.

        Raises PoolError `decide.fault` where it signed one that cannot be.
        """
        if self.memory is not None and self._is_me(name):
            return self.memory.decided(batch.seq)
        index = self.names.index(name)
        return self._once(
            ("decided", batch.seq, name),
            lambda: find_decision(self.store, self.task, batch, index) is not None,
        )

    # Releases.

    @cached_property
    def releases(self) -> dict[str, ReleaseView]:
        """Every proposal that holds, with its answers, by id."""
        return {view.release_id: view for view in read_releases(self.store, self.task)}

    def answered(self, view: ReleaseView, name: str) -> bool:
        """Whether an aggregator has answered a proposal; we, as we remember it too."""
        memory = self.memory
        if memory is not None and self._is_me(name) and not memory.answered(view.release_id):
            return False
        return name in view.answers

    def approved(self, view: ReleaseView) -> bool:
        """Whether all have answered it, and nobody has declined."""
        return view.declined_by is None and all(self.answered(view, n) for n in self.names)

    def is_ordered(self, view: ReleaseView) -> bool:
        """Whether the leader ordered this very proposal."""
        return self.chain.releases.get(view.release_id) == view.proposal.digest(self.task)

    def taken_before(self, view: ReleaseView) -> str | None:
        """The release that comes before this one and takes some of its statistics, if any does."""
        wanted = set(view.proposal.statistics)
        for earlier in self.earlier(view):
            other = self.releases.get(earlier)
            if other is not None and wanted & set(other.proposal.statistics):
                return earlier
        return None

    def earlier(self, view: ReleaseView) -> list[str]:
        """The releases that were ordered before this one; all, where it was not ordered."""
        ordered = list(self.chain.releases)
        return ordered[: ordered.index(view.release_id)] if view.release_id in ordered else ordered

    def log(self, name: str) -> LedgerLog:
        """An aggregator's ledger as far as it has arrived. Raises LedgerError."""
        key = self.task.aggregators[self.names.index(name)].identity
        return self._once(("log", name), lambda: read_ledger(self.store, name, key))

    def entry(self, of: Entry) -> ReleaseEntry | None:
        """What a ledger says about a release; one that does not hold says nothing."""
        release, memory = of.view.release_id, self.memory
        if memory is not None and self._is_me(of.owner) and not memory.charged(release):
            return None
        try:
            return self.log(of.owner).release(self.task.digest, release)
        except LedgerError:
            return None

    def on_terms(self, of: Entry) -> bool:
        """Whether it is there and says what was approved."""
        entry, proposal = self.entry(of), of.view.proposal
        costs = {name: self.task.allocations[name].cost for name in proposal.statistics}
        approved = (proposal.digest(self.task), costs, proposal.accepted, proposal.root)
        if entry is None:
            return False
        event = entry.event
        return (event.proposal, dict(event.statistics), event.accepted, event.root) == approved

    def unsigned(self, of: Entry) -> list[str]:
        """Aggregators that have not signed the head an entry makes, its owner first."""
        key, entry = ("unsigned", of.owner, of.view.release_id), self.entry(of)
        if entry is None:
            return self.names
        if key not in self._read:
            log = self.log(of.owner)
            self._read[key] = missing_cosignatures(self.store, self.task, of.owner, log, entry.size)
        found: list[str] = self._read[key]  # type: ignore[assignment]
        return found

    def seen(self, of: Entry) -> set[str]:
        """Witnesses that have cosigned a head that holds an entry."""
        entry, among = self.entry(of), witnesses_of(self.task)
        if entry is None:
            return set()
        party, log = self.task.aggregators[self.names.index(of.owner)], self.log(of.owner)
        return self._once(
            ("seen", of.owner, entry.size),
            lambda: witnessed_by(self.store, party, log, entry.size, among),
        )

    def unseen(self, of: Entry) -> list[str]:
        """Witnesses that have not, nor are waived; nobody once a quorum has."""
        enough = self.seen(of) | self.waived(of.view)
        missing = sorted(set(witnesses_of(self.task)) - enough)
        return missing if len(enough) < quorum_of(self.task) else []

    def waived(self, view: ReleaseView) -> frozenset[str]:
        """The witnesses that every aggregator signed not to wait for."""
        release = view.release_id
        return self._once(
            ("waived", release),
            lambda: waived_by_all(self.task, read_waivers(self.store, self.task, release)),
        )

    def published(self, view: ReleaseView, name: str) -> bool:
        """Whether something lies where an aggregator's noisy share of a release belongs.

        We know of ours whether it is from us: anybody can put a file there.
        """
        release, memory = view.release_id, self.memory
        if memory is not None and self._is_me(name) and not memory.published(release):
            return False
        return self.store.size(self.paths.noisy(release, name)) is not None

    def destroyed(self, name: str) -> bool:
        """Whether an aggregator has declared its keys of the round destroyed."""
        return self.log(name).destroyed(self.task.digest)

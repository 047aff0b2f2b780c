"""The history of a round as one aggregator of it holds it: the pool, and what it did itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.aggregator import consent
from grievance.aggregator.bench import find_batch
from grievance.aggregator.decisions import read_findings
from grievance.aggregator.peers import peers_in_words
from grievance.aggregator.releases import own_ledger
from grievance.aggregator.shares import missing_share
from grievance.errors import TaskError
from grievance.history import History, Opening
from grievance.pool import rounds as pool_rounds
from grievance.pool.layout import RoundPaths, share_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.aggregator.bench import BatchView, Bench
    from grievance.aggregator.office import Office
    from grievance.aggregator.state import BatchRow
    from grievance.errors import GrievanceError
    from grievance.pool.decisions import VerifierShares
    from grievance.pool.order import OrderChain, OrderedBatch
    from grievance.pool.proposals import ReleaseView
    from grievance.pool.rounds import Invitation
    from grievance.task import Task


@dataclass
class Remembered:
    """What our own state says (`history.Memory`)."""

    bench: Bench
    _trouble: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Our name."""
        return self.bench.name

    def verified(self, seq: int) -> bool:
        """Whether we have verified a batch."""
        return self._batch(seq) is not None

    def decided(self, seq: int) -> bool:
        """Whether we have decided it."""
        return (row := self._batch(seq)) is not None and row.decided

    def _batch(self, seq: int) -> BatchRow | None:
        return self.bench.state.batch(self.bench.seat.task.digest, seq)

    def answered(self, release_id: str) -> bool:
        """Whether we have answered a proposal."""
        ours = self.bench.paths.approval(release_id, self.bench.name)
        return self.bench.state.outgoing(ours) is not None

    def charged(self, release_id: str) -> bool:
        """Whether we have charged a release to our ledger."""
        log = own_ledger(self.bench.state, self.name, self.bench.key.public)
        return log.release(self.bench.seat.task.digest, release_id) is not None

    def published(self, release_id: str) -> bool:
        """Whether our noisy share of a release has left."""
        return self.bench.state.outgoing(self.bench.paths.noisy(release_id, self.name)) is not None

    def trouble(self, view: ReleaseView) -> Mapping[str, str]:
        """Whose ledger cannot bear a release, and what they have to do."""
        if view.release_id not in self._trouble:
            task = self.bench.seat.task
            costs = [task.allocations[name].cost for name in view.proposal.statistics]
            self._trouble[view.release_id] = peers_in_words(self.bench, view.release_id, costs)
        return self._trouble[view.release_id]

    def lost_share(self, release_id: str) -> str | None:
        """Where our noisy share of a charged release has yet to arrive."""
        entry = missing_share(self.bench, release_id)
        return share_path(self.bench.name, entry.size) if entry is not None else None


class AtWork(History):
    """As `sync` holds it: what it finds for a step is kept, opened, until the step is taken."""

    def __init__(self, bench: Bench, chain: OrderChain) -> None:
        super().__init__(bench.seat.task, bench.store, chain, Remembered(bench))
        self.bench = bench
        self.batch: BatchView | None = None
        self.found: dict[str, VerifierShares | None] = {}

    def arrived(self, batch: OrderedBatch) -> bool:
        """Whether it is here; `batch` is the last one that was asked about."""
        self.batch = find_batch(self.bench, batch)
        return self.batch is not None

    def _has_shares(self, batch: OrderedBatch, name: str) -> bool:
        self.found[name] = read_findings(self.bench, batch, self.names.index(name))
        return self.found[name] is not None


def history_of(bench: Bench, chain: OrderChain) -> History:
    """A round as we hold it now; what we do from here on, another one shows."""
    return History(bench.seat.task, bench.store, chain, Remembered(bench))


def opening_of(office: Office, invitation: Invitation, task: Task | None) -> Opening:
    """How far the opening of a round has come; `task` where we have signed it.

    Raises GrievanceError where it must not go on: another invitation in the place of the one that
    we agreed to, a card that is a member's and for something else, or a claim that cannot be.
    """
    home, state, round_id = office.home, office.state, invitation.round_id
    names, paths = [member.name for member in invitation.members], RoundPaths(round_id)
    agreed = consent.find_consent(home, state, round_id) if task is None else None
    if agreed is not None and consent.find_change(home, agreed) is not None:
        raise TaskError(
            f"{agreed.leader.name} has put another invitation in the place of the one that you "
            "agreed to: `grievance sync` signs nothing, and says where both are kept",
            code="consent.changed",
        )
    others: list[GrievanceError] = []
    cards = pool_rounds.read_cards(home.store, invitation, others if task is None else None)
    if others:
        raise others[0]
    joined = {
        name
        for name in names
        if task is not None or name in cards or state.outgoing(paths.card(name)) is not None
    }
    if task is None and joined == set(names):
        consent.check_claims(invitation, cards)
    found = pool_rounds.read_task_and_signatures(home.store, round_id)
    return Opening(
        round_id,
        home.name,
        names,
        frozenset(joined),
        signed=frozenset(found[1]) if found is not None else frozenset(),
        is_written=found is not None,
        has_claims=bool(consent.differences(invitation, cards)),
        to_consent=agreed is not None and consent.waits_for_consent(agreed, cards),
    )

"""What `sync` does about releases: order them, charge them, publish our noisy shares.

In the order of the chain, so that all aggregators charge the same one where two proposals
take the same statistics: whatever comes later waits, also for a proposal that has not arrived.
What each step needs stands in the table (`history.steps`). Source: docs/design.md, section 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.aggregator import releases, shares
from grievance.aggregator.remembered import history_of
from grievance.errors import BudgetExceededError, GrievanceError, ReleaseError
from grievance.history import turns
from grievance.history.steps import CHARGE, MEND, ORDER, PUBLISH
from grievance.pool.events import OrderRelease

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.aggregator.bench import Bench
    from grievance.aggregator.office import Office
    from grievance.pool.order import OrderChain
    from grievance.pool.proposals import ReleaseView


def advance_releases(
    office: Office, bench: Bench, chain: OrderChain, publish: Callable[[], None]
) -> tuple[list[str], list[GrievanceError]]:
    """Do for every release of a round what can be done now; in words, and what went wrong.

    One that must not go on stops no other, unless the other takes the same statistics.
    """
    round_ = _Releases(office, bench, chain, publish)
    views = round_.history.releases
    for release in dict.fromkeys([*chain.releases, *views]):
        if release in views and views[release].declined_by is None:
            round_.advance(views[release])
    return round_.done, round_.faults


class _Releases:
    """The releases of one round at one office."""

    def __init__(
        self, office: Office, bench: Bench, chain: OrderChain, publish: Callable[[], None]
    ) -> None:
        self.office, self.bench, self.chain, self.publish = office, bench, chain, publish
        self.history = history_of(bench, chain)
        self.done: list[str] = []
        self.faults: list[GrievanceError] = []

    def advance(self, view: ReleaseView) -> None:
        """Take our steps of a release, in the order of the table."""
        bench, release = self.bench, view.release_id
        take = {
            ORDER: self._order,
            MEND: self._charge,  # which says what is wrong with another's ledger
            CHARGE: self._charge,
            PUBLISH: self._publish_share,
        }
        if bench.state.outgoing(bench.paths.noisy(release, bench.name)) is not None:
            return
        if shares.regain_share(bench, release):
            self._tell("our noisy share of {} has arrived", view)
        try:
            self._check_free(view)
            # One by one: what an earlier one leaves, a later one needs.
            for turn in turns(self.history, list(take), view):
                if turn.who == bench.name or turn.step is MEND:
                    take[turn.step](view)
        except (ReleaseError, BudgetExceededError) as error:
            self.faults.append(error)

    def _order(self, view: ReleaseView) -> None:
        log = releases.own_ledger(self.bench.state, self.bench.name, self.bench.key.public)
        releases.check_proposal(self.bench, self.chain, view.proposal, log)
        digest = view.proposal.digest(self.chain.task)
        self.office.order(self.chain, OrderRelease(view.release_id, digest))
        self._tell("ordered release {}", view)
        self.publish()

    def _charge(self, view: ReleaseView) -> None:
        if releases.charge(self.bench, self.chain, view):
            self._tell("charged release {} to our ledger", view)
            self.publish()

    def _publish_share(self, view: ReleaseView) -> None:
        if releases.publish_share(self.bench, view):
            self._tell("published our noisy share of {}", view)
            self.publish()

    def _check_free(self, view: ReleaseView) -> None:
        """Raise ReleaseError where a release ordered before takes some of the same statistics."""
        earlier = self.history.taken_before(view)
        leads = self.bench.seat.index == 0
        going_on = self.history.is_ordered(view) or (leads and self.history.approved(view))
        if earlier is not None and going_on:
            raise ReleaseError(
                f"release {view.release_id} takes statistics of release {earlier}, which comes "
                "before it; nothing is charged for it",
                code="release.twice",
                hint=f"decline {view.release_id}, and propose what is left once {earlier} is done",
            )

    def _tell(self, what: str, view: ReleaseView) -> None:
        self.done.append(f"{self.chain.task.round_id}: {what.format(view.release_id)}")

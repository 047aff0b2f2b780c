"""What `sync` does about releases: order them, charge them, publish our noisy shares.

In the order of the chain, so that all aggregators charge the same one where two proposals
take the same statistics: whatever comes later waits, also for a proposal that has not arrived.
Source: docs/design.md, sections 7 and 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.aggregator import releases, shares
from grievance.errors import BudgetExceededError, GrievanceError, ReleaseError
from grievance.pool.proposals import read_releases

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
    if round_.follow_chain() and bench.seat.index == 0:
        round_.order_new()
    return round_.done, round_.faults


class _Releases:
    """The releases of one round at one office. `taken`: statistic -> the release ordered for it."""

    def __init__(
        self, office: Office, bench: Bench, chain: OrderChain, publish: Callable[[], None]
    ) -> None:
        self.office, self.bench, self.chain, self.publish = office, bench, chain, publish
        self.views = {v.release_id: v for v in read_releases(office.home.store, chain.task)}
        self.taken: dict[str, str] = {}
        self.done: list[str] = []
        self.faults: list[GrievanceError] = []

    def follow_chain(self) -> bool:
        """Charge and publish what is ordered. False where a proposal has yet to arrive.

        What that one takes is not known, so nothing behind it may be ordered or charged.
        """
        for release_id, digest in list(self.chain.releases.items()):
            view = self.views.pop(release_id, None)
            if view is None or view.proposal.digest(self.chain.task) != digest:
                return False
            self._guarded(self._charge, view)
        return True

    def order_new(self) -> None:
        """Order what everybody approved, unless it takes what an earlier one has. The leader."""
        for view in self.views.values():
            if self._agreed(view):
                self._guarded(self._order, view)

    def _agreed(self, view: ReleaseView) -> bool:
        """Whether all have approved, and we among them: as we remember it, not as a file says."""
        ours = self.bench.paths.approval(view.release_id, self.bench.name)
        approved = not view.missing(self.chain.task) and view.declined_by is None
        return approved and self.bench.state.outgoing(ours) is not None

    def _guarded(self, step: Callable[[ReleaseView], None], view: ReleaseView) -> None:
        try:
            step(view)
        except (ReleaseError, BudgetExceededError) as error:
            self.faults.append(error)

    def _order(self, view: ReleaseView) -> None:
        self._check_free(view)
        log = releases.own_ledger(self.bench.state, self.bench.name, self.bench.key.public)
        releases.check_proposal(self.bench, self.chain, view.proposal, log)
        digest = view.proposal.digest(self.chain.task).hex()
        event: dict[str, object] = {"type": "release", "release": view.release_id}
        self.office.order(self.chain, event | {"proposal": digest})
        self._tell("ordered release {}", view)
        self.publish()
        self._charge(view)

    def _charge(self, view: ReleaseView) -> None:
        """Charge a release that is ordered, and publish our noisy share once it may leave."""
        if view.declined_by is not None:
            return
        try:
            self._check_free(view)
        finally:
            self.taken |= {
                name: view.release_id for name in view.proposal.statistics if name not in self.taken
            }
        if not self._agreed(view):
            return
        if releases.charge(self.bench, self.chain, view):
            self._tell("charged release {} to our ledger", view)
            self.publish()
        if shares.regain_share(self.bench, view.release_id):
            self._tell("our noisy share of {} has arrived", view)
        if releases.publish_share(self.bench, view):
            self._tell("published our noisy share of {}", view)
            self.publish()

    def _check_free(self, view: ReleaseView) -> None:
        """Raise ReleaseError where a release ordered before takes some of the same statistics."""
        earlier = next((self.taken[n] for n in view.proposal.statistics if n in self.taken), None)
        if earlier is not None:
            raise ReleaseError(
                f"release {view.release_id} takes statistics of release {earlier}, which comes "
                "before it; nothing is charged for it",
                code="release.twice",
                hint=f"decline {view.release_id}, and propose what is left once {earlier} is done",
            )

    def _tell(self, what: str, view: ReleaseView) -> None:
        self.done.append(f"{self.chain.task.round_id}: {what.format(view.release_id)}")

"""Let a release go on without witnesses who are gone or refuse.

Only where nothing but witnesses is waited for, by every aggregator's own steward, and never from
a memory that nobody outside has confirmed: that is whom the witnesses are there to stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.aggregator.releases import own_ledger
from grievance.errors import ReleaseError, StateError
from grievance.failpoints import failpoint
from grievance.history import Entry, History, lacks
from grievance.history.steps import PUBLISH, WITNESS
from grievance.ledger.cosigned import quorum_of, witnesses_of
from grievance.pool.waivers import sign_waiver

if TYPE_CHECKING:
    from grievance.aggregator.bench import Bench
    from grievance.pool.proposals import ReleaseView


def waivable(bench: Bench, view: ReleaseView) -> list[str]:
    """The witnesses that a release waits for and for nobody else. Raises ReleaseError.

    `release.waive` where something else is waited for, or nothing.
    """
    task = bench.seat.task
    log = own_ledger(bench.state, bench.name, bench.key.public)
    if log.release(task.digest, view.release_id) is None:
        raise _not_now(f"{bench.name} has not charged {view.release_id} yet")
    history, among = History(task, bench.store), set(witnesses_of(task))
    for lack in lacks(history, view):
        if lack.step not in (WITNESS, PUBLISH):
            raise _not_now(f"{view.release_id} waits for {lack.who} too: {lack.words}")
    entries = [history.seen(Entry(view, name)) for name in history.names]
    missing = {w for seen in entries if len(seen) < quorum_of(task) for w in among - seen}
    if not missing:
        raise _not_now(f"{view.release_id} waits for no witness")
    return sorted(missing)


def _not_now(why: str) -> ReleaseError:
    return ReleaseError(
        f"there is nothing to waive: {why}",
        code="release.waive",
        hint="run `grievance sync`; `grievance status` says what waits for whom",
    )


def waive(bench: Bench, view: ReleaseView) -> list[str]:
    """Sign that a release does not wait for these witnesses. Returns whom.

    Raises ReleaseError `release.waive`, StateError `state.alone` at a home that recovered alone
    and was told of no head by anybody since.
    """
    path = bench.paths.waiver(view.release_id, bench.name)
    if bench.state.is_alone():
        raise StateError(
            f"{bench.name} recovered without asking anybody, and nobody has confirmed since how "
            "long its ledger was: it cannot say that witnesses are not needed",
            code="state.alone",
            hint="have witnesses run `grievance sync`, then run it here; once enough have "
            "answered, this works",
        )
    names = waivable(bench, view)
    if bench.state.outgoing(path) is None:
        data = sign_waiver(bench.seat.task, view.release_id, bench.name, names, bench.key)
        with bench.state.transaction():
            bench.state.spool(path, data)
            failpoint("waive.spooled")
    return names

"""From the pool's noisy shares to a release. Anyone who can read the pool can run this.

Nothing is taken on trust that can be checked: the leader ordered the release, everybody
approved it, every aggregator charged it to its ledger on the same terms, all the others cosigned
what it charged, and every noisy share is the one its ledger entry names.
Source: docs/design.md, section 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import GrievanceError, ReleaseError
from grievance.ledger import read_ledger
from grievance.ledger.cosigned import (
    cosignature_in_words,
    missing_cosignatures,
    quorum_in_words,
    quorum_of,
    witnessed_by,
    witnesses_of,
)
from grievance.pool.layout import RoundPaths
from grievance.pool.noisy import LIMIT, digest_of, parse_noisy_share
from grievance.pool.order import read_chain
from grievance.pool.proposals import ReleaseView, read_releases
from grievance.pool.store import find
from grievance.pool.waivers import read_waivers, waived_by_all
from grievance.release.combine import combine
from grievance.release.release import Release

if TYPE_CHECKING:
    from grievance.ledger import ReleaseEvent
    from grievance.pool.noisy import PublishedNoisyShare
    from grievance.pool.store import Store
    from grievance.task import Task


def collect(store: Store, task: Task, release_id: str | None = None) -> Release:
    """Add up the noisy shares of one release (the only one there is, by default).

    Raises ReleaseError `release.waiting` while something has not arrived, and names the file
    and the reason where something does not fit.
    """
    view = _find(store, task, release_id)
    chain = read_chain(store, task)
    if chain.releases.get(view.release_id) != view.proposal.digest(task):
        raise _waiting(view, f"the leader, {task.aggregators[0].name}, has not ordered it yet")
    if view.declined_by is not None or view.missing(task):
        raise ReleaseError("this release was not approved by everybody", code="release.approval")
    costs = {name: task.allocations[name].cost for name in view.proposal.statistics}
    events, unsigned, among = [], [], witnesses_of(task)
    waived = waived_by_all(task, read_waivers(store, task, view.release_id))
    for party in task.aggregators:
        log = read_ledger(store, party.name, party.identity)
        entry = log.release(task.digest, view.release_id)
        if entry is None:
            raise _waiting(view, f"{party.name} has not charged it to its ledger yet")
        event = entry.event
        agreed = (event.proposal, dict(event.statistics), event.accepted, event.root)
        if agreed != (
            view.proposal.digest(task),
            costs,
            view.proposal.accepted,
            view.proposal.root,
        ):
            raise ReleaseError(
                f"{party.name} charged its ledger on other terms than were approved",
                code="release.terms",
            )
        events.append(event)
        unsigned += [
            cosignature_in_words(name, party.name)
            for name in missing_cosignatures(store, task, party.name, log, entry.size)
        ]
        seen = witnessed_by(store, party, log, entry.size, among) | waived
        if len(seen) < quorum_of(task):
            missing = quorum_of(task) - len(seen)
            unsigned.append(quorum_in_words(missing, sorted(set(among) - seen), party.name))
    if unsigned:
        raise _waiting(view, "; ".join(unsigned))
    # Only now: whoever has not charged is what the noisy shares of the others wait for.
    shares = [_read_share(store, task, view, i, event) for i, event in enumerate(events)]
    digests = {
        party.name: event.noisy_share.hex()
        for party, event in zip(task.aggregators, events, strict=True)
    }
    modulus = task.vdaf.field.MODULUS
    values = {
        name: combine([share.values[name] for share in shares], modulus)
        for name in view.proposal.statistics
    }
    return Release.build(
        task,
        values,
        release_id=view.release_id,
        accepted=view.proposal.accepted,
        accepted_root=view.proposal.root,
        noisy_shares=digests,
        waived=sorted(waived),
    )


def _find(store: Store, task: Task, release_id: str | None) -> ReleaseView:
    views = [v for v in read_releases(store, task) if v.declined_by is None]
    found = [v for v in views if v.release_id.startswith(release_id or "")]
    if len(found) != 1:
        listed = ", ".join(v.release_id for v in views)
        raise ReleaseError(
            "several releases fit" if found else "this round has no such release yet",
            code="release.missing" if not found else "release.which",
            hint=f"name one of: {listed}"
            if listed
            else "a release begins with `grievance release propose`",
        )
    return found[0]


def _read_share(
    store: Store, task: Task, view: ReleaseView, index: int, event: ReleaseEvent
) -> PublishedNoisyShare:
    name = task.aggregators[index].name
    path = RoundPaths(task.round_id).noisy(view.release_id, name)
    data = find(store, path, LIMIT)
    if data is None:
        raise _waiting(view, f"{name} has not published its noisy share yet")
    found = digest_of(bytes(data))
    if found != event.noisy_share:
        raise ReleaseError(
            f"{path} is not the noisy share that {name} charged to its ledger: its SHA-256 is "
            f"{found.hex()}, the ledger names {event.noisy_share.hex()}",
            code="release.share",
            hint="wait for the file to arrive again; if it stays, keep it as evidence",
        )
    try:
        share = parse_noisy_share(bytes(data), task, index)
    except GrievanceError as error:
        raise ReleaseError(f"{path}: {error}", code="release.share") from None
    if share.release != view.release_id or set(share.values) != set(view.proposal.statistics):
        raise ReleaseError(f"{path} is about another release", code="release.share")
    return share


def _waiting(view: ReleaseView, why: str) -> ReleaseError:
    return ReleaseError(
        f"release {view.release_id} is not complete: {why}",
        code="release.waiting",
        hint="`grievance sync` at each aggregator moves it on; `grievance status` says what waits",
    )

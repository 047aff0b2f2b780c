"""From the pool's noisy shares to a release. Anyone who can read the pool can run this.

Checked here: the leader ordered the release, everybody approved it, every aggregator charged it to
its ledger on the same terms, all the others cosigned what it charged, and every noisy share is the
one its ledger entry names. Not checked here, but by the audit: which reports were accepted and why,
whether a ledger was forked, and how the round began.
Source: docs/design.md, section 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import GrievanceError, ReleaseError
from grievance.history import Entry, History, lacks
from grievance.history.needs import all_have_approved
from grievance.history.steps import CHARGE, ORDER, PUBLISH
from grievance.pool.layout import RoundPaths
from grievance.pool.noisy import LIMIT, digest_of, parse_noisy_share
from grievance.pool.proposals import ReleaseView, read_releases
from grievance.pool.store import find
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
    history = History(task, store)
    lacking = [lack for lack in lacks(history, view) if lack.step is not PUBLISH]
    if lacking and lacking[0].step is ORDER:
        raise _waiting(view, lacking[0].words)
    if not all_have_approved(history, "", view):
        raise ReleaseError("this release was not approved by everybody", code="release.approval")
    events = []
    for name in history.names:
        entry = history.log(name).release(task.digest, view.release_id)
        if entry is not None and not history.on_terms(Entry(view, name)):
            raise ReleaseError(
                f"{name} charged its ledger on other terms than were approved",
                code="release.terms",
            )
        events += [entry.event] if entry is not None else []
    if lacking:
        first = [lack for lack in lacking if lack.step is CHARGE] or lacking
        raise _waiting(view, "; ".join(lack.words for lack in first))
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
        waived=sorted(history.waived(view)),
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
        raise _waiting(view, PUBLISH.lacking.format(who=name))
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

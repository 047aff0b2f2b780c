"""Releases: proposed, approved by all, ordered, charged on the same terms, added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.audit.needs import check_answers, check_entries, check_order
from grievance.audit.plausible import check_plausible
from grievance.ledger.entry import ReleaseEvent
from grievance.pool.layout import is_release_id, ledger_path
from grievance.pool.noisy import KIND as SHARE_KIND
from grievance.pool.noisy import LIMIT as SHARE_LIMIT
from grievance.pool.noisy import PublishedNoisyShare, digest_of, parse_noisy_share
from grievance.pool.proposals import (
    APPROVAL_KIND,
    PROPOSAL_KIND,
    Approval,
    Proposal,
    parse_approval,
    parse_proposal,
)
from grievance.pool.waivers import KIND as WAIVER_KIND
from grievance.pool.waivers import parse_waiver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.chain import Order
    from grievance.audit.inspection import Inspection
    from grievance.audit.ledgers import Ledger
    from grievance.audit.opening import OpenedRound
    from grievance.ledger.entry import LedgerEntry


@dataclass
class AuditedRelease:
    """A release as far as it holds. `totals` is there when all noisy shares are.

    `totals` maps each charged statistic to its centred sums; `digests` each aggregator to the
    SHA-256 of its noisy share, in hex; `waived` are witnesses that nobody waited for;
    `unwatched`: fewer than the quorum have seen what it costs.
    """

    opened: OpenedRound
    release_id: str
    proposal: Proposal
    answers: dict[str, Approval] = field(default_factory=dict)
    shares: dict[str, PublishedNoisyShare] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    waived: frozenset[str] = frozenset()
    unwatched: bool = False
    totals: dict[str, list[int]] | None = None


def check_releases(
    inspection: Inspection,
    opened: OpenedRound,
    order: Order,
    accepted: tuple[int, bytes] | None,
    ledgers: Mapping[str, Ledger],
) -> list[AuditedRelease]:
    """Check every release of a round. `accepted`: number and root, None where they are unsure."""
    found = []
    for release_id in inspection.files.inner(opened.paths.releases):
        if not is_release_id(release_id):
            continue
        release = _read_proposal(inspection, opened, release_id)
        if release is None:
            folder = f"{opened.paths.releases}/{release_id}"
            paths = inspection.files.under(folder)
            inspection.unchecked(paths, "the release's proposal is missing or does not hold")
            continue
        found.append(release)
        _check_release(inspection, order, release, accepted, ledgers)
    known = {release.release_id for release in found}
    _check_unknown(inspection, opened, order, known, ledgers)
    _check_twice(inspection, order, found)
    return found


def _read_proposal(
    inspection: Inspection, opened: OpenedRound, release_id: str
) -> AuditedRelease | None:
    path = opened.paths.proposal(release_id)
    keys = [party.identity for party in opened.task.aggregators]
    document = inspection.signed_document(path, PROPOSAL_KIND)
    ours = document is not None and document.body.get("task") == opened.task.digest.hex()
    if document is None or document.signer not in keys or not ours:
        # Nobody's, or a copy from another round; if it was ordered, see `_check_unknown`.
        inspection.claimed.discard(path)
        return None
    try:
        proposal = parse_proposal(document.data, opened.task)
    except MALFORMED as error:
        inspection.refuse("release.proposal", path, error, [inspection.name_of(document)])
        return None
    if proposal.release_id(opened.task) != release_id:
        inspection.spoil("file.place", path, "it is the proposal of another release")
        return None
    return AuditedRelease(opened, release_id, proposal)


def _check_release(
    inspection: Inspection,
    order: Order,
    release: AuditedRelease,
    accepted: tuple[int, bytes] | None,
    ledgers: Mapping[str, Ledger],
) -> None:
    opened = release.opened
    _read_answers(inspection, release)
    _read_waivers(inspection, release)
    entries = _entries(release, ledgers)
    published = [
        n for n in opened.names if inspection.has(opened.paths.noisy(release.release_id, n))
    ]
    _read_shares(inspection, release, entries)
    declined = [name for name, given in release.answers.items() if given.answer == "decline"]
    acted = bool(entries or published)
    if declined and not acted and release.release_id not in order.chain.releases:
        path = opened.paths.approval(release.release_id, declined[0])
        inspection.note("release.approval", path, f"{declined[0]} declined; nothing was charged")
        return
    if order.whole:
        check_order(inspection, order, release, acted=acted)
    check_answers(inspection, order, release, declined, [*entries, *published])
    _check_terms(inspection, order, release, accepted)
    if release.release_id in order.chain.releases or acted:
        check_entries(inspection, release, entries, published, ledgers)
        if len(release.shares) == len(opened.names):
            release.totals = add_up(release)
            check_plausible(inspection, release)


def _read_answers(inspection: Inspection, release: AuditedRelease) -> None:
    opened = release.opened
    for index, party in enumerate(opened.task.aggregators):
        path = opened.paths.approval(release.release_id, party.name)
        document = inspection.document(path, APPROVAL_KIND, party.identity)
        if document is None:
            continue
        try:
            release.answers[party.name] = parse_approval(
                document.data, opened.task, release.proposal, index
            )
        except MALFORMED:
            inspection.spoil("file.place", path, "it answers another proposal")


def _read_waivers(inspection: Inspection, release: AuditedRelease) -> None:
    """Which witnesses all aggregators signed not to wait for."""
    opened, named = release.opened, []
    for index, party in enumerate(opened.task.aggregators):
        path = opened.paths.waiver(release.release_id, party.name)
        document = inspection.document(path, WAIVER_KIND, party.identity)
        if document is None:
            continue
        try:
            named.append(parse_waiver(document.data, opened.task, release.release_id, index))
        except MALFORMED:
            inspection.spoil("file.place", path, "it is about another release")
    if len(named) == len(opened.names):
        release.waived = frozenset.intersection(*named)


def _check_terms(
    inspection: Inspection,
    order: Order,
    release: AuditedRelease,
    accepted: tuple[int, bytes] | None,
) -> None:
    """Hold the proposal against the decisions, as far as those are certain."""
    task, proposal = release.opened.task, release.proposal
    path = release.opened.paths.proposal(release.release_id)
    if (
        accepted is not None
        and order.chain.closed
        and (proposal.accepted, proposal.root) != accepted
    ):
        message = (
            f"it is over {proposal.accepted} sealed reports; "
            f"the decisions make {accepted[0]}, or others"
        )
        inspection.fault("release.root", path, message, [proposal.proposer])
    least = task.plan.privacy.minimum_reports
    if proposal.accepted < least:
        message = f"it is over {proposal.accepted} sealed reports; the plan wants {least} or more"
        inspection.fault("release.minimum", path, message, [proposal.proposer])


def _entries(release: AuditedRelease, ledgers: Mapping[str, Ledger]) -> dict[str, LedgerEntry]:
    found = {}
    for name in release.opened.names:
        ledger = ledgers.get(name)
        entry = ledger.entry_of(release.opened.task.digest, release.release_id) if ledger else None
        if entry is not None:
            found[name] = entry
    return found


def _read_shares(
    inspection: Inspection, release: AuditedRelease, entries: Mapping[str, LedgerEntry]
) -> None:
    opened = release.opened
    for index, party in enumerate(opened.task.aggregators):
        path = opened.paths.noisy(release.release_id, party.name)
        document = inspection.document(path, SHARE_KIND, party.identity, limit=SHARE_LIMIT)
        if document is None:
            continue
        try:
            share = parse_noisy_share(document.data, opened.task, index)
        except MALFORMED as error:
            about = document.body.get("task"), document.body.get("aggregator")
            if about == (opened.task.digest.hex(), party.name):
                inspection.refuse("release.share", path, error, [party.name])
            else:
                inspection.spoil("file.place", path, "it is a share of another release")
            continue
        if share.release != release.release_id:
            inspection.spoil("file.place", path, "it is a share of another release")
            continue
        if set(share.values) != set(release.proposal.statistics):
            message = "it is about other statistics than approved"
            inspection.fault("release.share", path, message, [party.name])
            continue
        entry, digest = entries.get(party.name), digest_of(document.data)
        event = entry.event if entry is not None else None
        if isinstance(event, ReleaseEvent) and event.noisy_share != digest:
            message = (
                f"it is not the share that {party.name}'s ledger names: its SHA-256 is "
                f"{digest.hex()}, the ledger says {event.noisy_share.hex()}"
            )
            inspection.fault("release.share", path, message, [party.name])
            continue
        release.shares[party.name] = share
        release.digests[party.name] = digest.hex()


def add_up(release: AuditedRelease) -> dict[str, list[int]]:
    """Add noisy shares in the field and read the sums as signed: above p/2 is negative."""
    modulus = release.opened.task.vdaf.field.MODULUS
    totals = {}
    for name in release.proposal.statistics:
        vectors = [share.values[name] for share in release.shares.values()]
        sums = []
        for elements in zip(*vectors, strict=True):
            value = 0
            for element in elements:
                value += element
            value %= modulus
            sums.append(value if 2 * value < modulus else value - modulus)
        totals[name] = sums
    return totals


def _check_unknown(
    inspection: Inspection,
    opened: OpenedRound,
    order: Order,
    known: set[str],
    ledgers: Mapping[str, Ledger],
) -> None:
    """Releases that were ordered or charged without a proposal that holds."""
    for release_id in order.chain.releases:
        path = opened.paths.proposal(release_id)
        if release_id not in known:
            message = f"{opened.names[0]} ordered it, and its proposal is not here"
            inspection.waiting("release.proposal", path, message)
    for name in opened.names:
        ledger = ledgers.get(name)
        for entry in ledger.of_round(opened.task.digest) if ledger else ():
            event = entry.event
            if not isinstance(event, ReleaseEvent):
                continue
            path = ledger_path(name, entry.size)
            if not is_release_id(event.release):
                message = f"it charges release {event.release!s:.40}, which cannot be"
                inspection.fault("release.entry", path, message, [name])
            elif event.release not in known and event.release not in order.chain.releases:
                message = f"it charges release {event.release}, whose proposal is not here"
                inspection.waiting("release.entry", path, message)


def _check_twice(inspection: Inspection, order: Order, releases: Sequence[AuditedRelease]) -> None:
    """No statistic stands in two releases that were ordered."""
    first: dict[str, str] = {}
    going_on = [r for r in releases if r.release_id in order.chain.releases]
    places = {release_id: place for place, release_id in enumerate(order.chain.releases)}
    for release in sorted(going_on, key=lambda item: places[item.release_id]):
        for name in release.proposal.statistics:
            before = first.setdefault(name, release.release_id)
            if before != release.release_id:
                path = release.opened.paths.proposal(release.release_id)
                message, leader = f"{name} is in release {before} already", release.opened.names[:1]
                inspection.fault("release.twice", path, message, leader)

"""What must have happened before what, said a second time, by hand, and for the audit alone.

The programs that act read their order from the table of steps (`history.steps`). Nothing of it is
read here, so what is left out there is still missed here. Whoever is seen to have done what stands
on the left needs what is in the middle, by the rule on the right:

    began a round                     every aggregator's signature           task.signatures
    ordered, checked, decided a batch the batch itself                       batch.missing
    decided a batch                   every aggregator's verifier shares     verify.missing
    closed the round                  all decisions about every batch        decide.missing
    voided a batch                    that not all had decided it            order.event
    proposed a release                the close that it names                release.proposal
    ordered, charged, published it    every approval, and no refusal         release.approval
    charged, published it             its place in the order                 release.order
    published a noisy share           an entry on these terms in each ledger release.entry
                                      all signatures under their heads       ledger.cosignature
                                      a quorum that saw them, or a waiver    ledger.quorum

Verifier shares are looked for in `verifier_files`; what an event needs of those before it stands
in `chain`, what a ledger's entry needs in `ledgers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.audit.heads import missing_cosignatures
from grievance.audit.witnesses import named_witnesses, seen_by, wanted
from grievance.ledger.cosigned import cosignature_in_words, quorum_in_words
from grievance.ledger.entry import ReleaseEvent
from grievance.pool.layout import checkpoint_path, ledger_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.chain import Order
    from grievance.audit.decisions import Decision
    from grievance.audit.inspection import Inspection
    from grievance.audit.ledgers import Ledger
    from grievance.audit.opening import OpenedRound
    from grievance.audit.releases import AuditedRelease
    from grievance.ledger.entry import LedgerEntry
    from grievance.pool.order import OrderedBatch


def check_begun(inspection: Inspection, opened: OpenedRound) -> None:
    """Every aggregator signed before anything else happened in the round."""
    for name in opened.unsigned:
        path = opened.paths.signature(name)
        if inspection.has(path):
            continue
        message = f"{name} has not signed the task"
        if opened.after:
            message += f", and {opened.after} follows: it did not open, and its cost stays reserved"
            inspection.note("task.signatures", path, message)
        else:
            inspection.lacks("task.signatures", path, message)


def check_there(
    inspection: Inspection,
    opened: OpenedRound,
    batch: OrderedBatch,
    given: Mapping[str, Decision],
) -> None:
    """Say which files about a batch are missing."""
    path = opened.paths.batch(batch.partner, batch.digest)
    if not inspection.has(path) and path not in inspection.files.left_out:
        message = f"batch {batch.seq} is ordered, and not here"
        inspection.lacks("batch.missing", path, message)
    for name in opened.names:
        path = opened.paths.decide(batch.seq, name)
        if name not in given and not inspection.has(path):
            message = f"{name} has not decided batch {batch.seq}"
            inspection.lacks("decide.missing", path, message)


def check_void(
    inspection: Inspection,
    opened: OpenedRound,
    order: Order,
    batch: OrderedBatch,
    given: Mapping[str, Decision],
) -> None:
    """Nobody gives up a batch that all have decided."""
    if len(given) == len(opened.names):
        path = opened.paths.order(order.chain.voided[batch.seq])
        message = f"it voids batch {batch.seq}, which all aggregators had decided"
        inspection.fault("order.event", path, message, opened.names[:1])


def check_order(
    inspection: Inspection, order: Order, release: AuditedRelease, *, acted: bool
) -> None:
    """The leader ordered what all approved or somebody acted on, after the close it names."""
    opened, chain = release.opened, order.chain
    path = opened.paths.proposal(release.release_id)
    digest = chain.releases.get(release.release_id)
    if digest is None:
        if len(release.answers) == len(opened.names) or acted:
            message = f"{opened.names[0]} has not ordered this release"
            inspection.waiting("release.order", path, message)
    elif digest != release.proposal.digest(opened.task):
        message = "what was ordered is another proposal"
        inspection.fault("release.order", path, message, opened.names[:1])
    if chain.closed_by is not None and release.proposal.close != chain.closed_by:
        message = "it does not name the event that closed the round"
        inspection.fault("release.proposal", path, message, [release.proposal.proposer])
    elif chain.closed_by is None:
        message = "the event that closed the round, which it names, has not arrived"
        inspection.waiting("release.proposal", path, message)


def check_answers(
    inspection: Inspection,
    order: Order,
    release: AuditedRelease,
    declined: Sequence[str],
    acted: Sequence[str],
) -> None:
    """Say who has not approved, and who went on with what somebody declined."""
    opened = release.opened
    ordered = opened.names[:1] if release.release_id in order.chain.releases else []
    for name in opened.names:
        path = opened.paths.approval(release.release_id, name)
        if name in declined:
            message = f"{name} declined, and it went on"
            inspection.fault("release.approval", path, message, [*ordered, *acted])
        elif not inspection.has(path):
            inspection.lacks("release.approval", path, f"{name} has not approved")


def check_entries(
    inspection: Inspection,
    release: AuditedRelease,
    entries: Mapping[str, LedgerEntry],
    published: Sequence[str],
    ledgers: Mapping[str, Ledger],
) -> None:
    """All charged on the terms approved, and cosigned, before a share went out."""
    opened, proposal = release.opened, release.proposal
    agreed = (
        proposal.digest(opened.task),
        set(proposal.statistics),
        proposal.accepted,
        proposal.root,
    )
    for name in opened.names:
        entry, ledger = entries.get(name), ledgers.get(name)
        if entry is None or ledger is None:
            if ledger is not None and ledger.whole:
                path = ledger_path(name, len(ledger.entries) + 1)
                message = f"{name} has not charged release {release.release_id}"
                inspection.lacks("release.entry", path, message)
            continue
        event = entry.event
        if not isinstance(event, ReleaseEvent):
            continue
        if (event.proposal, set(event.statistics), event.accepted, event.root) != agreed:
            message = f"{name} charged other terms than were approved"
            inspection.fault("release.entry", ledger_path(name, entry.size), message, [name])
        missing = missing_cosignatures(inspection, ledger, entry.size, opened.names)
        for path, who in missing:
            inspection.waiting("ledger.cosignature", path, cosignature_in_words(who, name))
        _check_quorum(inspection, release, entry.size, ledger)
    for name in opened.names:
        path = opened.paths.noisy(release.release_id, name)
        if name not in published:
            inspection.lacks("release.share", path, f"{name} has not published its noisy share")


def _check_quorum(
    inspection: Inspection, release: AuditedRelease, size: int, ledger: Ledger
) -> None:
    """Enough of the round's witnesses have seen what a ledger was charged for a release."""
    task = release.opened.task
    seen = release.waived | set(seen_by(task, ledger, size))
    short = wanted(task) - len(seen)
    if short > 0:
        release.unwatched = True
        waiting = sorted(set(named_witnesses(task)) - seen)
        words = quorum_in_words(short, waiting, ledger.name)
        inspection.waiting("ledger.quorum", checkpoint_path(ledger.name, size), words)

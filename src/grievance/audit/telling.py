"""Gathers the facts of an audit for whoever reads its result or its page. Checks nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from grievance.audit.facts import CampaignTotals, PartyFacts, ReleaseFacts, RoundFacts
from grievance.audit.witnesses import named_witnesses, wanted
from grievance.crypto.fingerprint import short
from grievance.ledger.entry import ReleaseEvent
from grievance.pool.waivers import watched_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.chain import Order
    from grievance.audit.ledgers import Ledger
    from grievance.audit.opening import OpenedRound
    from grievance.audit.releases import AuditedRelease
    from grievance.audit.terms import AuditedTask


def _plain(value: Fraction) -> str:
    """A number as a plan writes it: 0.5, 1e-6."""
    return f"{float(value):g}".replace("e-0", "e-")


def unit_of(task: AuditedTask) -> str:
    """In what a task counts its costs."""
    return "rho" if task.lifetime.kind == "zcdp" else "epsilon"


def round_facts(
    opened: OpenedRound,
    order: Order,
    accepted: tuple[int, bytes] | None,
    releases: Sequence[AuditedRelease],
    ledgers: Mapping[str, Ledger],
) -> RoundFacts:
    """Gather the facts of one round."""
    task, chain = opened.task, order.chain
    privacy = task.plan.privacy
    parties = [
        PartyFacts(
            entry.name,
            entry.display_name,
            "leads, adds up and releases" if index == 0 else "adds up and releases",
            short(entry.identity.fingerprint),
        )
        for index, entry in enumerate(task.aggregators)
    ]
    for name, key in chain.partners.items():
        role = "relayed reports, then expelled" if name in chain.expelled else "relays reports"
        parties.append(PartyFacts(name, "", role, short(key.fingerprint)))
    return RoundFacts(
        round_id=task.round_id,
        digest=task.digest.hex(),
        short_digest=task.short_digest,
        title=task.plan.title,
        campaign=task.campaign,
        opens=str(task.plan.opens),
        closes=str(task.plan.closes),
        rehearsal=task.rehearsal,
        closed=chain.closed,
        vouched=opened.vouched,
        parties=tuple(parties),
        unit=unit_of(task),
        epsilon=_plain(privacy.epsilon),
        delta=_plain(privacy.delta),
        minimum_reports=privacy.minimum_reports,
        cost=str(task.cost.amount),
        spent={name: str(_charged(ledgers.get(name), task)) for name in opened.names},
        batches=len(chain.batches),
        reports=sum(batch.rows for batch in chain.counted),
        accepted=None if accepted is None else accepted[0],
        releases=tuple(_release(release) for release in releases),
    )


def _charged(ledger: Ledger | None, task: AuditedTask) -> Fraction:
    entries = ledger.of_round(task.digest) if ledger else ()
    charged = (e.cost for e in entries if isinstance(e.event, ReleaseEvent))
    return sum((c.amount for c in charged if c.kind == task.lifetime.kind), Fraction(0))


def _release(release: AuditedRelease) -> ReleaseFacts:
    proposal = release.proposal
    return ReleaseFacts(
        release.release_id,
        tuple(proposal.statistics),
        proposal.accepted,
        proposal.digest(release.opened.task).hex(),
        proposal.root.hex(),
        dict(release.digests),
        release.totals is not None,
        _watched(release),
        tuple(sorted(release.waived)),
    )


def _watched(release: AuditedRelease) -> str:
    """How many witnesses saw what a release costs, as far as that is certain."""
    task = release.opened.task
    if release.unwatched:
        return "too few witnesses have seen yet what it costs"
    if wanted(task) and release.totals is None:
        return "it has not left every aggregator yet"
    return watched_in_words(wanted(task), len(named_witnesses(task)), len(release.waived))


def campaign_totals(
    rounds: Sequence[OpenedRound], ledgers: Mapping[str, Ledger]
) -> dict[str, CampaignTotals]:
    """Add up every campaign.

    Costs of another kind than its first round has are left out: they are a fault by themselves.
    """
    found = {}
    for campaign in sorted({opened.task.campaign for opened in rounds}):
        tasks = [opened.task for opened in rounds if opened.task.campaign == campaign]
        kind = tasks[0].lifetime.kind
        tasks = [task for task in tasks if task.lifetime.kind == kind]
        names = sorted({party.name for task in tasks for party in task.aggregators})
        spent = {}
        for name in names:
            total = ledgers[name].spent.get(campaign) if name in ledgers else None
            if name in ledgers:
                spent[name] = str(total.amount if total and total.kind == kind else Fraction(0))
        least = min(tasks, key=lambda task: task.lifetime.amount)
        privacy = least.plan.privacy
        found[campaign] = CampaignTotals(
            unit=unit_of(least),
            budget=str(least.lifetime.amount),
            reserved=str(max(task.reserved.amount for task in tasks)),
            spent=spent,
            lifetime=f"epsilon {_plain(privacy.lifetime_epsilon)}"
            + (f" at delta {_plain(privacy.delta)}" if kind == "zcdp" else " without a delta"),
        )
    return found

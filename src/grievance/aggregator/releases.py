"""Propose, approve, charge, publish: from a closed round to a noisy share in the pool.

The ledger entry and the noisy share are stored in one transaction before anything is
published; from there on a crash republishes the same bytes. The noisy share leaves only
when every aggregator's entry for this release lies in the pool, because whoever comes last
could otherwise aim its noise at what it already sees. Source: docs/design.md, section 10.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.aggregator.decisions import read_decision
from grievance.aggregator.noise import NoisyAggregateShare
from grievance.aggregator.peers import check_peers
from grievance.crypto.boxes import open_at_rest, seal_at_rest
from grievance.crypto.merkle import root
from grievance.errors import ReleaseError
from grievance.failpoints import failpoint
from grievance.history import History
from grievance.history.steps import PUBLISH
from grievance.ledger import LedgerEntry, LedgerLog, ReleaseEvent
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.pool.layout import checkpoint_path, ledger_path, share_path
from grievance.pool.noisy import digest_of, parse_own_share, sign_own_share
from grievance.pool.proposals import Approval, Proposal, ReleaseView, read_releases
from grievance.privacy import BudgetFilter
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.bench import Bench
    from grievance.aggregator.state import State
    from grievance.crypto.signing import SigningKey, VerifyingKey
    from grievance.pool.order import OrderChain
    from grievance.task import Task


@dataclass(frozen=True)
class AcceptedSet:
    """All accepted reports of a closed round: how many, and the root over the batches."""

    accepted: int
    root: bytes


def own_ledger(state: State, name: str, key: VerifyingKey) -> LedgerLog:
    """Our own ledger from our own state, every link checked."""
    log = LedgerLog(name)
    for data in state.ledger():
        log.append(LedgerEntry.parse(data, key))
    return log


def accepted_set(bench: Bench, chain: OrderChain) -> AcceptedSet | None:
    """What all aggregators accepted; None until the round is closed and all have decided.

    Raises ReleaseError `accept.mismatch` when two aggregators decided differently: then
    nothing is charged. The message counts the differences and names no row.
    """
    if not chain.closed:
        return None
    task, seat = bench.seat.task, bench.seat
    leaves, accepted = [], 0
    for batch in chain.counted:
        decisions = [read_decision(bench, batch, i) for i in range(len(task.aggregators))]
        ours = decisions[seat.index]
        complete = [d for d in decisions if d is not None]
        if ours is None or len(complete) != len(decisions):
            return None
        for index, decision in enumerate(complete):
            if decision != ours:
                different = len(decision.refused.items() ^ ours.refused.items())
                raise ReleaseError(
                    f"batch {batch.seq}: {task.aggregators[index].name} and {bench.name} decided "
                    f"differently ({different} differences); nothing was charged",
                    code="accept.mismatch",
                    hint="keep the pool as it is and compare the versions both sides run",
                )
        leaves.append(batch.seq.to_bytes(4, "big") + ours.accepted.to_bytes(4, "big") + ours.root)
        accepted += ours.accepted
    return AcceptedSet(accepted, root(leaves))


def charged_names(task: Task, names: Sequence[str] | None) -> tuple[str, ...]:
    """The charged statistics behind `names` (all by default), in the plan's order.

    A statistic that is read off a larger one stands for that one. Raises ReleaseError for a
    name the plan does not have.
    """
    wanted = set()
    for name in names or task.layout.statistics:
        if name not in task.layout.statistics:
            raise ReleaseError(
                f"the plan has no statistic called {name!r:.60}",
                code="release.statistic",
                hint=f"it has: {', '.join(task.layout.statistics)}",
            )
        source: str = name
        while (parent := task.layout.statistics[source].implied_by) is not None:
            source = parent
        wanted.add(source)
    return tuple(name for name in task.allocations if name in wanted)


def check_proposal(
    bench: Bench, chain: OrderChain, proposal: Proposal, log: LedgerLog
) -> AcceptedSet:
    """Hold a proposal against what we know ourselves. Raises ReleaseError; changes nothing."""
    task = bench.seat.task
    accepted = accepted_set(bench, chain)
    if accepted is None:
        raise ReleaseError(
            "the round is not closed, or not all batches are decided yet",
            code="release.early",
            hint="run `grievance sync` at every aggregator, then try again",
        )
    if proposal.close != chain.closed_by or (proposal.accepted, proposal.root) != (
        accepted.accepted,
        accepted.root,
    ):
        raise ReleaseError("the proposal is about another set of reports", code="release.root")
    minimum = task.plan.privacy.minimum_reports
    if accepted.accepted < minimum:
        raise ReleaseError(
            f"only {accepted.accepted} sealed reports count, cover included; the plan wants "
            f"{minimum} or more",
            code="release.minimum",
            hint="this round cannot be released; nothing was charged",
        )
    for name in proposal.statistics:
        if log.released(task.digest, name):
            raise ReleaseError(
                f"{name} was released before: each statistic is released once per round",
                code="release.twice",
                hint="the numbers that were released can be read as often as you like",
            )
    return accepted


def draft(bench: Bench, chain: OrderChain, names: Sequence[str] | None) -> Proposal:
    """Write a proposal that would be allowed now. Signs nothing.

    Raises ReleaseError when the release must not happen, or one is under way already.
    """
    task, state = bench.seat.task, bench.state
    statistics = charged_names(task, names)
    log = own_ledger(state, bench.name, bench.key.public)
    used = set[int]()
    for view in read_releases(bench.store, task):
        if not set(view.proposal.statistics) & set(statistics):
            continue
        if view.declined_by is None:
            twice = any(log.released(task.digest, n) for n in view.proposal.statistics)
            raise ReleaseError(
                f"release {view.release_id} has some of these statistics already"
                if not twice
                else "each statistic is released once per round, and these were released before",
                code="release.twice" if twice else "release.open",
                hint=f"see `grievance release show {view.release_id}`",
            )
        used.add(view.proposal.attempt)
    accepted = accepted_set(bench, chain)
    proposal = Proposal(
        bench.name,
        chain.closed_by or b"",
        statistics,
        accepted.accepted if accepted else 0,
        accepted.root if accepted else b"",
        next(attempt for attempt in itertools.count() if attempt not in used),
    )
    check_proposal(bench, chain, proposal, log)
    return proposal


def propose(bench: Bench, chain: OrderChain, names: Sequence[str] | None) -> ReleaseView:
    """Sign a proposal, and our approval with it. Run for an aggregator's steward.

    Raises ReleaseError as `draft` does.
    """
    task, state = bench.seat.task, bench.state
    proposal = draft(bench, chain, names)
    release_id = proposal.release_id(task)
    with state.transaction():
        state.spool(bench.paths.proposal(release_id), proposal.sign(task, bench.key))
        failpoint("propose.spooled")
        approval = Approval(bench.name, "approve", "")
        state.spool(
            bench.paths.approval(release_id, bench.name), approval.sign(task, proposal, bench.key)
        )
    return ReleaseView(release_id, proposal, {bench.name: approval})


def answer(
    bench: Bench,
    chain: OrderChain,
    release_id: str,
    approval: Approval,
    shown: Proposal | None = None,
) -> ReleaseView:
    """Sign an approval or a refusal. Approving checks everything; refusing needs no reason.

    `shown` is the proposal that a person read: an id is too short to tell two apart that
    somebody made for one. Raises ReleaseError `release.changed` where it is another by now.
    """
    task, state = bench.seat.task, bench.state
    view = find_release(bench, release_id)
    if shown is not None and shown != view.proposal:
        raise ReleaseError(
            f"the proposal {release_id} is another one by now than the one that was shown",
            code="release.changed",
            hint="nothing was signed; show it to the others, and ask whoever proposed it",
        )
    given = view.answers.get(bench.name)
    if given is not None:
        if given.answer == approval.answer:
            return view
        raise ReleaseError(
            f"we answered {given.answer!r} already, and an answer stands",
            code="release.answered",
        )
    if approval.answer == "approve":
        log = own_ledger(state, bench.name, bench.key.public)
        check_proposal(bench, chain, view.proposal, log)
        _check_no_other(bench, view)
    with state.transaction():
        state.spool(
            bench.paths.approval(release_id, bench.name),
            approval.sign(task, view.proposal, bench.key),
        )
        failpoint("answer.spooled")
    view.answers[bench.name] = approval
    return view


def _check_no_other(bench: Bench, view: ReleaseView) -> None:
    """Raise ReleaseError where we approved another open release of some of these statistics."""
    for other in read_releases(bench.store, bench.seat.task):
        if other.release_id == view.release_id or other.declined_by is not None:
            continue
        ours = bench.state.outgoing(bench.paths.approval(other.release_id, bench.name))
        if ours is not None and set(other.proposal.statistics) & set(view.proposal.statistics):
            raise ReleaseError(
                f"release {other.release_id}, which we approved, has some of these statistics too",
                code="release.open",
                hint="only one of the two can be: agree which, and decline the other where it is "
                "not approved yet",
            )


def find_release(bench: Bench, release_id: str) -> ReleaseView:
    """The proposal with this id, or with an id that starts like it. Raises ReleaseError."""
    views = read_releases(bench.store, bench.seat.task)
    found = [v for v in views if v.release_id.startswith(release_id)]
    if len(found) != 1:
        raise ReleaseError(
            "several releases fit" if found else "this round has no such release",
            code="release.which" if found else "release.missing",
            hint=f"there are: {', '.join(v.release_id for v in views) or 'none yet'}",
        )
    return found[0]


def charge(bench: Bench, chain: OrderChain, view: ReleaseView) -> bool:
    """Charge the ledger and draw the noise, in one transaction. True if it was done now.

    False too while another aggregator's ledger has yet to arrive. Raises ReleaseError (also
    where such a ledger does not hold) or BudgetExceededError and changes nothing when it must
    not happen.
    """
    task, state = bench.seat.task, bench.state
    log = own_ledger(state, bench.name, bench.key.public)
    if log.release(task.digest, view.release_id) is not None:
        return False
    accepted = check_proposal(bench, chain, view.proposal, log)
    costs = {name: task.allocations[name].cost for name in view.proposal.statistics}
    spent = log.spent(task.plan.campaign, task.cost.kind)
    lifetime = BudgetFilter(task.lifetime, spent=spent)
    this_round = BudgetFilter(task.cost, spent=log.spent_in_round(task.digest, task.cost.kind))
    for cost in costs.values():
        this_round.charge(cost)
        lifetime.charge(cost)
    if check_peers(bench, view.release_id, list(costs.values())):
        return False
    total = task.vdaf.agg_init()
    stored = state.batches(task.digest)
    for batch in chain.counted:
        total = task.vdaf.agg_update(total, bench.open_sum(batch.seq, stored[batch.seq].sum))
    statistics = view.proposal.statistics
    share = NoisyAggregateShare(task, view.release_id, bench.name, total, statistics).sign(
        bench.key
    )
    failpoint("charge.drawn")
    event = ReleaseEvent(
        view.release_id,
        view.proposal.digest(task),
        costs,
        accepted.accepted,
        accepted.root,
        digest_of(share),
    )
    entry = LedgerEntry.sign(
        bench.key,
        ledger=bench.name,
        after=log.last,
        campaign=task.plan.campaign,
        task=task.digest,
        spent=lifetime.spent,
        event=event,
    )
    log.append(entry)
    sealed = seal_share_at_rest(bench, view.release_id, share)
    with state.transaction():
        state.charge(entry.size, entry.data, task.digest, view.release_id, sealed)
        failpoint("charge.stored")
        spool_entry(state, log, bench.key)
        failpoint("charge.spooled")
        # Sealed to ourselves beside the entry: a lost state must not cost a charged release.
        state.spool(share_path(bench.name, entry.size), _seal_share(bench, view.release_id, share))
    return True


def spool_entry(state: State, log: LedgerLog, key: SigningKey) -> None:
    """Queue the newest entry of our ledger and the head it makes."""
    entry = log.entries[-1]
    state.spool(ledger_path(log.aggregator, entry.size), entry.data)
    head = root([item.data for item in log.entries])
    state.spool(
        checkpoint_path(log.aggregator, entry.size),
        sign_checkpoint(log.aggregator, entry.size, head, key),
    )


def _share_info(task: Task, release_id: str) -> bytes:
    return length_prefixed(b"grievance/2 own noisy share", task.digest, release_id.encode())


def _seal_share(bench: Bench, release_id: str, share: bytes) -> bytes:
    box = bench.seat.hpke.public.seal(share, _share_info(bench.seat.task, release_id))
    return sign_own_share(bench.seat.task, release_id, box, bench.key)


def open_share(bench: Bench, release_id: str, data: bytes) -> bytes:
    """Open the noisy share we sealed to ourselves. Raises GrievanceError."""
    box = parse_own_share(data, bench.seat.task, release_id, bench.key.public)
    return bench.seat.hpke.open(box, _share_info(bench.seat.task, release_id))


def seal_share_at_rest(bench: Bench, release_id: str, share: bytes) -> bytes:
    """Seal a noisy share for our own state."""
    return seal_at_rest(bench.state_key, share, _share_context(bench, release_id))


def _share_context(bench: Bench, release_id: str) -> bytes:
    return bench.context(f"noisy share {release_id}", 0)


def publish_share(bench: Bench, view: ReleaseView) -> bool:
    """Spool the stored noisy share once every aggregator is bound. True if it was done now."""
    task, state = bench.seat.task, bench.state
    path = bench.paths.noisy(view.release_id, bench.name)
    sealed = state.noisy_share(task.digest, view.release_id)
    if sealed is None or state.outgoing(path) is not None:
        return False
    if not PUBLISH.is_met(History(task, bench.store), bench.name, view):
        return False
    share = open_at_rest(bench.state_key, sealed, _share_context(bench, view.release_id))
    with state.transaction():
        state.spool(path, share)
        failpoint("share.spooled")
    return True

"""`sync`: do whatever can be done now, in the order of the chain, and say what waits for whom.

Safe to run again at any moment: every step is one transaction, and what is published comes
from the spool. Source: docs/design.md, sections 8 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator import (
    asked,
    batches,
    clocks,
    consent,
    decisions,
    destroy,
    releases,
    rounds,
    sightings,
    watched,
    witness,
)
from grievance.aggregator.advance import advance_releases
from grievance.aggregator.bench import find_batch, find_file
from grievance.aggregator.remembered import AtWork
from grievance.errors import BatchError, GrievanceError, OrderError, PoolError
from grievance.history.steps import CHECK, DECIDE
from grievance.pool import rounds as pool_rounds
from grievance.pool.events import Admit, OrderBatch
from grievance.pool.layout import parse_batch_name
from grievance.pool.order import OrderedBatch
from grievance.pool.preflight import check_writable
from grievance.pool.store import OCCUPIED

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.aggregator.bench import Bench
    from grievance.aggregator.office import Office
    from grievance.pipelines import Crew
    from grievance.pool.order import OrderChain
    from grievance.task import Task


@dataclass
class SyncResult:
    """What was done, and what went wrong, in words; `faults` stop one round, not the others.

    `warnings` stop nothing.
    """

    done: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    faults: list[GrievanceError] = field(default_factory=list)
    written: int = 0


def _quiet(_what: str, _done: int, _total: int) -> None:
    pass


def sync(office: Office, progress: Callable[[str, int, int], None] = _quiet) -> SyncResult:
    """Do everything that can be done at this office now. `progress(what, done, total)`."""
    result = SyncResult()
    check_writable(office.home.store)
    result.warnings += clocks.clock_warnings(office)
    for data in office.state.tasks():
        known = tasks.parse_task(data)
        if office.state.is_destroyed(known.digest) and destroy.unfinished(office, known):
            destroy.finish(office, known)
    witness.check_not_behind(office)
    asked.forget_question(office.home)
    log = releases.own_ledger(office.state, office.home.name, office.home.key.public)
    result.done += asked.hear_answers(office, log)
    result.done += asked.answer_all(office)
    _publish(office, result)
    _witness(office, result)
    # Whatever anybody writes among the invitations: what we signed or agreed to goes on, and
    # nothing else does.
    agreed = set(consent.joined(office.home, office.state)) - set(office.state.rounds())
    for round_id in [*office.state.rounds(), *sorted(agreed)]:
        try:
            _sync_round(office, round_id, result, progress)
        except GrievanceError as error:
            result.faults.append(error)
        _publish(office, result)
    return result


def _publish(office: Office, result: SyncResult) -> None:
    """Publish what is spooled. What stands in the place of a file of ours stops nothing else.

    Raises PoolError when the pool takes nothing, as on a full disk.
    """
    try:
        result.written += len(office.publish())
    except PoolError as error:
        if error.code not in OCCUPIED:
            raise
        if str(error) not in map(str, result.faults):
            result.faults.append(error)


def _witness(office: Office, result: SyncResult) -> None:
    """Cosign what the others charged; a ledger that does not extend stops nothing else."""
    result.warnings += watched.unvouched(office.home, office.state)
    done, faults = witness.witness_all(office)
    result.done += done
    result.faults += faults
    _publish(office, result)


def _sync_round(
    office: Office,
    round_id: str,
    result: SyncResult,
    progress: Callable[[str, int, int], None],
) -> None:
    task = office.task(round_id)
    if task is None:
        task = _open_round(office, round_id, result)
    if task is None:
        return
    # The round begins when every aggregator has signed; until then nobody may act on it.
    signed = pool_rounds.read_task(office.home.store, round_id)
    if signed is None or signed.digest != task.digest:
        rounds.check_one_task(office.home.store, task)
        return
    if office.state.is_destroyed(task.digest):
        return
    bench = office.bench(task)
    chain = office.chain(task)
    witness.check_round_not_behind(office, task, chain)
    history, leads = AtWork(bench, chain), bench.seat.index == 0
    if leads:
        _admit_waiting(office, chain, result)
    new = _new_batches(bench, chain) if leads else []
    waiting = _rows_waiting(bench, chain) + sum(batch.rows for batch in new)
    with bench.crew(waiting) as crew:
        for batch in chain.counted:
            if CHECK.is_open(history, bench.name, batch):
                _verify(history, batch, crew, result, progress)
                _publish(office, result)
        whole = all(history.verified(batch, bench.name) for batch in chain.counted)
        for batch in new:
            _order_batch(office, bench, chain, batch, crew if whole else None, result, progress)
        crew.close()
        _check_voids(office, chain)
        for batch in chain.counted:
            if DECIDE.is_open(history, bench.name, batch):
                _decide(history, batch, crew, result)
    _publish(office, result)
    done, faults = advance_releases(office, bench, chain, lambda: _publish(office, result))
    result.done += done
    result.faults += faults


def _rows_waiting(bench: Bench, chain: OrderChain) -> int:
    """Reports of all batches that are not verified, or not decided."""
    stored = bench.state.batches(bench.seat.task.digest)
    return sum(b.rows for b in chain.counted if b.seq not in stored or not stored[b.seq].decided)


def _check_voids(office: Office, chain: OrderChain) -> None:
    """Raise OrderError when a batch is voided that we decided: the leader had checked it too."""
    stored = office.state.batches(chain.task.digest)
    for seq in chain.voided:
        if seq in stored and stored[seq].decided:
            raise OrderError(
                f"the leader voided batch {seq}, which all aggregators had checked",
                code="order.void",
                hint="keep the pool as evidence and talk to the leader",
            )


def _open_round(office: Office, round_id: str, result: SyncResult) -> Task | None:
    """Write the task (leader) or sign it (helper), as far as the others have come."""
    home, state = office.home, office.state
    agreed = consent.find_consent(home, state, round_id)
    if agreed is None:
        return None
    invitation = agreed.invitation
    consent.note_cards(home, state, round_id, invitation.members)
    result.faults += sightings.told(sightings.two_cards(state, round_id))
    consent.check_unchanged(home, state, agreed)
    cards = pool_rounds.read_cards(home.store, invitation, result.faults)
    if len(cards) < len(invitation.members):
        return None
    consent.check_claims(invitation, cards)
    if consent.waits_for_consent(agreed, cards):
        result.warnings.append(
            f"{round_id}: nothing is signed yet, for a card says something else than the "
            f"invitation did: read it, and type grievance round consent {round_id}"
        )
        return None
    if agreed.leader == home.identity:
        task = rounds.build_task(home, state, invitation, cards)
        result.done.append(f"{task.round_id}: all cards are here; wrote and signed the task")
        return task
    found = pool_rounds.read_task_and_signatures(home.store, round_id)
    if found is None or agreed.leader.name not in found[1]:
        return None
    rounds.sign_as_helper(home, state, agreed, cards, found[0])
    result.done.append(f"{round_id}: the task is what was agreed; signed it")
    return found[0]


def _admit_waiting(office: Office, chain: OrderChain, result: SyncResult) -> None:
    """Admit the partners named when the round was opened."""
    if chain.closed:
        return
    for name in office.home.waiting_admissions(chain.task.round_id):
        if name in chain.partners:
            continue
        try:
            identity = office.home.find_partner(name)
        except GrievanceError as error:  # one that is not there yet stops nobody else
            result.faults.append(error)
            continue
        office.order(chain, Admit(name, identity.key))
        result.done.append(f"{chain.task.round_id}: admitted {name}")


def _new_batches(bench: Bench, chain: OrderChain) -> list[OrderedBatch]:
    """Batches of admitted partners that never had a place, without one. Run by the leader.

    One that was given up is not among them: its relay puts it back as long as it keeps it, and
    whether it is to have a new place is for the leader's steward to say (`destroy.order_again`).
    """
    if chain.closed:
        return []
    found, waiting = [], {batch.digest for batch in chain.batches}
    for name in bench.store.names(bench.paths.batches):
        parsed = parse_batch_name(name)
        if parsed is None or parsed[0] not in chain.partners or parsed[0] in chain.expelled:
            continue
        partner, digest = parsed
        try:
            file = None if digest in waiting else find_file(bench, partner, digest)
        except PoolError:
            continue
        if file is not None and file.header.relay == chain.partners[partner]:
            waiting.add(digest)
            found.append(OrderedBatch(0, partner, file.header.relay, digest, file.header.rows))
    return found


def _order_batch(
    office: Office,
    bench: Bench,
    chain: OrderChain,
    batch: OrderedBatch,
    crew: Crew | None,
    result: SyncResult,
    progress: Callable[[str, int, int], None],
) -> None:
    """Give a batch that has arrived whole its place; verify it in the same transaction.

    That it is whole shows when it is verified, so that takes one pass over the file.
    Without a crew (an earlier batch is missing) it is only ordered, and verified in its turn.
    """
    batch = replace(batch, seq=chain.length + 1)
    view = find_batch(bench, batch)
    if view is None or view.refused:
        return
    event = OrderBatch(batch.partner, batch.digest, batch.rows)
    what = f"checking batch {batch.seq} from {batch.partner}"

    def verify() -> None:
        if crew is None:
            view.file.check_rows()
        else:
            batches.verify_batch(
                bench, batch, view, crew, lambda done, total: progress(what, done, total)
            )

    try:
        office.order(chain, event, together_with=verify)
    except BatchError:  # not what its relay signed: it does not exist
        return
    round_id = chain.task.round_id
    result.done.append(
        f"{round_id}: ordered a batch of {batch.rows} sealed reports from {batch.partner}"
    )
    if crew is not None:
        result.done.append(_checked(bench, batch))
    _publish(office, result)


def _checked(bench: Bench, batch: OrderedBatch) -> str:
    round_id = bench.seat.task.round_id
    return f"{round_id}: checked batch {batch.seq} ({batch.rows} sealed reports, {batch.partner})"


def _verify(
    history: AtWork,
    batch: OrderedBatch,
    crew: Crew,
    result: SyncResult,
    progress: Callable[[str, int, int], None],
) -> None:
    """Verify a batch that is here; one that is not what its relay signed waits."""
    bench, view = history.bench, history.batch
    if view is None:
        return
    what = f"checking batch {batch.seq} from {batch.partner}"
    try:
        with bench.state.transaction():
            batches.verify_batch(
                bench, batch, view, crew, lambda done, total: progress(what, done, total)
            )
    except BatchError as error:
        result.faults.append(_not_whole(batch, error))
        return
    result.done.append(_checked(bench, batch))


def _not_whole(batch: OrderedBatch, error: BatchError) -> BatchError:
    return BatchError(
        f"batch {batch.seq} from {batch.partner} waits: {error.message}",
        code=error.code,
        hint=f"wait until the pool has arrived whole; if it stays so, ask {batch.partner} for the "
        "file as they made it, or the leader for `grievance round void`",
    )


def _decide(history: AtWork, batch: OrderedBatch, crew: Crew, result: SyncResult) -> None:
    """Decide a batch about which everybody's findings are here."""
    bench, found = history.bench, [history.found.pop(name, None) for name in history.names]
    view = find_batch(bench, batch)
    if view is None:
        return
    try:
        accepted = decisions.decide_batch(bench, batch, view, crew, found)
    except BatchError as error:
        result.faults.append(_not_whole(batch, error))
        return
    result.done.append(
        f"{history.task.round_id}: decided batch {batch.seq}: "
        f"{accepted} of {batch.rows} sealed reports count"
    )

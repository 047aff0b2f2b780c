"""Give up a batch that never arrived, or take it after all; destroy a round for good.

Before a round is destroyed, all aggregators together could open every report in the pool, or be
made to; after it, a seizure of every one of them opens nothing that is not in an old backup.
Source: docs/design.md, section 5.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grievance.aggregator.releases import own_ledger, spool_entry
from grievance.errors import BatchError, StateError, UsageError
from grievance.failpoints import failpoint
from grievance.ledger import DestroyedEvent, LedgerEntry
from grievance.pool.batch import find_batch_file
from grievance.pool.events import OrderBatch, Void
from grievance.pool.layout import RoundPaths
from grievance.pool.proposals import read_releases

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.aggregator.office import Office
    from grievance.home import Home
    from grievance.pool.order import OrderChain
    from grievance.task import RoundTerms


def void(office: Office, chain: OrderChain, seq: int) -> None:
    """Give up on a batch that never arrived. Run by the leader.

    Raises StateError `void.checked` when we have checked it ourselves: then another aggregator
    may have decided it, and what it decided cannot be taken back.
    """
    if office.state.batch(chain.task.digest, seq) is not None:
        raise StateError(
            f"batch {seq} has arrived and was checked here",
            code="void.checked",
            hint="wait for the other aggregators; if the file is gone from the pool, put it back",
        )
    office.order(chain, Void(seq))


def order_again(office: Office, chain: OrderChain, seq: int) -> int:
    """Give a batch that was given up, and has arrived after all, a new place. Run by the leader.

    Returns its place. Raises UsageError `order.batch` when it was not given up, or has a new place
    already, BatchError when its file has not arrived whole, OrderError when the round is closed
    or its relay was expelled.
    """
    task = chain.task
    batch = next((b for b in chain.batches if b.seq == seq and seq in chain.voided), None)
    if batch is None or chain.has_batch(batch.digest):
        raise UsageError(
            f"batch {seq} of {task.round_id} was not given up, or has a new place already",
            code="order.batch",
            hint="`grievance status` lists the batches that were given up",
        )
    file = find_batch_file(office.home.store, task, batch.partner, batch.digest)
    if file is None:
        raise BatchError(
            f"batch {seq} from {batch.partner} has not arrived whole",
            code="batch.missing",
            hint=f"wait for the folder; `grievance sync` of {batch.partner} puts its files back",
        )
    file.check_rows()
    office.order(chain, OrderBatch(batch.partner, batch.digest, file.header.rows))
    return chain.length


def pending(office: Office, chain: OrderChain) -> list[str]:
    """What would be lost if the round's keys were deleted now, in words."""
    task, state = chain.task, office.state
    found = []
    if not chain.closed:
        found.append("the round is not closed")
    stored = state.batches(task.digest)
    undecided = [b.seq for b in chain.counted if b.seq not in stored or not stored[b.seq].decided]
    if undecided:
        found.append(f"{len(undecided)} batches are not decided")
    for view in read_releases(office.home.store, task):
        path = RoundPaths(task.round_id).noisy(view.release_id, office.home.name)
        if view.declined_by is None and state.outgoing(path) is None:
            found.append(f"release {view.release_id} is not complete")
    return found


def files_of(home: Home, round_id: str) -> list[Path]:
    """Every file in a round's own folder, which are its keys; none where there is no folder."""
    folder = home.round_files(round_id).folder
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def still_needed(round_id: str, waiting: list[str]) -> StateError:
    """Why a round cannot be destroyed yet."""
    return StateError(
        f"{round_id} still needs its keys: {'; '.join(waiting)}",
        code="destroy.pending",
        hint="finish or decline what is under way, then run this again",
    )


def key_files(office: Office, task: RoundTerms) -> list[Path]:
    """What is deleted from this machine: every file in the round's own folder."""
    return files_of(office.home, task.round_id)


def is_destroyed(office: Office, round_id: str) -> bool:
    """Whether we destroyed a round that we had signed."""
    task = office.task(round_id)
    return task is not None and office.state.is_destroyed(task.digest)


def unfinished(office: Office, task: RoundTerms) -> bool:
    """Whether a round that is marked destroyed still has something to delete."""
    return office.home.round_files(task.round_id).folder.is_dir()


def destroy(office: Office, chain: OrderChain) -> list[str]:
    """Delete the round's keys, sums and unpublished shares, and write the ledger entry.

    Raises StateError `destroy.pending` when something still needs the keys. Returns what was
    deleted. Safe to run again after a crash: what is marked is finished by the next sync.
    """
    task, state = chain.task, office.state
    waiting = pending(office, chain)
    if waiting:
        raise still_needed(task.round_id, waiting)
    log = own_ledger(state, office.home.name, office.home.key.public)
    entry = LedgerEntry.sign(
        office.home.key,
        ledger=office.home.name,
        after=log.last,
        campaign=task.campaign,
        task=task.digest,
        spent=log.spent(task.campaign, task.cost.kind),
        event=DestroyedEvent(),
    )
    log.append(entry)
    with state.transaction():
        state.forget_round(task.digest)
        failpoint("destroy.marked")
        state.add_entry(entry.size, entry.data)
        spool_entry(state, log, office.home.key)
    return [str(path) for path in finish(office, task)]


def finish(office: Office, task: RoundTerms) -> list[Path]:
    """Delete the key files of a round that is marked destroyed, before its entry is published."""
    files = key_files(office, task)
    for path in files:
        size = path.stat().st_size
        # Overwriting helps on some media and hurts on none; it is no promise.
        with path.open("r+b") as file:
            file.write(bytes(size))
            file.flush()
        failpoint("destroy.overwritten")
        path.unlink()
        failpoint("destroy.unlinked")
    failpoint("destroy.keyless")
    office.state.compact()
    with contextlib.suppress(OSError):
        # Last, since as long as it is there the next sync does all this again.
        office.home.round_files(task.round_id).folder.rmdir()
    return files

"""What commands do at an aggregator's office: one sync with a progress bar, one leader's event.

Also what every command says about a rehearsal, in which there is no split trust.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grievance.cli.output import emit_json, progress_bars, say, tell
from grievance.errors import PoolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.aggregator import Office, SyncResult
    from grievance.home import Home
    from grievance.pool.order import OrderChain

NOTHING_TO_DO = "Nothing to do now."
NO_SPLIT_TRUST = (
    "REHEARSAL: all aggregators of this round are on one machine. There is NO SPLIT TRUST: "
    "whoever has that machine can read every answer. Use made-up answers only."
)


def warn_of_rehearsal(rehearsal: bool) -> None:
    """Say loudly that nothing here is protected, wherever a rehearsal is worked on."""
    if rehearsal:
        say(NO_SPLIT_TRUST)


def sync_once(own: Home, workers: int | None = None, *, reference: bool = False) -> SyncResult:
    """Do what can be done once, the local helper of a rehearsal included."""
    from grievance.aggregator import Office
    from grievance.aggregator import sync as run_sync
    from grievance.aggregator.rehearsal import sync_helper
    from grievance.cli.backup import refresh_quietly
    from grievance.relay import tidy_destroyed

    with progress_bars() as progress:
        with Office.open(own, workers, reference=reference) as office:
            result = run_sync(office, progress)
            tidy_destroyed(office)
        while (helper := sync_helper(own, reference=reference)).done:
            with Office.open(own, workers, reference=reference) as office:
                again = run_sync(office, progress)
            result.done += again.done
            result.faults = again.faults
            result.written += again.written
            if not again.done:
                break
    told = {(fault.code, fault.message) for fault in result.faults}
    result.faults += [f for f in helper.faults if (f.code, f.message) not in told]
    # Signing a task and destroying a round change the keys; without a backup this does nothing.
    refresh_quietly(own)
    return result


def tell_sync(own: Home, result: SyncResult, *, as_json: bool = False, again: bool = False) -> None:
    """Say what a sync did. `again`: one of many, so nothing done is nothing to say."""
    warn_of_rehearsal(any(line.startswith(_rehearsals(own)) for line in result.done))
    if as_json:
        faults = [{"error": f.code, "message": f.message, "hint": f.hint} for f in result.faults]
        value = {
            "done": result.done,
            "faults": faults,
            "files": result.written,
            "warnings": result.warnings,
        }
        emit_json(value, one_line=again)
        return
    for line in result.done:
        say(line)
    if not (result.done or result.faults or again):
        say(f"{NOTHING_TO_DO} `grievance status` says what waits for whom.")
    for warning in result.warnings:
        say(f"warning: {warning}")
    for fault in result.faults:
        tell(fault)


def _rehearsals(own: Home) -> tuple[str, ...]:
    """The ids of the pool's rehearsals."""
    return tuple(i.round_id for i in own.invitations() if i.card.rehearsal)


def sync_quietly(own: Home) -> None:
    """Sync before or after a command's own step; only faults are told."""
    for fault in sync_once(own).faults:
        tell(fault)


@contextlib.contextmanager
def leading(own: Home, round_id: str) -> Iterator[tuple[Office, OrderChain]]:
    """Sit at the office of a round that `own` leads. Raises UsageError for anybody else."""
    from grievance.aggregator import Office

    with Office.open(own) as office:
        bench, chain = office.open_bench(round_id)
        if bench.seat.index != 0:
            leader = bench.seat.task.aggregators[0].name
            raise UsageError(
                f"{own.name} does not lead {round_id}",
                code="round.leader",
                hint=f"ask {leader}, who does",
            )
        yield office, chain


def refuse_closed(chain: OrderChain) -> None:
    """Raise PoolError when the round takes no more events of its collection."""
    if chain.closed:
        raise PoolError(
            f"{chain.task.round_id} is closed",
            code="period.closed",
            hint="a round cannot be opened again; open a new one with `grievance round new`",
        )

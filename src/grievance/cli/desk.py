"""What commands do at an aggregator's desk: one sync with a progress bar, one leader's event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.cli.output import emit_json, progress_bars, say, tell
from grievance.errors import UsageError

if TYPE_CHECKING:
    from grievance.aggregator import SyncResult
    from grievance.home import Home

NO_SPLIT_TRUST = (
    "REHEARSAL: all aggregators of this round are on this machine. There is no split trust: "
    "whoever has this machine can read every answer. Use made-up answers only."
)


def sync_once(own: Home, *, quiet: bool = False, as_json: bool = False) -> SyncResult:
    """Do what can be done once, the local helper of a rehearsal included, and tell about it."""
    from grievance.aggregator import Desk
    from grievance.aggregator import sync as run_sync
    from grievance.aggregator.rehearsal import sync_helper

    with progress_bars() as progress:
        with Desk.open(own) as desk:
            result = run_sync(desk, progress)
        while sync_helper(own):
            with Desk.open(own) as desk:
                again = run_sync(desk, progress)
            result.done += again.done
            result.faults = again.faults
            if not again.done:
                break
    if as_json:
        faults = [{"error": f.code, "message": f.message, "hint": f.hint} for f in result.faults]
        emit_json({"done": result.done, "faults": faults, "files": result.written})
    elif not quiet:
        for line in result.done:
            say(line)
        if not result.done and not result.faults:
            say("Nothing to do now. `grievance status` says what waits for whom.")
    for fault in result.faults if not as_json else ():
        tell(fault)
    return result


def order_event(own: Home, round_id: str, event: dict[str, object]) -> None:
    """Order an event as the leader. Raises UsageError for anybody else."""
    from grievance.aggregator import Desk

    with Desk.open(own) as desk:
        bench, chain = desk.open_bench(round_id)
        if bench.seat.index != 0:
            raise UsageError(
                f"{own.name} does not lead {round_id}",
                code="round.leader",
                hint=f"ask {bench.seat.task.aggregators[0].name}",
            )
        desk.order(chain, event)
        desk.publish()

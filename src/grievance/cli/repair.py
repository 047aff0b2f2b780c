"""What a steward types when something is lost, or must be: recover, void a batch, destroy."""

from __future__ import annotations

from typing import Annotated

import typer

from grievance.cli.backup import refresh_quietly
from grievance.cli.desk import leading, sync_quietly, warn_of_rehearsal
from grievance.cli.output import Json, Yes, confirm, emit, emit_json, progress_bars, say
from grievance.cli.places import HomeOption, RoundOption, open_home, pick_round


def register(app: typer.Typer) -> None:
    """Add the repair commands that stand on their own."""
    app.command()(recover)


def recover(home: HomeOption = None, as_json: Json = False) -> None:
    """Rebuild a lost state from the pool and your keys.

    Everything you did is done again and held against what you published; the first byte that
    differs stops it. Move an old state.sqlite away first; do not delete it.
    """
    from grievance.aggregator.recover import recover as run_recover

    own = open_home(home)
    with progress_bars() as progress:
        done = run_recover(own, progress)
    if as_json:
        emit_json({"recovered": done})
        return
    for line in done:
        emit(line)
    say("The state is rebuilt. `grievance sync` goes on where you were.")


def void(
    batch: Annotated[int, typer.Argument(help="The batch's number, as `grievance status` says.")],
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Give up a batch that never arrived (leader).

    Later batches wait for it until then. If it turns up after all, it gets a new place.
    """
    from grievance.aggregator.destroy import void as void_batch

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    confirm(f"Go on without batch {batch} of {round_id}?", yes=yes)
    with leading(own, round_id) as (desk, chain):
        void_batch(desk, chain, batch)
        desk.publish()
        warn_of_rehearsal(chain.task.rehearsal)
    sync_quietly(own)
    if as_json:
        emit_json({"round": round_id, "void": batch})
        return
    say(f"Batch {batch} is void; nothing in it counts. Later batches go on.")


def destroy(
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete your keys of a closed round, for good.

    Until then all aggregators together could open every report in the pool, or be made to.
    Afterwards a seizure of all of them opens nothing that is not in an old backup.
    """
    from grievance.aggregator import Desk
    from grievance.aggregator.destroy import destroy as run_destroy
    from grievance.aggregator.destroy import is_destroyed, key_files

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    sync_quietly(own)
    with Desk.open(own) as desk:
        if is_destroyed(desk, round_id):
            # Also by a run that was cut short, and that the sync above has just finished.
            _tell_destroyed(round_id, [], as_json=as_json)
            return
        _, chain = desk.open_bench(round_id)
        warn_of_rehearsal(chain.task.rehearsal)
        say(f"This deletes, of {round_id}, on this machine:")
        for path in key_files(desk, chain.task):
            say(f"  {path}")
        say("  every sum, and every noisy share that is not published, in the state")
        say("It does not delete: sealed reports and releases in the pool, and old backups.")
        confirm("Delete them for good?", yes=yes)
        deleted = run_destroy(desk, chain)
        desk.publish()
    refresh_quietly(own)
    _tell_destroyed(round_id, deleted, as_json=as_json)


def _tell_destroyed(round_id: str, deleted: list[str], *, as_json: bool) -> None:
    if as_json:
        emit_json({"round": round_id, "deleted": deleted})
        return
    for line in deleted:
        emit(line)
    say(f"{round_id} is destroyed here, and your ledger says so.")

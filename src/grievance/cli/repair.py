"""What a steward types when something is lost, or must be: recover, void a batch, destroy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli import heads
from grievance.cli.backup import refresh_quietly
from grievance.cli.choice import can_be_destroyed, gave_up_batch, has_batch, pick_round
from grievance.cli.office import leading, refuse_closed, sync_quietly, warn_of_rehearsal
from grievance.cli.output import Json, Yes, confirm, emit, emit_json, progress_bars, say
from grievance.cli.places import HomeOption, ReferenceOption, RoundOption, open_home

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.home import Home


def register(app: typer.Typer) -> None:
    """Add the repair commands that stand on their own."""
    app.command()(recover)
    app.command()(heads.heads)
    app.command()(heads.compare)


def recover(
    told: Annotated[
        list[str] | None,
        typer.Option(
            "--told",
            metavar="NAME:SIZE:GROUPS",
            help="What a witness read out to you from `grievance heads`; repeat.",
        ),
    ] = None,
    alone: Annotated[
        bool,
        typer.Option("--alone", help="Go on without the answers that are missing; for good."),
    ] = False,
    reference: ReferenceOption = False,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Rebuild a lost state from the pool and your keys.

    First it asks those who watch your ledger from outside how long it was: somebody may show you
    an older copy of the folder. Run it again when they have answered. Then everything you did is
    done again and held against what you published; the first byte that differs stops it. Move an
    old state.sqlite away first; do not delete it.
    """
    from grievance.aggregator.asked import ask, typed_head
    from grievance.aggregator.recover import check_no_state
    from grievance.aggregator.recover import recover as run_recover

    own = open_home(home)
    check_no_state(own)
    asked = ask(own)
    outside = asked.told([typed_head(text) for text in told or ()], alone=alone)
    for head in outside.heads:
        said = "" if head.who in asked.counted else " (this counts for nothing)"
        say(f"{head.who} holds a head of our ledger with {head.size} entries{said}")
    with progress_bars() as progress:
        done = run_recover(own, outside, progress, reference=reference)
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

    Later batches wait for it until then. If it turns up after all: grievance round order BATCH.
    """
    from grievance.aggregator.destroy import void as void_batch

    own = open_home(home)
    round_id = pick_round(own.store, round_, has_batch(batch), own)
    confirm(f"Go on without batch {batch} of {round_id}?", yes=yes)
    with leading(own, round_id) as (office, chain):
        void_batch(office, chain, batch)
        office.publish()
        warn_of_rehearsal(chain.task.rehearsal)
    sync_quietly(own)
    if as_json:
        emit_json({"round": round_id, "void": batch})
        return
    say(f"Batch {batch} is void; nothing in it counts. Later batches go on.")


def order(
    batch: Annotated[int, typer.Argument(help="The number it had, as `grievance status` says.")],
    round_: RoundOption = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Take a batch that was given up after all (leader).

    It gets a new number, and its reports count like any others.
    """
    from grievance.aggregator.destroy import order_again

    own = open_home(home)
    round_id = pick_round(own.store, round_, gave_up_batch(batch), own)
    sync_quietly(own)
    with leading(own, round_id) as (office, chain):
        refuse_closed(chain)
        place = order_again(office, chain, batch)
        office.publish()
        warn_of_rehearsal(chain.task.rehearsal)
    sync_quietly(own)
    if as_json:
        emit_json({"round": round_id, "was": batch, "batch": place})
        return
    say(f"Batch {batch} is now batch {place} of {round_id}.")


def destroy(
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete your keys of a closed round, for good.

    Until then all aggregators together could open every report in the pool, or be made to.
    Afterwards a seizure of all of them opens nothing that is not in an old backup. A rehearsal
    is destroyed for its local helper too.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.destroy import destroy as run_destroy
    from grievance.aggregator.destroy import is_destroyed, key_files, pending, still_needed
    from grievance.aggregator.rehearsal import helper_key_files, helper_pending

    own = open_home(home)
    round_id = pick_round(own.store, round_, can_be_destroyed, own)
    before = _key_files(own, round_id)
    sync_quietly(own)
    helper_files, helper_needs = helper_key_files(own, round_id), helper_pending(own, round_id)
    with Office.open(own) as office:
        done = is_destroyed(office, round_id)
        task = office.task(round_id)
        rehearsal = task is not None and task.rehearsal
        warn_of_rehearsal(rehearsal)
        if not done:
            _, chain = office.open_bench(round_id)
            if waiting := pending(office, chain) or helper_needs:
                raise still_needed(round_id, waiting)
            say(f"This deletes, of {round_id}, on this machine:")
            for path in [*key_files(office, chain.task), *helper_files]:
                say(f"  {path}")
            helpers = " and in the rehearsal helper's" if helper_files else ""
            say(f"  every sum, and every noisy share that is not published, in the state{helpers}")
            say("It does not delete: sealed reports and releases in the pool, and old backups.")
            confirm("Delete them for good?", yes=yes)
            run_destroy(office, chain)
            office.publish()
    if not done and helper_files:
        # The helper follows whatever its organisation has destroyed; here, and in every sync.
        sync_quietly(own)
    refresh_quietly(own)
    # Also what a run that was cut short had left, and the sync above has just deleted.
    left = _key_files(own, round_id)
    deleted = [str(path) for path in before if path not in left]
    if as_json:
        emit_json({"round": round_id, "deleted": deleted, "rehearsal": rehearsal})
        return
    for line in deleted:
        emit(line)
    say(f"{round_id} is destroyed here, and your ledger says so.")
    for path in left:
        say(f"warning: {path} is still there; run `grievance sync`, which deletes it")


def _key_files(own: Home, round_id: str) -> list[Path]:
    """The files with our keys of a round, and with those of the helper of a rehearsal."""
    from grievance.aggregator.destroy import files_of
    from grievance.aggregator.rehearsal import helper_key_files

    return [*files_of(own, round_id), *helper_key_files(own, round_id)]

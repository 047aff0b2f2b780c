"""What a steward types when witnesses are gone or refuse: `release waive`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.choice import pick_round, waits_to_leave
from grievance.cli.office import sync_quietly, warn_of_rehearsal
from grievance.cli.output import Json, Yes, confirm, emit_json, say
from grievance.cli.places import HomeOption, RoundOption, open_home

if TYPE_CHECKING:
    from grievance.task import Task


def waive(
    release: Annotated[
        str | None,
        typer.Argument(
            metavar="RELEASE",
            show_default=False,
            help="The release, or the start of its name; needed only where there are several.",
        ),
    ] = None,
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a release go without missing witnesses.

    For witnesses who are gone, or who refuse. Every aggregator types it, and it is public:
    results, page and audit then say how many witnesses saw what the release costs.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.releases import find_release
    from grievance.aggregator.waive import waivable
    from grievance.aggregator.waive import waive as sign

    own = open_home(home)
    round_id = pick_round(own.store, round_, waits_to_leave(release), own)
    sync_quietly(own)
    with Office.open(own) as office:
        bench, _ = office.open_bench(round_id)
        task, view = bench.seat.task, find_release(bench, release or "")
        given = office.state.outgoing(bench.paths.waiver(view.release_id, bench.name)) is not None
        warn_of_rehearsal(task.rehearsal)
        if not given:
            _warn(task, view.release_id, waivable(bench, view))
            confirm("Let it go on without them?", yes=yes)
            sign(bench, view)
        office.publish()
    sync_quietly(own)
    if as_json:
        emit_json({"round": round_id, "release": view.release_id, "waived": True})
        return
    say(f"{own.name} does not wait for them. Once every aggregator has typed")
    say(f"    grievance release waive {view.release_id}")
    say("the next `grievance sync` of each lets its noisy share go.")


def _warn(task: Task, release_id: str, names: list[str]) -> None:
    from grievance.plan.words import listed

    say(f"Release {release_id} waits for the witnesses {listed(names)}.")
    say("They would notice if somebody had shown an aggregator an older copy of the shared folder")
    say("to have noise drawn a second time. Without them, only the aggregators vouch for that.")
    say("Call them first: all they have to type is `grievance sync`.")
    say(f"The results of {task.round_id} will say how many witnesses saw what they cost.")

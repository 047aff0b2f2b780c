"""Releases: proposing and approving them (stewards), reading and exporting them (anyone)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.output import Json, Yes, confirm, emit, emit_json, say
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    TrustOption,
    open_home,
    pick_round,
    trusted_task,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.pool.proposals import Approval, Proposal, ReleaseView
    from grievance.release import Release
    from grievance.task import Task

ReleaseArgument = Annotated[str | None, typer.Argument(metavar="[RELEASE]", show_default=False)]
PoolOption = Annotated[
    str | None,
    typer.Option("--pool", help="Read this pool without being an organisation; needs --trust."),
]


def register(app: typer.Typer) -> None:
    """Add the release commands."""
    group = typer.Typer(help="Propose, approve, read and export releases.", no_args_is_help=True)
    group.command()(propose)
    group.command()(approve)
    group.command()(decline)
    group.command()(show)
    group.command()(export)
    app.add_typer(group, name="release")


def propose(
    statistics: Annotated[
        list[str] | None, typer.Argument(help="Statistics to release [default: all].")
    ] = None,
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Propose to release statistics of a closed round; this is also our approval."""
    from grievance.aggregator import Desk
    from grievance.aggregator.releases import charged_names
    from grievance.aggregator.releases import propose as propose_release

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    with Desk.open(own) as desk:
        bench, chain = desk.open_bench(round_id)
        _show_cost(bench.seat.task, charged_names(bench.seat.task, statistics))
        confirm("Propose this release?", yes=yes)
        view = propose_release(bench, chain, statistics)
        desk.publish()
    if as_json:
        emit_json({"release": view.release_id, "statistics": list(view.proposal.statistics)})
        return
    emit(view.release_id)
    for name in view.missing(bench.seat.task):
        say(f"{name} now runs: grievance release approve {view.release_id}")


def _show_cost(task: Task, names: Sequence[str]) -> None:
    for name in names:
        say(f"  {name}: costs {task.allocations[name].cost}")
    say("Each statistic is released once per round, and what it costs is spent for good.")


def approve(
    release: ReleaseArgument = None,
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
) -> None:
    """Approve a release that another aggregator proposed."""
    from grievance.pool.proposals import Approval

    own_name = _answer(home, round_, release, yes=yes, make=lambda n: Approval(n, "approve", ""))
    say(f"{own_name} approves. `grievance sync` at each aggregator moves it on.")


def decline(
    release: ReleaseArgument = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words; it is public.")] = "",
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
) -> None:
    """Refuse a release that another aggregator proposed; nothing is charged."""
    from grievance.pool.proposals import MAX_REASON_LENGTH, Approval

    own_name = _answer(
        home,
        round_,
        release,
        yes=yes,
        make=lambda n: Approval(n, "decline", reason[:MAX_REASON_LENGTH]),
    )
    say(f"{own_name} declines. The statistics may be proposed again.")


def _answer(
    home: Path | None,
    round_: str | None,
    release: str | None,
    *,
    yes: bool,
    make: Callable[[str], Approval],
) -> str:
    from grievance.aggregator import Desk
    from grievance.aggregator.releases import answer, find_release

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    with Desk.open(own) as desk:
        bench, chain = desk.open_bench(round_id)
        view = find_release(bench, release or "")
        _show_proposal(bench.seat.task, view)
        approval = make(own.name)
        confirm(f"{approval.answer.capitalize()} this release?", yes=yes)
        answer(bench, chain, view.release_id, approval)
        desk.publish()
    return own.name


def _show_proposal(task: Task, view: ReleaseView) -> None:
    proposal: Proposal = view.proposal
    say(f"Release {view.release_id} of {task.round_id}, proposed by {proposal.proposer}:")
    say(f"  over {proposal.accepted} accepted reports")
    _show_cost(task, proposal.statistics)


def _load(
    home: Path | None,
    pool: str | None,
    round_: str | None,
    release: str | None,
    trust: list[str] | None,
) -> Release:
    from grievance.pool.store import open_store
    from grievance.release.collect import collect

    own = open_home(home) if pool is None else None
    store = own.store if own is not None else open_store(pool or "")
    round_id = pick_round(store, round_)
    task = trusted_task(store, round_id, trust, own)
    return collect(store, task, release)


def show(
    release: ReleaseArgument = None,
    round_: RoundOption = None,
    pool: PoolOption = None,
    trust: TrustOption = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Print a release's tables."""
    found = _load(home, pool, round_, release, trust)
    if as_json:
        emit_json(found.to_json())
        return
    if found.task.rehearsal:
        say("This is a REHEARSAL: there was no split trust.")
    for one in found:
        emit(one.plain())
        emit("")
    for suspect in found.suspect:
        say(f"warning: {suspect.statistic} has a total that noise does not explain")


def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    release: Annotated[str | None, typer.Option("--release", help="Which release.")] = None,
    round_: RoundOption = None,
    pool: PoolOption = None,
    trust: TrustOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the folder's contents.")
    ] = False,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Write release.json and tidy tables (CSV and Parquet) into a folder."""
    from grievance.release import export as export_release

    found = _load(home, pool, round_, release, trust)
    written = export_release(found, folder, overwrite=overwrite)
    if as_json:
        emit_json({"release": found.release_id, "files": [str(path) for path in written]})
        return
    for path in written:
        emit(str(path))

"""Releases: proposing and approving them (stewards), reading and exporting them (anyone)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from grievance.cli import release_check, waive
from grievance.cli.choice import can_be_proposed, has_release, pick_round, waits_for_answer
from grievance.cli.office import warn_of_rehearsal
from grievance.cli.output import (
    Json,
    Yes,
    confirm,
    counted,
    emit,
    emit_json,
    refuse_usage,
    say,
)
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    TrustOption,
    open_home,
    trusted_task,
)
from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.bench import Bench
    from grievance.home import Home
    from grievance.pool.order import OrderChain
    from grievance.pool.proposals import Proposal, ReleaseView
    from grievance.pool.store import Store
    from grievance.release import Release
    from grievance.task import Task

ReleaseArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RELEASE",
        show_default=False,
        help="The release, or the start of its name; needed only where there are several.",
    ),
]
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
    group.command()(waive.waive)
    group.command()(show)
    group.command()(export)
    group.command()(release_check.check)
    group.command()(schema)
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
    """Propose to release a closed round.

    This is also our approval. Without names: all statistics of the plan.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.campaign import rounds_left
    from grievance.aggregator.outside import quiet_witnesses
    from grievance.aggregator.releases import accepted_set, charged_names, draft
    from grievance.aggregator.releases import propose as propose_release
    from grievance.ledger.cosigned import quorum_of

    own = open_home(home)
    round_id = pick_round(own.store, round_, can_be_proposed, own)
    with Office.open(own) as office:
        bench, chain = office.open_bench(round_id)
        task = bench.seat.task
        names = charged_names(task, statistics)
        if (found := accepted_set(bench, chain)) is None:
            _refuse_early(chain)
        draft(bench, chain, statistics)
        warn_of_rehearsal(task.rehearsal)
        rounds = rounds_left(office.state, task)
        say(f"Over {_sealed(found.accepted)}.")
        _show_cost(task, names, rounds)
        quorum = quorum_of(task)
        if quorum and (quiet := quiet_witnesses(bench.store, task)):
            say(f"It leaves when {quorum} of its witnesses have seen what it costs. Of these,")
            say("\n".join(f"  {line}" for line in quiet))
        confirm("Propose this release?", yes=yes)
        view = propose_release(bench, chain, statistics)
        office.publish()
    if as_json:
        emit_json(
            {
                "release": view.release_id,
                "statistics": list(view.proposal.statistics),
                "missing": view.missing(task),
                "rounds_left": rounds,
                "rehearsal": task.rehearsal,
            }
        )
        return
    emit(view.release_id)
    if task.rehearsal:
        say("Next: grievance sync, in which the local helper approves; then grievance release show")
        return
    for name in view.missing(task):
        say(f"{name} now runs: grievance release approve {view.release_id}")


def _refuse_early(chain: OrderChain) -> NoReturn:
    """Raise ReleaseError before anybody is asked for consent to what cannot be."""
    raise ReleaseError(
        f"{chain.task.round_id} is not closed yet"
        if not chain.closed
        else f"not all batches of {chain.task.round_id} are decided by everybody yet",
        code="release.early",
        hint="the leader closes it: grievance round close"
        if not chain.closed
        else "run `grievance sync` at every aggregator, then try again",
    )


def _sealed(accepted: int) -> str:
    """Reports are no people: relays add blank ones."""
    return f"{counted(accepted, 'sealed report')}, blank ones that partners add as cover included"


def _show_cost(task: Task, names: Sequence[str], rounds: int) -> None:
    """Say what is released, and what is left of the campaign: in rounds first, then exactly."""
    say(f"Released: {', '.join(names)}.")
    say("Each statistic is released once per round, and what it costs is spent for good.")
    left = {0: "no other round like this one fits", 1: "1 more round like this one fits"}.get(
        rounds, f"{rounds:,} more rounds like this one fit"
    )
    say(f"After this, {left} into the campaign.")
    each = ", ".join(f"{name} {task.allocations[name].cost.short}" for name in names)
    whole = f"this round may cost {task.cost}, the whole campaign {task.lifetime.short}"
    say(f"In {'rho' if task.cost.kind == 'zcdp' else 'epsilon'}: {each}; {whole}.")


def approve(
    release: ReleaseArgument = None,
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Approve a release that another proposed."""
    own, view = _answer(home, round_, release, "approve", "", yes=yes)
    if as_json:
        emit_json({"release": view.release_id, "answer": "approve"})
        return
    say(f"{own.name} approves. `grievance sync` at each aggregator moves it on.")


def decline(
    release: ReleaseArgument = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words; it is public.")] = "",
    round_: RoundOption = None,
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Refuse a release that another proposed.

    Nothing is charged, and the statistics may be proposed again.
    """
    from grievance.pool.proposals import MAX_REASON_LENGTH

    if len(reason) > MAX_REASON_LENGTH:
        refuse_usage(f"a reason has at most {MAX_REASON_LENGTH:,} characters")
    own, view = _answer(home, round_, release, "decline", reason, yes=yes)
    if as_json:
        emit_json({"release": view.release_id, "answer": "decline"})
        return
    say(f"{own.name} declines. The statistics may be proposed again.")


def _answer(
    home: Path | None,
    round_: str | None,
    release: str | None,
    given: Literal["approve", "decline"],
    reason: str,
    *,
    yes: bool,
) -> tuple[Home, ReleaseView]:
    from grievance.aggregator import Office
    from grievance.aggregator.campaign import rounds_left
    from grievance.aggregator.releases import answer, find_release
    from grievance.pool.proposals import Approval

    own = open_home(home)
    round_id = pick_round(own.store, round_, waits_for_answer(release), own)
    with Office.open(own) as office:
        bench, chain = office.open_bench(round_id)
        view = find_release(bench, release or _only_open(bench))
        before = view.answers.get(own.name)
        warn_of_rehearsal(bench.seat.task.rehearsal)
        if before is None:
            _show_proposal(bench.seat.task, view, rounds_left(office.state, bench.seat.task))
            confirm(f"{given.capitalize()} this release?", yes=yes)
        shown = view.proposal if before is None else None
        view = answer(bench, chain, view.release_id, Approval(own.name, given, reason), shown)
        office.publish()
    return own, view


def _only_open(bench: Bench) -> str:
    """The one release that waits for our answer; "" when there is none, or several."""
    from grievance.pool.proposals import read_releases

    views = read_releases(bench.store, bench.seat.task)
    waiting = [v for v in views if bench.name not in v.answers and v.declined_by is None]
    return waiting[0].release_id if len(waiting) == 1 else ""


def _show_proposal(task: Task, view: ReleaseView, rounds: int) -> None:
    proposal: Proposal = view.proposal
    say(f"Release {view.release_id} of {task.round_id}, proposed by {proposal.proposer},")
    say(f"over {_sealed(proposal.accepted)}.")
    _show_cost(task, proposal.statistics, rounds)


def _load(
    home: Path | None,
    pool: str | None,
    round_: str | None,
    release: str | None,
    trust: list[str] | None,
) -> tuple[Release, Store]:
    from grievance.pool.store import open_store
    from grievance.release.collect import collect

    own = open_home(home) if pool is None else None
    store = own.store if own is not None else open_store(pool or "")
    round_id = pick_round(store, round_, has_release(release), own, trust)
    task = trusted_task(store, round_id, trust, own)
    return collect(store, task, release), store


def show(
    release: ReleaseArgument = None,
    round_: RoundOption = None,
    pool: PoolOption = None,
    trust: TrustOption = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Print how many people answered, and a release's tables."""
    from grievance.release.page.lead import what_was_sealed, who_answered

    found, _ = _load(home, pool, round_, release, trust)
    if as_json:
        emit_json(found.to_json())
        return
    warn_of_rehearsal(found.task.rehearsal)
    emit(who_answered(found))
    emit(what_was_sealed(found))
    emit("")
    for one in found:
        emit(one.plain())
        emit("")
    _warn_of_suspects(found)


def _warn_of_suspects(found: Release) -> None:
    """Say which statistics hold totals that no answers and no noise explain, and what to do."""
    for name in dict.fromkeys(suspect.statistic for suspect in found.suspect):
        say(f"warning: {name} has a total that noise does not explain")
    if found.suspect:
        say(
            "Do not rely on these: the share of at least one aggregator is wrong, and nothing "
            "shows whose. Show release.json to every aggregator before anybody uses it."
        )


def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    release: Annotated[str | None, typer.Option("--release", help="Which release.")] = None,
    round_: RoundOption = None,
    pool: PoolOption = None,
    trust: TrustOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export there.")
    ] = False,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Write a release into a folder of files.

    That is release.json, tidy tables as CSV and Parquet, release.html for people, and
    made-from.json, so that `release check` can make all of it again.
    """
    from grievance.pool.places import refuse_in_pool
    from grievance.release import export as export_release

    found, store = _load(home, pool, round_, release, trust)
    refuse_in_pool(folder, store.location, "an export")
    relays = release_check.relays_of(store, found.task)
    written = export_release(found, folder, overwrite=overwrite, relays=relays)
    warn_of_rehearsal(found.task.rehearsal)
    _warn_of_suspects(found)
    if as_json:
        emit_json(
            {
                "release": found.release_id,
                "files": [str(path) for path in written],
                "rehearsal": found.task.rehearsal,
            }
        )
        return
    for path in written:
        emit(str(path))


def schema(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a new file, not to stdout."),
    ] = None,
) -> None:
    """Print the JSON Schema of release.json.

    For programs in any language that read releases; its description has the rules of versions.
    """
    from grievance.client.files import new_file
    from grievance.release.schema import schema_text

    text = schema_text()
    if output is None:
        emit(text.rstrip("\n"))
        return
    with new_file(output) as file:
        file.write(text.encode("utf-8"))
    say(f"Wrote {output}.")

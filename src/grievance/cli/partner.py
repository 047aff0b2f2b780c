"""What a partner types: `relay`, for files by hand or from cron, or for a folder of its own."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from grievance.cli.choice import pick_round, takes_reports
from grievance.cli.office import warn_of_rehearsal
from grievance.cli.output import (
    REFUSED,
    Json,
    confirm,
    emit_json,
    one_look,
    progress_bars,
    refuse_usage,
    say,
    tell,
)
from grievance.cli.passed import (
    passed_json,
    refused_in_words,
    refused_json,
    tell_found,
    tell_look,
    tell_passed,
)
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    TrustOption,
    open_home,
    trusted_task,
)
from grievance.errors import PoolError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.home import Home
    from grievance.pool.order import OrderChain
    from grievance.relay import Left, Look, Passed, Refused
    from grievance.task import Task

_DAYS = 90
_PATIENCE = 60
_Done = TypeVar("_Done")


def register(app: typer.Typer) -> None:
    """Add the partner's command."""
    app.command()(relay)


def relay(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help=".report and .reports files, or folders of them.", show_default=False),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option("--spool", metavar="DIR", help="Look after this folder; it is ours alone."),
    ] = None,
    at_least: Annotated[
        int | None,
        typer.Option("--at-least", min=1, help="Wait for so many new reports in the spool."),
    ] = None,
    every_hours: Annotated[
        float | None,
        typer.Option("--every-hours", min=0.1, help="Or for so many hours since the last time."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on looking at the spool until interrupted.")
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between two looks.")
    ] = 60,
    keep: Annotated[
        int,
        typer.Option(
            "--keep",
            min=1,
            metavar="DAYS",
            help="Delete what the close left uncounted after so many days, and our batches so "
            "long after the last release.",
        ),
    ] = _DAYS,
    memory_lost: Annotated[
        bool,
        typer.Option(
            "--memory-lost", help="Go on although this home does not remember what it passed on."
        ),
    ] = False,
    round_: RoundOption = None,
    trust: TrustOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="HH:MM", help="Wait until this hour before publishing."),
    ] = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Pass sealed reports on, each of them once.

    New ones go out in one batch, padded with blank reports to a multiple of 100, shuffled and
    signed; where nothing is new, none is made. Run it at fixed hours (cron, or --at), not
    whenever a report comes in: otherwise the hour of a batch says who it is from. Files that do
    not read are set aside into a folder `refused`, and stop nothing; exit code 1 says so.
    """
    if (spool is None) == (not files):
        refuse_usage("name files or folders, or a folder to look after with --spool DIR")
    if spool is None and (at_least is not None or every_hours is not None or watch):
        refuse_usage("--at-least, --every-hours and --watch belong to --spool")
    if spool is not None and at is not None:
        refuse_usage("--at is for files", "a spool waits with --every-hours or --at-least")
    from grievance.pool.places import refuse_in_pool

    own = open_home(home)
    for path in files or ([] if spool is None else [spool]):
        refuse_in_pool(path, own.pool, "reports that wait")
    round_id = pick_round(own.store, round_, takes_reports, own, trust)
    task = trusted_task(own.store, round_id, trust, own)
    warn_of_rehearsal(task.rehearsal)
    if spool is None:
        _relay_files(own, task, files or [], keep, at, lost=memory_lost, as_json=as_json)
        return
    if not spool.is_dir():
        raise UsageError(
            f"{spool} is not a folder", code="relay.spool", hint="make it, or name another"
        )
    _look_after(
        own,
        task,
        spool,
        (at_least, every_hours),
        keep,
        interval if watch else None,
        lost=memory_lost,
        as_json=as_json,
    )


# Files, or folders of them.


def _relay_files(
    own: Home,
    task: Task,
    files: list[Path],
    keep: int,
    at: str | None,
    *,
    lost: bool,
    as_json: bool,
) -> None:
    from grievance.aggregator import Office
    from grievance.relay import pass_on, read_files, recall

    _chain(own, task, keep)
    if at is not None:
        _wait_until(at)

    def work(lost: bool) -> tuple[Passed, list[Refused], OrderChain, int]:
        chain = _chain(own, task, keep)
        with Office.open(own) as office, progress_bars() as progress:
            memory = recall(office, task, chain, datetime.now(UTC), lost=lost)
            office.publish()
            taken, refused = read_files(files, task, memory.path_of)
            passed = pass_on(office, task, taken, lambda d, t: progress("padding", d, t))
        return passed, refused, chain, len(memory.found)

    passed, refused, chain, found = _knowing(work, lost=lost)
    told = _set_aside(refused)
    admitted = chain.partners.get(own.name) == own.identity.key
    if as_json:
        emit_json({**passed_json(task, passed, admitted=admitted), "refused": told})
    else:
        tell_found(own, found)
        tell_passed(own, task, passed, admitted=admitted)
        for one in told:
            say(refused_in_words(one))
        if passed.paths:
            say("Keep the files until the round is decided, then delete them.")
    if refused:
        raise typer.Exit(REFUSED)


def _chain(own: Home, task: Task, keep: int) -> OrderChain:
    """The round's events. Raises PoolError where it takes no reports of ours."""
    from grievance.aggregator import Office
    from grievance.pool.order import read_chain
    from grievance.relay import tidy

    chain = read_chain(own.store, task)
    if chain.closed:
        with Office.open(own) as office:
            if not tidy(office, task, chain, datetime.now(UTC), keep):
                office.publish()
        raise PoolError(
            f"{task.round_id} is closed; it takes no more reports",
            code="period.closed",
            hint="`grievance status` says what of ours came too late; talk to the leader. A new "
            "round needs new reports",
        )
    _refuse_expelled(own, chain)
    return chain


def _refuse_expelled(own: Home, chain: OrderChain) -> None:
    if own.name in chain.expelled:
        raise PoolError(
            f"{own.name} was expelled from {chain.task.round_id}",
            code="round.expelled",
            hint=f"talk to the leader, {chain.task.aggregators[0].name}",
        )


def _patiently(work: Callable[[], _Done]) -> _Done:
    """Do something at our office; wait for another command there, such as a sync, to end.

    A batch has its hour, and the next one may be a week away.
    """
    for _ in range(_PATIENCE):
        try:
            return work()
        except StateError as error:
            if error.code != "state.busy":
                raise
        time.sleep(1)
    return work()


def _knowing(work: Callable[[bool], _Done], *, lost: bool) -> _Done:
    """Do something that needs our memory; ask a person at a keyboard whether to do without."""
    try:
        return _patiently(lambda: work(lost))
    except StateError as error:
        if error.code != "relay.memory" or not sys.stdin.isatty():
            raise
        tell(error)
    confirm("Go on without that memory?", yes=False)
    return _patiently(lambda: work(True))


def _set_aside(refused: list[Refused]) -> list[dict[str, str | None]]:
    """Move bad files out of the folders they were found in; those of another round stay."""
    from grievance.relay.files import OTHER_ROUND, set_aside

    return [
        refused_json(
            one, set_aside(one.path) if one.in_folder and one.code != OTHER_ROUND else None
        )
        for one in refused
    ]


# A folder of ours.


def _look_after(
    own: Home,
    task: Task,
    spool: Path,
    rule: tuple[int | None, float | None],
    keep: int,
    interval: float | None,
    *,
    lost: bool,
    as_json: bool,
) -> None:
    """Look at a spool once, or with an `interval` again and again."""
    from grievance.aggregator import Office
    from grievance.home import Home
    from grievance.pool.order import read_chain
    from grievance.relay import Rule, look

    at_least, hours = rule
    waits = Rule(at_least, timedelta(hours=hours) if hours is not None else None)

    def work(lost: bool) -> tuple[Look, OrderChain]:
        # Opened anew: a pool that went away must not be taken for an empty one.
        again = Home.open(own.root, own.passphrase)
        chain = read_chain(again.store, task)
        if not chain.closed:
            _refuse_expelled(again, chain)
        with Office.open(again) as office, progress_bars() as progress:
            done = look(
                office,
                task,
                chain,
                spool,
                waits,
                datetime.now(UTC),
                keep_days=keep,
                lost=lost,
                progress=lambda d, t: progress("padding", d, t),
            )
        return done, chain

    if interval is None:
        done, chain = _knowing(work, lost=lost)
        tell_look(own, chain, spool, waits, done, as_json=as_json)
        if done.refused:
            raise typer.Exit(REFUSED)
        return
    say(f"Looking every {interval:g} seconds; Ctrl-C to stop.")
    before: Left | None = None
    while True:
        with one_look(as_json=as_json):
            done, chain = work(lost)
            quiet = not (done.refused or done.deleted or done.found or done.left != before)
            if not quiet or (done.passed is not None and done.passed.paths):
                tell_look(own, chain, spool, waits, done, as_json=as_json, again=True)
            lost, before = False, done.left
        time.sleep(interval)


def _wait_until(at: str) -> None:
    """Sleep until the next HH:MM by this machine's clock."""
    try:
        hour = datetime.strptime(at, "%H:%M").time()  # noqa: DTZ007  # a local hour of the day
    except ValueError:
        raise UsageError(f"{at!r:.20} is not an hour like 20:00", code="relay.hour") from None
    now = datetime.now().astimezone()
    target = now.replace(hour=hour.hour, minute=hour.minute, second=0, microsecond=0)
    if target <= now:
        target += timedelta(days=1)
    say(f"Waiting until {target:%Y-%m-%d %H:%M}; Ctrl-C to stop, nothing is sent then.")
    time.sleep((target - now).total_seconds())

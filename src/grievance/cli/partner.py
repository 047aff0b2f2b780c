"""What a partner types: `relay`."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.desk import warn_of_rehearsal
from grievance.cli.output import Json, counted, emit, emit_json, progress_bars, say
from grievance.cli.places import (
    HomeOption,
    RoundOption,
    TrustOption,
    open_home,
    pick_round,
    trusted_task,
)
from grievance.errors import PoolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.client import Report
    from grievance.task import Task


def register(app: typer.Typer) -> None:
    """Add the partner's command."""
    app.command()(relay)


def relay(
    files: Annotated[
        list[Path], typer.Argument(help=".report and .reports files, or folders of them.")
    ],
    round_: RoundOption = None,
    trust: TrustOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="HH:MM", help="Wait until this hour before publishing."),
    ] = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Pass sealed reports on, in one batch.

    Padded with blank reports to a multiple of 100, shuffled and signed. Run it at fixed hours
    (cron, or --at), not whenever a report comes in: otherwise the hour of a batch says who it
    is from.
    """
    from grievance.pool.order import read_chain
    from grievance.pool.relay import PAD_TO, make_batches, publish_batch

    own = open_home(home)
    round_id = pick_round(own.store, round_)
    task = trusted_task(own.store, round_id, trust, own)
    chain = read_chain(own.store, task)
    if chain.closed:
        raise PoolError(
            f"{round_id} is closed; it takes no more reports",
            code="period.closed",
            hint="talk to the leader; a new round needs new reports",
        )
    if own.name in chain.expelled:
        raise PoolError(
            f"{own.name} was expelled from {round_id}",
            code="round.expelled",
            hint=f"talk to the leader, {task.aggregators[0].name}",
        )
    reports = list(_read_all(files, task))
    warn_of_rehearsal(task.rehearsal)
    if at is not None:
        _wait_until(at)
    with progress_bars() as progress:
        batches = make_batches(
            task, reports, own.key, progress=lambda d, t: progress("padding", d, t)
        )
    paths = [publish_batch(own.store, task, own.name, data) for data in batches]
    different = len({report.digest for report in reports})
    blank = -different % PAD_TO
    admitted = chain.partners.get(own.name) == own.identity.key
    if as_json:
        emit_json(
            {
                "round": round_id,
                "reports": different,
                "blank": blank,
                "batches": paths,
                "admitted": admitted,
                "rehearsal": task.rehearsal,
            }
        )
        return
    for path in paths:
        emit(path)
    say(
        f"Relayed {counted(different, 'report')}, with {counted(blank, 'blank one')} to make it "
        f"{different + blank:,}, in {counted(len(paths), 'batch', 'batches')}."
    )
    if len(reports) > different:
        say(f"{counted(len(reports) - different, 'report')} came twice and went once.")
    if not admitted:
        say(f"{own.name} is not admitted to {round_id} yet; the batch waits until it is.")
    say("Keep the files until the round is decided, then delete them.")


def _read_all(files: Sequence[Path], task: Task) -> Iterator[Report]:
    from grievance.client import read_report, read_reports

    found = 0
    for path in files:
        listed = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in listed:
            if file.suffix == ".report":
                found += 1
                yield read_report(file, task)
            elif file.suffix == ".reports":
                found += 1
                yield from read_reports(file, task)
            elif not path.is_dir():
                raise UsageError(
                    f"{file} is neither a .report nor a .reports file"
                    if file.exists()
                    else f"{file}: there is no such file",
                    code="relay.file",
                )
    if not found:
        raise UsageError(
            "there are no .report or .reports files here",
            code="relay.file",
            hint="name the files, or the folder in which they lie; folders inside it are left out",
        )


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

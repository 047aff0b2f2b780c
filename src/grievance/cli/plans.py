"""What a steward types about plans: write one, see what it costs, map a table to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.output import Json, emit, emit_json, say, table
from grievance.errors import UsageError

if TYPE_CHECKING:
    from grievance.plan import Forecast


def register(app: typer.Typer) -> None:
    """Add the plan commands."""
    group = typer.Typer(help="Write a plan, and see what it costs.", no_args_is_help=True)
    group.command("new")(new)
    group.command("check")(check)
    group.command("mapping")(mapping)
    app.add_typer(group, name="plan")


def new(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("plan.toml"),
    title: Annotated[str, typer.Option(help="What the round is about.")] = "Our first round",
    campaign: Annotated[str, typer.Option(help="A short name for all rounds.")] = "first-campaign",
    as_json: Json = False,
) -> None:
    """Write a commented plan to edit."""
    from grievance.plan import new_plan

    if path.exists():
        raise UsageError(f"{path} exists already", code="usage.exists", hint="name another file")
    today = datetime.now(UTC).date()
    text = new_plan(title, campaign, opens=today, closes=today + timedelta(days=60))
    path.write_text(text, encoding="utf-8")
    if as_json:
        emit_json({"file": str(path)})
        return
    say(f"Wrote {path}. Edit it, then run: grievance plan check {path} --reports 500")


def check(
    path: Annotated[Path, typer.Argument(help="The plan.")],
    reports: Annotated[
        int | None, typer.Option("--reports", min=1, help="How many reports you expect.")
    ] = None,
    aggregators: Annotated[
        int, typer.Option("--aggregators", min=2, max=16, help="How many organisations count.")
    ] = 2,
    words: Annotated[bool, typer.Option("--words", help="Show the plan in words too.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a plan costs and can show.

    Run it before anything is collected, with the number of reports you expect.
    """
    from grievance.plan import forecast, load_plan, plan_in_words

    plan = load_plan(path)
    found = forecast(plan, reports, aggregators)
    if as_json:
        emit_json(found.to_json())
        return
    if words:
        emit("\n".join(plan_in_words(plan)) + "\n")
    _show_forecast(found)


def _show_forecast(found: Forecast) -> None:
    rows = []
    for item in found.statistics:
        points = "" if item.margin_points is None else f"{item.margin_points:.1f}"
        units = "" if item.margin_units is None else f"{item.margin_units:.2g} {item.unit}"
        rows.append(
            [
                item.name,
                item.kind if item.implied_by is None else f"{item.kind} (from {item.implied_by})",
                str(item.cells),
                str(item.bits),
                f"{item.released_sd:.1f}",
                f"{item.margin:.0f}",
                units or points,
                f"{float(item.cost.amount):.4f}",
            ]
        )
    headers = ["statistic", "kind", "cells", "bits", "noise sd", "± people", "± points", "rho"]
    emit(table(headers, rows, right=(2, 3, 4, 5, 6, 7)))
    emit("")
    emit(
        f"A sealed report has {found.report_bytes:,} bytes, {found.num_bits} bits"
        + (f"; the folder grows to {found.folder_bytes:,} bytes" if found.folder_bytes else "")
        + "."
    )
    emit(
        f"Sealing takes about {found.seal_ms:.0f} ms, checking about {found.verify_ms:.1f} ms "
        "a report and core."
    )
    emit(f"The round costs {found.round_cost}; the campaign can pay for {found.rounds} of them.")
    emit("± are 95% margins of the noise alone: how far a number may be off to protect people.")
    for warning in found.warnings:
        say(f"warning: {warning}")
    for note in found.notes:
        say(f"note: {note}")


def mapping(
    path: Annotated[Path, typer.Argument(help="The plan.")],
) -> None:
    """Print a mapping from a table to a plan.

    To edit, and to give to `grievance seal --table --mapping` for rows you hold already.
    """
    from grievance.client import mapping_template
    from grievance.plan import load_plan

    emit(mapping_template(load_plan(path)))

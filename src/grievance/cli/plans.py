"""What a steward types about plans: write one, see what it costs, map a table to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.forecasts import show_answer, show_forecast
from grievance.cli.output import Json, emit, emit_json, say
from grievance.errors import UsageError

if TYPE_CHECKING:
    from grievance.planner import Forecast
    from grievance.planner.groups import Groups


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
    reports: Annotated[
        int, typer.Option("--reports", min=1, help="How many people you expect to report.")
    ] = 300,
    groups: Annotated[
        int | None,
        typer.Option("--groups", min=2, help="How many groups to compare, such as regions."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented plan to edit.

    It asks as much as so many people can answer, by the forecast of `grievance plan check`.
    """
    from grievance.client.files import new_file
    from grievance.plan import new_plan
    from grievance.planner import fit
    from grievance.planner.words import fitted_in_words

    if path.exists():
        raise UsageError(f"{path} exists already", code="usage.exists", hint="name another file")
    today = datetime.now(UTC).date()
    found = fit(reports, groups)
    days = {"opens": today, "closes": today + timedelta(days=60)}
    text = new_plan(title, campaign, **days, shape=found.shape)
    with new_file(path) as file:
        file.write(text.encode())
    if as_json:
        emit_json({"file": str(path), "groups": found.shape.groups, "shows": found.green})
        return
    for line in fitted_in_words(found, reports, groups):
        say(line)
    say(f"Wrote {path}. Edit it, then run: grievance plan check {path} --reports {reports}")


def check(
    path: Annotated[Path, typer.Argument(help="The plan.")],
    reports: Annotated[
        int | None, typer.Option("--reports", min=1, help="How many people you expect to report.")
    ] = None,
    by_group: Annotated[
        Path | None,
        typer.Option(
            "--by-group", help="CSV (field,label,expected) or TOML: how many people you expect."
        ),
    ] = None,
    last: Annotated[
        Path | None,
        typer.Option(
            "--last", help="release.json of the campaign's last round: how people spread."
        ),
    ] = None,
    want: Annotated[
        list[str] | None,
        typer.Option(
            "--want",
            help="A wanted margin: NAME:3pp, NAME:25 (people), NAME:0.5h, NAME:diff=5pp; several.",
        ),
    ] = None,
    aggregators: Annotated[
        int, typer.Option("--aggregators", min=2, max=16, help="How many organisations count.")
    ] = 2,
    chart: Annotated[
        Path | None, typer.Option("--chart", help="Draw the margins: a new SVG file.")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Show the plan in words too.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a plan costs, can show, and needs for a margin.

    Run it before anything is collected, with the number of reports you expect, and, if you know
    them, with the numbers in each group.
    """
    from grievance.plan import load_plan, plan_in_words
    from grievance.planner import forecast, groups_of, people_of, read_groups, read_want, solve

    plan = load_plan(path)
    wants = [read_want(text, plan) for text in want or ()]
    groups: Groups | None = None if by_group is None else read_groups(by_group)
    if last is not None:
        from grievance.release import Release

        release = Release.load(last)
        reports = reports or people_of(release)
        if reports is None:
            raise UsageError(
                f"{last.name} does not say how many people answered",
                code="usage.groups",
                hint="add --reports",
            )
        groups = {**groups_of(release, plan, reports), **(groups or {})}
    found = forecast(plan, reports, aggregators, by_group=groups)
    answer = solve(plan, wants, reports, aggregators, by_group=groups) if wants else None
    if chart is not None:
        _write_chart(chart, found, plan.title)
    if as_json:
        value = found.to_json()
        emit_json(value if answer is None else value | {"wanted": answer.to_json()})
        return
    if words:
        emit("\n".join(plan_in_words(plan)) + "\n")
    show_forecast(found)
    if answer is not None:
        show_answer(answer, plan, found.reports)
    for warning in found.warnings:
        say(f"warning: {warning}")
    for note in found.notes:
        say(f"note: {note}")


def _write_chart(path: Path, found: Forecast, title: str) -> None:
    from grievance.client.files import new_file
    from grievance.planner import to_svg

    if path.exists():
        raise UsageError(f"{path} exists already", code="usage.exists", hint="name another file")
    with new_file(path) as file:
        file.write(to_svg(found, title).encode())
    say(f"Drew {path}.")


def mapping(
    path: Annotated[Path, typer.Argument(help="The plan.")],
) -> None:
    """Print a mapping from a table to a plan.

    To edit, and to give to `grievance seal --table --mapping` for rows you hold already.
    """
    from grievance.plan import load_plan
    from grievance.tables import mapping_template

    emit(mapping_template(load_plan(path)))

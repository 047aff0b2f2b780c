"""The tree of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from grievance.cli import demo, partner, plans, release, rounds, steward, worker
from grievance.cli.output import emit, errors_to_words

app = typer.Typer(
    name="grievance",
    help="Pool workplace reports across organisations that do not fully trust each other, and "
    "release only differentially private totals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (steward, plans, rounds, worker, partner, release, demo):
    module.register(app)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        emit(f"grievance {version('grievance')} (VDAF draft-20, wire version 18)")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Pool workplace reports; release only differentially private totals."""


def run() -> None:
    """Run the command line."""
    with errors_to_words():
        app()

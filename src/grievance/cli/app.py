"""The tree of commands."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
import typer.main

from grievance.cli import (
    auditor,
    backup,
    choice,
    demo,
    exposure,
    homes,
    needs,
    partner,
    plans,
    release,
    repair,
    rounds,
    status,
    steward,
    worker,
)
from grievance.cli.output import INTERRUPTED, Root, emit, errors_to_words, interrupted

EXIT_CODES = """\
Exit codes: 0 done; 1 refused or failed; 2 typed wrongly; 3 waiting for somebody else, try
again later; 130 interrupted, nothing is half done. Data goes to stdout, words go to stderr.

A first look: grievance demo. A try-out of your own, on one machine: grievance init NAME
--pool DIR, grievance plan new, grievance round new plan.toml --rehearsal.
"""

app = typer.Typer(
    name="grievance",
    cls=Root,
    help="Pool workplace reports across organisations that do not fully trust each other, and "
    "release only differentially private totals.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    steward,
    status,
    homes,
    plans,
    rounds,
    worker,
    partner,
    release,
    backup,
    repair,
    auditor,
    exposure,
    demo,
):
    module.register(app)
needs.guard(app)


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


def _speak_utf8() -> None:
    """Read and write UTF-8 whatever the console or locale says, so that data is the same bytes.

    File names that are no text come out as they are. What a person types is left to the terminal.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not (stream is sys.stdin and stream.isatty()):
            # A caller that has begun to read its input keeps the encoding it began with.
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")


@functools.cache
def tree() -> Any:
    """Return all commands as Click runs them, built once: it takes longer than a short command."""
    return typer.main.get_command(app)


def run(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code. `words`: what was typed, else `sys.argv`."""
    _speak_utf8()
    typed = list(sys.argv[1:] if words is None else words)
    code: object = 0
    choice.typed.set(tuple(typed))
    with errors_to_words(as_json="--json" in typed):
        code = tree()(args=typed, prog_name="grievance", standalone_mode=False)
    if code == INTERRUPTED:
        interrupted()
    sys.exit(code if isinstance(code, int) else 0)

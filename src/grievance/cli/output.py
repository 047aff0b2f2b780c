"""How the command line speaks: data to stdout, words to stderr, every error with a next step.

Exit codes: 0 done, 1 refused or failed, 2 typed wrongly, 3 waiting for somebody else,
130 interrupted (nothing is lost; run it again).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from grievance.errors import GrievanceError, MappingError, PlanError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REFUSED, TYPED_WRONGLY, WAITING, INTERRUPTED = 1, 2, 3, 130
_WAITING_CODES = {
    "release.waiting",
    "release.early",
    "pool.waiting",
    "pool.behind",
    "round.waiting",
}

Json = Annotated[bool, typer.Option("--json", help="Write JSON for programs to stdout.")]
Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask; what would be asked is consented to.")
]


def say(text: str = "") -> None:
    """Write words for people to stderr."""
    print(text, file=sys.stderr)


def emit(text: str) -> None:
    """Write data to stdout."""
    print(text)


def emit_json(value: Any) -> None:
    """Write JSON to stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def exit_code(error: GrievanceError) -> int:
    """Which exit code an error has."""
    if error.code in _WAITING_CODES:
        return WAITING
    if isinstance(error, UsageError | PlanError | MappingError):
        return TYPED_WRONGLY
    return REFUSED


def tell(error: GrievanceError, *, as_json: bool = False) -> None:
    """Say what went wrong and what to do next."""
    if as_json:
        value = {"error": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps(value, ensure_ascii=False), file=sys.stderr)
        return
    say(f"grievance: error: {error.message}")
    if error.hint:
        say(f"grievance: hint: {error.hint}")


@contextlib.contextmanager
def errors_to_words() -> Iterator[None]:
    """Turn exceptions of the library into words and exit codes; nothing else is caught."""
    try:
        yield
    except GrievanceError as error:
        tell(error, as_json="--json" in sys.argv)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        say("grievance: interrupted; nothing is lost, run the same command again")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        sys.exit(REFUSED)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person. Raises UsageError when there is nobody to ask, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this needs a person's consent, and nobody is at the keyboard",
            code="usage.consent",
            hint="run it in a terminal, or add --yes if a person has read the above",
        )
    if not typer.confirm(question, default=False, err=True):
        raise UsageError("not confirmed; nothing was done", code="usage.declined")


def refuse_usage(message: str, hint: str | None = None) -> NoReturn:
    """Raise UsageError."""
    raise UsageError(message, hint=hint)


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Give a `progress(what, done, total)` that draws bars on a terminal and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _done, _total: None
        return
    bars: dict[str, Any] = {}
    layout = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*layout, console=console, transient=True) as shown:

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in bars:
                bars[what] = shown.add_task(what, total=total)
            shown.update(bars[what], completed=done, total=total)

        yield progress


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> str:
    """Lay out a plain text table; columns in `right` are aligned to the right."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([line(headers), line(["-" * w for w in widths]), *map(line, rows)])

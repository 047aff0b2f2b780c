"""How the command line speaks: data to stdout, words to stderr, every error with a next step.

Exit codes: 0 done, 1 refused or failed, 2 typed wrongly, 3 waiting for somebody else,
130 interrupted (nothing is half done; run it again).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import textwrap
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from grievance.codes import CODES
from grievance.errors import (
    GrievanceError,
    MappingError,
    PlanError,
    RoundChoiceError,
    UsageError,
    after_fault,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REFUSED, TYPED_WRONGLY, WAITING, INTERRUPTED = 1, 2, 3, 130
DECLINED = "usage.declined"
_YES, _NO = {"y", "yes"}, {"n", "no", ""}
Json = Annotated[bool, typer.Option("--json", help="Write JSON for programs to stdout.")]
Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask; what would be asked is consented to.")
]


def say(text: str = "") -> None:
    """Write words for people to stderr; on a terminal, broken between words."""
    print(_broken(text) if sys.stderr.isatty() else text, file=sys.stderr)


def _broken(text: str) -> str:
    """Break lines that are wider than the terminal, and keep their indentation."""
    try:
        width = max(40, os.get_terminal_size(sys.stderr.fileno()).columns)
    except OSError:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        # Fingerprints, digests and paths stay whole: people select and compare them.
        lines += textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def counted(number: int, what: str, several: str | None = None) -> str:
    """Write a number of things: "1 report", "1,200 reports"."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def emit(text: str) -> None:
    """Write data to stdout."""
    print(text)


def emit_json(value: Any, *, one_line: bool = False) -> None:
    """Write JSON to stdout, on one line where more will follow."""
    print(json.dumps(value, indent=None if one_line else 2, ensure_ascii=False), flush=one_line)


def exit_code(error: GrievanceError) -> int:
    """Which exit code an error has."""
    if error.code in CODES and CODES[error.code].waits:
        return WAITING
    if error.code == DECLINED:
        return REFUSED
    if isinstance(error, UsageError | PlanError | MappingError):
        return TYPED_WRONGLY
    return REFUSED


def tell(error: GrievanceError, *, as_json: bool = False) -> None:
    """Say what went wrong and what to do next."""
    if as_json:
        value: dict[str, Any] = {
            "error": error.code,
            "message": error.message,
            "hint": error.hint,
        }
        if isinstance(error, RoundChoiceError):
            value["rounds"] = error.rounds
        print(json.dumps(value, ensure_ascii=False), file=sys.stderr)
        return
    say(f"grievance: error: {error.message}")
    if error.hint:
        words, _, line = error.hint.partition("\n")
        say(f"grievance: hint: {words}")
        if line:
            # Not broken between words: people select the whole line and type it.
            print(f"    {line}", file=sys.stderr)
    if isinstance(error, RoundChoiceError):
        for one in error.rounds:
            # Not broken between words: people select the whole line and type it.
            print(f"    # {one['round']}: {one['title']} [{one['stage']}]", file=sys.stderr)
            print(f"    {one['line']}", file=sys.stderr)


@contextlib.contextmanager
def errors_to_words(*, as_json: bool = False) -> Iterator[None]:
    """Turn what people can do something about into words and exit codes.

    That is errors of the library, a file, disk or memory that refuses, and typing that does not
    fit a command. Anything else is a mistake of ours and keeps its traceback.
    """
    try:
        yield
    except GrievanceError as error:
        tell(error, as_json=as_json)
        sys.exit(exit_code(error))
    except (KeyboardInterrupt, typer.Abort):
        interrupted()
    except Kept as kept:
        if not isinstance(kept.error, OSError):
            raise kept.error from None
        tell(of_system(kept.error), as_json=as_json)
        sys.exit(REFUSED)
    except BrokenPipeError:
        # There is nobody left to tell.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        sys.exit(REFUSED)
    except (OSError, MemoryError) as error:
        tell(of_system(error), as_json=as_json)
        sys.exit(REFUSED)
    except Exception as error:
        # Typer's own errors, whose classes it does not export in every version.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        if as_json:
            tell(UsageError(format_message()), as_json=True)
        else:
            error.show()  # type: ignore[attr-defined]
        sys.exit(TYPED_WRONGLY)


class Kept(Exception):  # noqa: N818  # what is wrong is said by `error`
    """Carries an error past Typer, which would take it for the doing of a person."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Root(TyperGroup):
    """The tree of commands, in which an exception means what it says.

    Typer takes any end of a file for Ctrl-D, and any pipe that broke for a reader of our output
    that left. But a damaged file ends too early as well, and a connection breaks. Ctrl-D is told
    where a question is asked (`ask`, and Typer's own prompt), which raise Abort.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run what was typed."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise Kept(error) from error
        except BrokenPipeError as error:
            if _reader_gone():
                raise
            raise Kept(error) from error


def _reader_gone() -> bool:
    """Whether whoever read our stdout or stderr has left."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a stream that is no file of the system
            poll.register(stream.fileno(), select.POLLERR)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def of_system(error: OSError | MemoryError) -> GrievanceError:
    """What the system refused, in words."""
    if isinstance(error, MemoryError):
        return GrievanceError(
            "this machine has not enough free memory for it",
            code="system.memory",
            hint="close other programs, or use a machine with more; then run the same command "
            "again: nothing is half done",
        )
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}"
    return GrievanceError(what, code="system", hint=after_fault(error))


@contextlib.contextmanager
def one_look(*, as_json: bool) -> Iterator[None]:
    """One of many looks: what may be well again at the next one is told, and ends nothing.

    A pool that is away, an office that is busy, a disk that refuses. Not a reader that left.
    """
    try:
        yield
    except GrievanceError as error:
        tell(error, as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        tell(of_system(error), as_json=as_json)


def interrupted() -> NoReturn:
    """Leave after Ctrl-C, or after the end of input where a question was asked."""
    say("\ngrievance: interrupted; nothing is half done, run the same command again")
    sys.exit(INTERRUPTED)


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
    while (reply := ask(f"{question} [y/N]: ").strip().casefold()) not in _YES | _NO:
        say("Please answer y or n.")
    if reply in _NO:
        raise UsageError("not confirmed; nothing was done", code=DECLINED)


def ask(prompt: str) -> str:
    """Ask a person for one line. Raises typer.Abort at the end of the input.

    The prompt goes to stderr, so that stdout holds nothing but data even in a terminal.
    """
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise typer.Abort
    return line.removesuffix("\n")


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

"""What a worker types: `seal`, one report from a conversation or a file; `tables` has the rest."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grievance.cli.dates import warn_of_dates
from grievance.cli.dialogue import interview
from grievance.cli.office import warn_of_rehearsal
from grievance.cli.output import Json, emit, emit_json, refuse_usage, say
from grievance.cli.places import HomeOption, TrustOption
from grievance.cli.tables import TableWords, forget_round, seal_table
from grievance.errors import AnswerError, UsageError

if TYPE_CHECKING:
    from grievance.task import Task


def register(app: typer.Typer) -> None:
    """Add the worker's command."""
    app.command()(seal)


def seal(
    task: Annotated[
        Path, typer.Argument(help="The round: the file from `grievance round invite`.")
    ],
    trust: TrustOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where to write: a .report file or a folder."),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option("--answers", help="Answers as a JSON object; - is stdin.")
    ] = None,
    table_: Annotated[
        Path | None,
        typer.Option("--table", help="Seal every row of a CSV or Parquet file; - is stdin."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Which column is which field (TOML).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what each label would get; write nothing.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Seal a table without the rows that are refused.")
    ] = False,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="These rows alone: 3-9,12, or a rows-left.txt."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Seal rows that were sealed before in this round.")
    ] = False,
    show_cells: Annotated[
        bool, typer.Option("--show-cells", help="Show refused cells, on this screen only.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes for a table [default: 1].")
    ] = None,
    home: HomeOption = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the memory of who was sealed in this round.")
    ] = False,
    blank: Annotated[
        bool, typer.Option("--blank", help="Seal a report in which nothing is answered.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Seal answers: no organisation alone reads them.

    Asks the questions, or takes --answers, or --table with --mapping. Whoever seals a table
    sees its rows; a worker who seals on their own device shows them to nobody.
    """
    from grievance.task import load_task

    if sum([answers is not None, table_ is not None, blank, forget]) > 1:
        refuse_usage("give one of --answers, --table, --blank and --forget")
    words = TableWords(mapping, rows, dry_run, partial, again, show_cells, workers)
    if table_ is None and words != TableWords():
        refuse_usage(
            "--mapping, --rows, --dry-run, --partial, --again, --show-cells and --workers belong "
            "to --table"
        )
    loaded = load_task(task, trust=trust or [])
    warn_of_rehearsal(loaded.rehearsal)
    if forget:
        forget_round(loaded, home, as_json=as_json)
        return
    warnings = warn_of_dates(loaded.plan)
    if table_ is not None:
        seal_table(
            loaded, table_, out or Path("sealed"), words, home, warnings=warnings, as_json=as_json
        )
        return
    if out is not None and out.exists() and not out.is_dir():
        # Said before questions are answered for nothing.
        raise UsageError(
            f"{out} exists already", code="usage.exists", hint="move it away, or name another"
        )
    if blank:
        given: dict[str, object] = {}
    elif answers is not None:
        given = _read_answers(answers)
    else:
        given = interview(loaded)
    _seal_one(loaded, given, out, warnings, as_json=as_json)


def _seal_one(
    task: Task,
    answers: dict[str, object],
    out: Path | None,
    warnings: list[str],
    *,
    as_json: bool,
) -> None:
    from grievance.client import seal as seal_report
    from grievance.client import write_report

    try:
        report = seal_report(task, answers)
    except AnswerError as error:
        error.hint = error.hint or "nothing was sealed; mend this answer and seal again"
        raise
    # The name says nothing about when or by whom: it is the start of the receipt.
    path = out or Path()
    if path.is_dir():
        path /= f"{report.digest.hex()[:12]}.report"
    write_report(path, report)
    if as_json:
        emit_json(
            {
                "file": str(path),
                "receipt": report.digest.hex(),
                "round": task.round_id,
                "rehearsal": task.rehearsal,
                "warnings": warnings,
            }
        )
        return
    emit(report.digest.hex())
    nobody = "" if task.rehearsal else "; nobody there can read it"
    say(f"Sealed into {path}. Give the file to your union or network{nobody}.")
    say(
        "Hand it in at one place only. If that fails, hand in this same file there again; do not "
        "seal twice."
    )
    say("The line above is your receipt: it shows that your report was counted, not what it says.")


def _read_answers(path: Path) -> dict[str, object]:
    typed = str(path)
    if typed.lstrip().startswith("{"):
        raise UsageError(
            "--answers takes the name of a file, not the answers: what is typed here stays in "
            "the shell's history, and others on this machine can see it",
            code="answers.file",
            hint="let the program ask you; or write a file, or pipe it in with --answers -",
        )
    try:
        value = json.loads(
            _decoded(_bytes_of(path)), parse_float=Decimal, object_pairs_hook=_no_duplicates
        )
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", code="answers.file") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        source = "standard input" if typed == "-" else typed
        raise UsageError(
            f"{source} is not a JSON object of answers",
            code="answers.syntax",
            hint='it looks like {"region": "London", "problems": ["targets"], "unpaid_hours": 4.5}',
        )
    return value


def _bytes_of(path: Path) -> bytes:
    if str(path) != "-":
        return path.read_bytes()
    binary = getattr(sys.stdin, "buffer", None)
    return binary.read() if binary is not None else sys.stdin.read().encode()


def _decoded(data: bytes) -> str:
    """Text of a JSON file: UTF-8, or what a byte order mark says, as Windows programs write."""
    is_two_byte = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if is_two_byte else "utf-8-sig")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found

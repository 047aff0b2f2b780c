"""What a worker types: `seal`, one report from a conversation, a file, or a whole table."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grievance.cli.dates import warn_of_dates
from grievance.cli.desk import warn_of_rehearsal
from grievance.cli.output import (
    REFUSED,
    Json,
    ask,
    counted,
    emit,
    emit_json,
    progress_bars,
    refuse_usage,
    say,
    table,
)
from grievance.cli.places import TrustOption
from grievance.errors import AnswerError, UsageError

if TYPE_CHECKING:
    from grievance.client import Question, SealedTable
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
        Path | None, typer.Option("--table", help="Seal every row of a CSV or Parquet file.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Which column is which field (TOML).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes for a table [default: 1].")
    ] = None,
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

    if sum([answers is not None, table_ is not None, blank]) > 1:
        refuse_usage("give one of --answers, --table and --blank")
    if table_ is None and (mapping is not None or workers is not None):
        refuse_usage("--mapping and --workers belong to --table")
    loaded = load_task(task, trust=trust or [])
    warn_of_rehearsal(loaded.rehearsal)
    warnings = warn_of_dates(loaded.plan)
    if table_ is not None:
        _seal_table(
            loaded, table_, mapping, out or Path("sealed"), workers, warnings, as_json=as_json
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
        given = _ask(loaded)
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
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        value = json.loads(text, parse_float=Decimal, object_pairs_hook=_no_duplicates)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", code="answers.file") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        source = "standard input" if str(path) == "-" else str(path)
        raise UsageError(
            f"{source} is not a JSON object of answers",
            code="answers.syntax",
            hint='it looks like {"region": "London", "problems": ["targets"], "unpaid_hours": 4.5}',
        )
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _ask(task: Task) -> dict[str, object]:
    from grievance.client import questions
    from grievance.plan import plan_in_words

    if not sys.stdin.isatty():
        raise UsageError(
            "there is nobody to ask",
            code="usage.answers",
            hint="run it in a terminal, or give --answers FILE, --table FILE or --blank",
        )
    say("\n".join(_without_questions(plan_in_words(task.plan, _names(task)))))
    answers = {}
    asked = questions(task.plan)
    for number, question in enumerate(asked, 1):
        say(f"\nQuestion {number} of {len(asked)}: {question.text}")
        answer = _ask_one(question)
        if answer is not None:
            answers[question.name] = answer
    say()
    return answers


def _names(task: Task) -> list[str]:
    return [aggregator.display_name for aggregator in task.aggregators]


def _without_questions(lines: list[str]) -> list[str]:
    """Leave out the list of questions, which are about to be asked one by one."""
    if "What is asked" not in lines:
        return lines
    start = lines.index("What is asked")
    return [*lines[:start], *lines[lines.index("", start) + 1 :]]


def _ask_one(question: Question) -> object:
    if question.help:
        say(f"  {question.help}")
    for number, choice in enumerate(question.choices, 1):
        say(f"  {number:3}  {choice}" if question.numbered else f"       {choice}")
    rule = question.rule[0].upper() + question.rule[1:]
    say(f"  {rule}{'' if question.required else '; empty for no answer'}.")
    while True:
        try:
            return question.parse(ask("  > "))
        except AnswerError as error:
            say(f"  {error.message.removeprefix(f'{error.field}: ')}; please try again")


def _seal_table(
    task: Task,
    path: Path,
    mapping: Path | None,
    out: Path,
    workers: int | None,
    warnings: list[str],
    *,
    as_json: bool,
) -> None:
    from grievance.client import seal_many, write_reports

    if out.exists() and (not out.is_dir() or not all(map(_is_half_written, out.iterdir()))):
        raise UsageError(
            f"{out} is not an empty folder", code="usage.exists", hint="name another with --out"
        )
    with progress_bars() as progress:
        sealed = seal_many(
            task,
            path,
            mapping,
            workers=workers,
            progress=lambda done, total: progress("sealing", done, total),
        )
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, int] = {}
    for partner in sealed.partners or (None,):
        name = f"{partner or 'all'}.reports"
        reports = list(sealed.reports(partner))
        if reports:
            files[name] = write_reports(out / name, task, reports)
    _tell_table(sealed, out, files, warnings, as_json=as_json)
    if sealed.refused:
        raise typer.Exit(REFUSED)


def _is_half_written(path: Path) -> bool:
    """Whether a file is what a run that was cut short has left."""
    return path.name.startswith(".") and path.name.endswith(".part")


def _tell_table(
    sealed: SealedTable, out: Path, files: dict[str, int], warnings: list[str], *, as_json: bool
) -> None:
    if as_json:
        refused = [
            {"row": r.row, "field": r.field, "reason": r.reason, "code": r.code}
            for r in sealed.refused
        ]
        emit_json(
            {
                "sealed": sealed.num_sealed,
                "blank": sealed.num_blank,
                "refused": refused,
                "files": {str(out / name): rows for name, rows in files.items()},
                "warnings": warnings,
            }
        )
        return
    rows = [[str(out / name), str(count)] for name, count in files.items()]
    if rows:
        emit(table(["file", "reports"], rows, right=(1,)))
    say(f"{counted(sealed.num_sealed, 'row')} sealed, {sealed.num_blank:,} of them blank.")
    for row in sealed.refused[:20]:
        say(f"refused: {row}")
    if len(sealed.refused) > 20:
        say(f"... and {len(sealed.refused) - 20} more refused; --json lists them all")
    if sealed.refused:
        say("Refused rows were not sealed. Mend the mapping or the rows and seal those alone.")

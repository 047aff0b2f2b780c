"""`seal --table`: a whole table or nothing of it, each person once, and what was done in words.

What is printed says how many rows and which, never what stands in them. `--show-cells` shows
some refused cells, on the terminal of the person who holds the table and nowhere else.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grievance.cli import dates
from grievance.cli.output import (
    confirm,
    counted,
    emit,
    emit_json,
    progress_bars,
    refuse_usage,
    say,
    table,
)
from grievance.cli.places import home_path
from grievance.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.tables import SealMemory, TableReading
    from grievance.tables.memory import Overlap
    from grievance.task import Task

_NOTES = {
    "clipped": "moved to the nearest limit (`clip`)",
    "rounded": "moved to the nearest step (`round`)",
    "other": "counted as the choice for everything else (`other`)",
    "too_many": 'taken as no answer, since too much is ticked (`too_many = "blank"`)',
}
_LEFT_OUT = {
    "empty": "in which every cell is empty",
    "only": "that `only` does not want",
    "named": "that --rows does not name",
    "sealed before": "of people who were sealed before in this round",
}
_MAX_ROWS_SHOWN = 60


@dataclass(frozen=True)
class TableWords:
    """What may be typed beside --table."""

    mapping: Path | None = None
    rows: str | None = None
    dry_run: bool = False
    partial: bool = False
    again: bool = False
    show_cells: bool = False
    workers: int | None = None


def seal_table(
    task: Task,
    path: Path,
    out: Path,
    words: TableWords,
    home: Path | None,
    *,
    warnings: list[str],
    as_json: bool,
) -> None:
    """Seal a table into a folder of `.reports` files.

    Raises RowsRefusedError when rows are refused and nobody asked to do without them, and
    StateError `seal.again` when its rows were sealed before.
    """
    from grievance.tables import TableMapping, load_mapping

    if words.show_cells and (as_json or not sys.stderr.isatty()):
        refuse_usage(
            "--show-cells writes what people answered on a screen, and this is none",
            hint="run it in a terminal, and send what it says nowhere else",
        )
    rows = _rows(words.rows)
    mapping = (
        load_mapping(words.mapping, task.plan)
        if words.mapping is not None
        else TableMapping.by_name(task.plan)
    )
    with _memory(task, home, dry_run=words.dry_run) as memory:
        if memory is not None and not words.dry_run:
            _finish_earlier(memory, as_json=as_json)
        if not words.dry_run:
            _check_out(out)
        reading = _read(task, path, mapping, rows, words, memory)
        _tell_reading(reading, words, as_json=as_json)
        if words.dry_run:
            _tell_dry_run(reading, warnings, as_json=as_json)
            reading.require_whole()
            return
        if reading.refused and not words.partial:
            if as_json:
                emit_json(_as_json(reading, {}, out, warnings))
            reading.require_whole()
        if not reading.taken:
            _tell_nothing(reading, out, warnings, as_json=as_json)
            return
        if memory is not None and not words.again:
            _ask_about(memory.overlap(reading.tags), len(reading.taken))
        files = _seal(reading, out, words.workers, memory)
        _tell_sealed(reading, out, files, warnings, as_json=as_json)
        if memory is not None and not as_json:
            _tell_memory(reading, home_path(home))


def forget_round(task: Task, home: Path | None, *, as_json: bool) -> None:
    """Delete what this home remembers of who was sealed in a round."""
    from grievance.tables.memory import forget

    forgotten = forget(_round_folder(home, task), task)
    if as_json:
        emit_json({"round": task.round_id, "forgotten": forgotten})
    elif forgotten:
        say(f"What was remembered of who was sealed in {task.round_id} is deleted.")
        say("Whoever seals the same rows in this round now counts these people twice.")
    else:
        say(f"Nothing is remembered of {task.round_id} in {home_path(home)}.")


def _round_folder(home: Path | None, task: Task) -> Path:
    """The folder whose files are deleted when an organisation destroys the round's keys."""
    return home_path(home) / "rounds" / task.round_id


@contextlib.contextmanager
def _memory(task: Task, home: Path | None, *, dry_run: bool) -> Iterator[SealMemory | None]:
    """Open the memory; a dry run reads one that is there, and begins none."""
    from grievance.tables.memory import SealMemory, memory_path

    folder = _round_folder(home, task)
    if dry_run and not memory_path(folder, task).exists():
        yield None
        return
    with SealMemory.open(folder, task) as memory:
        yield memory


def _rows(text: str | None) -> frozenset[int] | None:
    """Read --rows: numbers, or a file that holds them."""
    from grievance.tables.refusals import parse_rows

    if text is None:
        return None
    path = Path(text)
    try:
        if not text[:1].isdigit() or path.is_file():
            text = path.read_text(encoding="utf-8")
        return parse_rows(text)
    except OSError as error:
        raise UsageError(
            f"--rows: {path}: {error.strerror}", hint="--rows looks like 3-9,12"
        ) from None
    except ValueError as error:
        raise UsageError(f"--rows: {error}", hint="or name the rows-left.txt of a seal") from None


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or not all(map(_is_half_written, out.iterdir()))):
        raise UsageError(
            f"{out} is not an empty folder", code="usage.exists", hint="name another with --out"
        )


def _is_half_written(path: Path) -> bool:
    """Whether a file is what a run that was cut short has left."""
    return path.name.startswith(".") and path.name.endswith(".part")


def _finish_earlier(memory: SealMemory, *, as_json: bool) -> None:
    """Finish what a run that was cut short had remembered, and say so."""
    from grievance.tables.sealing import finish_moves

    for folder, is_there in finish_moves(memory):
        if as_json:
            continue
        if is_there:
            say(f"An earlier sealing was cut short and is finished now: its files are in {folder}.")
        else:
            say(
                f"An earlier sealing into {folder} was cut short, and that folder is not there. "
                "Its rows count as sealed. If its files are lost for good, --again seals them."
            )


def _read(
    task: Task,
    path: Path,
    mapping: Any,
    rows: frozenset[int] | None,
    words: TableWords,
    memory: SealMemory | None,
) -> TableReading:
    from grievance.tables import check_table, open_table

    with progress_bars() as progress:
        return check_table(
            task,
            open_table(path, mapping),
            mapping,
            rows=rows,
            memory=memory,
            again=words.again,
            keep_cells=words.show_cells,
            progress=lambda done, total: progress("reading", done, total),
        )


def _ask_about(overlap: Overlap | None, num_rows: int) -> None:
    """Ask whether rows that stand in an earlier sealing are other people's."""
    if overlap is None:
        return
    again = (
        f"{overlap.num_rows:,} of these {counted(num_rows, 'row')} were sealed before, cell by "
        f"cell, into {overlap.folder} on {overlap.day}"
    )
    if not sys.stdin.isatty():
        raise StateError(
            f"{again}; sealed again they count twice",
            code="seal.again",
            hint="`person` in the mapping names the column that tells people apart, and only who "
            "is new is sealed; --again if these are other people, or the earlier files are lost",
        )
    say(f"{again}. If these are the same people, they would count twice.")
    confirm("Are these other people, or are the earlier files lost? Seal them", yes=False)


def _seal(
    reading: TableReading, out: Path, workers: int | None, memory: SealMemory | None
) -> dict[str, int]:
    from grievance.tables import seal_into

    with progress_bars() as progress:
        return seal_into(
            reading,
            out,
            memory=memory,
            day=dates.today().isoformat(),
            workers=workers,
            progress=lambda done, total: progress("sealing", done, total),
        )


# -- words -------------------------------------------------------------------------------------


def _tell_reading(reading: TableReading, words: TableWords, *, as_json: bool) -> None:
    """Say which rows are refused and why, which are left out, and what was done to cells."""
    if as_json:
        return
    for what, number in reading.left_out.items():
        if number:
            say(f"{counted(number, 'row')} left out {_LEFT_OUT[what]}.")
    for name, tally in reading.fields.items():
        for note, number in tally.notes.items():
            say(f"{name}: {counted(number, 'cell')} {_NOTES[note]}.")
    if not reading.refused:
        return
    say(f"{len(reading.refused):,} of {counted(reading.num_rows, 'row')} refused:")
    for cause in reading.causes():
        say(f"  {counted(len(cause.rows), 'row')}, {cause.share:.1%}: {cause}")
        say(f"      {_row_numbers(cause.rows)}")
        if cause.cells:
            say(f"      for example: {' | '.join(cause.cells)}")
        say(f"      mend: {cause.hint}")
    say(
        "These people differ from the others: without them the figures say something else, often "
        "by much more than their share."
    )
    if reading.taken and not (words.partial or words.dry_run):
        say(
            "Mend the mapping or the table and run the same command again; or --partial seals "
            f"the other {counted(len(reading.taken), 'row')} without them."
        )
    if sys.stderr.isatty() and not words.show_cells:
        say("--show-cells shows some of their cells on this screen, and nowhere else.")


def _row_numbers(rows: list[int]) -> str:
    from grievance.tables.refusals import written

    text = written(rows)
    if len(text) > _MAX_ROWS_SHOWN:
        text = text[:_MAX_ROWS_SHOWN].rsplit(",", 1)[0] + ", ... (--json lists them all)"
    return f"row{'' if len(rows) == 1 else 's'} {text}"


def _tell_dry_run(reading: TableReading, warnings: list[str], *, as_json: bool) -> None:
    if as_json:
        emit_json(_as_json(reading, {}, None, warnings))
        return
    rows = []
    for name, tally in reading.fields.items():
        for label, number in tally.labels.items():
            rows.append([name, label, f"{number:,}"])
        rows.append([name, "(not answered)", f"{tally.blank:,}"])
    emit(table(["field", "label", "rows"], rows, right=(2,)))
    say(
        f"{counted(len(reading.taken), 'row')} would be sealed, {reading.num_blank:,} of them "
        "blank."
    )
    say("A dry run: nothing was written, and nothing is remembered.")


def _tell_nothing(reading: TableReading, out: Path, warnings: list[str], *, as_json: bool) -> None:
    """Nobody is left to seal: everybody was sealed before, or the table is empty."""
    if as_json:
        emit_json(_as_json(reading, {}, out, warnings))
    else:
        say("Nobody is left to seal; nothing was written.")


def _tell_sealed(
    reading: TableReading, out: Path, files: dict[str, int], warnings: list[str], *, as_json: bool
) -> None:
    from grievance.tables.sealing import LEFT_ROWS

    if as_json:
        emit_json(_as_json(reading, files, out, warnings))
        return
    emit(table(["file", "reports"], [[str(out / n), str(c)] for n, c in files.items()], right=(1,)))
    say(f"{counted(len(reading.taken), 'row')} sealed, {reading.num_blank:,} of them blank.")
    if reading.refused:
        say(
            f"{counted(len(reading.refused), 'row')} remain; {out / LEFT_ROWS} says which. Mend "
            f"them or the mapping, then seal those alone: --rows {out / LEFT_ROWS}"
        )


def _tell_memory(reading: TableReading, home: Path) -> None:
    if reading.reader.tells_people:
        say("A later, longer table with the same ids adds only who is new.")
    say(
        f"Who was sealed is remembered in {home}, as keyed hashes: no id and no answer stands "
        "there. It goes with the round's keys; where there are none, delete it with --forget "
        "once the round is closed."
    )


def _as_json(
    reading: TableReading, files: dict[str, int], out: Path | None, warnings: list[str]
) -> dict[str, object]:
    """What was done, for programs: numbers of rows, and counts of labels of the plan."""
    from grievance.tables.refusals import written

    return {
        "rows": reading.num_rows,
        "sealed": sum(files.values()),
        "fit": len(reading.taken),
        "blank": reading.num_blank,
        "refused": [
            {
                "field": cause.field,
                "reason": cause.reason,
                "code": cause.code,
                "mend": cause.hint,
                "share": round(cause.share, 4),
                "count": len(cause.rows),
                "rows": written(cause.rows),
            }
            for cause in reading.causes()
        ],
        "left_out": {what: number for what, number in reading.left_out.items() if number},
        "fields": {
            name: {"labels": tally.labels, "blank": tally.blank, **tally.notes}
            for name, tally in reading.fields.items()
        },
        "files": {str((out or Path()) / name): number for name, number in files.items()},
        "warnings": warnings,
    }

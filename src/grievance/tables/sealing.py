"""A checked table into files for relays, all of them or none, and remembered once.

The order of the steps stands in `memory`, which has the lock and the transaction.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from grievance.client.files import write_reports
from grievance.failpoints import failpoint
from grievance.tables.refusals import written
from grievance.tables.table import seal_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from grievance.client.report import Report
    from grievance.tables.memory import SealMemory
    from grievance.tables.reading import TableReading

LEFT_ROWS = "rows-left.txt"


def seal_into(
    reading: TableReading,
    folder: Path,
    *,
    memory: SealMemory | None,
    day: str,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, int]:
    """Seal the rows that fit into `folder`, a `.reports` file for each partner.

    Refused rows are listed by number in `rows-left.txt`, which `--rows` takes. Returns the
    names of the files and how many reports each holds. `day` is what the memory notes.
    Raises what `seal_rows`, `write_reports` and the memory raise; then nothing is left behind
    and nothing remembered, or both are, and `finish_moves` goes on.
    """
    was_there = folder.is_dir()
    part = folder / f".sealing-{secrets.token_hex(8)}.part"
    part.mkdir(parents=True)
    try:
        files = _write(reading, part, workers, progress)
        if reading.refused:
            (part / LEFT_ROWS).write_text(_left(reading), encoding="utf-8")
        _flush(part)
        failpoint("seal.written")
        number = None
        if memory is not None:
            number = memory.remember(folder, part, day, reading.tags)
        failpoint("seal.remembered")
        _move(part, folder)
        failpoint("seal.moved")
        if memory is not None and number is not None:
            memory.done(number)
        failpoint("seal.done")
    except BaseException:
        # Also an interrupt may come between the transaction and this line: the memory decides.
        if memory is None or not memory.holds(part):
            shutil.rmtree(part, ignore_errors=True)
            if not was_there:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise
    return files


def finish_moves(memory: SealMemory) -> list[tuple[Path, bool]]:
    """Finish what a run that was cut short had remembered: its files get their names.

    Returns the folders, and whether each is where it was. One that is not was moved away or is
    on a disk that is not there: its rows stay remembered all the same.
    """
    found = []
    for number, folder, part in memory.unfinished():
        if part.is_dir():
            _move(part, folder)
        found.append((folder, folder.is_dir()))
        if folder.is_dir():
            memory.done(number)
    return found


def _write(
    reading: TableReading,
    part: Path,
    workers: int | None,
    progress: Callable[[int, int], object] | None,
) -> dict[str, int]:
    files: dict[str, int] = {}
    done = 0

    def reports(partner: str | None) -> Iterator[Report]:
        nonlocal done
        for row in seal_rows(reading, partner, workers=workers):
            done += 1
            if progress is not None:
                progress(done, len(reading.taken))
            yield row.report

    for partner in sorted(reading.partners, key=str):
        name = f"{partner or 'all'}.reports"
        files[name] = write_reports(part / name, reading.task, reports(partner))
    return files


def _move(part: Path, folder: Path) -> None:
    for path in sorted(part.iterdir()):
        path.replace(folder / path.name)
        failpoint("seal.moving")
    part.rmdir()
    _flush(folder)


def _left(reading: TableReading) -> str:
    """Which rows were not sealed, and why, without a word of what they say."""
    lines = [
        f"# {len(reading.refused):,} rows of {reading.table.source} were not sealed.",
        f"# Mend the mapping or the rows, then seal these alone: --rows {LEFT_ROWS}",
    ]
    for cause in reading.causes():
        lines += [f"# {cause}", f"#   {cause.hint}", written(cause.rows)]
    return "\n".join(lines) + "\n"


def _flush(folder: Path) -> None:
    """Make names in a folder last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

"""A table of survey rows to sealed reports: the on-ramp for whoever already holds answers.

Whoever runs this sees those rows, which a worker who seals on their own device shows nobody.
A table is sealed whole or not at all: rows that do not fit the plan are told by number and
rule, never with what a cell says, and only who asks for it seals the others without them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grievance.client.files import report_schema
from grievance.client.report import Report, columns, to_row
from grievance.errors import AnswerError, MappingError
from grievance.tables.arrow_rows import ArrowTable, ParquetTable
from grievance.tables.csv_rows import CsvTable
from grievance.tables.mapping import TableMapping, load_mapping
from grievance.tables.reading import check_table
from grievance.tables.rows import RowTable
from grievance.tables.table_file import TableFile
from grievance.tables.workers import seal_in_order

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator

    import pyarrow as pa

    from grievance.tables.reading import TableReading
    from grievance.tables.refusals import Cause, RefusedRow
    from grievance.task import Task


def read_table(
    source: str | os.PathLike[str] | Any,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    header_rows: int = 1,
) -> RowTable:
    """Open a table: a path of a CSV or Parquet file, or an object with `__arrow_c_stream__`.

    A file is Parquet when it begins with `PAR1`, whatever its name. A pipe is read once and
    kept, as is a stream; "-" is standard input. `delimiter`, `encoding` and `header_rows` are
    for CSV. Raises MappingError `table.*` for anything else, naming files of other programs.
    """
    if hasattr(source, "__arrow_c_stream__"):
        return ArrowTable(source)
    if not isinstance(source, str | Path) and not hasattr(source, "__fspath__"):
        raise MappingError(
            f"a {type(source).__name__} is not a table",
            code="table.type",
            hint="give a path, or a polars, pandas 3 or Arrow table",
        )
    file = TableFile(Path(source))
    if file.head.startswith(b"PAR1"):
        return ParquetTable(file)
    file.refuse_foreign()
    return CsvTable(file, delimiter=delimiter, encoding=encoding, header_rows=header_rows)


def open_table(source: str | os.PathLike[str] | Any, mapping: TableMapping) -> RowTable:
    """Open a table as a mapping describes it; an open one stays as it is."""
    if isinstance(source, RowTable):
        return source
    return read_table(
        source,
        delimiter=mapping.delimiter,
        encoding=mapping.encoding,
        header_rows=mapping.header_rows,
    )


@dataclass(frozen=True)
class SealedRow:
    """A row that was sealed. `partner` is who relays it, where the mapping says so."""

    row: int
    partner: str | None
    report: Report


class SealedTable:
    """What `seal_many` gives: sealed reports in the order of the table.

    `refused` are the rows it was told to do without, empty unless `partial`. `num_blank` counts
    sealed rows in which nothing was answered; when it is surprising, the mapping probably reads
    the wrong columns. `reading` has what every label got.
    """

    def __init__(self, task: Task, reading: TableReading) -> None:
        self._task = task
        self.reading = reading
        self._sealed: list[tuple[str | None, Report]] = []

    def add(self, row: SealedRow) -> None:
        """Take in the next row."""
        self._sealed.append((row.partner, row.report))

    @property
    def refused(self) -> list[RefusedRow]:
        """Rows that were not sealed, in the order of the table."""
        return self.reading.refused

    @property
    def causes(self) -> list[Cause]:
        """Refused rows grouped by cause, the largest first, with what would mend each."""
        return self.reading.causes()

    @property
    def num_blank(self) -> int:
        """How many sealed rows answer nothing."""
        return self.reading.num_blank

    @property
    def num_sealed(self) -> int:
        """How many rows were sealed."""
        return len(self._sealed)

    @property
    def partners(self) -> tuple[str, ...]:
        """Names of the partners that rows were sealed for, sorted."""
        return tuple(sorted({partner for partner, _ in self._sealed if partner is not None}))

    def reports(self, partner: str | None = None) -> Iterator[Report]:
        """Yield the reports, all or those of one partner, in the order of the table."""
        return (report for owner, report in self._sealed if partner in (None, owner))

    def to_arrow(self, partner: str | None = None) -> pa.Table:
        """Return the reports as a table with the columns of `grievance.client.files`."""
        import pyarrow as pa

        rows = [to_row(report) for report in self.reports(partner)]
        arrays = [
            pa.array([row[place] for row in rows], pa.binary(width))
            for place, (_, width) in enumerate(columns(self._task))
        ]
        return pa.Table.from_arrays(arrays, schema=report_schema(self._task))

    def __repr__(self) -> str:
        return f"<SealedTable: {self.num_sealed} sealed, {len(self.refused)} refused>"


def seal_many(
    task: Task,
    table: str | os.PathLike[str] | Any,
    mapping: TableMapping | str | os.PathLike[str] | None = None,
    *,
    partial: bool = False,
    rows: Collection[int] | None = None,
    progress: Callable[[int, int], object] | None = None,
    workers: int | None = None,
) -> SealedTable:
    """Seal a whole table, and keep the reports in memory (some 10 KB each).

    `table`: see `read_table`. `mapping`: a `TableMapping`, or what `load_mapping` takes;
    None means columns named like the fields and cells that hold the labels. `partial`: seal
    the rows that fit without those that do not. `rows`: those alone, by number. `progress` is
    called with (rows sealed, rows to seal). `workers`: so many processes, else this one.

    Remembers nobody: sealing a table twice counts everybody in it twice. `grievance seal` and
    `seal_into` remember.

    Raises RowsRefusedError when a row is refused (unless `partial`), MappingError when mapping,
    table and plan do not fit together as a whole; nothing is sealed then. Raises what
    `progress` raises.
    """
    if mapping is not None and not isinstance(mapping, TableMapping):
        mapping = load_mapping(mapping, task.plan)
    mapping = mapping or TableMapping.by_name(task.plan)
    reading = check_table(task, open_table(table, mapping), mapping, rows=rows)
    if not partial:
        reading.require_whole()
    sealed = SealedTable(task, reading)
    for done, row in enumerate(seal_rows(reading, workers=workers), start=1):
        sealed.add(row)
        if progress is not None:
            progress(done, len(reading.taken))
    return sealed


def seal_rows(
    reading: TableReading, partner: str | None = None, *, workers: int | None = None
) -> Iterator[SealedRow]:
    """Yield the rows of a checked table that fit, all or those of one partner, sealed, in order.

    In flat memory, for reports that go straight into files. Raises MappingError
    `table.changed` when the table is not what was checked.
    """
    # Rows on their way through the sealing processes.
    ahead: deque[tuple[int, str | None]] = deque()

    def readable() -> Iterator[dict[str, object]]:
        for number, row in reading.rows(partner):
            ahead.append((number, row.partner))
            yield row.answers

    for result in seal_in_order(reading.task, readable(), workers):
        number, owner = ahead.popleft()
        if not isinstance(result, bytes):
            field, reason, code = result
            raise AnswerError(f"row {number}: {reason}", field=field, code=code)
        yield SealedRow(number, owner, Report.from_bytes(result))

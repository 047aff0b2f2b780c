"""A table of survey rows to sealed reports: the on-ramp for whoever already holds answers.

Whoever runs this sees those rows, which a worker who seals on their own device shows nobody.
A row that does not fit the plan is set aside with its number and a reason, never with what
a cell says, and does not stop the others.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grievance.client.arrow_rows import ArrowTable, ParquetTable
from grievance.client.cells import RowReader
from grievance.client.csv_rows import CsvTable
from grievance.client.files import report_schema
from grievance.client.mapping import TableMapping, load_mapping
from grievance.client.report import Report, columns, to_row
from grievance.client.rows import RowTable
from grievance.client.workers import seal_in_order
from grievance.errors import AnswerError, MappingError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from grievance.task import Task

_MAGICS = {
    b"PK\x03\x04": "a spreadsheet or zip file: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"\x1f\x8b": "compressed: unpack it first",
}


def read_table(
    source: str | os.PathLike[str] | Any,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> RowTable:
    """Open a table: a path of a CSV or Parquet file, or an object with `__arrow_c_stream__`.

    A file is Parquet when it begins with `PAR1`, whatever its name. `delimiter` and
    `encoding` are for CSV. Raises MappingError `table.*` for anything else.
    """
    if hasattr(source, "__arrow_c_stream__"):
        return ArrowTable(source)
    if not isinstance(source, str | Path) and not hasattr(source, "__fspath__"):
        raise MappingError(
            f"a {type(source).__name__} is not a table",
            code="table.type",
            hint="give a path, or a polars, pandas 3 or Arrow table",
        )
    path = Path(source)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}", code="table.read") from None
    if magic == b"PAR1":
        return ParquetTable(path)
    for start, words in _MAGICS.items():
        if magic.startswith(start):
            raise MappingError(f"{path.name} is {words}", code="table.type")
    return CsvTable(path, delimiter=delimiter, encoding=encoding)


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not sealed: its number as in the file, the field, the rule it breaks.

    In a CSV file the header is row 1, as a spreadsheet shows it; other tables count from 1.
    `field` is None when the row as a whole, or its partner, is the problem.
    """

    row: int
    field: str | None
    reason: str
    code: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.field + ': ' if self.field else ''}{self.reason}"


@dataclass(frozen=True)
class SealedRow:
    """A row that was sealed. `partner` is who relays it, where the mapping says so."""

    row: int
    partner: str | None
    report: Report
    is_blank: bool


class SealedTable:
    """What `seal_many` gives: sealed reports in the order of the table, and refused rows.

    `num_blank` counts sealed rows in which nothing was answered; when it is surprising, the
    mapping probably reads the wrong columns.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._sealed: list[tuple[str | None, Report]] = []
        self.refused: list[RefusedRow] = []
        self.num_blank = 0

    def add(self, row: SealedRow | RefusedRow) -> None:
        """Take in the next row."""
        if isinstance(row, RefusedRow):
            self.refused.append(row)
            return
        self._sealed.append((row.partner, row.report))
        self.num_blank += row.is_blank

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
    progress: Callable[[int, int | None], object] | None = None,
    workers: int | None = None,
) -> SealedTable:
    """Seal every row of a table, and keep the reports in memory (some 10 KB each).

    `table`: see `read_table`. `mapping`: a `TableMapping`, or what `load_mapping` takes;
    None means columns named like the fields and cells that hold the labels. `progress` is
    called with (rows done, rows in all or None). `workers`: so many processes, else this one.

    Raises MappingError when mapping, table and plan do not fit together as a whole; nothing
    is sealed then. Raises what `progress` raises.
    """
    if mapping is not None and not isinstance(mapping, TableMapping):
        mapping = load_mapping(mapping, task.plan)
    mapping = mapping or TableMapping.by_name(task.plan)
    rows = (
        table
        if isinstance(table, RowTable)
        else read_table(table, delimiter=mapping.delimiter, encoding=mapping.encoding)
    )
    sealed = SealedTable(task)
    for done, row in enumerate(seal_rows(task, rows, mapping, workers=workers), start=1):
        sealed.add(row)
        if progress is not None:
            progress(done, rows.num_rows)
    return sealed


def seal_rows(
    task: Task, table: RowTable, mapping: TableMapping, *, workers: int | None = None
) -> Iterator[SealedRow | RefusedRow]:
    """Yield every row sealed or refused, in the order of the table, in flat memory.

    For tables whose reports should go straight into files. Raises MappingError like
    `seal_many`, at the first step.
    """
    reader = RowReader(task.plan, mapping, table.kinds)
    table.require(reader.columns, mapping.source)
    # Rows on their way through the sealing processes: (row, partner, blank) or refused.
    ahead: deque[tuple[int, str | None, bool] | RefusedRow] = deque()

    def readable() -> Iterator[dict[str, object]]:
        for number, cells in table.rows(reader.columns):
            if isinstance(cells, str):
                ahead.append(RefusedRow(number, None, cells, "table.row"))
                continue
            try:
                partner, answers = reader.read(cells)
            except AnswerError as error:
                reason = error.message.removeprefix(f"{error.field}: ")
                ahead.append(RefusedRow(number, error.field, reason, error.code))
            except MappingError as error:
                ahead.append(RefusedRow(number, None, error.message, error.code))
            else:
                ahead.append((number, partner, not answers))
                yield answers

    for result in seal_in_order(task, readable(), workers):
        while isinstance(row := ahead.popleft(), RefusedRow):
            yield row
        number, partner, is_blank = row
        if isinstance(result, bytes):
            yield SealedRow(number, partner, Report.from_bytes(result), is_blank)
        else:
            yield RefusedRow(number, *result)
    for row in ahead:
        if isinstance(row, RefusedRow):
            yield row

"""A table read and checked as a whole, before anything of it is sealed.

Reading is cheap, sealing is not, and a table of which a part is sealed is a trap: people whose
rows were refused differ from the others, and nobody seals the rest later. So all rows are read
first; what then follows (seal it, or say why not) is for the caller.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.errors import AnswerError, MappingError
from grievance.plan import MultiField, NumberField
from grievance.tables.cells import ReadRow, RowReader
from grievance.tables.csv_rows import is_garbled
from grievance.tables.people import Standing, look
from grievance.tables.refusals import (
    MAX_CELLS,
    PERSON_EMPTY,
    PERSON_TWICE,
    Cause,
    RefusedRow,
    RowsRefusedError,
    grouped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from grievance.plan.answers import Value
    from grievance.tables.mapping import TableMapping
    from grievance.tables.memory import SealMemory, Tags
    from grievance.tables.rows import Cell, RowTable
    from grievance.task import Task

_PERSON_WORDS = {
    PERSON_EMPTY: "the person column is empty",
    PERSON_TWICE: "more rows of one person than the plan lets a worker hand in",
}
_NO_HEADER_SAYS = "the table has no such row, or nobody stands in it"


@dataclass
class FieldTally:
    """One field over all rows that can be sealed: labels of the plan, and how many got each.

    A number is counted by its bands; where it has none, as "a number". `blank` did not answer.
    `notes` counts what the mapping had done to cells: clipped, rounded, ...
    """

    labels: dict[str, int]
    blank: int = 0
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(repr=False)
class TableReading:
    """What a table holds, for this task and mapping. Made by `check_table`.

    `taken` are the numbers of the rows that can be sealed, in order; `refused` those that do
    not fit; `left_out` counts the others: "empty" rows, rows that `only` does not want, that
    were not "named", and whose people were "sealed before". Shows no cell.
    """

    task: Task
    table: RowTable
    mapping: TableMapping
    reader: RowReader
    taken: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    partners: Counter[str | None] = field(default_factory=Counter)
    fields: dict[str, FieldTally] = field(default_factory=dict)
    num_blank: int = 0
    tags: list[Tags] = field(default_factory=list)
    _cells: dict[int, list[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<TableReading: {len(self.taken)} rows fit, {len(self.refused)} refused>"

    @property
    def num_rows(self) -> int:
        """Rows that were looked at: those that fit, and those that are refused."""
        return len(self.taken) + len(self.refused)

    def causes(self) -> list[Cause]:
        """Refused rows grouped by cause, the largest first."""
        causes = grouped(self.refused, self.num_rows)
        for cause in causes:
            texts = (text for row in cause.rows for text in self._cells.get(row, ()))
            cause.cells = list(dict.fromkeys(texts))[:MAX_CELLS]
        return causes

    def require_whole(self) -> None:
        """Raise RowsRefusedError if a row is refused."""
        if self.refused:
            raise RowsRefusedError(self.causes(), self.num_rows)

    def rows(self, partner: str | None = None) -> Iterator[tuple[int, ReadRow]]:
        """Yield number and answers of the rows that fit, all or those of one partner.

        Raises MappingError `table.changed` when the table is not what was checked.
        """
        taken = iter(self.taken)
        wanted = next(taken, None)
        for number, cells in self.table.rows(self.reader.columns):
            if number != wanted:
                continue
            wanted = next(taken, None)
            try:
                row = None if isinstance(cells, str) else self.reader.read(cells)
            except (AnswerError, MappingError):
                row = None
            if row is None:
                raise self._changed()
            if partner is None or row.partner == partner:
                yield number, row
        if wanted is not None:
            raise self._changed()

    def _changed(self) -> MappingError:
        return MappingError(
            f"{self.table.source}: the table changed while it was read; nothing was written",
            code="table.changed",
            hint="close it in other programs, and run the same command again",
        )


def check_table(
    task: Task,
    table: RowTable,
    mapping: TableMapping,
    *,
    rows: Collection[int] | None = None,
    memory: SealMemory | None = None,
    again: bool = False,
    keep_cells: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> TableReading:
    """Read every row of a table by a mapping, check it against the plan, and count.

    `rows`: those alone, by number. `memory`: whose rows are left out (not with `again`), see
    `people`. `keep_cells`: keep some cells of refused rows, for `Cause.cells`. `progress` is
    called with (rows done, rows in all).

    Raises MappingError when mapping, table and plan do not fit together as a whole.
    """
    reader = RowReader(task.plan, mapping, table.kinds)
    table.require(reader.columns, mapping.source)
    limit = task.plan.privacy.reports_per_worker
    standing = look(table, reader, limit=limit, memory=memory, rows=rows, again=again)
    reading = TableReading(task, table, mapping, reader)
    reading.fields = {name: _tally(task, name) for name in mapping.fields}
    reading.left_out["empty"] = table.num_empty
    missing = set(rows or ())
    for done, (number, cells) in enumerate(table.rows(reader.columns), start=1):
        missing.discard(number)
        if rows is not None and number not in rows:
            reading.left_out["named"] += 1
        else:
            _take(reading, standing, number, cells, keep_cells=keep_cells)
        if progress is not None:
            progress(done, table.num_rows)
    reading.refused += [RefusedRow(n, None, _NO_HEADER_SAYS, "table.row") for n in sorted(missing)]
    reading.tags = [standing.tags[number] for number in reading.taken if number in standing.tags]
    return reading


def _take(
    reading: TableReading,
    standing: Standing,
    number: int,
    cells: Sequence[Cell] | str,
    *,
    keep_cells: bool,
) -> None:
    """Judge one row: take it, refuse it, or leave it out."""
    if isinstance(cells, str):
        reading.refused.append(RefusedRow(number, None, cells, "table.row"))
    elif not reading.reader.is_wanted(cells):
        reading.left_out["only"] += 1
    elif number in standing.known:
        reading.left_out["sealed before"] += 1
    elif code := standing.refused.get(number):
        reading.refused.append(RefusedRow(number, None, _PERSON_WORDS[code], code))
    elif any(is_garbled(cell) for cell in cells if isinstance(cell, str)):
        reason = "a cell is not text in the table's encoding"
        reading.refused.append(RefusedRow(number, None, reason, "table.encoding"))
    else:
        try:
            row = reading.reader.read(cells)
            answers = reading.task.layout.answers(row.answers)
        except AnswerError as error:
            reason = error.message.removeprefix(f"{error.field}: ")
            refused = RefusedRow(number, error.field, reason, error.code, error.hint)
        except MappingError as error:
            refused = RefusedRow(number, None, error.message, error.code, error.hint)
        else:
            reading.taken.append(number)
            reading.partners[row.partner] += 1
            reading.num_blank += answers.is_blank
            _count(reading, answers.values, row)
            return
        reading.refused.append(refused)
        if keep_cells:
            places = reading.reader.cells_of(refused.field, reading.mapping)
            reading._cells[number] = [_shown(cells[at]) for at in places]


def _tally(task: Task, name: str) -> FieldTally:
    asked = task.plan.fields[name]
    if isinstance(asked, NumberField):
        return FieldTally(dict.fromkeys(asked.band_labels or ("a number",), 0))
    labels = [*asked.choices, *(["nothing ticked"] if isinstance(asked, MultiField) else [])]
    return FieldTally(dict.fromkeys(labels, 0))


def _count(reading: TableReading, values: Mapping[str, Value], row: ReadRow) -> None:
    for name, note in row.notes:
        reading.fields[name].notes[note.value] += 1
    for name, tally in reading.fields.items():
        asked, value = reading.task.plan.fields[name], values[name]
        labels = list(tally.labels)
        if value is None:
            tally.blank += 1
        elif isinstance(value, tuple):
            for at in value or (len(labels) - 1,):
                tally.labels[labels[at]] += 1
        elif isinstance(asked, NumberField):
            last = len(labels) - 1
            band = min(bisect_right(asked.band_edges, value) - 1, last) if asked.bands else 0
            tally.labels[labels[band]] += 1
        else:
            tally.labels[labels[value]] += 1


def _shown(cell: Cell) -> str:
    """A cell for the eyes of whoever holds the table: one line, no control characters."""
    text = "; ".join(cell) if isinstance(cell, list) else cell or ""
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= 60 else text[:59] + "…"

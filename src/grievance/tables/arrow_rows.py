"""Rows of a Parquet file, and of whatever speaks Arrow: polars, pandas, DuckDB."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from grievance.errors import MappingError
from grievance.tables.rows import RowTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from grievance.tables.rows import Column, Row
    from grievance.tables.table_file import TableFile

_SLICE = 1_000


class ArrowTable(RowTable):
    """Anything with the Arrow PyCapsule interface. Rows are numbered from 1.

    A stream gives its rows once and a table is read several times, so they are kept in memory;
    those of a table are there already.
    """

    def __init__(self, source: Any, name: str = "table") -> None:
        import pyarrow as pa

        self.source = name
        with _readable(name):
            self._table = pa.RecordBatchReader.from_stream(source).read_all()
        self.num_rows = self._table.num_rows
        self.names, self.types = _describe(self._table.schema)

    def rows(self, columns: Sequence[Column]) -> Iterator[Row]:
        """Yield every row. Raises MappingError when a text is none."""
        chosen = self._table.select([self.place(column) for column in columns])
        with _readable(self.source):
            yield from _cells(chosen.to_batches(), chosen.num_rows)


class ParquetTable(RowTable):
    """A Parquet file of answers, the caller's own: Arrow reads it without special care.

    Rows are numbered from 1.
    """

    def __init__(self, file: TableFile) -> None:
        import pyarrow.parquet as pq

        self.source = file.name
        self._file = file
        with _readable(self.source), file.open() as opened:
            parquet = pq.ParquetFile(opened)
            self.num_rows = parquet.metadata.num_rows
            self.names, self.types = _describe(parquet.schema_arrow)

    def rows(self, columns: Sequence[Column]) -> Iterator[Row]:
        """Yield every row. Raises MappingError when the file is damaged inside."""
        import pyarrow.parquet as pq

        names = [self.names[self.place(column)][0] for column in columns]
        with _readable(self.source), self._file.open() as opened:
            parquet = pq.ParquetFile(opened)
            if len(set(names)) != len(names) or len(set(self.columns)) != len(self.columns):
                # Parquet finds columns by name; of two with one name only the place decides.
                table = parquet.read().select([self.place(column) for column in columns])
                yield from _cells(table.to_batches(), self.num_rows)
                return
            batches = parquet.iter_batches(batch_size=_SLICE, columns=names)
            # In the order asked for, which is not that of the file.
            yield from _cells((batch.select(names) for batch in batches), self.num_rows)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn Arrow's complaints, which may quote what they choke on, into a MappingError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise MappingError(
            f"{source}: not readable ({type(error).__name__})", code="table.read"
        ) from None


def _describe(schema: pa.Schema) -> tuple[list[list[str]], list[str]]:
    """Return the names of every column and what its cells are."""
    return [[name] for name in schema.names], [_kind(field.type) for field in schema]


def _kind(arrow: pa.DataType) -> str:
    from pyarrow import types

    if types.is_dictionary(arrow):
        return _kind(arrow.value_type)
    if _is_text(arrow) or types.is_boolean(arrow) or types.is_null(arrow):
        return "text"
    if types.is_integer(arrow) or types.is_floating(arrow) or types.is_decimal(arrow):
        return "number"
    if types.is_list(arrow) or types.is_large_list(arrow):
        item = arrow.value_type
        is_text = _is_text(item.value_type if types.is_dictionary(item) else item)
        return "list" if is_text else _words(arrow)
    return _words(arrow)


def _words(arrow: pa.DataType) -> str:
    """A type that cannot be read, without the names inside it, which are somebody's data."""
    return re.split(r"[<\[(]", str(arrow))[0]


def _is_text(arrow: pa.DataType) -> bool:
    from pyarrow import types

    return bool(
        types.is_string(arrow) or types.is_large_string(arrow) or types.is_string_view(arrow)
    )


def _cells(batches: Iterable[pa.RecordBatch], num_rows: int) -> Iterator[Row]:
    """Yield the rows of record batches, a slice at a time, so that memory stays flat."""
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE):
            part = batch.slice(start, _SLICE)
            texts = [_texts(column) for column in part.columns]
            for offset in range(part.num_rows):
                number += 1
                yield number, [column[offset] for column in texts]
    # A selection of no columns has no batches, and still as many rows.
    for rest in range(number + 1, num_rows + 1):
        yield rest, []


def _texts(column: Any) -> Any:
    """Turn one column of a slice into cells."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_dictionary(column.type):
        return pa.array(_texts(column.dictionary), pa.string()).take(column.indices).to_pylist()
    if types.is_list(column.type) or types.is_large_list(column.type):
        return [None if v is None else [t or "" for t in v] for v in column.to_pylist()]
    if types.is_float16(column.type):
        column = column.cast(pa.float32())
    texts = pc.cast(column, pa.string()).to_pylist()
    if types.is_floating(column.type):
        return ["0" if text == "-0" else text for text in texts]
    return texts

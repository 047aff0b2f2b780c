"""Rows of a Parquet file, and of whatever speaks Arrow: polars, pandas, DuckDB."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from grievance.client.rows import RowTable
from grievance.errors import MappingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from grievance.client.rows import Row

_SLICE = 1_000


class ArrowTable(RowTable):
    """Anything with the Arrow PyCapsule interface. Rows are numbered from 1."""

    def __init__(self, source: Any, name: str = "table") -> None:
        import pyarrow as pa

        self.source = name
        with _readable(name):
            self._reader = pa.RecordBatchReader.from_stream(source)
        rows = getattr(source, "num_rows", None)
        self.num_rows = rows if isinstance(rows, int) else _length(source)
        self.columns, self.kinds = _describe(self._reader.schema)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield every row once; a stream cannot be read twice. Raises MappingError."""
        with _readable(self.source):
            yield from _cells(iter(self._reader), columns)


class ParquetTable(RowTable):
    """A Parquet file of answers, the caller's own: Arrow reads it without special care.

    Rows are numbered from 1.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.source = path.name
        with _readable(self.source):
            self._file = pq.ParquetFile(path)
        self.num_rows = self._file.metadata.num_rows
        self.columns, self.kinds = _describe(self._file.schema_arrow)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield every row. Raises MappingError when the file is damaged inside."""
        with _readable(self.source):
            batches = self._file.iter_batches(batch_size=_SLICE, columns=list(columns))
            yield from _cells(batches, columns)


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


def _length(source: Any) -> int | None:
    return len(source) if hasattr(source, "__len__") else None


def _describe(schema: pa.Schema) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the column names and what each column's cells are."""
    kinds: dict[str, str] = {}
    for field in schema:
        kinds[field.name] = "twice" if field.name in kinds else _kind(field.type)
    return tuple(schema.names), kinds


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
        return "list" if is_text else str(arrow)
    return str(arrow)


def _is_text(arrow: pa.DataType) -> bool:
    from pyarrow import types

    return bool(
        types.is_string(arrow) or types.is_large_string(arrow) or types.is_string_view(arrow)
    )


def _cells(batches: Iterator[pa.RecordBatch], columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of record batches, a slice at a time, so that memory stays flat."""
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE):
            part = batch.slice(start, _SLICE)
            texts = [_texts(part.column(column)) for column in columns]
            for offset in range(part.num_rows):
                number += 1
                yield number, [column[offset] for column in texts]


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

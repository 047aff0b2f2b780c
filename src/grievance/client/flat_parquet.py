"""Parquet files that hold nothing but fixed-width rows, located without asking Arrow.

The one layout: required FIXED_LEN_BYTE_ARRAY columns, uncompressed, one PLAIN data page per
column and row group, one after the other from byte 4 to the footer. In such a file every
row stands at a place that follows from the widths, so a row is sliced, not decoded. Any tool
can read these files; footer and page headers must say exactly what the slices say, so no
tool reads anything else in them.
Source: Apache Parquet format, parquet.thrift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from grievance.client.thrift import (
    CompactReader,
    Value,
    Written,
    binary,
    i32,
    i64,
    items,
    struct,
)
from grievance.errors import ShapeError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAGIC = b"PAR1"
MAX_GROUP_ROWS = 10_000
MAX_GROUP_SIZE = 64 << 20
# Some 60 bytes a column and row group: enough for terabytes of reports.
MAX_FOOTER_SIZE = 1 << 20
# Our page headers take some 25 bytes.
_MAX_PAGE_HEADER = 64
CREATED_BY = b"grievance"
_FIXED_LEN_BYTE_ARRAY, _REQUIRED, _UNCOMPRESSED, _DATA_PAGE, _PLAIN, _RLE = 7, 0, 0, 0, 0, 3
_NO_STRUCTS: Written = (9, b"\x0c")
"""An empty list of structs: a file without rows has no row groups."""

Column = tuple[str, int]
"""Name and width in bytes."""


@dataclass(frozen=True)
class FlatFile:
    """Where rows stand: per row group its number of rows and each column's first byte."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[int, tuple[int, ...]], ...]
    metadata: Mapping[bytes, bytes]

    @property
    def num_rows(self) -> int:
        """Rows in the whole file."""
        return sum(rows for rows, _ in self.groups)

    def frame(self, file: BinaryIO, size: int) -> bytes:
        """Everything in a file of `size` bytes that is no row: page headers and footer."""
        pieces, at = [], 0
        for rows, starts in self.groups:
            for start, (_, width) in zip(starts, self.columns, strict=True):
                file.seek(at)
                pieces.append(file.read(start - at))
                at = start + rows * width
        file.seek(at)
        return b"".join([*pieces, file.read(size - at)])

    def rows(self, file: BinaryIO) -> Iterator[tuple[bytes, ...]]:
        """Yield the cells of every row, one row group in memory at a time.

        Raises WireError when the file has become shorter.
        """
        for rows, starts in self.groups:
            pieces = []
            for start, (_, width) in zip(starts, self.columns, strict=True):
                file.seek(start)
                pieces.append(file.read(rows * width))
                if len(pieces[-1]) != rows * width:
                    raise WireError("the file ends too early", code="wire.short")
            widths = [width for _, width in self.columns]
            for row in range(rows):
                yield tuple(
                    piece[row * width : (row + 1) * width]
                    for piece, width in zip(pieces, widths, strict=True)
                )


class FlatWriter:
    """Writes a file of this layout, a row group at a time, and the footer at `finish`.

    Byte for byte what Arrow writes with no compression, dictionary, statistics or schema of its
    own, apart from the name of the writer: a file does not tell which version made it.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file, self._columns = file, columns
        self._place, self._rows = len(MAGIC), 0
        self._groups: list[Written] = []
        file.write(MAGIC)

    def write(self, rows: Sequence[Sequence[bytes]]) -> None:
        """Write 1 to `rows_per_group` rows, each of one cell a column, as one row group.

        Raises ShapeError for another number of rows, and for cells that are not as wide as their
        column: the rows behind one would stand in other places than readers look for them.
        """
        count, start = len(rows), self._place
        widths = [width for _, width in self._columns]
        if not 1 <= count <= rows_per_group(self._columns):
            raise ShapeError("a row group has too many rows, or none")
        if any([len(cell) for cell in row] != widths for row in rows):
            raise ShapeError("a cell is not as wide as its column")
        chunks = [self._chunk(place, rows) for place in range(len(self._columns))]
        size = i64(self._place - start)
        self._rows += count
        group = {1: items(chunks), 2: size, 3: i64(count), 5: i64(start), 6: size}
        self._groups.append(struct(group))

    def _chunk(self, place: int, rows: Sequence[Sequence[bytes]]) -> Written:
        """Write one column of a row group; return what the footer says of it."""
        name, width = self._columns[place]
        count = len(rows)
        plain, rle = i32(_PLAIN), i32(_RLE)
        page = {1: i32(count), 2: plain, 3: rle, 4: rle, 5: struct({})}
        size = i32(count * width)
        _, header = struct({1: i32(_DATA_PAGE), 2: size, 3: size, 5: struct(page)})
        self._file.write(header)
        self._file.write(b"".join(row[place] for row in rows))
        start, length = self._place, i64(len(header) + count * width)
        self._place += len(header) + count * width
        meta = {
            1: i32(_FIXED_LEN_BYTE_ARRAY),
            2: items([rle, plain]),
            3: items([binary(name.encode())]),
            4: i32(_UNCOMPRESSED),
            5: i64(count),
            6: length,
            7: length,
            9: i64(start),
            13: items([struct({1: i32(_DATA_PAGE), 2: plain, 3: i32(1)})]),
        }
        return struct({2: i64(0), 3: struct(meta)})

    def finish(self, metadata: Mapping[bytes, bytes] | None = None) -> None:
        """Write the footer. The file stays open."""
        root = struct({3: i32(_REQUIRED), 4: binary(b"schema"), 5: i32(len(self._columns))})
        kind, required = i32(_FIXED_LEN_BYTE_ARRAY), i32(_REQUIRED)
        leaves = [
            struct({1: kind, 2: i32(width), 3: required, 4: binary(name.encode())})
            for name, width in self._columns
        ]
        pairs = [struct({1: binary(k), 2: binary(v)}) for k, v in (metadata or {}).items()]
        parts = {1: i32(2), 2: items([root, *leaves]), 3: i64(self._rows)}
        parts[4] = items(self._groups) if self._groups else _NO_STRUCTS
        if pairs:
            parts[5] = items(pairs)
        parts[6] = binary(CREATED_BY)
        parts[7] = items([struct({1: struct({})})] * len(self._columns))
        _, footer = struct(parts)
        self._file.write(footer + len(footer).to_bytes(4, "little") + MAGIC)


def rows_per_group(columns: Sequence[Column]) -> int:
    """How many rows of these columns go into one row group."""
    return max(1, min(MAX_GROUP_ROWS, MAX_GROUP_SIZE // sum(width for _, width in columns)))


def locate(file: BinaryIO, size: int) -> FlatFile:
    """Find columns and rows of a file of `size` bytes.

    Reads the footer and one page header per column and row group, nothing else; whether
    the columns are the right ones is for the caller to say. Raises WireError, saying which
    part is not as it must be.
    """
    footer, end = _read_footer(file, size)
    columns = _columns(footer)
    if not columns:
        raise WireError("there are no columns")
    groups = []
    place, total, most = len(MAGIC), 0, rows_per_group(columns)
    for group in _structs(footer.get(4, [])):
        rows = _positive(group.get(3))
        if rows > most:
            raise WireError("a row group has too many rows")
        starts = []
        chunks = _structs(group.get(1))
        if len(chunks) != len(columns):
            raise WireError("a row group has other columns")
        for chunk, column in zip(chunks, columns, strict=True):
            header = _chunk_header_size(chunk, column, rows, place)
            _check_page_header(file, place, header, rows, column[1])
            starts.append(place + header)
            place += header + rows * column[1]
            if place > end:
                raise WireError("rows reach into the footer")
        groups.append((rows, tuple(starts)))
        total += rows
    if place != end or footer.get(3) != total:
        raise WireError("the file holds something other than rows")
    return FlatFile(columns, tuple(groups), _metadata(footer))


def _read_footer(file: BinaryIO, size: int) -> tuple[dict[int, Value], int]:
    """Return the footer and where it starts."""
    if size < 12:
        raise WireError("too short to be a file of rows", code="wire.short")
    file.seek(0)
    start = file.read(4)
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if not (start == tail[4:] == MAGIC and length <= min(MAX_FOOTER_SIZE, size - 12)):
        raise WireError("not a whole file of rows", code="wire.kind")
    file.seek(size - 8 - length)
    reader = CompactReader(file.read(length))
    footer = reader.struct()
    if reader.at != length or not set(footer) <= {1, 2, 3, 4, 5, 6, 7}:
        raise WireError("the footer has parts that do not belong there")
    return footer, size - 8 - length


def _columns(footer: dict[int, Value]) -> tuple[Column, ...]:
    """Return name and width of every column, all fixed-width and required."""
    root, *leaves = _structs(footer.get(2)) or [{}]
    found = []
    for leaf in leaves:
        name, width = leaf.get(4), leaf.get(2)
        if (
            leaf.get(1) != _FIXED_LEN_BYTE_ARRAY
            or leaf.get(3) != _REQUIRED
            or not isinstance(name, bytes)
            or not isinstance(width, int)
            or width <= 0
            or not set(leaf) <= {1, 2, 3, 4}
        ):
            raise WireError("a column is not of fixed width")
        found.append((name.decode("utf-8", "replace"), width))
    if root.get(5) != len(found):
        raise WireError("columns are nested")
    return tuple(found)


def _chunk_header_size(chunk: dict[int, Value], column: Column, rows: int, place: int) -> int:
    """Check what the footer says of one column chunk; return the size of its page header."""
    meta = chunk.get(3)
    if not isinstance(meta, dict) or not set(chunk) <= {2, 3}:
        raise WireError("a column chunk has parts that do not belong there")
    size = _positive(meta.get(7))
    header = size - rows * column[1]
    if not (
        set(meta) <= {1, 2, 3, 4, 5, 6, 7, 9, 13}
        and meta.get(1) == _FIXED_LEN_BYTE_ARRAY
        and meta.get(3) == [column[0].encode()]
        and meta.get(4) == _UNCOMPRESSED
        and meta.get(5) == rows
        and meta.get(6) == size
        and meta.get(9) == place
        and 0 < header <= _MAX_PAGE_HEADER
    ):
        raise WireError("a column chunk is not laid out as plain rows")
    return header


def _check_page_header(file: BinaryIO, place: int, size: int, rows: int, width: int) -> None:
    """Check that one plain page holds all rows of the chunk."""
    file.seek(place)
    reader = CompactReader(file.read(size))
    header = reader.struct()
    page = header.get(5)
    if not (
        reader.at == size
        and isinstance(page, dict)
        and set(header) == {1, 2, 3, 5}
        and header[1] == _DATA_PAGE
        and header[2] == header[3] == rows * width
        and set(page) - {5} == {1, 2, 3, 4}
        and not page.get(5)  # Arrow writes the place of statistics even where there are none
        and page[1] == rows
        and page[2] == _PLAIN
    ):
        raise WireError("a page is not laid out as plain rows")


def _metadata(footer: dict[int, Value]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for entry in _structs(footer.get(5, [])):
        key, value = entry.get(1), entry.get(2)
        if not isinstance(key, bytes) or not isinstance(value, bytes) or key in found:
            raise WireError("the metadata is not a list of keys and values")
        found[key] = value
    return found


def _structs(value: Value | None) -> list[dict[int, Value]]:
    if not isinstance(value, list):
        raise WireError("the footer lacks a part")
    structs = [item for item in value if isinstance(item, dict)]
    if len(structs) != len(value):
        raise WireError("a part of the footer is of the wrong type")
    return structs


def _positive(value: Value | None) -> int:
    if not isinstance(value, int) or value <= 0:
        raise WireError("the footer lacks a number")
    return value

"""Rows of a CSV file, every cell as the text that stands in it.

Rules, so that nothing is guessed:
- UTF-8, with or without a byte order mark; UTF-16 with one; anything else is named by the
  mapping's `encoding`.
- The delimiter is the one that a first line `sep=;` names, else the one of comma, semicolon
  and tab that the first row uses outside quotes. A row that uses two of them needs the
  mapping's `delimiter`.
- Rows are numbered as a spreadsheet shows them: the header is row 1, and `sep=` is none.
  Empty lines and rows in which every cell is empty count, and hold nobody.
- A row with more or fewer cells than the header is refused by itself; empty cells too many
  at its end do no harm. Quotes that do not close refuse the file, before anything is sealed.

The standard library reads it rather than Arrow, whose CSV reader loses row numbers at the
first bad row; sealing takes a thousand times longer than reading.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from typing import TYPE_CHECKING, TextIO

from grievance.errors import MappingError
from grievance.tables.rows import RowTable, name_columns
from grievance.tables.table_file import has_two_byte_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.tables.rows import Column, Row
    from grievance.tables.table_file import TableFile

DELIMITERS = (",", ";", "\t")
"""What a first row is searched for."""

ALL_DELIMITERS = (*DELIMITERS, "|")
"""What a mapping or a line `sep=` may name."""

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8"}
_SEP = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)
# A header longer than this is not a header.
_MAX_HEADER = 1 << 20
_MAX_CELL = 1 << 24
_BAD_BYTES = range(0xDC80, 0xDD00)  # what `surrogateescape` makes of bytes that are no text
_BOM = "\ufeff"


class CsvTable(RowTable):
    """A CSV file, read once for its structure, and again for every use of its rows.

    `header_rows` rows name the columns; with 0 they are named "1", "2", ...
    Raises MappingError `table.read`, `table.encoding`, `table.delimiter`, `table.quotes`.
    """

    def __init__(
        self,
        file: TableFile,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        header_rows: int = 1,
    ) -> None:
        self._file = file
        self.source = file.name
        self._header_rows = header_rows
        self._encoding = encoding or self._detect_encoding()
        self._delimiter = ","
        self._has_sep = False
        self._sniff(delimiter)
        self.num_rows = self.num_empty = 0
        header: list[list[str]] = []
        width = 0
        for number, cells in self._records():
            width = width or len(cells)
            if number <= header_rows:
                header.append(cells)
            elif _is_empty(cells):
                self.num_empty += cells != []
            else:
                self.num_rows += 1
        if not header_rows:
            self.names: Sequence[Sequence[str]] = [[str(at)] for at in range(1, width + 1)]
        else:
            self.names = name_columns(header)
            if not any(names[0] for names in self.names):
                raise self._error("table.read", "the first row has no column names")
            if any(is_garbled(name) for row in header for name in row):
                raise self._error("table.encoding", f"the header is not {self._encoding} text")
        self.types = ["text"] * len(self.names)

    def rows(self, columns: Sequence[Column]) -> Iterator[Row]:
        """Yield (row number, cells of `columns`), or the reason why a row has none."""
        places = [self.place(column) for column in columns]
        width = len(self.names)
        for number, cells in self._records():
            if number <= self._header_rows or _is_empty(cells):
                continue
            if len(cells) < width or not _is_empty(cells[width:]):
                yield number, "the row has more or fewer cells than the header"
            else:
                yield number, [cells[place] for place in places]

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every record with its number; [] for an empty line."""
        # The limit is the interpreter's, not the reader's: raised once, never lowered.
        if csv.field_size_limit() < _MAX_CELL:
            csv.field_size_limit(_MAX_CELL)
        with self._open() as file:
            if self._has_sep:
                file.readline()
            number = 0
            try:
                for cells in csv.reader(file, delimiter=self._delimiter, strict=True):
                    number += 1
                    yield number, cells
            except csv.Error as error:
                if "field limit" in str(error):
                    raise self._error(
                        "table.quotes",
                        f"row {number + 1} has a cell of more than {_MAX_CELL:,} characters, so a "
                        "quote before it does not close",
                    ) from None
                raise self._error(
                    "table.quotes",
                    f"in row {number + 1} quotes do not close, or stand inside a cell",
                ) from None

    @contextlib.contextmanager
    def _open(self) -> Iterator[TextIO]:
        """Open the file as text; what goes wrong inside becomes a MappingError."""
        try:
            # Python's "utf-8" would make a byte order mark part of the first column's name, as
            # its "utf-16-le" does.
            is_utf8 = codecs.lookup(self._encoding).name == "utf-8"
            encoding = "utf-8-sig" if is_utf8 else self._encoding
            with (
                self._file.open() as raw,
                io.TextIOWrapper(
                    raw, encoding=encoding, errors="surrogateescape", newline=""
                ) as file,
            ):
                if encoding.lower().startswith("utf") and file.read(1) != _BOM:
                    file.seek(0)
                yield file
        except MappingError:
            raise
        except OSError as error:
            raise self._error("table.read", str(error.strerror)) from None
        except (ValueError, LookupError):
            raise self._error(
                "table.encoding", f"this is not {self._encoding!r:.40} text"
            ) from None

    def _sniff(self, delimiter: str | None) -> None:
        """Find the delimiter: the mapping's, that of `sep=`, or the only one of the first row."""
        with self._open() as file:
            lines = [file.readline(_MAX_HEADER)]
            if sep := _SEP.fullmatch(lines[0]):
                self._has_sep = True
                lines = [file.readline(_MAX_HEADER)]
                if sep[1] not in ALL_DELIMITERS and delimiter is None:
                    raise self._error(
                        "table.delimiter", "its line `sep=` names no comma, semicolon, tab or bar"
                    )
            size, quotes = len(lines[0]), lines[0].count('"')
            while quotes % 2 and size < _MAX_HEADER and (line := file.readline(_MAX_HEADER)):
                lines.append(line)
                size, quotes = size + len(line), quotes + line.count('"')
        outside = "".join("".join(lines).split('"')[::2])
        used = [sign for sign in DELIMITERS if sign in outside]
        if delimiter is None and sep is None and len(used) > 1:
            raise self._error(
                "table.delimiter", "the first row uses more than one of comma, semicolon and tab"
            )
        self._delimiter = delimiter or (sep[1] if sep else (used or [","])[0])

    def _detect_encoding(self) -> str:
        """Return the encoding a byte order mark names, else UTF-8."""
        head = self._file.head
        found = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
        if found is None and (unmarked := has_two_byte_text(head)):
            raise MappingError(
                f"{self.source}: this is UTF-16 text without a byte order mark",
                code="table.encoding",
                hint=f'say `encoding = "{unmarked}"` in the mapping, or save it as UTF-8',
            )
        return found or "utf-8"

    def _error(self, code: str, message: str) -> MappingError:
        hints = {
            "table.encoding": "say `encoding` in the mapping (such as cp1252), or save it as UTF-8",
            "table.delimiter": "say `delimiter` in the mapping",
            "table.quotes": "open the file in a spreadsheet and save it as CSV again",
            "table.read": "the mapping's `header_rows` says how many rows name the columns",
        }
        return MappingError(f"{self.source}: {message}", code=code, hint=hints.get(code))


def is_garbled(text: str) -> bool:
    """Whether a cell holds bytes that are no text in the file's encoding."""
    return not text.isascii() and any(ord(char) in _BAD_BYTES for char in text)


def _is_empty(cells: Sequence[str]) -> bool:
    return not any(cell.strip() for cell in cells)

"""Rows of a CSV file, every cell as the text that stands in it.

Rules, so that nothing is guessed:
- UTF-8, with or without a byte order mark; UTF-16 with one; anything else is named by the
  mapping's `encoding`.
- The delimiter is the one of comma, semicolon and tab that the header row uses outside
  quotes. A header that uses two of them needs the mapping's `delimiter`.
- Rows are numbered as a spreadsheet shows them: the header is row 1. Empty lines count, and
  hold nobody.
- A row with more or fewer cells than the header, or with bytes that are no text, is refused
  by itself. Quotes that do not close refuse the file, before anything is sealed.

The standard library reads it rather than Arrow, whose CSV reader loses row numbers at the
first bad row; sealing takes a thousand times longer than reading.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from grievance.client.rows import RowTable
from grievance.client.text import normal
from grievance.errors import MappingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from grievance.client.rows import Row

DELIMITERS = (",", ";", "\t")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8"}
# A header longer than this is not a header.
_MAX_HEADER = 1 << 20
_BAD_BYTES = range(0xDC80, 0xDD00)  # what `surrogateescape` makes of bytes that are no text


class CsvTable(RowTable):
    """A CSV file, read twice: once for its structure, once for its rows.

    Raises MappingError `table.read`, `table.encoding`, `table.delimiter`, `table.quotes`.
    """

    def __init__(
        self, path: Path, *, delimiter: str | None = None, encoding: str | None = None
    ) -> None:
        self._path = path
        self.source = path.name
        self._encoding = encoding or _detect_encoding(path)
        self._delimiter = delimiter or self._sniff()
        num_rows = 0
        header: list[str] = []
        for number, cells in self._records():
            if number == 1:
                header = cells
            elif cells != []:
                num_rows += 1
        if not header:
            raise self._error("read", "the first row has no column names")
        if any(_is_garbled(name) for name in header):
            raise self._error("encoding", f"the header is not {self._encoding} text")
        self.num_rows = num_rows
        self.columns = tuple(normal(name) for name in header)
        counts = Counter(self.columns)
        self.kinds = {name: "text" if counts[name] == 1 else "twice" for name in counts}

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield (row number, cells of `columns`), or the reason why a row has none."""
        places = [self.columns.index(column) for column in columns]
        for number, cells in self._records():
            if number == 1 or cells == []:
                continue
            if len(cells) != len(self.columns):
                yield number, "the row has more or fewer cells than the header"
                continue
            chosen = [cells[place] for place in places]
            if any(_is_garbled(cell) for cell in chosen):
                yield number, f"a cell is not {self._encoding} text"
            else:
                yield number, chosen

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every record with its number; [] for an empty line."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            yield from enumerate(reader, start=1)

    @contextlib.contextmanager
    def _open(self) -> Iterator[TextIO]:
        """Open the file as text; what goes wrong inside becomes a MappingError."""
        try:
            # Python's "utf-8" would make a byte order mark part of the first column's name.
            is_utf8 = codecs.lookup(self._encoding).name == "utf-8"
            encoding = "utf-8-sig" if is_utf8 else self._encoding
            with self._path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
                yield file
        except csv.Error:
            raise self._error("quotes", "quotes do not close, or stand inside a cell") from None
        except OSError as error:
            raise self._error("read", str(error.strerror)) from None
        except (ValueError, LookupError):
            raise self._error("encoding", f"this is not {self._encoding!r:.40} text") from None

    def _sniff(self) -> str:
        """Return the only delimiter the header row uses; a comma when there is none."""
        with self._open() as file:
            lines = [file.readline(_MAX_HEADER)]
            size, quotes = len(lines[0]), lines[0].count('"')
            while quotes % 2 and size < _MAX_HEADER and (line := file.readline(_MAX_HEADER)):
                lines.append(line)
                size, quotes = size + len(line), quotes + line.count('"')
        header = "".join(lines)
        outside = "".join(header.split('"')[::2])
        used = [delimiter for delimiter in DELIMITERS if delimiter in outside]
        if len(used) > 1:
            raise self._error(
                "delimiter", "the header row uses more than one of comma, semicolon and tab"
            )
        return used[0] if used else ","

    def _error(self, code: str, message: str) -> MappingError:
        hints = {
            "encoding": "say `encoding` in the mapping (such as cp1252), or save it as UTF-8",
            "delimiter": "say `delimiter` in the mapping",
            "quotes": "open the file in a spreadsheet and save it as CSV again",
        }
        return MappingError(f"{self.source}: {message}", code=f"table.{code}", hint=hints.get(code))


def _detect_encoding(path: Path) -> str:
    """Return the encoding a byte order mark names, else UTF-8."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise MappingError(f"{path.name}: {error.strerror}", code="table.read") from None
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


def _is_garbled(text: str) -> bool:
    return any(ord(char) in _BAD_BYTES for char in text)

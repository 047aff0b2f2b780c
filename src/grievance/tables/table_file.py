"""The file a table comes from: opened as often as needed, or read once where it is a pipe.

A pipe (`/dev/stdin`, process substitution) gives its bytes only once, and a table is read
several times: checked whole, then sealed. So what is no regular file is kept in memory. A
regular file that changes between two readings is refused: what was checked is what is sealed.

Files of other programs are named for what they are, by how they begin. Nothing is unpacked.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import zipfile
from typing import TYPE_CHECKING, BinaryIO

from grievance.errors import MappingError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 2048
_CSV = "save it there as CSV"
_MAGICS: dict[bytes, str] = {
    b"\xd0\xcf\x11\xe0": f"an old Excel file: {_CSV}",
    b"\x1f\x8b": "compressed (gzip): unpack it first",
    b"BZh": "compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "compressed (xz): unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed (zstd): unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"$FL2": f"an SPSS file: {_CSV}",
    b"$FL3": f"an SPSS file: {_CSV}",
    b"<stata_dta>": f"a Stata file: {_CSV} (`export delimited`)",
    b"\x71\x02": f"a Stata file: {_CSV} (`export delimited`)",
    b"\x72\x02": f"a Stata file: {_CSV} (`export delimited`)",
    b"\x73\x02": f"a Stata file: {_CSV} (`export delimited`)",
    b"RDX": f"a file of R: {_CSV} (`write.csv`)",
    b"ARROW1": "an Arrow (Feather) file: open it in Python and hand over the table, or save CSV",
    b"SQLite format 3\x00": "a SQLite database: export the table as CSV",
    bytes(12) + b"\xc2\xea\x81\x60": f"a SAS file: {_CSV}",
    b"%PDF": "a PDF document: export the table as CSV",
    b"{\\rtf": "a text document: export the table as CSV",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_TEXTS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    (
        (b"<html", b"<!doctype html", b"<table", b"<meta"),
        "a web page, as some systems export under the name .xls: open it and save it as CSV",
    ),
    ((b"<?xml", b"<workbook"), "an XML file: open it in a spreadsheet and save it as CSV"),
    (
        (b'{"', b"[{", b"{\n", b"{\r\n", b"[\n", b"[\r\n"),
        "JSON: export it as CSV; one person's answers go to --answers",
    ),
)
_IN_ZIP = (
    ("xl/", f"an Excel file: {_CSV} (CSV UTF-8)"),
    ("Index/", f"a Numbers file: {_CSV} (File, Export to)"),
    ("word/", "a Word document: a table comes from a spreadsheet or a form, as CSV"),
    ("content.xml", f"an OpenDocument file (LibreOffice): {_CSV}"),
)


class TableFile:
    """The bytes of one table. Raises MappingError `table.read` where there is nothing to read."""

    def __init__(self, path: Path) -> None:
        self._path, self._data = path, b""
        self._seen: tuple[int, int, int] | None = None
        self.name = "standard input" if str(path) == "-" else path.name
        try:
            if str(path) == "-":
                self._data = _standard_input()
            else:
                with path.open("rb") as file:
                    info = os.fstat(file.fileno())
                    if stat.S_ISREG(info.st_mode):
                        self._seen = _marks(info)
                    else:
                        self._data = file.read()
        except OSError as error:
            raise MappingError(f"{path}: {error.strerror}", code="table.read") from None
        with self.open() as again:
            self.head = again.read(_HEAD)

    def open(self) -> BinaryIO:
        """Open the bytes from their beginning."""
        if self._seen is None:
            return io.BytesIO(self._data)
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise MappingError(f"{self._path}: {error.strerror}", code="table.read") from None
        if _marks(os.fstat(file.fileno())) != self._seen:
            file.close()
            raise MappingError(
                f"{self.name}: the file changed while it was read; nothing was written",
                code="table.changed",
                hint="close it in other programs, and run the same command again",
            )
        return file

    def refuse_foreign(self) -> None:
        """Raise MappingError `table.type` for a file of another program, saying which."""
        what = self._foreign()
        if what:
            raise MappingError(
                f"{self.name} is {what}",
                code="table.type",
                hint="a table is a CSV or a Parquet file",
            )

    def _foreign(self) -> str | None:
        head = self.head
        if not head:
            return "empty: nothing was exported into it"
        if head.startswith(b"PK\x03\x04"):
            return self._zipped()
        found = next((words for start, words in _MAGICS.items() if head.startswith(start)), None)
        if found:
            return found
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        return next((words for starts, words in _TEXTS if text.startswith(starts)), None)

    def _zipped(self) -> str:
        """What is in a zip file, by the names in its table of contents alone."""
        try:
            with self.open() as file, zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            names = []
        for start, words in _IN_ZIP:
            if any(name.startswith(start) for name in names):
                return words
        return "a spreadsheet or zip file: unpack it, or save the sheet as CSV"


def has_two_byte_text(head: bytes) -> str | None:
    """Name the encoding of UTF-16 text without a byte order mark, by where its zeros stand."""
    pairs = len(head) // 2
    if pairs < 2:
        return None
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd * 2 > pairs and not even:
        return "utf-16-le"
    return "utf-16-be" if even * 2 > pairs and not odd else None


def _marks(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_ino, info.st_size, info.st_mtime_ns


def _standard_input() -> bytes:
    stream = sys.stdin
    if stream.isatty():
        raise MappingError(
            "there is no table on standard input",
            code="table.read",
            hint="name the file, or pipe it in: ... | grievance seal ... --table -",
        )
    binary = getattr(stream, "buffer", None)
    return binary.read() if binary is not None else stream.read().encode()

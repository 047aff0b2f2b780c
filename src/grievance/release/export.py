"""Writing a release to files: release.json, tidy CSV or Parquet tables, and release.html.

Run by anyone who holds a release. What is marked hidden is left empty in the tables; the raw
noisy integers are in release.json, which is what can be checked against the pool.
"""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from grievance.errors import ReleaseError, after_fault
from grievance.failpoints import failpoint
from grievance.release.figures import DIGITS, MOST_DECIMALS, plain
from grievance.release.frames import LEADING_COLUMNS, NUMBER_COLUMNS, TRAILING_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.release.base import Table
    from grievance.release.release import Release

Format = Literal["json", "csv", "parquet", "html"]
ALL_TABLES = "tables"
_INTERVALS = (
    ("estimate", "margin_95", "low_95", "high_95"),
    ("share", "share_low_95", "share_high_95"),
)
_MARKS = {"release.json", "release.html", f"{ALL_TABLES}.csv"}
_OURS = re.compile(r"release\.json|release\.html|[a-z][a-z0-9_]{0,39}(\.statistic)?\.(csv|parquet)")
# The last four are wide forms of the first, which some spreadsheets take for the same.
_FORMULA_STARTS = tuple("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")


def export(
    release: Release,
    folder: str | Path,
    formats: Sequence[Format] = ("json", "csv", "parquet", "html"),
    *,
    overwrite: bool = False,
    relays: Mapping[str, int] | None = None,
) -> list[Path]:
    """Write a release into a folder of its own; return the files written, in order.

    `json`: release.json. `csv`: `tables.csv` with all statistics and `<statistic>.csv` for
    each. `parquet`: `<statistic>.parquet`. `html`: `release.html`, for people, which names
    `relays` (partner to the sealed reports it passed on) if they are given. Everything is
    written beside the folder first and then moved into place, so there is a whole export or
    none. Raises ReleaseError for an
    unknown format, and for a folder that holds anything, unless `overwrite`: that replaces a
    folder in which there is nothing but an earlier export.
    """
    target = Path(folder)
    unknown = [name for name in formats if name not in get_args(Format)]
    if unknown or not formats:
        raise ReleaseError(
            f"no such format: {', '.join(map(str, unknown)) or 'none given'}",
            code="release.format",
            hint="formats: " + ", ".join(get_args(Format)),
        )
    _check_target(target, overwrite=overwrite)
    fresh = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        fresh.chmod(0o755)
        names = _write_all(release, fresh, formats, relays or {})
        failpoint("export.written")
        _move(fresh, target)
        failpoint("export.moved")
    except OSError as error:
        raise ReleaseError(
            f"{target} cannot be written: {error.strerror}",
            code="release.folder",
            hint=after_fault(error),
        ) from error
    finally:
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)
    return [target / name for name in names]


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ReleaseError(f"{target} is not a folder", code="release.folder")
    there = sorted(path.name for path in target.iterdir()) if target.exists() else []
    if there and not overwrite:
        raise ReleaseError(
            f"{target} is not empty", code="release.folder", hint="name a new folder"
        )
    # Overwriting deletes, so it must never reach anything but what an export has written.
    strange = [name for name in there if not _OURS.fullmatch(name)]
    if strange or (there and not _MARKS & set(there)):
        raise ReleaseError(
            f"{target} holds something other than an export",
            code="release.folder",
            hint="name a new folder",
        )


def _move(fresh: Path, target: Path) -> None:
    """Put `fresh` in the place of `target`, which is missing, empty, or an earlier export."""
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        target.replace(old)
        try:
            failpoint("export.aside")
            fresh.replace(target)
        except OSError:
            old.replace(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.replace(target)


def _write_all(
    release: Release, folder: Path, formats: Sequence[Format], relays: Mapping[str, int]
) -> list[str]:
    written: list[str] = []

    def write(name: str, data: bytes) -> None:
        (folder / name).write_bytes(data)
        written.append(name)

    if "json" in formats:
        write("release.json", release.to_bytes())
    if "csv" in formats:
        write(f"{ALL_TABLES}.csv", to_csv(*release))
        for table in release:
            write(f"{_stem(table)}.csv", to_csv(table))
    if "parquet" in formats:
        import pyarrow.parquet as pq

        for table in release:
            name = f"{_stem(table)}.parquet"
            pq.write_table(table.to_arrow(), folder / name)
            written.append(name)
    if "html" in formats:
        write("release.html", release.to_html(relays=relays).encode())
    return written


def _stem(table: Table) -> str:
    return f"{table.name}.statistic" if table.name == ALL_TABLES else table.name


def to_csv(*tables: Table) -> bytes:
    """Return tables as one tidy CSV: RFC 4180, UTF-8, one column for every field that is an axis.

    Labels that a spreadsheet would take for a formula get a ' in front; numbers stay numbers,
    with a decimal point, no exponent, and six decimals, or more where the margin is smaller than
    that shows. What is hidden is empty.
    """
    axes = dict.fromkeys(column for table in tables for column in table.columns.values())
    columns = [*LEADING_COLUMNS, *axes, *NUMBER_COLUMNS, *TRAILING_COLUMNS]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for table in tables:
        for row in table.to_rows():
            digits = _decimals(row)
            writer.writerow([_cell(row.get(name), digits.get(name, DIGITS)) for name in columns])
    return text.getvalue().encode()


def _decimals(row: Mapping[str, object]) -> dict[str, int]:
    """Return how many decimals the numbers of a row get: six, and as many digits of the margin.

    Not all that a float has: the last ones differ between machines.
    """
    found: dict[str, int] = {}
    for names in _INTERVALS:
        *_, low, high = (row.get(name) for name in names)
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and high > low:
            smallest = 1 - DIGITS + math.floor(math.log10((high - low) / 2))
            found |= dict.fromkeys(names, min(MOST_DECIMALS, max(DIGITS, -smallest)))
    return found


def _cell(value: object, digits: int = DIGITS) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return plain(value, digits)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text

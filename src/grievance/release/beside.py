"""What stands beside release.json, and what it was made from.

release.json is the claim: the task, the ids, the root, the digests and the noisy integers. The
tables and the page beside it follow from it, from the version of this library, and from what
`made-from.json` names. So whoever has these two files makes all others again, to the byte;
`grievance.release.check` does, and compares.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from grievance.crypto.documents import canonical, parse_canonical
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, ReleaseError
from grievance.names import is_name
from grievance.release.document import library
from grievance.release.figures import DIGITS, MOST_DECIMALS, plain
from grievance.release.frames import LEADING_COLUMNS, NUMBER_COLUMNS, TRAILING_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from grievance.release.base import Table
    from grievance.release.release import Release

Format = Literal["csv", "parquet", "html"]
CLAIM: Final = "release.json"
MADE_FROM: Final = "made-from.json"
MADE_FROM_LIMIT: Final = 1 << 20
ALL_TABLES: Final = "tables"
PAGE: Final = "release.html"
_FORMAT: Final = "grievance/2 made from"
_INTERVALS: Final = (
    ("estimate", "margin_95", "low_95", "high_95"),
    ("share", "share_low_95", "share_high_95"),
    ("total", "total_low_95", "total_high_95"),
)
# The last four are wide forms of the first, which some spreadsheets take for the same.
_FORMULA_STARTS: Final = tuple("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")


@dataclass(frozen=True)
class MadeFrom:
    """What the files beside release.json follow from, beside it.

    Attributes:
        claim: SHA-256 of release.json.
        library: Version of this library that wrote them.
        relays: Partner to the sealed reports it passed on, which the page says; the pool knows.
        writers: Libraries that wrote files whose bytes are theirs (Parquet), with their versions.
    """

    claim: bytes
    library: str
    relays: Mapping[str, int]
    writers: Mapping[str, str]

    @classmethod
    def of(cls, claim: bytes, formats: Sequence[Format], relays: Mapping[str, int]) -> Self:
        """What this program makes from the bytes of a release.json, here and now."""
        writers = {}
        if "parquet" in formats:
            import pyarrow as pa

            writers["pyarrow"] = pa.__version__
        return cls(hashlib.sha256(claim).digest(), library(), dict(relays), writers)

    def to_bytes(self) -> bytes:
        """Write made-from.json, a JCS object."""
        return canonical(
            {
                "format": _FORMAT,
                "library": self.library,
                "relays": dict(self.relays),
                "release": self.claim.hex(),
                "writers": dict(self.writers),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read made-from.json. Raises ReleaseError `release.made-from`."""
        try:
            value = parse_canonical(data, MADE_FROM_LIMIT)
        except GrievanceError as error:
            raise ReleaseError(str(error), code="release.made-from") from None
        fields = StrictObject(
            value,
            ("format", "library", "relays", "release", "writers"),
            where="it",
            error=ReleaseError,
            code="release.made-from",
        )
        fields.literal("format", _FORMAT)
        relays, writers = fields.mapping("relays"), fields.mapping("writers")
        if not all(is_name(name) and type(n) is int and n >= 0 for name, n in relays.items()):
            fields.refuse("does not say how many reports each partner passed on", "relays")
        if not all(type(version) is str for version in writers.values()):
            fields.refuse("names no versions", "writers")
        return cls(fields.digest("release"), fields.text("library"), relays, writers)


def texts(
    release: Release, made: MadeFrom, formats: Sequence[Format] = ("csv", "html")
) -> dict[str, bytes]:
    """Make the CSV tables and the page of a release, by file name, in order."""
    found = {}
    if "csv" in formats:
        found[f"{ALL_TABLES}.csv"] = to_csv(*release)
        found |= {f"{stem(table)}.csv": to_csv(table) for table in release}
    if "html" in formats:
        found[PAGE] = release.to_html(relays=made.relays).encode()
    return found


def to_parquet(table: Table, made: MadeFrom) -> bytes:
    """Write one table as Parquet: the rows of `to_arrow`, and what it was made from."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(marked(table, made), file)
    return file.getvalue()


def marked(table: Table, made: MadeFrom) -> pa.Table:
    """The rows of `to_arrow`, which say what they were made from."""
    words = f"made from release.json, SHA-256 {made.claim.hex()}, by grievance {made.library}"
    return table.to_arrow().replace_schema_metadata({"made_from": words})


def stem(table: Table) -> str:
    """What the files of one table are called."""
    return f"{table.name}.statistic" if table.name == ALL_TABLES else table.name


def to_csv(*tables: Table) -> bytes:
    """Return tables as one tidy CSV: RFC 4180, UTF-8, one column for every field that is an axis.

    Labels that a spreadsheet would take for a formula get a ' in front; numbers stay numbers,
    with a decimal point, no exponent, and six decimals, or more where the margin is smaller than
    that shows. What the noise hides is empty.
    """
    axes = dict.fromkeys(column for table in tables for column in table.columns.values())
    columns = [*LEADING_COLUMNS, *axes, *NUMBER_COLUMNS, *TRAILING_COLUMNS]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for table in tables:
        writer.writerows(cells(row, columns) for row in table.to_rows())
    return text.getvalue().encode()


def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """Write one row as text, as far as its numbers are alike on every machine."""
    digits = _decimals(row)
    return [_cell(row.get(name), digits.get(name, DIGITS)) for name in columns]


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

"""Why rows of a table are refused: one by one, and grouped by cause with what would mend it.

Nothing here prints what a cell says. The cells of a cause are kept only for a person who looks
at a table of their own and asks to see them; they are in no repr, message or JSON.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import GrievanceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPAN = re.compile(r"[0-9]{1,9}(?:-[0-9]{1,9})?")

MAX_CELLS = 5
"""So many different cells of one cause are kept for the person who asks to see them."""

PERSON_EMPTY = "row.person"
PERSON_TWICE = "row.twice"

_MENDS = {
    "answers.range": "clip = true, if the nearest limit is meant; or blank, if it is a code",
    "answers.step": "round = true",
    "answers.pick": 'too_many = "blank", which counts these people as not having answered it; '
    "a plan that allows more ticks would count them",
    "answers.twice": "nothing mends it but the table: a choice counts once",
    "answers.required": "nothing mends it: the plan requires an answer; `--partial` leaves "
    "these rows out",
    "table.row": 'delimiter = ";" (or whichever the file has), at the top of the mapping',
    "table.encoding": 'encoding = "cp1252" (or what the file is in), at the top of the mapping',
    PERSON_EMPTY: "give these rows an id in the table, or leave them out",
    PERSON_TWICE: "keep one row of each person: `--rows` takes the rows you name",
}


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not sealed: its number as in the file, the field, the rule it breaks.

    In a CSV file the header is row 1, as a spreadsheet shows it; other tables count from 1.
    `field` is None when the row as a whole, or its partner, is the problem. `hint` is what
    would mend it, often a line of the mapping.
    """

    row: int
    field: str | None
    reason: str
    code: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"row {self.row}: {self.field + ': ' if self.field else ''}{self.reason}"


@dataclass
class Cause:
    """All rows that are refused for one reason, in order. `share` is of all rows looked at."""

    field: str | None
    reason: str
    code: str
    hint: str
    rows: list[int]
    share: float
    cells: list[str] = dataclasses.field(default_factory=list, repr=False)

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.reason}"


class RowsRefusedError(GrievanceError):
    """Rows of a table do not fit, so nothing of it is sealed. `causes` tells why, by row number.

    Its message says the largest cause and never what a cell holds.
    """

    default_code = "table.rows"

    def __init__(self, causes: Sequence[Cause], num_rows: int) -> None:
        refused = sum(len(cause.rows) for cause in causes)
        worst = causes[0]
        super().__init__(
            f"{refused:,} of {num_rows:,} rows are refused, so nothing is sealed; "
            f"most of them ({len(worst.rows):,}): {worst}",
            hint=worst.hint,
        )
        self.causes = tuple(causes)


def mend(code: str, field_name: str | None, hint: str | None) -> str:
    """What would mend a refusal: what its error says, or the line of the mapping for its code."""
    if code not in _MENDS:
        return hint or "look at these rows in the table"
    where = f"under [fields.{field_name}]: " if field_name and " = " in _MENDS[code] else ""
    return where + _MENDS[code]


def grouped(refused: Iterable[RefusedRow], num_rows: int) -> list[Cause]:
    """Group refused rows by cause, the largest first."""
    causes: dict[tuple[str | None, str, str], Cause] = {}
    for row in refused:
        hint = mend(row.code, row.field, row.hint)
        key = row.field, row.reason, hint
        cause = causes.setdefault(key, Cause(row.field, row.reason, row.code, hint, [], 0.0))
        cause.rows.append(row.row)
    for cause in causes.values():
        cause.share = len(cause.rows) / max(num_rows, 1)
    return sorted(causes.values(), key=lambda cause: (-len(cause.rows), cause.rows[0]))


def written(rows: Sequence[int]) -> str:
    """Row numbers in short, as `--rows` takes them: "3-9,12"."""
    spans: list[list[int]] = []
    for row in rows:
        if spans and row == spans[-1][1] + 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    return ",".join(f"{low}-{high}" if low < high else f"{low}" for low, high in spans)


def parse_rows(text: str) -> frozenset[int]:
    """Read row numbers as `written` writes them; lines that begin with # are left out.

    Raises ValueError.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    rows: set[int] = set()
    for part in ",".join(lines).replace(" ", "").split(","):
        if not part:
            continue
        if not _SPAN.fullmatch(part):
            raise ValueError("row numbers look like 3-9,12")
        low, _, high = part.partition("-")
        first, last = int(low), int(high or low)
        if not first <= last < first + 10_000_000:
            raise ValueError("a span of rows goes from a smaller to a larger number")
        rows.update(range(first, last + 1))
    if not rows:
        raise ValueError("no row is named")
    return frozenset(rows)

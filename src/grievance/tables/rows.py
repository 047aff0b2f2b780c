"""A table as rows of cells, whatever file or library it came from.

A cell is text, a list of texts, or None. Columns that are not text become text by one fixed
rule each: integers and decimals in digits, floats in their shortest form without a trailing
".0", booleans as "true" and "false". Other types (dates, structs, bytes) are refused.

No message here repeats what stands in a table, its header included: where a file has no
header, its first row is a person.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from grievance.client.text import normal
from grievance.errors import MappingError

Cell = str | list[str] | None
Column = str | int
"""A column by its name, or by its place, from 1."""
Row = tuple[int, Sequence[Cell] | str]
"""Row number as in the file, and its cells, or the reason why it has none."""

READABLE = ("text", "number", "list")


class RowTable(ABC):
    """What `seal_many` reads, as often as it likes.

    `names` has for every place, from 0, the names of its column: the full one first.
    `types` tells of each what its cells are: "text", "number" (digits with a point), "list"
    (of texts), or a type that cannot be read, in words. `num_rows` counts rows that hold
    somebody, `num_empty` those in which every cell is empty, which are passed over.
    """

    source: str
    names: Sequence[Sequence[str]]
    types: Sequence[str]
    num_rows: int
    num_empty: int = 0

    @abstractmethod
    def rows(self, columns: Sequence[Column]) -> Iterator[Row]:
        """Yield every row: its number and the cells of `columns`, or why it has none."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The full names, in order."""
        return tuple(names[0] for names in self.names)

    @property
    def kinds(self) -> Mapping[Column, str]:
        """What the cells of a column are, by each of its names and by its place.

        A name that several columns have is "twice".
        """
        # A full name goes before a part of another one.
        full = Counter(names[0] for names in self.names)
        parts = Counter(part for names in self.names for part in set(names[1:]))
        kinds: dict[Column, str] = {}
        for place, (names, kind) in enumerate(zip(self.names, self.types, strict=True), start=1):
            kinds[place] = kind
            kinds[names[0]] = kind if full[names[0]] == 1 else "twice"
            for part in names[1:]:
                if part not in full:
                    kinds[part] = kind if parts[part] == 1 else "twice"
        return kinds

    @property
    def readable(self) -> tuple[int, ...]:
        """The places, from 1, of all columns whose cells can be read."""
        return tuple(at for at, kind in enumerate(self.types, start=1) if kind in READABLE)

    def place(self, column: Column) -> int:
        """Return the place, from 0, of a column that `require` has let pass."""
        if isinstance(column, int):
            return column - 1
        full = [at for at, names in enumerate(self.names) if names[0] == column]
        return (full or [at for at, names in enumerate(self.names) if column in names])[0]

    def require(self, columns: Sequence[Column], mapping: str) -> None:
        """Raise MappingError unless the table has each of these columns once, readable."""
        kinds = self.kinds
        for column in columns:
            if column not in kinds:
                raise self._missing(column, [c for c in columns if c in kinds], mapping)
            kind = kinds[column]
            what = f"column {column}" if isinstance(column, int) else f"the column {column!r:.60}"
            if kind == "twice":
                raise MappingError(
                    f"{self.source}: two columns are called {column!r:.60}",
                    code="table.column",
                    hint="name it by its place, as in `column = 3`",
                )
            if kind not in READABLE:
                raise MappingError(
                    f"{self.source}: {what} holds {kind:.60}",
                    code="table.type",
                    hint="turn it into text or numbers first",
                )

    def _missing(self, column: Column, found: Sequence[Column], mapping: str) -> MappingError:
        """A column that is not there, without a word of what is: it may be somebody's row."""
        width = len(self.names)
        if isinstance(column, int):
            message = f"there is no column {column}, which {mapping} needs"
        else:
            message = f"there is no column {column!r:.60}, which {mapping} needs"
        alike = _alike(column) if isinstance(column, str) else ""
        close = [at for at, names in enumerate(self.names, 1) if alike in map(_alike, names)]
        if alike and close:
            hint = (
                f"column {close[0]} is called nearly so: capitals, spaces or signs differ; "
                f"write its name exactly, or `column = {close[0]}`"
            )
        elif width == 1:
            hint = "the first row is one single cell: say `delimiter` in the mapping"
        elif not found:
            hint = (
                f"the first row has {width} cells and no name that {mapping} gives: if it is "
                "somebody's row already, say `header_rows = 0` and name columns by place"
            )
        else:
            hint = (
                f"{len(found)} of the columns that {mapping} names are there, of {width} in all; "
                "a column may be named by its place too, as in `column = 3`"
            )
        return MappingError(f"{self.source}: {message}", code="table.column", hint=hint)


def name_columns(header: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return for every column its full name, then the parts of it that may stand alone.

    With several header rows a name is made of all that stands above the column, joined by
    " / "; an empty cell of an upper row continues what stands to its left.
    """
    width = max(map(len, header), default=0)
    lines = [[normal(cell) for cell in row] + [""] * (width - len(row)) for row in header]
    for line in lines[:-1]:
        for at in range(1, width):
            line[at] = line[at] or line[at - 1]
    named = []
    for at in range(width):
        parts = list(dict.fromkeys(line[at] for line in lines if line[at]))
        full = " / ".join(parts)
        named.append([full, *(parts if len(parts) > 1 else [])])
    return named


def _alike(name: str) -> str:
    """A name without what people mistype: capitals, white space, signs."""
    return re.sub(r"[\W_]+", "", name).casefold()

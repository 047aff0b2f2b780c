"""A table as rows of cells, whatever file or library it came from.

A cell is text, a list of texts, or None. Columns that are not text become text by one fixed
rule each: integers and decimals in digits, floats in their shortest form without a trailing
".0", booleans as "true" and "false". Other types (dates, structs, bytes) are refused.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from grievance.errors import MappingError

Cell = str | list[str] | None
Row = tuple[int, Sequence[Cell] | str]
"""Row number as in the file, and its cells, or the reason why it has none."""


class RowTable(ABC):
    """What `seal_many` reads.

    `kinds` tells of each column what its cells are: "text", "number" (digits with a point),
    "list" (of texts), "twice" (several columns have this name), or a type that cannot be
    read, in words. `num_rows` is None for a stream of unknown length.
    """

    source: str
    columns: tuple[str, ...]
    kinds: Mapping[str, str]
    num_rows: int | None

    @abstractmethod
    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield every row: its number and the cells of `columns`, or why it has none."""

    def require(self, columns: Sequence[str], mapping: str) -> None:
        """Raise MappingError unless the table has each of these columns once, readable."""
        for column in columns:
            if column not in self.kinds:
                names = [name for name in self.columns if name]
                close = difflib.get_close_matches(column, names, n=3) or names[:20]
                raise MappingError(
                    f"{self.source}: there is no column {column!r:.60}, which {mapping} needs",
                    code="table.column",
                    hint="columns here: " + ", ".join(repr(name) for name in close),
                )
            kind = self.kinds[column]
            if kind == "twice":
                raise MappingError(
                    f"{self.source}: two columns are called {column!r:.60}", code="table.column"
                )
            if kind not in ("text", "number", "list"):
                raise MappingError(
                    f"{self.source}: column {column!r:.60} holds {kind:.60}",
                    code="table.type",
                    hint="turn it into text or numbers first",
                )

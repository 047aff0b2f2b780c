"""One row of a table to raw answers, as the mapping says; nothing is guessed.

A cell is text, a list of texts (a list column), or None (null). No error text here holds
what a cell says: a refused row names the field and the rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.client.text import fit, normal, parse_number
from grievance.errors import AnswerError, MappingError
from grievance.names import is_name
from grievance.plan import ChoiceField, MultiField, NumberField

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grievance.client.mapping import FieldMapping, TableMapping
    from grievance.client.rows import Cell
    from grievance.plan import Field, Plan


_NO_MATCH = "the cell is neither a choice of this field nor explained by the mapping"


class RowReader:
    """Reads rows of one table by one mapping.

    `columns` are the columns it needs, each once. `kinds` tells which of them hold "list"s or
    "number"s; the others are text.
    """

    def __init__(
        self, plan: Plan, mapping: TableMapping, kinds: Mapping[str, str] | None = None
    ) -> None:
        """Prepare for one table.

        Raises MappingError when a list column stands where one value belongs, or when a
        field with several choices has cells of text and no `separator`.
        """
        self._kinds = kinds or {}
        self._partners = mapping.partners
        self._places: dict[str, int] = {}
        self._fields: list[tuple[str, Callable[[Sequence[Cell]], object]]] = []
        for name, entry in mapping.fields.items():
            if entry.skip:
                continue
            field = plan.fields[name]
            self._check_lists(mapping.source, entry, field)
            self._fields.append((name, self._reader(entry, field)))
        self._partner = None if mapping.partner is None else self._place(mapping.partner)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to hand to `read`, in order."""
        return tuple(self._places)

    def read(self, cells: Sequence[Cell]) -> tuple[str | None, dict[str, object]]:
        """Return the row's partner and its raw answers; unanswered fields are left out.

        Raises AnswerError for a cell that does not say anything this field can hold, and
        MappingError `mapping.partner` for a row that names no known partner.
        """
        partner = None if self._partner is None else self._read_partner(cells[self._partner])
        answers = {}
        for name, reader in self._fields:
            value = reader(cells)
            if value is not None:
                answers[name] = value
        return partner, answers

    def _place(self, column: str) -> int:
        return self._places.setdefault(column, len(self._places))

    def _read_partner(self, cell: Cell) -> str:
        text = normal(cell) if isinstance(cell, str) else ""
        name = text if self._partners is None else self._partners.get(text, "")
        if not is_name(name):
            raise MappingError(
                "the partner column does not name a partner",
                code="mapping.partner",
                hint='list the cell value under `partners`, as in { "Union North" = "north" }',
            )
        return name

    def _reader(self, entry: FieldMapping, field: Field) -> Callable[[Sequence[Cell]], object]:
        if isinstance(field, MultiField) and entry.columns:
            places = [(label, self._place(entry.columns[label])) for label in field.choices]
            return lambda cells: _ticks(entry, [(label, cells[at]) for label, at in places])
        at = self._place(entry.column)
        if isinstance(field, MultiField):
            return lambda cells: _several(entry, field.choices, cells[at])
        if isinstance(field, ChoiceField):
            return lambda cells: _choice(entry, field.choices, cells[at])
        # A column of numbers has points, whatever sign the mapping gives for text.
        decimal = "." if self._kinds.get(entry.column) == "number" else entry.decimal
        return lambda cells: _number(entry, field, decimal, cells[at])

    def _check_lists(self, source: str, entry: FieldMapping, field: Field) -> None:
        """Refuse lists where one value belongs, and joined choices without a separator."""
        where = f"{source}: fields.{entry.name}"
        if not isinstance(field, MultiField) or entry.columns:
            for column in entry.columns.values() or [entry.column]:
                if self._kinds.get(column) == "list":
                    raise MappingError(
                        f"{where}: column {column!r:.60} holds lists", code="table.type"
                    )
        elif self._kinds.get(entry.column) != "list" and entry.separator is None:
            raise MappingError(
                f"{where}: several choices in one cell need a `separator`",
                code="mapping.separator",
                hint="say in a mapping how they are joined, or give `columns`, one per choice",
            )


def _one(entry: FieldMapping, choices: Sequence[str], token: str) -> str:
    """Return the label one token stands for."""
    label = entry.values.get(token, token)
    if label not in choices:
        raise AnswerError(_NO_MATCH, field=entry.name, code="answers.cell")
    return label


def _is_blank(entry: FieldMapping, cell: Cell) -> bool:
    """Whether a cell says `not answered`; null does, unless "" was given a meaning."""
    if cell is None:
        return "" not in entry.values
    return isinstance(cell, str) and normal(cell) in entry.blank


def _choice(entry: FieldMapping, choices: Sequence[str], cell: Cell) -> str | None:
    if _is_blank(entry, cell):
        return None
    return _one(entry, choices, normal(_text(cell)))


def _several(entry: FieldMapping, choices: Sequence[str], cell: Cell) -> list[str] | None:
    if isinstance(cell, list):
        tokens = [normal(item) for item in cell]
    else:
        text = normal(_text(cell))
        if text in entry.nothing:
            return []
        if _is_blank(entry, cell):
            return None
        tokens = [normal(part) for part in text.split(entry.separator)]
    labels = [_one(entry, choices, token) for token in tokens]
    if len(set(labels)) != len(labels):
        raise AnswerError("the same choice stands twice", field=entry.name, code="answers.cell")
    return labels


def _ticks(entry: FieldMapping, cells: Sequence[tuple[str, Cell]]) -> list[str] | None:
    """Read one column per choice. All cells blank: not answered. Some: refused."""
    tokens = [(label, normal(_text(cell))) for label, cell in cells]
    if all(
        token not in entry.ticked and token not in entry.unticked and _is_blank(entry, cell)
        for (_, token), (_, cell) in zip(tokens, cells, strict=True)
    ):
        return None
    for _, token in tokens:
        if token not in entry.ticked and token not in entry.unticked:
            raise AnswerError(
                "a cell is neither `ticked` nor `unticked`", field=entry.name, code="answers.cell"
            )
    return [label for label, token in tokens if token in entry.ticked]


def _number(entry: FieldMapping, field: NumberField, decimal: str, cell: Cell) -> object:
    if _is_blank(entry, cell):
        return None
    text = normal(_text(cell))
    mapped = entry.values.get(text)
    value = parse_number(text, decimal) if mapped is None else parse_number(mapped)
    if value is None:
        raise AnswerError("the cell is not a number", field=entry.name, code="answers.cell")
    return fit(
        value, field.minimum, field.maximum, field.step, clip=entry.clip, to_grid=entry.round
    )


def _text(cell: Cell) -> str:
    """Return a cell's text; null reads as empty text where empty text has a meaning."""
    return cell if isinstance(cell, str) else ""

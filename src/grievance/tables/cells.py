"""One row of a table to raw answers, as the mapping says; nothing is guessed.

A cell is text, a list of texts (a list column), or None (null). No error text here holds
what a cell says: a refused row names the field and the rule, and its hint the line of the
mapping that would mend it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from grievance.client.text import fit, is_far_out, normal, parse_number
from grievance.errors import AnswerError, MappingError
from grievance.names import is_name
from grievance.plan import ChoiceField, MultiField, NumberField

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from grievance.plan import Field, Plan
    from grievance.tables.mapping import TableMapping
    from grievance.tables.mapping_fields import FieldMapping
    from grievance.tables.rows import Cell, Column

    _Reader = Callable[[Sequence[Cell], list[tuple[str, "Note"]]], object]

_NO_MATCH = "the cell is neither a choice of this field nor explained by the mapping"
_SEPARATORS = (";", ",", "|", "/", "\n")


class Note(Enum):
    """What was done to a cell because the mapping asks for it; counted, and told by field."""

    CLIPPED = "clipped"
    ROUNDED = "rounded"
    OTHER = "other"
    TOO_MANY = "too_many"


@dataclass(slots=True)
class ReadRow:
    """One row, read: who relays it, its answers, and what was done to them. Shows no answer."""

    partner: str | None
    answers: dict[str, object] = field(repr=False)
    notes: list[tuple[str, Note]] = field(repr=False)


class RowReader:
    """Reads rows of one table by one mapping.

    `columns` are the columns it needs, each once. `kinds` tells which of them hold "list"s or
    "number"s; the others are text.
    """

    def __init__(
        self, plan: Plan, mapping: TableMapping, kinds: Mapping[Column, str] | None = None
    ) -> None:
        """Prepare for one table.

        Raises MappingError when a list column stands where one value belongs, or when a
        field with several choices has cells of text and no `separator`.
        """
        self._kinds = kinds or {}
        self._partners = mapping.partners
        self._places: dict[Column, int] = {}
        self._fields: list[tuple[str, _Reader]] = []
        for name, entry in mapping.fields.items():
            if entry.skip:
                continue
            asked = plan.fields[name]
            self._check_lists(mapping.source, entry, asked)
            self._fields.append((name, self._reader(entry, asked)))
        self._partner = None if mapping.partner is None else self._place(mapping.partner)
        self._person = None if mapping.person is None else self._place(mapping.person)
        self._only = [
            (self._place(column), _Tokens(dict.fromkeys(tokens, True)))
            for column, tokens in mapping.only.items()
        ]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns to hand to `read`, in order."""
        return tuple(self._places)

    @property
    def tells_people(self) -> bool:
        """Whether the mapping names the column that tells people apart."""
        return self._person is not None

    def is_wanted(self, cells: Sequence[Cell]) -> bool:
        """Whether the row has the cells that `only` asks for."""
        return all(tokens.get(normal(_text(cells[at]))) for at, tokens in self._only)

    def person(self, cells: Sequence[Cell]) -> str | None:
        """Return who the row is of, as ids are compared; None without `person` in the mapping.

        Capitals do not matter, nor whether a spreadsheet wrote 7 as 7.0. Empty text is nobody.
        """
        if self._person is None:
            return None
        text = normal(_text(cells[self._person]))
        number = parse_number(text)
        if number is not None and "e" not in text.lower():
            return f"{number.normalize():f}"
        return text.casefold()

    def read(self, cells: Sequence[Cell]) -> ReadRow:
        """Return the row's partner and its raw answers; unanswered fields are left out.

        Raises AnswerError for a cell that does not say anything this field can hold, and
        MappingError `mapping.partner` for a row that names no known partner.
        """
        row = ReadRow(
            None if self._partner is None else self._read_partner(cells[self._partner]), {}, []
        )
        for name, reader in self._fields:
            value = reader(cells, row.notes)
            if value is not None:
                row.answers[name] = value
        return row

    def cells_of(self, name: str | None, mapping: TableMapping) -> list[int]:
        """The places, in a row, of the cells that one field is read from; the partner's for None.

        For a person who looks at a table of their own; see `refusals.Cause`.
        """
        if name is None:
            return [] if self._partner is None else [self._partner]
        entry = mapping.fields[name]
        return [self._places[column] for column in entry.columns.values() or [entry.column]]

    def _place(self, column: Column) -> int:
        return self._places.setdefault(column, len(self._places))

    def _read_partner(self, cell: Cell) -> str:
        text = normal(cell) if isinstance(cell, str) else ""
        name = text if self._partners is None else self._partners.get(text, "")
        if not is_name(name):
            raise MappingError(
                "the partner column does not name a partner",
                code="mapping.partner",
                hint='partners = { "what the cell says" = "the name of the organisation" }',
            )
        return name

    def _reader(self, entry: FieldMapping, asked: Field) -> _Reader:
        if isinstance(asked, MultiField) and entry.columns:
            places = [(label, self._place(entry.columns[label])) for label in asked.choices]
            ticks = {label: _tick_tokens(entry, label) for label in asked.choices}
            return lambda cells, notes: _ticks(entry, asked, ticks, places, cells, notes)
        at = self._place(entry.column)
        if isinstance(asked, NumberField):
            # A column of numbers has points, whatever sign the mapping gives for text.
            decimal = "." if self._kinds.get(entry.column) == "number" else entry.decimal
            numbers = _number_tokens(entry, decimal)
            return lambda cells, notes: _number(entry, asked, numbers, decimal, cells[at], notes)
        tokens = _choice_tokens(entry, asked)
        if isinstance(asked, MultiField):
            return lambda cells, notes: _several(entry, asked, tokens, cells[at], notes)
        return lambda cells, notes: _choice(entry, tokens, cells[at], notes)

    def _check_lists(self, source: str, entry: FieldMapping, asked: Field) -> None:
        """Refuse lists where one value belongs, and joined choices without a separator."""
        where = f"{source}: fields.{entry.name}"
        if not isinstance(asked, MultiField) or entry.columns:
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


_BLANK, _NOTHING = object(), object()


class _Tokens:
    """What the texts of a cell stand for: text by text, and numbers as numbers.

    Two numbers that are equal and stand for different things are told apart by their text
    alone.
    """

    def __init__(self, tokens: Mapping[str, object], decimal: str = ".") -> None:
        self._texts = tokens
        self._decimal = decimal
        self._numbers: dict[Decimal, object] = {}
        unclear = set()
        for token, meaning in tokens.items():
            number = parse_number(token, decimal)
            number = parse_number(token) if number is None else number
            if number is None:
                continue
            if self._numbers.setdefault(number, meaning) != meaning:
                unclear.add(number)
        for number in unclear:
            del self._numbers[number]

    def get(self, token: str) -> object:
        """Return what a text stands for, or None."""
        if token in self._texts:
            return self._texts[token]
        number = parse_number(token, self._decimal) if self._numbers else None
        return None if number is None else self._numbers.get(number)

    def of(self, cell: Cell) -> object:
        """Return what a whole cell stands for; null is no answer unless "" has a meaning."""
        if cell is None:
            meaning = self._texts.get("")
            return _BLANK if meaning is None else meaning
        return self.get(normal(_text(cell)))


def _choice_tokens(entry: FieldMapping, asked: ChoiceField | MultiField) -> _Tokens:
    tokens: dict[str, object] = {label: label for label in asked.choices}
    tokens |= dict.fromkeys(entry.blank, _BLANK)
    tokens |= entry.values
    tokens |= dict.fromkeys(entry.nothing, _NOTHING)
    return _Tokens(tokens)


def _number_tokens(entry: FieldMapping, decimal: str) -> _Tokens:
    tokens: dict[str, object] = dict.fromkeys(entry.blank, _BLANK)
    tokens |= {token: parse_number(value) for token, value in entry.values.items()}
    return _Tokens(tokens, decimal)


def _tick_tokens(entry: FieldMapping, label: str) -> _Tokens:
    tokens: dict[str, object] = dict.fromkeys(entry.blank, _BLANK)
    tokens[normal(label)] = True
    tokens |= dict.fromkeys(entry.unticked, False)
    tokens |= dict.fromkeys(entry.ticked, True)
    return _Tokens(tokens)


def _choice(
    entry: FieldMapping, tokens: _Tokens, cell: Cell, notes: list[tuple[str, Note]]
) -> object:
    meaning = tokens.of(cell)
    if meaning is None and entry.other is not None and normal(_text(cell)):
        notes.append((entry.name, Note.OTHER))
        return entry.other
    if meaning is None:
        raise AnswerError(
            _NO_MATCH,
            field=entry.name,
            code="answers.cell",
            hint=f'under [fields.{entry.name}]: values = {{ "what the cell says" = "a choice" }}',
        )
    return None if meaning is _BLANK else meaning


def _several(
    entry: FieldMapping,
    asked: MultiField,
    tokens: _Tokens,
    cell: Cell,
    notes: list[tuple[str, Note]],
) -> list[str] | None:
    if isinstance(cell, list):
        parts = [normal(item) for item in cell]
    else:
        whole = tokens.of(cell)
        if whole is _NOTHING:
            return []
        if whole is _BLANK:
            return None
        parts = _split(normal(_text(cell)), entry.separator or "", tokens)
    labels = [_label(tokens, part) for part in parts]
    if entry.other is not None:
        unexplained = [part for part in parts if part and tokens.get(part) is None]
        if unexplained:
            notes.append((entry.name, Note.OTHER))
            labels = [entry.other if p in unexplained else _label(tokens, p) for p in parts]
            labels = list(dict.fromkeys(labels))
    known = [label for label in labels if label is not None]
    if len(known) < len(labels):
        raise AnswerError(
            _NO_MATCH, field=entry.name, code="answers.cell", hint=_mend_parts(entry, cell, tokens)
        )
    if len(set(known)) != len(known):
        raise AnswerError("the same choice stands twice", field=entry.name, code="answers.cell")
    return _picked(entry, asked, known, notes)


def _label(tokens: _Tokens, part: str) -> str | None:
    meaning = tokens.get(part)
    return meaning if isinstance(meaning, str) else None


def _split(text: str, separator: str, tokens: _Tokens) -> list[str]:
    """Split a cell; a separator after the last choice, as some forms write it, ends it."""
    parts = [normal(part) for part in text.split(separator)]
    sign = separator.strip()
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    elif sign and parts[-1].endswith(sign) and _label(tokens, parts[-1]) is None:
        # White space around the cell is gone, and with it half of a separator such as ", ".
        parts[-1] = normal(parts[-1].removesuffix(sign))
    return parts


def _mend_parts(entry: FieldMapping, cell: Cell, tokens: _Tokens) -> str:
    """The line of the mapping that would mend a cell of several choices."""
    where = f"under [fields.{entry.name}]: "
    if isinstance(cell, str):
        for sign in _SEPARATORS:
            if sign != (entry.separator or "").strip() and all(
                _label(tokens, part) for part in _split(normal(cell), sign, tokens)
            ):
                return f'{where}separator = "{sign}"'.replace("\n", "\\n")
    return (
        f'{where}values = {{ "what the cell says" = "a choice" }}, or other = "a choice" for '
        "everything else"
    )


def _ticks(
    entry: FieldMapping,
    asked: MultiField,
    ticks: Mapping[str, _Tokens],
    places: Sequence[tuple[str, int]],
    cells: Sequence[Cell],
    notes: list[tuple[str, Note]],
) -> list[str] | None:
    """Read one column per choice. All cells blank: not answered. Some: those are not ticked."""
    meanings = {label: ticks[label].of(cells[at]) for label, at in places}
    free_text = {label for label, at in places if normal(_text(cells[at]))}
    if entry.other in free_text and meanings[entry.other] is None:
        notes.append((entry.name, Note.OTHER))
        meanings[entry.other] = True
    if None in meanings.values():
        raise AnswerError(
            "a cell is neither `ticked` nor `unticked`",
            field=entry.name,
            code="answers.cell",
            hint=f'under [fields.{entry.name}]: ticked = ["what the cell says"], or unticked',
        )
    if all(meaning is _BLANK for meaning in meanings.values()):
        return None
    labels = [label for label, meaning in meanings.items() if meaning is True]
    return _picked(entry, asked, labels, notes)


def _picked(
    entry: FieldMapping, asked: MultiField, labels: list[str], notes: list[tuple[str, Note]]
) -> list[str] | None:
    """Give the labels, or no answer where they are too many and the mapping asks for that."""
    if len(labels) > asked.pick and entry.blank_too_many:
        notes.append((entry.name, Note.TOO_MANY))
        return None
    return labels


def _number(
    entry: FieldMapping,
    asked: NumberField,
    tokens: _Tokens,
    decimal: str,
    cell: Cell,
    notes: list[tuple[str, Note]],
) -> object:
    meaning = tokens.of(cell)
    if meaning is _BLANK:
        return None
    text = normal(_text(cell))
    value = parse_number(text, decimal) if meaning is None else meaning
    where = f"under [fields.{entry.name}]: "
    if value is None:
        other = "." if decimal == "," else ","
        raise AnswerError(
            "the cell is not a number",
            field=entry.name,
            code="answers.cell",
            hint=f'{where}decimal = "{other}"'
            if parse_number(text, other) is not None
            else f'{where}values = {{ "what the cell says" = "a number" }}, or blank',
        )
    number: Decimal = value  # type: ignore[assignment]
    if entry.clip and is_far_out(number, asked.minimum, asked.maximum):
        raise AnswerError(
            "the number lies outside the limits by more than their whole range, too far for `clip`",
            field=entry.name,
            code="answers.far",
            hint=f'{where}blank = ["", "the number that means no answer"]',
        )
    fitted = fit(
        number, asked.minimum, asked.maximum, asked.step, clip=entry.clip, to_grid=entry.round
    )
    if not asked.minimum <= number <= asked.maximum and fitted != number:
        notes.append((entry.name, Note.CLIPPED))
    elif fitted != number:
        notes.append((entry.name, Note.ROUNDED))
    return fitted


def _text(cell: Cell) -> str:
    """Return a cell's text; null reads as empty text where empty text has a meaning."""
    return cell if isinstance(cell, str) else ""

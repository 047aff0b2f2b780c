"""The mapping: which column of somebody's table is which field, which cell is which choice.

A mapping is a small TOML file written by whoever holds the table. It is read strictly:
unknown keys, choices the plan does not have and tokens with two meanings are refused.

    blank = ["", "NA"]                 # cells that mean: not answered; default [""]
    delimiter = ";"                    # CSV only; default: the one the header row uses
    encoding = "cp1252"                # CSV only; default UTF-8
    partner = "union"                  # the column that says who relays the row
    partners = { "Union North" = "north" }

    [fields.region]
    column = "Q1"                      # default: the field's own name
    values = { "1" = "London" }        # a label stands for itself without being listed

    [fields.problems]                  # several choices in one cell
    separator = ";"
    nothing = "none"                   # the cell that means: ticked nothing

    [fields.provided]                  # or one column for each choice
    columns = { "targets" = "q7_targets", "caseload" = "q7_caseload" }
    ticked = ["1", "yes"]              # default ["true"]
    unticked = ["0", "no"]             # default ["false"]

    [fields.unpaid_hours]
    values = { "40+" = "40" }
    decimal = ","                      # default "."
    round = true                       # to the nearest step; default: refuse
    clip = true                        # into minimum..maximum; default: refuse

    [fields.not_asked_here]
    skip = true                        # every row leaves it unanswered

Nothing is guessed: a cell that none of this explains refuses its row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.client.mapping_toml import Node, parse_toml
from grievance.client.text import parse_number
from grievance.errors import MappingError
from grievance.names import is_name
from grievance.plan import NumberField

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from grievance.plan import Field, Plan

MAX_MAPPING_SIZE = 1 << 20
_EMPTY = frozenset({""})
_COMMON = ("column", "blank", "skip", "values")
_KEYS = {
    "choice": _COMMON,
    "multi": (*_COMMON, "separator", "nothing", "columns", "ticked", "unticked"),
    "number": (*_COMMON, "round", "clip", "decimal"),
}


@dataclass(frozen=True)
class FieldMapping:
    """How one field is read from a row. Made by `load_mapping` or `TableMapping.by_name`.

    `columns` is empty, or gives the column of every choice; `values` goes from cell text to
    label (or, for numbers, to the number as text).
    """

    name: str
    column: str
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    blank: frozenset[str] = _EMPTY
    skip: bool = False
    separator: str | None = None
    nothing: frozenset[str] = frozenset()
    ticked: frozenset[str] = frozenset({"true"})
    unticked: frozenset[str] = frozenset({"false"})
    decimal: str = "."
    round: bool = False
    clip: bool = False


@dataclass(frozen=True)
class TableMapping:
    """A whole mapping: one entry per field of the plan, in the plan's order, and the partner."""

    source: str
    fields: Mapping[str, FieldMapping]
    partner: str | None = None
    partners: Mapping[str, str] | None = None
    delimiter: str | None = None
    encoding: str | None = None

    @classmethod
    def by_name(cls, plan: Plan) -> TableMapping:
        """Map every field to the column of its own name, labels to themselves, "" to blank."""
        return cls("no mapping", {name: FieldMapping(name, name) for name in plan.fields})

    @classmethod
    def from_toml(cls, text: str, plan: Plan, source: str = "mapping.toml") -> TableMapping:
        """Read a mapping for this plan.

        Raises MappingError naming source, key, value and what to do: `mapping.syntax`,
        `mapping.key`, `mapping.value`, `mapping.field`, `mapping.conflict`.
        """
        if len(text) > MAX_MAPPING_SIZE:
            raise MappingError(f"{source}: more than 1 MiB of mapping", code="mapping.syntax")
        top = parse_toml(text, source)
        top.allow("blank", "delimiter", "encoding", "partner", "partners", "fields")
        blank = top.tokens("blank", _EMPTY)
        entries = top.child("fields")
        for name in entries:
            if name not in plan.fields:
                raise entries.error(name, "the plan has no such field", list(plan.fields))
        fields = {
            name: _read_field(entries.child(name), name, plan.fields[name], blank)
            for name in plan.fields
        }
        delimiter = top.text("delimiter", None)
        if delimiter not in (None, ",", ";", "\t"):
            raise top.error("delimiter", "a delimiter is a comma, a semicolon or a tab")
        partner, partners = _read_partners(top)
        encoding = top.text("encoding", None)
        return cls(source, fields, partner, partners, delimiter, encoding)


def load_mapping(source: str | os.PathLike[str], plan: Plan) -> TableMapping:
    """Read a mapping from a file, or from TOML text (a str with a line break or an `=`).

    Raises MappingError, also when the file cannot be read.
    """
    if isinstance(source, str) and ("\n" in source or "=" in source):
        return TableMapping.from_toml(source, plan, "mapping")
    path = Path(source)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MAPPING_SIZE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}", code="mapping.file") from None
    except UnicodeDecodeError:
        raise MappingError(
            f"{path}: not UTF-8 text", code="mapping.syntax", hint="save the file as UTF-8"
        ) from None
    return TableMapping.from_toml(text, plan, path.name)


def _read_partners(top: Node) -> tuple[str | None, dict[str, str] | None]:
    """Read the partner column and the names its values stand for."""
    partner = top.text("partner", None)
    if not top.has("partners"):
        return partner, None
    partners = top.texts("partners")
    if partner is None:
        raise top.error("partners", "names partners, but no column: say `partner` too")
    for name in partners.values():
        if not is_name(name):
            raise top.error(
                "partners",
                f"{name!r:.60} is not the name of an organisation: 1 to 40 lowercase letters,"
                " digits and hyphens",
            )
    return partner, partners


def _read_field(
    node: Node, name: str, plan_field: Field, inherited: frozenset[str]
) -> FieldMapping:
    """Read one `[fields.name]` table. An absent one is an empty one."""
    node.allow(*_KEYS[plan_field.kind])
    if node.flag("skip"):
        if plan_field.required:
            raise node.error("skip", "the plan requires an answer, so no row could be sealed")
        if len(node) > 1:
            raise node.error("skip", "a skipped field has no other keys")
        return FieldMapping(name, name, skip=True)
    values = node.texts("values")
    _check_targets(node, plan_field, values)
    nothing = node.tokens("nothing", frozenset())
    explained = set(values) | nothing
    blank = node.tokens("blank", inherited)
    if node.has("blank"):
        for token in blank & explained:
            raise node.error("blank", f"{token!r:.60} has two meanings in this field")
    blank -= explained
    entry = FieldMapping(
        name,
        node.text("column", None) or name,
        values=values,
        blank=blank,
        separator=node.text("separator", None),
        nothing=nothing,
        decimal=node.text("decimal", None) or ".",
        round=node.flag("round"),
        clip=node.flag("clip"),
    )
    if isinstance(plan_field, NumberField):
        if entry.decimal not in (".", ","):
            raise node.error("decimal", 'the decimal sign is "." or ","')
        return entry
    for key in ("ticked", "unticked"):
        if node.has(key) and not node.has("columns"):
            raise node.error(key, "belongs to `columns`")
    _check_tokens(node, entry, plan_field.choices)
    return _read_columns(node, entry, plan_field.choices) if node.has("columns") else entry


def _check_targets(node: Node, plan_field: Field, values: Mapping[str, str]) -> None:
    """Refuse `values` that stand for something the field cannot hold."""
    for target in values.values():
        if isinstance(plan_field, NumberField):
            if parse_number(target) is None:
                raise node.error("values", f"{target!r:.60} is not a number")
        elif target not in plan_field.choices:
            raise node.error(
                "values", f"{target!r:.60} is not a choice of this field", plan_field.choices
            )


def _check_tokens(node: Node, entry: FieldMapping, choices: tuple[str, ...]) -> None:
    """Refuse a token that is also a label, or a separator that stands inside one."""
    labels = {label for label in choices if label not in entry.values.values()}
    for token in labels & entry.blank:
        raise node.error(
            "blank",
            f"{token!r:.60} means `not answered` but is also a choice",
            hint="give this field its own `blank`, or map another cell value to that choice",
        )
    for token in entry.nothing:
        if token in choices or token in entry.values:
            raise node.error("nothing", f"{token!r:.60} means `ticked nothing` and a choice")
    if entry.separator is None:
        if entry.nothing:
            raise node.error("nothing", "belongs to a `separator`")
        return
    if node.has("columns"):
        raise node.error("separator", "there is a column for each choice: nothing to separate")
    if not entry.separator:
        raise node.error("separator", "a separator has at least one character")
    for token in sorted(labels | set(entry.values)):
        if entry.separator in token:
            raise node.error(
                "separator",
                f"stands inside {token!r:.60}, so cells could be read in two ways",
                hint="export the table with another separator, or with one column per choice",
            )


def _read_columns(node: Node, entry: FieldMapping, choices: tuple[str, ...]) -> FieldMapping:
    """Read one column per choice: `columns`, `ticked`, `unticked`."""
    for key in ("column", "values"):
        if node.has(key):
            raise node.error(key, "does not go together with `columns`")
    columns = node.texts("columns", labels=True)
    for label in columns:
        if label not in choices:
            raise node.error("columns", f"{label!r:.60} is not a choice of this field", choices)
    for label in choices:
        if label not in columns:
            raise node.error("columns", f"the choice {label!r:.60} has no column")
    if len(set(columns.values())) != len(columns):
        raise node.error("columns", "one column stands for two choices")
    ticked = node.tokens("ticked", entry.ticked)
    unticked = node.tokens("unticked", entry.unticked)
    for token in ticked & unticked:
        raise node.error("unticked", f"{token!r:.60} has two meanings in this field")
    return FieldMapping(
        entry.name,
        entry.column,
        columns=columns,
        blank=entry.blank - ticked - unticked,
        ticked=ticked,
        unticked=unticked,
    )

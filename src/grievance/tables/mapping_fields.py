"""One `[fields.name]` table of a mapping, read strictly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grievance.client.text import parse_number
from grievance.plan import NumberField

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.plan import Field
    from grievance.tables.mapping_toml import Node
    from grievance.tables.rows import Column

_EMPTY = frozenset({""})
_COMMON = ("column", "blank", "skip", "values")
_KEYS = {
    "choice": (*_COMMON, "other"),
    "multi": (
        *(*_COMMON, "other", "separator", "nothing", "too_many"),
        *("columns", "ticked", "unticked"),
    ),
    "number": (*_COMMON, "round", "clip", "decimal"),
}


@dataclass(frozen=True)
class FieldMapping:
    """How one field is read from a row. Made by `load_mapping` or `TableMapping.by_name`.

    `columns` is empty, or gives the column of every choice; `values` goes from cell text to
    label (or, for numbers, to the number as text). `other` is the choice for what nothing
    explains; with `blank_too_many` more ticks than the plan allows are no answer.
    """

    name: str
    column: Column
    columns: Mapping[str, Column] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    blank: frozenset[str] = _EMPTY
    skip: bool = False
    separator: str | None = None
    nothing: frozenset[str] = frozenset()
    ticked: frozenset[str] = frozenset({"true"})
    unticked: frozenset[str] = frozenset({"false"})
    other: str | None = None
    blank_too_many: bool = False
    decimal: str = "."
    round: bool = False
    clip: bool = False


def read_field(node: Node, name: str, plan_field: Field, inherited: frozenset[str]) -> FieldMapping:
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
        node.column("column", None) or name,
        values=values,
        blank=blank,
        separator=node.text("separator", None),
        nothing=nothing,
        decimal=node.text("decimal", None) or ".",
        round=node.flag("round"),
        clip=node.flag("clip"),
        other=_read_other(node, plan_field),
        blank_too_many=_read_too_many(node, plan_field),
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
    columns = node.columns("columns")
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
    return replace(
        entry,
        columns=columns,
        blank=entry.blank - ticked - unticked,
        ticked=ticked,
        unticked=unticked,
    )


def _read_other(node: Node, plan_field: Field) -> str | None:
    """Read which choice stands for everything that nothing else explains."""
    other = node.text("other", None)
    if other is not None and other not in getattr(plan_field, "choices", ()):
        choices = getattr(plan_field, "choices", ())
        raise node.error("other", f"{other!r:.60} is not a choice of this field", choices)
    return other


def _read_too_many(node: Node, plan_field: Field) -> bool:
    """Read what becomes of more ticks than the plan allows: refused, or no answer."""
    if node.text("too_many", "refuse") not in ("refuse", "blank"):
        raise node.error("too_many", 'is "refuse" or "blank"')
    is_blank = node.text("too_many", "refuse") == "blank"
    if is_blank and plan_field.required:
        raise node.error("too_many", "the plan requires an answer, so blank is none")
    return is_blank

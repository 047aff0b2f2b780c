"""The mapping: which column of somebody's table is which field, which cell is which choice.

A mapping is a small TOML file written by whoever holds the table. It is read strictly:
unknown keys, choices the plan does not have and tokens with two meanings are refused.

    blank = ["", "NA"]                 # cells that mean: not answered; default [""]
    delimiter = ";"                    # CSV only; default: the one the first row uses
    encoding = "cp1252"                # CSV only; default UTF-8
    header_rows = 2                    # CSV only; default 1; 0: the first row is a person
    person = "respondent id"           # the column that tells people apart; never sealed
    only = { Finished = ["True"] }     # take rows with these cells alone
    partner = "union"                  # the column that says who relays the row
    partners = { "Union North" = "north" }

    [fields.region]
    column = "Q1"                      # default: the field's own name; 3 is the third column
    values = { "1" = "London" }        # a label stands for itself without being listed
    other = "elsewhere"                # what nothing explains counts as this choice

    [fields.problems]                  # several choices in one cell
    separator = ";"
    nothing = "none"                   # the cell that means: ticked nothing
    too_many = "blank"                 # more than the plan allows: not answered; default: refuse

    [fields.provided]                  # or one column for each choice
    columns = { "targets" = "q7_targets", "caseload" = "q7_caseload" }
    ticked = ["1", "yes"]              # default ["true"]; the label itself is a tick, too
    unticked = ["0", "no"]             # default ["false"]; blank beside an answer is one, too

    [fields.unpaid_hours]
    values = { "40+" = "40" }
    decimal = ","                      # default "."
    round = true                       # to the nearest step; default: refuse
    clip = true                        # into minimum..maximum; default: refuse

    [fields.not_asked_here]
    skip = true                        # every row leaves it unanswered

Nothing is guessed: a cell that none of this explains refuses its row. Tokens that are numbers
are compared as numbers, so "-99" is "-99.0" too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.client.text import normal
from grievance.errors import MappingError
from grievance.names import is_name
from grievance.tables.csv_rows import ALL_DELIMITERS
from grievance.tables.mapping_fields import FieldMapping, read_field
from grievance.tables.mapping_toml import Node, parse_toml

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from grievance.plan import Plan
    from grievance.tables.rows import Column

MAX_MAPPING_SIZE = 1 << 20
_EMPTY = frozenset({""})
_MAX_HEADER_ROWS = 5
_TOP = (
    *("blank", "delimiter", "encoding", "header_rows", "person", "only", "partner", "partners"),
    "fields",
)


@dataclass(frozen=True)
class TableMapping:
    """A whole mapping: one entry per field of the plan, in the plan's order, and rules for rows.

    `person` tells whose a row is, `only` which rows count, `partner` who relays them.
    """

    source: str
    fields: Mapping[str, FieldMapping]
    partner: Column | None = None
    partners: Mapping[str, str] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header_rows: int = 1
    person: Column | None = None
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

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
        text = text.removeprefix("\ufeff")
        if len(text) > MAX_MAPPING_SIZE:
            raise MappingError(f"{source}: more than 1 MiB of mapping", code="mapping.syntax")
        top = parse_toml(text, source)
        top.allow(*_TOP)
        blank = top.tokens("blank", _EMPTY)
        entries = top.child("fields")
        for name in entries:
            if name not in plan.fields:
                raise entries.error(name, "the plan has no such field", list(plan.fields))
        fields = {
            name: read_field(entries.child(name), name, plan.fields[name], blank)
            for name in plan.fields
        }
        delimiter = top.text("delimiter", None)
        if delimiter not in (None, *ALL_DELIMITERS):
            raise top.error("delimiter", "a delimiter is a comma, a semicolon, a tab or a bar")
        partner, partners = _read_partners(top)
        return cls(
            source,
            fields,
            partner,
            partners,
            delimiter,
            top.text("encoding", None),
            top.whole("header_rows", 1, 0, _MAX_HEADER_ROWS),
            top.column("person", None),
            _read_only(top),
        )


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


def _read_only(top: Node) -> dict[str, frozenset[str]]:
    """Read which cells a row must have, column by column."""
    node = top.child("only")
    wanted = {column: node.tokens(column, _EMPTY) for column in node}
    for column, tokens in wanted.items():
        if not tokens:
            raise node.error(column, "lists no cell, so no row could be sealed")
    return {normal(column): tokens for column, tokens in wanted.items()}


def _read_partners(top: Node) -> tuple[Column | None, dict[str, str] | None]:
    """Read the partner column and the names its values stand for."""
    partner = top.column("partner", None)
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

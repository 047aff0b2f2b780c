"""A mapping to start from: the plan's fields and choices, ready to be filled in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from grievance.plan import MultiField, NumberField
from grievance.plan.decimals import decimal_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.plan import Field, Plan

_HEAD = """\
# Which column of your table is which question, and which cell is which answer.
# A row with a cell that this file does not explain is refused; nothing is guessed.
# Lines that begin with # are switched off. Cells are compared without white space around.

blank = [""]                     # cells that mean: not answered
# delimiter = ";"                # CSV only, where the first row uses several signs
# encoding = "cp1252"            # CSV only, where the file is not UTF-8
# header_rows = 2                # CSV only, where two rows name the columns; 0: none does
# person = "respondent id"       # the column that tells people apart: each is sealed once
# only = { "Finished" = ["True"] }    # rows with these cells alone
# partner = "union"              # the column that says which partner relays the row
# partners = { "Union North" = "north" }
"""


def mapping_template(plan: Plan) -> str:
    """Return mapping TOML for a plan: valid as it stands, with every choice spelled out.

    As it stands it reads columns named like the fields, cells that hold the labels, and
    several choices joined by semicolons.
    """
    parts = [_HEAD]
    for name, field in plan.fields.items():
        parts.append("\n".join(_lines(name, field)) + "\n")
    return "\n".join(parts)


def _lines(name: str, field: Field) -> Iterator[str]:
    yield f"# {field.question}"
    yield f"[fields.{name}]"
    yield f"column = {quoted(name):<24} # or its place, from 1"
    if not field.required:
        yield "# skip = true                  # your table does not have this question"
    if isinstance(field, NumberField):
        low, high, step = map(decimal_text, (field.minimum, field.maximum, field.step))
        yield f"# a number from {low} to {high} in steps of {step}"
        yield '# decimal = ","                # cells are written like 2,5'
        yield "# round = true                 # to the nearest step, instead of refusing"
        yield "# clip = true                  # into the limits, instead of refusing"
        return
    if isinstance(field, MultiField):
        separator = next(
            (s for s in ";|\t,/" if not any(s in choice for choice in field.choices)), " ; "
        )
        yield f"separator = {quoted(separator)}"
        if "none" not in field.choices:
            yield 'nothing = "none"               # the cell that means: ticked nothing'
        if not field.required:
            yield '# too_many = "blank"           # more ticks than allowed: not answered'
    yield f"# other = {quoted(field.choices[-1]):<23} # what nothing explains counts as this"
    yield "# left what your cells say, right the choice it stands for; a choice stands for itself"
    yield f"[fields.{name}.values]"
    for choice in field.choices:
        yield f"{quoted(choice)} = {quoted(choice)}"


def quoted(text: str) -> str:
    """Write text as a TOML basic string."""
    return json.dumps(text, ensure_ascii=False)

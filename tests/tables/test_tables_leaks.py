"""Whatever the table and the mapping are: no error, repr, JSON or log holds a cell of anybody."""

from __future__ import annotations

import json
import logging
import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from survey_rows import SENTINEL

from grievance.cli.tables import _as_json
from grievance.errors import AnswerError, GrievanceError
from grievance.tables import check_table, load_mapping, open_table, seal_many
from grievance.tables.refusals import grouped

CELLS = st.sampled_from(
    [
        *("North", "Wales", "targets", "targets;bullying", "7", "7,5", ".5", "-99", "", "none"),
        *(SENTINEL, f"{SENTINEL};targets", f'"{SENTINEL}', f"7{SENTINEL}", f"{SENTINEL}\n", "999"),
        *(f"sep={SENTINEL}", f"={SENTINEL}", f"\ufeff{SENTINEL}", f"{SENTINEL}\x00", "targets,"),
    ]
)
HEADS = st.sampled_from(["region", "contract", "problems", "hours", "id", "", "Region", SENTINEL])
LINES = st.lists(
    st.sampled_from(
        [
            *('person = "id"', "person = 1", 'partner = "id"', "header_rows = 0"),
            *("header_rows = 2", 'only = { region = "North" }', 'delimiter = ";"'),
            *('encoding = "utf-16"', 'blank = "x"'),
        ]
    ),
    unique_by=lambda line: line.split()[0],
    max_size=4,
)
FIELDS = st.sampled_from(
    [
        '[fields.problems]\nseparator = ";"\n',
        '[fields.problems]\nseparator = ", "\nother = "bullying"\ntoo_many = "blank"\n',
        '[fields.problems]\ncolumns = { targets = 1, bullying = 2, "unpaid overtime" = 3 }\n',
        '[fields.problems]\nskip = true\n[fields.region]\ncolumn = 2\nother = "Wales"\n',
        "",
    ]
)
NUMBERS = st.sampled_from(["", "clip = true\nround = true\n", 'decimal = ","\n', "column = 9\n"])


def said(error: BaseException) -> str:
    """Everything a log could hold of an error and of those behind it, but for local variables."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(
    head=st.lists(HEADS, min_size=1, max_size=5),
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=4),
    sign=st.sampled_from([",", ";", "\t"]),
    lines=LINES,
    fields=FIELDS,
    numbers=NUMBERS,
)
def test_no_cell_comes_out(full, write, caplog, head, rows, sign, lines, fields, numbers):
    caplog.set_level(logging.DEBUG)
    text = "\n".join(sign.join(cells) for cells in [head, *rows]) + "\n"
    mapping_text = "\n".join(lines) + f"\n{fields}[fields.hours]\n{numbers}"
    out = ""
    try:
        mapping = load_mapping(mapping_text, full.task.plan)
        table = open_table(write(text), mapping)
        reading = check_table(full.task, table, mapping, keep_cells=True)
        causes = reading.causes()
        assert all(cause.reason and cause.hint and cause.rows for cause in causes)
        out += json.dumps(_as_json(reading, {}, None, [])) + repr(reading) + repr(causes)
        out += repr(reading.refused) + "".join(map(str, causes))
        reading.require_whole()
    except GrievanceError as error:
        out += said(error) + (error.hint or "")
    assert SENTINEL not in out
    assert SENTINEL not in caplog.text


def test_control_a_message_with_a_cell_would_be_noticed(full, write, monkeypatch):
    from grievance.tables import cells

    def tell_all(entry, tokens, cell, notes):
        raise AnswerError(f"{cell} is no choice", field=entry.name, code="answers.cell")

    monkeypatch.setattr(cells, "_choice", tell_all)
    with pytest.raises(GrievanceError) as caught:
        seal_many(full.task, write(f"region\n{SENTINEL}\n"), _ALONE)
    assert SENTINEL in said(caught.value)


_ALONE = "".join(f"[fields.{n}]\nskip = true\n" for n in ("contract", "problems", "hours"))


def test_cells_that_are_kept_are_in_nothing_but_their_place(full, write):
    loaded = load_mapping(_ALONE, full.task.plan)
    text = "region\n" + "".join(f"{SENTINEL}-{n}\n" for n in range(9)) + f"{SENTINEL}-0\n"
    table = open_table(write(text), loaded)
    (cause,) = check_table(full.task, table, loaded, keep_cells=True).causes()
    assert cause.cells == [f"{SENTINEL}-{n}" for n in range(5)]
    assert SENTINEL not in repr(cause) + str(cause)
    (cause,) = check_table(full.task, table, loaded).causes()
    assert cause.cells == []
    assert grouped([], 0) == []

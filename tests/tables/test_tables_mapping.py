"""The mapping file: what it may say, and how every mistake in it is named."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import plans

from grievance.client.text import fit, parse_number
from grievance.errors import AnswerError, MappingError
from grievance.tables import TableMapping, load_mapping, mapping_template
from grievance.tables.cells import RowReader

GOOD = """
blank = ["", "NA"]
partner = "union"
partners = { "Union North" = "north" }
[fields.region]
column = "Q1"
values = { "1" = "London", "2" = "North" }
[fields.contract]
skip = true
[fields.problems]
separator = ";"
nothing = "none"
values = { "OT" = "unpaid overtime" }
[fields.hours]
column = "h"
values = { "40+" = "40" }
round = true
clip = true
"""


def reader(text, plan, kinds=None):
    return RowReader(plan, load_mapping(text, plan), kinds)


def answers(text, plan, kinds=None, **cells):
    rows = reader(text, plan, kinds)
    return rows.read([cells.get(column, "") for column in rows.columns]).answers


def test_a_good_mapping(plan):
    rows = reader(GOOD, plan)
    assert rows.columns == ("Q1", "problems", "h", "union")
    row = rows.read(["1", "OT; bullying", "12.3", "Union North"])
    assert (row.partner, row.answers) == (
        "north",
        {"region": "London", "problems": ["unpaid overtime", "bullying"], "hours": Decimal("12.5")},
    )
    assert repr(row) == "ReadRow(partner='north')"
    assert rows.read([" Wales ", "none", "40+", "Union North"]).answers == {
        "region": "Wales",
        "problems": [],
        "hours": Decimal(40),
    }
    assert rows.read(["NA", "", None, "Union North"]).answers == {}
    row = rows.read(["2", None, "-3", "Union North"])
    assert row.answers == {"region": "North", "hours": 0}


_LABELS = 'columns = { targets = "t", bullying = "%s", "unpaid overtime" = "o" }'
TWICE = "[fields.problems]\n" + _LABELS % "t"
TWO_MEANINGS = '[fields.problems]\nticked = "1"\nunticked = "1"\n' + _LABELS % "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= broken", "not TOML"),
        ("colour = 1", "colour: no such key here"),
        ("blank = 7", "blank: must be a text or a list of texts"),
        ('blank = ["x", " x "]', "blank: the same text is listed twice"),
        ('delimiter = "/"', "delimiter: a delimiter is a comma"),
        ("header_rows = 6", "header_rows: must be a whole number from 0 to 5"),
        ("header_rows = true", "header_rows: must be a whole number"),
        ("person = 0", "person: columns are counted from 1"),
        ("only = 1", "only: this must be a table"),
        ("only = { a = 1 }", "only.a: must be a text or a list of texts"),
        ("only = { a = [] }", "only.a: lists no cell"),
        ('[fields.region]\nother = "Paris"', "fields.region.other: 'Paris' is not a choice"),
        ("[fields.region]\nother = true", "fields.region.other: must be text"),
        ('[fields.region]\ntoo_many = "blank"', "too_many: no such key here"),
        ('[fields.problems]\ntoo_many = "first"', 'too_many: is "refuse" or "blank"'),
        ('[fields.hours]\nother = "1"', "other: no such key here"),
        ("encoding = 8", "encoding: must be text"),
        ('partners = { "A" = "a" }', "partners: names partners, but no column"),
        ('partner = "u"\npartners = { "A" = "../a" }', "is not the name of an organisation"),
        ('partner = "u"\npartners = { "A" = 1 }', "must stand for text"),
        ("fields = 1", "fields: this must be a table"),
        ("[fields.regoin]", "fields.regoin: the plan has no such field"),
        ("[fields.region]\nsteps = 1", "fields.region.steps: no such key here"),
        ('[fields.region]\nseparator = ";"', "fields.region.separator: no such key here"),
        ("[fields.region]\nround = true", "fields.region.round: no such key here"),
        ("[fields.region]\ncolumn = 1.5", "fields.region.column: must be text"),
        ("[fields.region]\ncolumn = 0", "fields.region.column: columns are counted from 1"),
        ("[fields.region]\nskip = true", "the plan requires an answer"),
        ('[fields.contract]\nskip = "yes"', "must be true or false"),
        ('[fields.contract]\nskip = true\ncolumn = "c"', "a skipped field has no other keys"),
        ('[fields.region]\nvalues = { "1" = "Londn" }', "'Londn' is not a choice of this field"),
        ('[fields.region]\nvalues = { "1" = 1 }', "must stand for text in quotes, got 1"),
        ('[fields.region]\nvalues = { "1" = "Wales", " 1" = "North" }', "'1' is listed twice"),
        (
            '[fields.region]\nblank = ["1"]\nvalues = { "1" = "Wales" }',
            "fields.region.blank: '1' has two meanings",
        ),
        ('blank = ["Wales"]', "means `not answered` but is also a choice"),
        ('[fields.hours]\nvalues = { "lots" = "many" }', "'many' is not a number"),
        ('[fields.hours]\ndecimal = ";"', "the decimal sign is"),
        ('[fields.problems]\nseparator = ""', "at least one character"),
        ('[fields.problems]\nseparator = " "', "stands inside 'unpaid overtime'"),
        ('[fields.problems]\nnothing = "none"', "belongs to a `separator`"),
        (
            '[fields.problems]\nseparator = ";"\nnothing = "targets"',
            "`ticked nothing` and a choice",
        ),
        ('[fields.problems]\ncolumns = { "targets" = "t" }', "'unpaid overtime' has no column"),
        ('[fields.problems]\ncolumns = { "x" = "t" }', "'x' is not a choice of this field"),
        ('[fields.problems]\ncolumn = "c"\ncolumns = { "targets" = "t" }', "does not go together"),
        (
            '[fields.problems]\nseparator = ";"\ncolumns = { "targets" = "t" }',
            "nothing to separate",
        ),
        (TWICE, "one column stands for two choices"),
        (TWO_MEANINGS, "'1' has two meanings"),
        ('[fields.problems]\nticked = ["1"]', "belongs to `columns`"),
        ("x = " + "[" * 5000, "not TOML"),
    ],
)
def test_mistakes_are_named(plan, text, message):
    with pytest.raises(MappingError) as caught:
        load_mapping(text + "\n", plan)
    assert message in str(caught.value)
    assert str(caught.value).startswith("mapping: ")
    assert caught.value.code.startswith("mapping.")


def test_hints_offer_what_comes_close(plan):
    with pytest.raises(MappingError) as caught:
        load_mapping("[fields.regoin]\n", plan)
    assert "'region'" in caught.value.hint
    with pytest.raises(MappingError) as caught:
        load_mapping('[fields.region]\nvalues = { "1" = "Paris" }\n', plan)
    assert "'London'" in caught.value.hint


def test_files_are_named(plan, tmp_path):
    path = tmp_path / "ours.toml"
    for data, message in [
        (b"colour = 1", "ours.toml: colour"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (1 << 20) + b"#", "more than 1 MiB"),
    ]:
        path.write_bytes(data)
        with pytest.raises(MappingError) as caught:
            load_mapping(path, plan)
        assert message in str(caught.value)
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_mapping(str(path), plan).partner == "union"
    with pytest.raises(MappingError) as caught:
        load_mapping(tmp_path / "none.toml", plan)
    assert caught.value.code == "mapping.file"


# -- cells ---------------------------------------------------------------------------------

WITH_SEPARATOR = '[fields.problems]\nseparator = ";"\n'


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ({"region": "sentinel"}, "region", "neither a choice"),
        ({"region": "london"}, "region", "neither a choice"),
        ({"problems": "targets;sentinel"}, "problems", "neither a choice"),
        ({"problems": "targets;;bullying"}, "problems", "neither a choice"),
        ({"problems": ";"}, "problems", "neither a choice"),
        ({"problems": "targets;targets"}, "problems", "twice"),
        ({"problems": "none"}, "problems", "neither a choice"),
        ({"problems": ["targets", "sentinel"]}, "problems", "neither a choice"),
        ({"hours": "sentinel"}, "hours", "not a number"),
        ({"hours": "1,5"}, "hours", "not a number"),
        ({"hours": "1 000"}, "hours", "not a number"),
        ({"hours": "nan"}, "hours", "not a number"),
        ({"hours": "٣"}, "hours", "not a number"),
    ],
)
def test_cells_that_say_nothing_are_refused(plan, cells, field, reason):
    with pytest.raises(AnswerError) as caught:
        answers(WITH_SEPARATOR, plan, **cells)
    assert caught.value.field == field
    assert reason in str(caught.value)
    assert "sentinel" not in f"{caught.value} {caught.value.hint}"


def test_cells_that_say_something(plan):
    assert answers(WITH_SEPARATOR, plan, region="Wales\t", problems="bullying ; targets") == {
        "region": "Wales",
        "problems": ["bullying", "targets"],
    }
    assert answers(WITH_SEPARATOR, plan, problems=[]) == {"problems": []}
    assert answers(WITH_SEPARATOR, plan, problems=["targets"]) == {"problems": ["targets"]}
    assert answers(WITH_SEPARATOR, plan, region=None, hours=None, problems=None) == {}


def test_empty_text_may_have_a_meaning(plan):
    text = '[fields.contract]\nvalues = { "" = "permanent" }\n[fields.problems]\nseparator = ";"\n'
    text += 'nothing = ["", "none"]\n'
    for empty in ("", None, "  "):
        assert answers(text, plan, contract=empty, problems=empty) == {
            "contract": "permanent",
            "problems": [],
        }


def test_a_field_may_have_blanks_of_its_own(plan):
    text = 'blank = ["-"]\n[fields.contract]\nblank = ["99"]\n' + WITH_SEPARATOR
    cells = {"region": "-", "hours": "-", "problems": "-"}
    assert answers(text, plan, contract="99", **cells) == {}
    with pytest.raises(AnswerError):
        answers(text, plan, contract="-", **cells)
    with pytest.raises(AnswerError):
        answers(text, plan, contract="", **cells)


COLUMNS = """
[fields.problems]
columns = { "unpaid overtime" = "o", "targets" = "t", "bullying" = "b" }
ticked = ["1", "yes"]
unticked = ["0"]
"""


def test_one_column_per_choice(plan):
    assert reader(COLUMNS, plan).columns == ("region", "contract", "o", "t", "b", "hours")
    assert answers(COLUMNS, plan, o="1", t="0", b="yes") == {
        "problems": ["unpaid overtime", "bullying"]
    }
    assert answers(COLUMNS, plan, o="0", t="0", b="0") == {"problems": []}
    assert answers(COLUMNS, plan, o="", t=None, b="") == {}
    for blank in ("", None, " "):  # a choice that was added later
        assert answers(COLUMNS, plan, o="1", t="0", b=blank) == {"problems": ["unpaid overtime"]}
        assert answers(COLUMNS, plan, o="0", t=blank, b=blank) == {"problems": []}
    # Some programs write the label itself into the column of a choice that is ticked.
    assert answers(COLUMNS, plan, o="", t="targets", b="") == {"problems": ["targets"]}
    for wrong in ("sentinel", "true", "targets"):
        with pytest.raises(AnswerError) as caught:
            answers(COLUMNS, plan, o="1", t="0", b=wrong)
        assert "sentinel" not in str(caught.value)
    empty_is_no = COLUMNS.replace('["0"]', '[""]')
    assert answers(empty_is_no, plan, o="1", t="", b=None) == {"problems": ["unpaid overtime"]}
    assert answers(empty_is_no, plan) == {"problems": []}


def test_several_choices_need_a_separator_or_a_list(plan):
    with pytest.raises(MappingError) as caught:
        RowReader(plan, TableMapping.by_name(plan))
    assert caught.value.code == "mapping.separator"
    rows = RowReader(plan, TableMapping.by_name(plan), {"problems": "list"})
    assert rows.read(["Wales", None, ["targets"], None]).answers["problems"] == ["targets"]
    with pytest.raises(MappingError) as caught:
        RowReader(plan, TableMapping.by_name(plan), {"problems": "list", "region": "list"})
    assert caught.value.code == "table.type"


def test_decimal_commas(plan):
    text = WITH_SEPARATOR + '[fields.hours]\ndecimal = ","\n'
    assert answers(text, plan, hours="1,5") == {"hours": Decimal("1.5")}
    assert answers(text, plan, hours="2") == {"hours": Decimal(2)}
    with pytest.raises(AnswerError):
        answers(text, plan, hours="1.500,5")
    with pytest.raises(AnswerError):
        answers(text, plan, hours="1.5")
    assert answers(text, plan, {"hours": "number"}, hours="1.5") == {"hours": Decimal("1.5")}


@pytest.mark.parametrize(
    ("extra", "cell", "value"),
    [
        ("round = true", "12.3", "12.5"),
        ("round = true", "12.25", "12"),
        ("round = true", "12.75", "13"),
        ("round = true", "40.2", "40.2"),
        ("clip = true", "41", "40"),
        ("clip = true", "-1e1", "0"),
        ("clip = true", "8e1", "40"),
        ("clip = true", "12.3", "12.3"),
        ("clip = true\nround = true", "40.2", "40"),
        ("", "12.3", "12.3"),
    ],
)
def test_numbers_are_moved_only_when_the_mapping_says_so(plan, extra, cell, value):
    text = f"{WITH_SEPARATOR}[fields.hours]\n{extra}\n"
    assert answers(text, plan, hours=cell) == {"hours": Decimal(value)}


@settings(max_examples=200)
@given(
    value=st.decimals(-100, 100, places=4),
    low=st.integers(-20, 20),
    steps=st.integers(1, 50),
    step=st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(9, 4), Fraction(1, 10)]),
)
def test_fitted_numbers_lie_on_the_grid_and_are_nearest(value, low, steps, step):
    minimum, maximum = Fraction(low), low + steps * step
    found = Fraction(fit(value, minimum, maximum, step, clip=True, to_grid=True))
    assert minimum <= found <= maximum
    assert ((found - minimum) / step).denominator == 1
    clipped = min(max(Fraction(value), minimum), maximum)
    assert abs(found - clipped) <= step / 2
    assert fit(value, minimum, maximum, step, clip=False, to_grid=False) == value


@pytest.mark.parametrize(
    "text", ["", ".", "+.", ".e1", "1..", "1_0", "0x1", "inf", "1e", "1e100", "9" * 21, "½", "1\n"]
)
def test_what_is_no_number(text):
    assert parse_number(text) is None


# -- the template --------------------------------------------------------------------------


@settings(max_examples=30)
@given(plan=plans())
def test_the_template_is_a_mapping_as_it_stands(plan):
    text = mapping_template(plan)
    mapping = load_mapping(text, plan)
    assert list(mapping.fields) == list(plan.fields)
    for name, entry in mapping.fields.items():
        assert entry.column == name
        for choice in getattr(plan.fields[name], "choices", ()):
            assert entry.values[choice] == choice
    RowReader(plan, mapping)


def test_switched_off_lines_of_the_template_work(plan):
    lines = mapping_template(plan).splitlines()
    switched_on = [
        line[2:] if line.startswith("# ") and " = " in line and "skip" not in line else line
        for line in lines
    ]
    tomllib.loads("\n".join(switched_on))
    mapping = load_mapping("\n".join(switched_on), plan)
    assert (mapping.delimiter, mapping.encoding, mapping.partner) == (";", "cp1252", "union")
    assert mapping.fields["hours"].round
    assert mapping.fields["hours"].decimal == ","

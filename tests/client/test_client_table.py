"""Whole tables: from CSV, Parquet and data frames to reports, and rows that do not fit."""

from __future__ import annotations

import csv
import decimal
import io

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import answers_for, plans

from grievance.client import (
    RefusedRow,
    SealedRow,
    TableMapping,
    load_mapping,
    mapping_template,
    read_reports,
    read_table,
    report_schema,
    report_size,
    seal_many,
    seal_rows,
    write_reports,
)
from grievance.errors import MappingError, UsageError

MAPPING = """
partner = "union"
[fields.problems]
separator = ";"
nothing = "none"
"""

GOOD = [
    {"region": "North", "contract": "agency", "problems": ["bullying"], "hours": "12.5"},
    {"region": "Wales", "problems": [], "hours": "0"},
    {"region": "London", "contract": "permanent", "problems": ["targets", "unpaid overtime"]},
    {},
]
CSV = """\
id,region,contract,problems,hours,union
1,North,agency,bullying,12.5,north
2,Wales,,none,0,south
3,London,permanent,targets;unpaid overtime,,north
4,,,,,north
"""
SENTINEL = "sentinel-5150"


@pytest.fixture
def write(tmp_path):
    def make(text, name="survey.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return make


def measured(round_, sealed):
    return [round_.measure(report) for report in sealed.reports()]


def expected(round_, answers=GOOD):
    return [round_.bits(one) for one in answers]


def refused(sealed):
    return [(row.row, row.field, row.code) for row in sealed.refused]


# -- where tables come from ----------------------------------------------------------------


def test_csv(full, write):
    sealed = seal_many(full.task, write(CSV), MAPPING)
    assert (sealed.num_sealed, sealed.refused, sealed.num_blank) == (4, [], 1)
    assert measured(full, sealed) == expected(full)
    assert sealed.partners == ("north", "south")
    assert [full.measure(r) for r in sealed.reports("south")] == expected(full)[1:2]
    assert len(list(sealed.reports("north"))) == 3
    assert not list(sealed.reports("nobody"))
    assert repr(sealed) == "<SealedTable: 4 sealed, 0 refused>"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_forms_of_csv(full, write, encoding, delimiter, newline):
    text = CSV.replace(";", " + ").replace(",", delimiter).replace("\n", newline)
    mapping = MAPPING.replace('";"', '"+"')
    sealed = seal_many(full.task, write(text, encoding=encoding), mapping)
    assert not sealed.refused
    assert measured(full, sealed) == expected(full)


def test_numbers_of_rows_are_those_of_a_spreadsheet(full, write):
    text = (
        "region,contract,problems,hours,union\n"  # row 1
        '"North","agency","none",1,"a-b"\n'  # 2
        "\n"  # 3: holds nobody
        '"No\nwhere",agency,none,1,a\n'  # 4: one row over two lines
        "Wales,agency,none,1\n"  # 5: too few
        "Wales,agency,none,1,a,a\n"  # 6: too many
        f"{SENTINEL},agency,none,1,a\n"  # 7
        f"North,{SENTINEL},none,1,a\n"  # 8
        f"North,agency,{SENTINEL},1,a\n"  # 9
        f"North,agency,none,{SENTINEL},a\n"  # 10
        f"North,agency,none,1,{SENTINEL.upper()}\n"  # 11
        "North,agency,none,98765,a\n"  # 12: out of range
        "North,agency,none,1.23456,a\n"  # 13: between two steps
        ",agency,none,1,a\n"  # 14: required
        "North,agency,targets;bullying;unpaid overtime,1,a\n"  # 15: more than pick
        "Wales,agency,none,1,a\n"  # 16
        "\n\n"
    )
    sealed = seal_many(full.task, write(text), MAPPING)
    assert refused(sealed) == [
        (4, "region", "answers.cell"),
        (5, None, "table.row"),
        (6, None, "table.row"),
        (7, "region", "answers.cell"),
        (8, "contract", "answers.cell"),
        (9, "problems", "answers.cell"),
        (10, "hours", "answers.cell"),
        (11, None, "mapping.partner"),
        (12, "hours", "answers.range"),
        (13, "hours", "answers.step"),
        (14, "region", "answers.required"),
        (15, "problems", "answers.pick"),
    ]
    assert measured(full, sealed) == expected(
        full,
        [
            {"region": region, "contract": "agency", "problems": [], "hours": 1}
            for region in ("North", "Wales")
        ],
    )
    said = " ".join(f"{row} {row!r}" for row in sealed.refused).lower()
    for value in (SENTINEL, "98765", "1.23456", "nowhere", "no\nwhere"):
        assert value not in said
    assert str(sealed.refused[0]).startswith("row 4: region: the cell is neither")
    assert str(sealed.refused[1]) == "row 5: the row has more or fewer cells than the header"


def test_bytes_that_are_no_text_refuse_their_row(full, write):
    data = CSV.encode().replace(b"3,London", b"3,Lond\xf6n").replace(b"2,Wales", b"\xf6,Wales")
    sealed = seal_many(full.task, write(data), MAPPING)
    assert refused(sealed) == [(4, None, "table.row")]
    # Bytes in a column that nobody reads do no harm.
    assert sealed.num_sealed == 3
    latin = CSV.replace("agency", "Zürich").encode("cp1252")
    mapping = 'encoding = "cp1252"\n' + MAPPING
    mapping += '[fields.contract]\nvalues = { "Zürich" = "agency" }\n'
    assert not seal_many(full.task, write(latin), mapping).refused


@pytest.mark.parametrize(
    ("text", "mapping", "code", "message"),
    [
        ("", MAPPING, "table.read", "no column names"),
        ("\n\n", MAPPING, "table.read", "no column names"),
        ("a;b,c\n1;2,3\n", MAPPING, "table.delimiter", "more than one of comma"),
        ('region,hours\n"North,1\n', MAPPING, "table.quotes", "quotes do not close"),
        ('region,hours\n"North"x,1\n', MAPPING, "table.quotes", "quotes do not close"),
        ("région,hours\n".encode("cp1252"), MAPPING, "table.encoding", "header is not utf-8"),
        (CSV, 'encoding = "klingon"\n' + MAPPING, "table.encoding", "'klingon'"),
        (CSV.encode("utf-16")[:-1], MAPPING, "table.encoding", "'utf-16'"),
        (CSV.replace("hours", "region"), MAPPING, "table.column", "two columns"),
        (CSV.replace("hours", "Hours"), MAPPING, "table.column", "no column 'hours'"),
        (CSV, MAPPING.replace('"union"', '"onion"'), "table.column", "no column 'onion'"),
        (CSV, None, "mapping.separator", "need a `separator`"),
        (b"PK\x03\x04....", MAPPING, "table.type", "a spreadsheet"),
        (b"PAR1 and so on", MAPPING, "table.read", "not readable as Parquet"),
        (CSV, "colour = 1\n", "mapping.value", "no such key"),
    ],
)
def test_tables_that_do_not_fit_as_a_whole(full, write, text, mapping, code, message):
    with pytest.raises(MappingError) as caught:
        seal_many(full.task, write(text), mapping)
    assert caught.value.code == code
    assert message in str(caught.value)


def test_things_that_are_no_table(full, tmp_path):
    for thing in (7, None, [{"region": "North"}], tmp_path / "missing.csv", tmp_path):
        with pytest.raises(MappingError):
            seal_many(full.task, thing, MAPPING)


def test_a_delimiter_in_quotes_is_none(full, write):
    text = CSV.replace("id,", '"id; of\na ""person""",')
    assert not seal_many(full.task, write(text), MAPPING).refused
    # With two signs in the header, the mapping decides.
    text = CSV.replace("id,", "id;,")
    sealed = seal_many(full.task, write(text), 'delimiter = ","\n' + MAPPING)
    assert measured(full, sealed) == expected(full)


ROWS = {
    "region": ["North", "Wales", "London", None, "Atlantis"],
    "contract": ["agency", None, "permanent", None, None],
    "problems": ["bullying", "none", "targets;unpaid overtime", None, None],
    "hours": [12.5, 0.0, None, None, 3.0],
    "union": ["north", "south", "north", "north", "north"],
}


def arrow(kind):
    texts = {
        name: pa.array(values, pa.string()).cast(kind)
        for name, values in ROWS.items()
        if name != "hours"
    }
    return pa.table({**texts, "hours": pa.array(ROWS["hours"], pa.float64())})


def as_dictionary(table):
    return pa.table(
        {
            name: column.combine_chunks().dictionary_encode() if name != "hours" else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


TABLES = {
    "string": lambda: arrow(pa.string()),
    "large_string": lambda: arrow(pa.large_string()),
    "string_view": lambda: arrow(pa.string_view()),
    "dictionary": lambda: as_dictionary(arrow(pa.string())),
    "large_dictionary": lambda: as_dictionary(arrow(pa.large_string())),
    "reader": lambda: arrow(pa.string()).to_reader(),
    "batch": lambda: arrow(pa.string()).to_batches()[0],
    "chunks": lambda: pa.concat_tables([arrow(pa.string()).slice(i, 1) for i in range(5)]),
    "polars": lambda: pl.DataFrame(ROWS),
    "polars categorical": lambda: pl.DataFrame(ROWS).with_columns(
        pl.col("region").cast(pl.Categorical), pl.col("union").cast(pl.Enum(["north", "south"]))
    ),
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas categorical": lambda: pd.DataFrame(ROWS).astype({"region": "category"}),
    "decimal": lambda: arrow(pa.string()).set_column(
        4, "hours", pa.array(ROWS["hours"]).cast(pa.decimal128(9, 3))
    ),
    "float32": lambda: arrow(pa.string()).set_column(
        4, "hours", pa.array(ROWS["hours"]).cast(pa.float32())
    ),
    "float16": lambda: arrow(pa.string()).set_column(
        4, "hours", pa.array(ROWS["hours"], pa.float32()).cast(pa.float16())
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_other_libraries(full, name):
    seen = []
    sealed = seal_many(
        full.task, TABLES[name](), MAPPING, progress=lambda done, total: seen.append((done, total))
    )
    assert measured(full, sealed) == expected(full)
    assert refused(sealed) == [(5, "region", "answers.cell")]
    assert seen == [(done, None if name == "reader" else 5) for done in range(1, 6)]


@pytest.mark.parametrize("name", ["string", "large_string", "dictionary", "decimal", "float32"])
def test_parquet(full, tmp_path, name):
    path = tmp_path / "survey.data"
    pq.write_table(TABLES[name](), path, row_group_size=2)
    sealed = seal_many(full.task, path, MAPPING)
    assert measured(full, sealed) == expected(full)
    assert refused(sealed) == [(5, "region", "answers.cell")]
    damaged = bytearray(path.read_bytes())
    damaged[4:40] = bytes(36)
    path.write_bytes(damaged)
    with pytest.raises(MappingError) as caught:
        seal_many(full.task, path, MAPPING)
    assert caught.value.code == "table.read"


def test_columns_that_are_not_text(full):
    frame = pl.DataFrame(
        {
            "region": [2, 3, None],
            "contract": [True, False, None],
            "problems": [["targets"], [], None],
            "hours": [7, 40, None],
        }
    )
    mapping = """
    [fields.region]
    values = { "2" = "North", "3" = "Wales" }
    [fields.contract]
    values = { "true" = "permanent", "false" = "agency" }
    """
    answers = [
        {"region": "North", "contract": "permanent", "problems": ["targets"], "hours": 7},
        {"region": "Wales", "contract": "agency", "problems": [], "hours": 40},
        {},
    ]
    assert measured(full, seal_many(full.task, frame, mapping)) == expected(full, answers)
    # Whole numbers with gaps become floats in pandas, and still read as whole numbers.
    pandas = pd.DataFrame({**frame.to_dict(as_series=False), "region": [2.0, 3.0, float("nan")]})
    assert measured(full, seal_many(full.task, pandas, mapping)) == expected(full, answers)


def test_one_boolean_column_per_choice(full):
    frame = pl.DataFrame(
        {
            "region": ["North", "North", "North", "North"],
            "contract": [None] * 4,
            "hours": [decimal.Decimal("1.50"), None, None, None],
            "t": [True, False, None, True],
            "o": [True, False, None, None],
            "b": [False, False, None, True],
        }
    )
    mapping = """
    [fields.problems]
    columns = { "targets" = "t", "unpaid overtime" = "o", "bullying" = "b" }
    """
    sealed = seal_many(full.task, frame, mapping)
    assert measured(full, sealed) == expected(
        full,
        [
            {"region": "North", "hours": "1.5", "problems": ["targets", "unpaid overtime"]},
            {"region": "North", "problems": []},
            {"region": "North"},
        ],
    )
    assert refused(sealed) == [(4, "problems", "answers.cell")]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"x"]),
        pa.array([{"a": 1}]),
        pa.array([0], pa.timestamp("s")),
        pa.array([[1]]),
        pa.array([["North"]]),
    ],
)
def test_columns_that_cannot_be_read(full, column):
    table = pa.table({"region": column, "contract": ["agency"], "problems": [""], "hours": [1]})
    with pytest.raises(MappingError) as caught:
        seal_many(full.task, table, "[fields.problems]\nseparator = ';'\n")
    assert caught.value.code == "table.type"
    # In a column that nobody reads they do no harm.
    table = table.rename_columns(["x", "contract", "problems", "hours"])
    table = table.append_column("region", pa.array(["North"]))
    assert seal_many(full.task, table, "[fields.problems]\nseparator = ';'\n").num_sealed == 1


def test_two_columns_of_one_name(full):
    table = arrow(pa.string()).append_column("region", pa.array(["x"] * 5))
    with pytest.raises(MappingError) as caught:
        seal_many(full.task, table, MAPPING)
    assert caught.value.code == "table.column"


# -- what comes out --------------------------------------------------------------------------


def test_without_a_mapping_names_and_labels_are_those_of_the_plan(small):
    table = pl.DataFrame({"region": ["North", "", "north", None]})
    sealed = seal_many(small.task, table)
    assert measured(small, sealed) == expected(small, [{"region": "North"}, {}, {}])
    assert refused(sealed) == [(3, "region", "answers.cell")]
    assert sealed.partners == ()


def test_reports_as_arrow_and_as_a_file(full, write, tmp_path):
    sealed = seal_many(full.task, write(CSV), MAPPING)
    table = sealed.to_arrow("north")
    assert table.schema.equals(report_schema(full.task))
    reports = list(sealed.reports("north"))
    assert table.column("nonce").to_pylist() == [report.nonce for report in reports]
    assert table.column("ciphertext_1").to_pylist() == [r.ciphertexts[1] for r in reports]
    assert sealed.to_arrow().num_rows == 4
    assert sealed.to_arrow("nobody").num_rows == 0
    path = tmp_path / "north.reports"
    write_reports(path, full.task, sealed.reports("north"))
    assert list(read_reports(path, full.task)) == reports


def test_rows_as_a_stream(full, write):
    table = read_table(write(CSV.replace("2,Wales", "2,Wels")))
    assert (table.num_rows, table.columns[:2]) == (4, ("id", "region"))
    rows = list(seal_rows(full.task, table, load_mapping(MAPPING, full.task.plan)))
    assert [type(row) for row in rows] == [SealedRow, RefusedRow, SealedRow, SealedRow]
    assert [row.row for row in rows] == [2, 3, 4, 5]
    assert [row.partner for row in rows if isinstance(row, SealedRow)] == ["north"] * 3
    assert [row.is_blank for row in rows if isinstance(row, SealedRow)] == [False, False, True]
    assert {len(r.report.to_bytes()) for r in rows if isinstance(r, SealedRow)} == {
        report_size(full.task)
    }
    # An open table, a mapping object and a path of a mapping do as well.
    mapping = load_mapping(MAPPING, full.task.plan)
    assert isinstance(mapping, TableMapping)
    assert seal_many(full.task, table, mapping).num_sealed == 3
    assert seal_many(full.task, table, write(MAPPING, "ours.toml")).num_sealed == 3


def test_refused_rows_at_the_end_are_not_lost(small):
    table = pl.DataFrame({"region": ["North", "x", "y"]})
    assert refused(seal_many(small.task, table)) == [
        (2, "region", "answers.cell"),
        (3, "region", "answers.cell"),
    ]
    assert seal_many(small.task, table.tail(1)).num_sealed == 0
    assert seal_many(small.task, table.head(0)).num_sealed == 0


def test_several_processes_give_what_one_gives(full):
    rows = {
        "region": [["North", "Wales", "nowhere", "London", None][i % 5] for i in range(200)],
        "contract": [["agency", None][i % 2] for i in range(200)],
        "hours": [i % 90 / 2 for i in range(200)],
        "problems": [["targets", "bullying"][: i % 3] for i in range(200)],
    }
    frame = pl.DataFrame(rows)
    seen = []
    one = seal_many(full.task, frame)
    two = seal_many(full.task, frame, workers=2, progress=lambda *args: seen.append(args))
    assert measured(full, two) == measured(full, one)
    assert two.refused == one.refused
    assert (one.num_sealed, len(one.refused)) == (110, 90)
    assert {row.code for row in one.refused} == {
        "answers.cell",
        "answers.range",
        "answers.required",
    }
    assert seen == [(done, 200) for done in range(1, 201)]
    nonces = {report.nonce for sealed in (one, two) for report in sealed.reports()}
    assert len(nonces) == 220
    with pytest.raises(UsageError):
        seal_many(full.task, frame, workers=0)


def test_stopping_early_stops_the_processes(full):
    frame = pl.DataFrame({"region": ["North"] * 300, "hours": [1] * 300}).with_columns(
        contract=None, problems=pl.lit([], pl.List(pl.String))
    )

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    for workers in (None, 1):
        with pytest.raises(KeyboardInterrupt):
            seal_many(full.task, frame, workers=workers, progress=stop)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_plan_survives_a_csv_file_and_its_template(make_round, tmp_path, data):
    plan = data.draw(plans())
    people = data.draw(st.lists(answers_for(plan), min_size=1, max_size=4))
    round_ = make_round(plan)
    mapping = load_mapping(mapping_template(plan), plan)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["row", *plan.fields])
    for number, answers in enumerate(people):
        cells = []
        for name in plan.fields:
            value = answers.get(name)
            if isinstance(value, list):
                value = (mapping.fields[name].separator or ";").join(value) or "none"
            cells.append("" if value is None else str(value))
        writer.writerow([number, *cells])
    path = tmp_path / "people.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    sealed = seal_many(round_.task, path, mapping)
    assert not sealed.refused
    assert measured(round_, sealed) == expected(round_, people)
    assert len({len(report.to_bytes()) for report in sealed.reports()}) == 1


# -- a real survey ---------------------------------------------------------------------------

OSMI_FIELDS = """
[fields.age]
question = "How old are you?"
unit = "years"
minimum = 16
maximum = 80
step = 1
bands = [16, 25, 35, 45, 80]
[fields.gender]
question = "Gender"
choices = ["Woman", "Man", "Non-binary or other"]
[fields.country]
question = "Where do you work?"
choices = ["United States", "United Kingdom", "Canada", "Germany", "elsewhere"]
required = true
[fields.employer_size]
question = "How many people work there?"
choices = ["1-5", "6-25", "26-100", "100-500", "500-1000", "More than 1000"]
required = true
[fields.talk]
question = "Would you talk to colleagues?"
choices = ["yes", "some of them", "no"]
required = true
[fields.provides]
question = "What does your employer provide?"
choices = ["mental health benefits", "known care options", "wellness programme",
           "help resources", "anonymity protected"]
pick = 5
[statistics.talk_by_size]
count = ["talk", "employer_size"]
[statistics.provides]
count = ["provides"]
[statistics.age]
mean = "age"
by = ["gender"]
[statistics.countries]
count = ["country"]
"""

OSMI_MAPPING = """
partner = "country"
[partners]
"United States" = "us"
"United Kingdom" = "uk"
"Canada" = "ca"
"Germany" = "de"
"Netherlands" = "eu"
"Ireland" = "eu"
"Australia" = "au"
"Other" = "au"
[fields.country.values]
"Netherlands" = "elsewhere"
"Ireland" = "elsewhere"
"Australia" = "elsewhere"
"Other" = "elsewhere"
[fields.talk]
column = "talk_to_coworkers"
values = { "Yes" = "yes", "Some of them" = "some of them", "No" = "no" }
[fields.provides]
column = "employer_provides"
separator = ";"
nothing = "none"
"""


def test_a_real_survey_fits(make_round, plan_head, shared):
    round_ = make_round(plan_head + OSMI_FIELDS)
    layout = round_.task.layout
    path = shared / "data" / "osmi_2014.csv"
    sealed = seal_many(round_.task, path, OSMI_MAPPING)
    assert (sealed.num_sealed, sealed.refused, sealed.num_blank) == (1259, [], 0)
    assert sealed.partners == ("au", "ca", "de", "eu", "uk", "us")
    assert len(list(sealed.reports("us"))) == 751
    assert {len(report.to_bytes()) for report in sealed.reports()} == {report_size(round_.task)}
    # Verifying everybody would take long; every fiftieth person, against Python's own reader.
    with path.open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    for number, (person, report) in enumerate(zip(people, sealed.reports(), strict=True)):
        if number % 50:
            continue
        ticked = person["employer_provides"]
        country = person["country"]
        answers = {
            "age": person["age"] or None,
            "gender": person["gender"] or None,
            "country": country if country in "United States/United Kingdom/Canada/Germany"
            else "elsewhere",
            "employer_size": person["employer_size"],
            "talk": person["talk_to_coworkers"].lower(),
            "provides": [] if ticked == "none" else ticked.split(";"),
        }  # fmt: skip
        assert round_.measure(report) == layout.encode(layout.answers(answers))

"""Tables from CSV, Parquet and other libraries, and what is refused in them."""

from __future__ import annotations

import decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from survey_rows import CSV, MAPPING, ROWS, SENTINEL, arrow, expected, measured, refused

from grievance.errors import MappingError
from grievance.tables import seal_many

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


def test_a_byte_order_mark_is_never_part_of_a_name(small, write):
    for encoding in ("", 'encoding = "utf-8"\n', 'encoding = "UTF8"\n'):
        sealed = seal_many(
            small.task, write("region\nNorth", encoding="utf-8-sig"), encoding + "\n"
        )
        assert sealed.num_sealed == 1


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
    sealed = seal_many(full.task, write(text), MAPPING, partial=True)
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
    sealed = seal_many(full.task, write(data), MAPPING, partial=True)
    assert refused(sealed) == [(4, None, "table.encoding")]
    # Bytes in a column that nobody reads do no harm.
    assert sealed.num_sealed == 3
    latin = CSV.replace("agency", "Zürich").encode("cp1252")
    mapping = 'encoding = "cp1252"\n' + MAPPING
    mapping += '[fields.contract]\nvalues = { "Zürich" = "agency" }\n'
    assert not seal_many(full.task, write(latin), mapping).refused


@pytest.mark.parametrize(
    ("text", "mapping", "code", "message"),
    [
        ("", MAPPING, "table.type", "is empty"),
        ("\n\n", MAPPING, "table.read", "no column names"),
        (",,\n1,2,3\n", MAPPING, "table.read", "no column names"),
        ("a;b,c\n1;2,3\n", MAPPING, "table.delimiter", "more than one of comma"),
        ('region,hours\n"North,1\n', MAPPING, "table.quotes", "quotes do not close"),
        ('region,hours\n"North"x,1\n', MAPPING, "table.quotes", "quotes do not close"),
        ("région,hours\n".encode("cp1252"), MAPPING, "table.encoding", "header is not utf-8"),
        (CSV, 'encoding = "klingon"\n' + MAPPING, "table.encoding", "'klingon'"),
        (CSV, 'encoding = "zlib"\n' + MAPPING, "table.encoding", "'zlib'"),
        (CSV, 'encoding = "a\\u0000b"\n' + MAPPING, "table.encoding", "this is not"),
        (CSV.encode("utf-16")[:-1], MAPPING, "table.encoding", "'utf-16'"),
        (CSV.replace("hours", "region"), MAPPING, "table.column", "two columns"),
        (CSV.replace("hours", "Hours"), MAPPING, "table.column", "no column 'hours'"),
        (CSV, MAPPING.replace('"union"', '"onion"'), "table.column", "no column 'onion'"),
        (CSV, None, "mapping.separator", "need a `separator`"),
        (b"PK\x03\x04....", MAPPING, "table.type", "a spreadsheet"),
        (b"PAR1 and so on", MAPPING, "table.read", "not readable (Arrow"),
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
        full.task,
        TABLES[name](),
        MAPPING,
        partial=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert measured(full, sealed) == expected(full)
    assert refused(sealed) == [(5, "region", "answers.cell")]
    assert seen == [(done, 4) for done in range(1, 5)]


@pytest.mark.parametrize("name", ["string", "large_string", "dictionary", "decimal", "float32"])
def test_parquet(full, tmp_path, name):
    path = tmp_path / "survey.data"
    pq.write_table(TABLES[name](), path, row_group_size=2)
    sealed = seal_many(full.task, path, MAPPING, partial=True)
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
            # A blank beside an answer is a choice that was not ticked.
            {"region": "North", "problems": ["targets", "bullying"]},
        ],
    )
    assert not refused(sealed)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"x"]),
        pa.array([{"a": 1}]),
        pa.array([0], pa.timestamp("s")),
        pa.array([[1]]),
        pa.array([["North"]]),
        pa.array([[True]]),
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


def test_text_that_is_no_utf8_is_not_quoted(small):
    data = pa.py_buffer(b"North" + SENTINEL.encode() + b"\xff")
    offsets = pa.py_buffer(b"".join(at.to_bytes(4, "little") for at in (0, 5, len(data))))
    column = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    with pytest.raises(MappingError) as caught:
        seal_many(small.task, pa.table({"region": column}))
    assert caught.value.code == "table.read"
    assert SENTINEL not in str(caught.value)
    assert caught.value.__suppress_context__


def test_lists_of_categories(full):
    frame = pl.DataFrame({"region": ["North"], "problems": [["targets", None]]}).with_columns(
        pl.col("problems").cast(pl.List(pl.Categorical)), contract=None, hours=None
    )
    assert refused(seal_many(full.task, frame, partial=True)) == [(1, "problems", "answers.cell")]
    frame = frame.with_columns(pl.col("problems").list.drop_nulls())
    answers = [{"region": "North", "problems": ["targets"]}]
    assert measured(full, seal_many(full.task, frame)) == expected(full, answers)


def test_two_columns_of_one_name(full):
    table = arrow(pa.string()).append_column("region", pa.array(["x"] * 5))
    with pytest.raises(MappingError) as caught:
        seal_many(full.task, table, MAPPING)
    assert caught.value.code == "table.column"

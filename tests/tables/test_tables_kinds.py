"""What survey tools and spreadsheets do to tables, kind by kind, and what is right then."""

from __future__ import annotations

import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from grievance.errors import MappingError
from grievance.tables import check_table, load_mapping, open_table, seal_many

ONLY = """
[fields.contract]
skip = true
[fields.hours]
skip = true
[fields.problems]
separator = ";"
"""


def read(round_, text, mapping=ONLY, write=None, encoding="utf-8", rows=None):
    """Read a table of text (or an Arrow table); give the reading."""
    loaded = load_mapping(mapping + "\n", round_.task.plan)
    source = text if write is None else write(text, encoding=encoding)
    return check_table(round_.task, open_table(source, loaded), loaded, rows=rows)


def answers(reading):
    assert not reading.refused, [str(row) for row in reading.refused]
    return [row.answers for _, row in reading.rows()]


def ticks(reading):
    return [given.get("problems") for given in answers(reading)]


def why(reading):
    return [(cause.rows, cause.field, cause.code) for cause in reading.causes()]


# -- several choices in one cell ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("separator", "cell", "found"),
    [
        (";", "targets;bullying;", ["targets", "bullying"]),
        (";", "targets;", ["targets"]),
        (", ", "targets, bullying, ", ["targets", "bullying"]),
        (", ", "targets,", ["targets"]),
        ("\\n", "targets\n bullying\n", ["targets", "bullying"]),
        ("|", "targets | bullying|", ["targets", "bullying"]),
    ],
)
def test_a_separator_after_the_last_choice_ends_it(full, write, separator, cell, found):
    mapping = ONLY.replace('";"', f'"{separator}"')
    assert ticks(read(full, f'region,problems\nNorth,"{cell}"\n', mapping, write)) == [found]


@pytest.mark.parametrize("cell", [";", "targets;;bullying", ";targets", "targets;;"])
def test_other_empty_parts_stay_refused(full, write, cell):
    reading = read(full, f"region,problems\nNorth,{cell}\n", ONLY, write)
    assert why(reading) == [([2], "problems", "answers.cell")]


def test_what_nothing_explains_counts_as_the_catch_all(full, write):
    text = 'region,problems\nNorth,"targets;no breaks; cold"\nWales,\nLeeds,targets\n'
    mapping = ONLY + 'other = "bullying"\n'
    reading = read(full, text, mapping, write)
    # Another field's cell stays refused, and the text goes nowhere.
    assert why(reading) == [([4], "region", "answers.cell")]
    assert [row.answers.get("problems") for _, row in reading.rows()] == [
        ["targets", "bullying"],
        None,
    ]
    assert reading.fields["problems"].notes == {"other": 1}
    # It may be ticked as well; an empty part or a word for nothing is not everything else.
    mapping += 'nothing = "none"\n'
    assert ticks(read(full, "region,problems\nNorth,bullying;x\n", mapping, write)) == [
        ["bullying"]
    ]
    for cell in ("targets;;x", "none;x"):
        assert why(read(full, f"region,problems\nNorth,{cell}\n", mapping, write))


def test_a_catch_all_for_one_choice_and_for_a_column_of_its_own(full, write):
    mapping = ONLY + '[fields.region]\nother = "Wales"\n'
    reading = read(full, "region,problems\nLeeds,\n,\n", mapping, write)
    assert answers(reading) == [{"region": "Wales"}]  # the second row is empty
    mapping = """
    [fields.region]
    blank = "-"
    [fields.contract]
    skip = true
    [fields.hours]
    skip = true
    [fields.problems]
    columns = { targets = "t", bullying = "b", "unpaid overtime" = "else" }
    other = "unpaid overtime"
    """
    text = "region,t,b,else\nNorth,true,,they never pay\nNorth,true,what,\nNorth,,,\n"
    reading = read(full, text, mapping, write)
    assert why(reading) == [([3], "problems", "answers.cell")]
    found = [row.answers.get("problems") for _, row in reading.rows()]
    assert found == [["unpaid overtime", "targets"], None]


def test_more_ticks_than_the_plan_allows_may_be_no_answer(full, write):
    text = "region,problems\nNorth,targets;bullying;unpaid overtime\nWales,targets\n"
    reading = read(full, text, ONLY, write)
    assert why(reading) == [([2], "problems", "answers.pick")]
    assert 'too_many = "blank"' in reading.causes()[0].hint
    reading = read(full, text, ONLY + 'too_many = "blank"\n', write)
    assert answers(reading) == [{"region": "North"}, {"region": "Wales", "problems": ["targets"]}]
    assert reading.fields["problems"].notes == {"too_many": 1}


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (("1", "0", ""), ["targets"]),
        (("", "0", ""), []),
        (("", "", ""), None),
        (("0", "1", "1.0"), ["unpaid overtime", "bullying"]),
        (("targets", "", ""), ["targets"]),
    ],
)
def test_blank_among_answered_is_not_ticked(full, write, cells, found):
    mapping = ONLY.replace('separator = ";"', "") + (
        'columns = { targets = "t", bullying = "b", "unpaid overtime" = "o" }\n'
        'ticked = "1"\nunticked = "0"\n'
    )
    text = f"region,t,b,o\nNorth,{','.join(cells)}\n"
    assert ticks(read(full, text, mapping, write)) == [found]


# -- headers -----------------------------------------------------------------------------------

TWO_ROWS = "Where?,Which?,,,Hours\nResponse,o,t,b,Open-Ended Response\nNorth,o,,b,4\nWales,,,,5\n"


@pytest.mark.parametrize(
    "columns",
    [
        '{ "unpaid overtime" = "o", targets = "t", bullying = "b" }',
        '{ "unpaid overtime" = "Which? / o", targets = "Which? / t", bullying = "Which? / b" }',
        '{ "unpaid overtime" = 2, targets = 3, bullying = 4 }',
    ],
)
def test_two_header_rows(full, write, columns):
    mapping = f"""
    header_rows = 2
    [fields.region]
    column = "Where?"
    [fields.contract]
    skip = true
    [fields.problems]
    columns = {columns}
    ticked = ["o", "t", "b"]
    [fields.hours]
    column = "Hours"
    """
    reading = read(full, TWO_ROWS, mapping, write)
    assert [number for number, _ in reading.rows()] == [3, 4]
    assert answers(reading) == [
        {"region": "North", "problems": ["unpaid overtime", "bullying"], "hours": 4},
        {"region": "Wales", "hours": 5},
    ]
    with pytest.raises(MappingError, match="two columns are called 'Which"):
        read(full, TWO_ROWS, mapping.replace('"Hours"', '"Which?"'), write)


def test_no_header_row_and_columns_by_place(full, write):
    mapping = 'header_rows = 0\nonly = { "3" = "yes" }\n' + ONLY + "column = 2\n[fields.region]\n"
    text = "North,targets,yes\nWales,,no\nWales,,yes\n"
    reading = read(full, text, mapping + "column = 1\n", write)
    assert reading.taken == [1, 3]
    assert answers(reading) == [{"region": "North", "problems": ["targets"]}, {"region": "Wales"}]
    with pytest.raises(MappingError, match="no column 9"):
        read(full, text, mapping + "column = 9\n", write)
    # Tables of other libraries have places, too.
    table = pa.table({"a": ["x"], "b": ["North"], "c": [["targets"]]})
    mapping = ONLY.replace('separator = ";"', "column = 3") + "[fields.region]\ncolumn = 2\n"
    assert answers(read(full, table, mapping)) == [{"region": "North", "problems": ["targets"]}]


def test_a_first_line_that_names_the_separator(full, write):
    for sign in (";", ",", "\t", "|"):
        text = f"SEP={sign}\r\nregion{sign}problems\r\nNorth{sign}targets\r\n"
        reading = read(full, text, ONLY, write, encoding="utf-8-sig")
        assert (reading.taken, ticks(reading)) == ([2], [["targets"]])
    # The header may hold other signs then, and the mapping's word goes before it.
    text = 'sep=;\n"region";problems, if any\nNorth;targets\n'
    mapping = ONLY + 'column = "problems, if any"\n'
    assert ticks(read(full, text, mapping, write)) == [["targets"]]
    text = "sep=;\nregion,problems\nNorth,targets\n"
    assert ticks(read(full, text, 'delimiter = ","\n' + ONLY, write)) == [["targets"]]
    with pytest.raises(MappingError, match="names no comma"):
        read(full, "sep=x\nregionxproblems\n", ONLY, write)


@pytest.mark.parametrize(
    ("text", "mapping", "hint"),
    [
        ("Smith,Leeds,sentinel\n", ONLY, "header_rows = 0"),
        ("region,Smith\nNorth,x\n", ONLY, "1 of the columns"),
        ("Region ,problems\nNorth,\n", ONLY, "column 1 is called nearly so"),
        ("Smith Leeds sentinel\n", ONLY, "delimiter"),
        ("region,problems,problems\n", ONLY, "by its place"),
    ],
)
def test_no_message_repeats_what_may_be_a_person(full, write, text, mapping, hint):
    with pytest.raises(MappingError) as caught:
        read(full, text, mapping, write)
    assert caught.value.code == "table.column"
    assert hint in caught.value.hint
    told = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert not any(word in told for word in ("Smith", "Leeds", "sentinel", "Region "))


def test_names_inside_a_type_are_not_repeated(full):
    table = pa.table({"region": pa.array([{"sentinel": 1}]), "problems": [["targets"]]})
    with pytest.raises(MappingError) as caught:
        read(full, table, ONLY.replace('separator = ";"', ""))
    assert "sentinel" not in f"{caught.value} {caught.value.hint}"
    assert "holds struct" in str(caught.value)


# -- rows --------------------------------------------------------------------------------------


def test_previews_and_unfinished_rows_are_left_out(full, write):
    text = (
        "Status,Finished,region,problems\n"
        "Survey Preview,True,Leeds,x\n"
        "IP Address,False,North,targets\n"
        "IP Address, True ,Wales,targets\n"
    )
    mapping = 'only = { Finished = ["True"], Status = "IP Address" }\n' + ONLY
    reading = read(full, text, mapping, write)
    assert (reading.taken, reading.left_out["only"]) == ([4], 2)
    with pytest.raises(MappingError, match="no column 'Finished'"):
        read(full, text.replace("Finished", "Done"), mapping, write)
    numbers = pa.table({"Finished": [1, 0], "region": ["North"] * 2, "problems": [[], []]})
    mapping = 'only = { Finished = "1.0" }\n' + ONLY.replace('separator = ";"', "")
    assert read(full, numbers, mapping).taken == [1]


def test_rows_in_which_every_cell_is_empty_hold_nobody(full, write):
    text = "region,problems,\nNorth,targets,\n,,\n , ,\nWales,,,,\n\n,,\n"
    reading = read(full, text, ONLY, write)
    assert (reading.taken, reading.left_out["empty"]) == ([2, 5], 3)
    assert reading.num_blank == 0
    assert reading.table.num_rows == 2


def test_a_long_cell_that_nobody_reads(full, write):
    text = f"region,problems,note\nNorth,targets,{'x' * 131_073}\nWales,,\n"
    assert len(answers(read(full, text, ONLY, write))) == 2
    with pytest.raises(MappingError) as caught:
        read(full, f'region,problems\nNorth,targets\nWales,"{"x" * (1 << 24)}\n', ONLY, write)
    assert "row 3 has a cell of more than 16,777,216 characters" in str(caught.value)
    with pytest.raises(MappingError, match="in row 3 quotes do not close"):
        read(full, 'region,problems\nNorth,targets\nWales,"x\n', ONLY, write)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8-sig", ""), ("utf-16-le", "utf-16-le"), ("utf-16-be", "UTF-16-BE")],
)
def test_a_byte_order_mark_is_part_of_nothing(full, write, encoding, name):
    text = "region,problems\nNorth,\n"
    marked = text if encoding == "utf-8-sig" else "\ufeff" + text
    mapping = (f'encoding = "{name}"\n' if name else "") + ONLY
    assert len(answers(read(full, marked, mapping, write, encoding))) == 1
    if name:
        assert len(answers(read(full, text, mapping, write, encoding))) == 1
        with pytest.raises(MappingError, match="UTF-16 text without a byte order mark") as caught:
            read(full, text, ONLY, write, encoding)
        assert encoding in caught.value.hint
    assert load_mapping("\ufeff" + ONLY, full.task.plan)


# -- numbers -----------------------------------------------------------------------------------

HOURS = """
[fields.contract]
skip = true
[fields.problems]
skip = true
[fields.hours]
"""


@pytest.mark.parametrize(
    ("cell", "extra", "found"),
    [
        (".5", "", "0.5"),
        ("5.", "", "5"),
        ("-99.0", 'blank = ["", "-99"]', None),
        ("-099", 'blank = ["", "-99"]', None),
        ("-99,0", 'decimal = ","\nblank = ["-99"]', None),
        ("98.00", 'values = { "98" = "40" }', "40"),
        ("4e1", "", "40"),
        (",5", 'decimal = ","', "0.5"),
    ],
)
def test_numbers_are_compared_as_numbers(full, write, cell, extra, found):
    (given,) = answers(read(full, f'region,hours\nNorth,"{cell}"\n', HOURS + extra, write))
    assert str(given.get("hours")) == str(found) or given.get("hours") == float(found)


def test_codes_of_choices_are_compared_as_numbers(full, write):
    mapping = HOURS + 'skip = true\n[fields.region]\nvalues = { "1" = "North", "2" = "Wales" }\n'
    reading = read(full, "region,x\n1.0,\n02,\n2,\n", mapping, write)
    assert [given["region"] for given in answers(reading)] == ["North", "Wales", "Wales"]
    # Two codes that are one number are told apart by their text, or not at all.
    mapping = HOURS + 'skip = true\n[fields.region]\nvalues = { "1" = "North", "1.0" = "Wales" }\n'
    reading = read(full, "region,x\n1,\n1.0,\n1.00,\n", mapping, write)
    assert why(reading) == [([4], "region", "answers.cell")]


def test_clipping_is_counted_and_what_is_far_out_is_refused(full, write):
    text = "region,hours\nNorth,41\nNorth,80\nNorth,-40\nNorth,7.3\nNorth,7.5\n"
    reading = read(full, text, HOURS + "clip = true\nround = true\n", write)
    assert [given["hours"] for given in answers(reading)] == [40, 40, 0, 7.5, 7.5]
    assert reading.fields["hours"].notes == {"clipped": 3, "rounded": 1}
    assert reading.fields["hours"].labels["10 to 40"] == 2
    text = "region,hours\nNorth,999\nNorth,44927\nNorth,80.5\nNorth,-40.5\nNorth,40\n"
    reading = read(full, text, HOURS + "clip = true\n", write)
    assert why(reading) == [([2, 3, 4, 5], "hours", "answers.far")]
    assert "blank = " in reading.causes()[0].hint
    assert why(read(full, text, HOURS, write)) == [([2, 3, 4, 5], "hours", "answers.range")]


def test_a_cause_says_the_line_that_would_mend_it(full, write):
    text = 'region,hours\nNorth,"7,5"\nWales,"8,5"\nWales,about 7\nNorth,7\n'
    reading = read(full, text, HOURS, write)
    first, second = reading.causes()
    assert (first.rows, first.share, first.hint) == (
        [2, 3],
        0.5,
        'under [fields.hours]: decimal = ","',
    )
    assert second.rows == [4]
    reading = read(full, 'region,problems\nNorth,"targets,bullying"\n', ONLY, write)
    assert reading.causes()[0].hint == 'under [fields.problems]: separator = ","'
    reading = read(full, "region,problems\nNorth\n", ONLY, write)
    assert "delimiter" in reading.causes()[0].hint


# -- files of other programs -------------------------------------------------------------------


def zipped(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return data.getvalue()


def feather():
    data = io.BytesIO()
    pyarrow.feather.write_feather(pa.table({"region": ["North"]}), data)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel file"),
        (zipped("mimetype", "content.xml"), "an OpenDocument file"),
        (zipped("Index/Document.iwa"), "a Numbers file"),
        (zipped("word/document.xml"), "a Word document"),
        (zipped("survey.csv"), "zip file"),
        (b"PK\x03\x04" + b"x" * 99, "zip file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel file"),
        (gzip.compress(b"region\n", mtime=0), "compressed (gzip)"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed (zstd)"),
        (b"$FL2@(#) SPSS DATA FILE", "an SPSS file"),
        (b"<stata_dta><header>", "a Stata file"),
        (b"\x72\x02\x01\x00", "a Stata file"),
        (bytes(12) + b"\xc2\xea\x81\x60" + bytes(9), "a SAS file"),
        (b"\n <HTML><body><table>", "a web page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Workbook>", "an XML file"),
        (b'[{"region": "sentinel"}]', "JSON"),
        (b"%PDF-1.7", "a PDF document"),
        (b"SQLite format 3\x00", "a SQLite database"),
        (feather(), "an Arrow (Feather) file"),
        (b"", "is empty"),
    ],
)
@pytest.mark.parametrize("name", ["survey.csv", "survey.xlsx"])
def test_files_of_other_programs_are_named(small, write, data, words, name):
    with pytest.raises(MappingError) as caught:
        seal_many(small.task, write(data, name))
    assert caught.value.code == "table.type"
    assert words in str(caught.value)
    assert "sentinel" not in f"{caught.value} {caught.value.hint}"


def test_parquet_under_another_name(small, tmp_path):
    pq.write_table(pa.table({"region": ["North"]}), tmp_path / "survey.csv")
    assert seal_many(small.task, tmp_path / "survey.csv").num_sealed == 1

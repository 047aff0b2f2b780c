"""Whole tables to reports: partners, streams, several processes, a real survey."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import answers_for, plans
from survey_rows import CSV, MAPPING, expected, measured, refused

from grievance.client import read_reports, report_schema, report_size, seal_blank, write_reports
from grievance.errors import UsageError
from grievance.tables import (
    RowsRefusedError,
    TableMapping,
    check_table,
    load_mapping,
    mapping_template,
    read_table,
    seal_many,
    seal_rows,
)

# -- what comes out --------------------------------------------------------------------------


def test_without_a_mapping_names_and_labels_are_those_of_the_plan(small):
    table = pl.DataFrame({"region": ["North", "", "north", None]})
    sealed = seal_many(small.task, table, partial=True)
    assert measured(small, sealed) == expected(small, [{"region": "North"}, {}, {}])
    assert refused(sealed) == [(3, "region", "answers.cell")]
    assert sealed.partners == ()


def test_reports_as_arrow_and_as_a_file(full, write, tmp_path):
    sealed = seal_many(full.task, write(CSV), MAPPING)
    table = sealed.to_arrow("north")
    assert table.schema.equals(report_schema(full.task))
    reports = list(sealed.reports("north"))
    assert table.column("commitment").to_pylist() == [report.commitment for report in reports]
    assert table.column("ciphertext_1").to_pylist() == [r.ciphertexts[1] for r in reports]
    assert sealed.to_arrow().num_rows == 4
    assert sealed.to_arrow("nobody").num_rows == 0
    path = tmp_path / "north.reports"
    write_reports(path, full.task, sealed.reports("north"))
    assert list(read_reports(path, full.task)) == reports


def test_rows_as_a_stream(full, write):
    mapping = load_mapping(MAPPING, full.task.plan)
    table = read_table(write(CSV.replace("2,Wales", "2,Wels")))
    assert (table.num_rows, table.columns[:2]) == (4, ("id", "region"))
    reading = check_table(full.task, table, mapping)
    assert [row.row for row in reading.refused] == [3]
    rows = list(seal_rows(reading))
    assert [row.row for row in rows] == reading.taken == [2, 4, 5]
    assert [row.partner for row in rows] == ["north"] * 3
    assert not list(seal_rows(reading, "south"))
    assert reading.num_blank == 1
    assert {len(r.report.to_bytes()) for r in rows} == {report_size(full.task)}
    # An open table, a mapping object and a path of a mapping do as well.
    assert isinstance(mapping, TableMapping)
    assert seal_many(full.task, table, mapping, partial=True).num_sealed == 3
    path = write(MAPPING, "ours.toml")
    assert seal_many(full.task, table, path, partial=True).num_sealed == 3


def test_a_table_is_sealed_whole_or_not_at_all(small):
    table = pl.DataFrame({"region": ["North", "x", "y", "London"]})
    with pytest.raises(RowsRefusedError) as caught:
        seal_many(small.task, table)
    (cause,) = caught.value.causes
    assert (caught.value.code, cause.rows, cause.share) == ("table.rows", [2, 3], 0.5)
    assert "2 of 4 rows are refused" in str(caught.value)
    sealed = seal_many(small.task, table, partial=True)
    assert refused(sealed) == [(2, "region", "answers.cell"), (3, "region", "answers.cell")]
    assert sealed.num_sealed == 2
    assert str(sealed.causes[0]).startswith("region: the cell is neither")
    # Rows that are named are the whole table.
    assert seal_many(small.task, table, rows={1, 4}).num_sealed == 2
    with pytest.raises(RowsRefusedError):
        seal_many(small.task, table, rows={1, 9})
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
    one = seal_many(full.task, frame, partial=True)
    two = seal_many(
        full.task, frame, partial=True, workers=2, progress=lambda *args: seen.append(args)
    )
    assert measured(full, two) == measured(full, one)
    assert two.refused == one.refused
    assert (one.num_sealed, len(one.refused)) == (110, 90)
    assert {row.code for row in one.refused} == {
        "answers.cell",
        "answers.range",
        "answers.required",
    }
    assert seen == [(done, 110) for done in range(1, 111)]
    nonces = {report.commitment for sealed in (one, two) for report in sealed.reports()}
    assert len(nonces) == 220
    with pytest.raises(UsageError):
        seal_many(full.task, frame, partial=True, workers=0)


def test_a_script_without_a_guard_is_told_so(small, write):
    task, table = write(small.task.data, "task.json"), write("region\nNorth")
    code = f"""
from pathlib import Path
from grievance.tables import seal_many
from grievance.errors import UsageError
from grievance.task import parse_task
task = parse_task(Path({str(task)!r}).read_bytes())
try:
    seal_many(task, {str(table)!r}, workers=1)
except UsageError as error:
    print(error.code, "__main__" in error.hint)
"""
    result = subprocess.run(
        [sys.executable, write(code, "script.py")],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert result.stdout == "usage.workers True\n"


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


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
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
    sizes = {len(report.to_bytes()) for report in [*sealed.reports(), seal_blank(round_.task)]}
    assert sizes == {report_size(round_.task)}


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


def test_a_real_survey_of_which_a_part_would_mislead(make_round, plan_head, shared):
    """173 of 1,259 people tick more than three: without them the figures say something else."""
    fields = OSMI_FIELDS.replace("pick = 5", "pick = 3")
    round_ = make_round(plan_head + fields)
    path = shared / "data" / "osmi_2014.csv"
    with pytest.raises(RowsRefusedError) as caught:
        seal_many(round_.task, path, OSMI_MAPPING)
    (cause,) = caught.value.causes
    assert (len(cause.rows), f"{cause.share:.1%}", cause.field) == (173, "13.7%", "provides")
    benefits = "mental health benefits"
    cases = ((5, "", 0, "37.9%"), (3, 'too_many = "blank"\n', 173, "28.7%"))
    for pick, extra, blank, share in cases:
        task = make_round(plan_head + OSMI_FIELDS.replace("pick = 5", f"pick = {pick}")).task
        mapping = load_mapping(OSMI_MAPPING + extra, task.plan)
        reading = check_table(task, read_table(path), mapping)
        provides, talk = reading.fields["provides"], reading.fields["talk"]
        assert (len(reading.taken), provides.blank, talk.blank) == (1259, blank, 0)
        assert f"{provides.labels[benefits] / (1259 - blank):.1%}" == share


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

"""Files for spreadsheets and programs: read back, whole, harmless, and grey cells included."""

from __future__ import annotations

import csv
import io
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from grievance.errors import ReleaseError
from grievance.privacy.laws import NoiseLaw
from grievance.release import CountTable, Release, export, to_csv
from grievance.release.cube import Axis, Cube
from grievance.release.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIELDS = """
[fields.contract]
question = "Which contract?"
choices = ["permanent", "agency"]
[fields.estimate]
question = "How many staff are short?"
minimum = 0
maximum = 4
step = 1
"""
TABLES = """
[statistics.tables]
count = ["contract"]
[statistics.needed]
mean = "estimate"
"""


@pytest.fixture
def release(make_task: Callable, make_release: Callable) -> Release:
    task = make_task(hide_below=30)
    values = {
        name: [500 + 7 * at for at in range(task.layout.statistics[name].num_released)]
        for name in task.allocations
    }
    values["contracts"] = [777, 29, -13, 555, 30, 444, 17, 666, 999, 19, 888, 11]
    return make_release(task, values)


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_csv_reads_back(release: Release) -> None:
    for table in release:
        data = to_csv(table)
        assert data.count(b"\r\n") == len(table.cells()) + 1
        assert b"\n" not in data.replace(b"\r\n", b"")
        rows, expected = read(data), table.to_rows()
        frame = pl.read_csv(io.BytesIO(data), infer_schema_length=None)
        assert frame.height == len(rows) == len(expected)
        for row, wanted in zip(rows, expected, strict=True):
            assert list(row) == list(wanted) == frame.columns
            for key, value in wanted.items():
                found = row[key]
                if value is None:
                    assert found == ""
                elif isinstance(value, bool):
                    assert found == str(value).lower()
                elif isinstance(value, (int, float)):
                    assert float(found) == pytest.approx(value, abs=1e-6)
                    assert re.fullmatch(r"-?\d+(\.\d+)?", found)
                else:
                    assert found == (f"'{value}" if value[:1] in set("=+-@\t\r\0") else value)


def test_formulas_are_text_and_numbers_are_numbers(
    make_task: Callable, make_release: Callable
) -> None:
    task = make_task(hide_below=0)
    values = {name: [-7] * task.layout.statistics[name].num_released for name in task.allocations}
    release = make_release(task, values)
    contracts = read(to_csv(release["contracts"]))
    assert {row["contract"] for row in contracts} >= {"'=HYPERLINK(1)", "agency"}
    assert all(float(row["estimate"]) < 0 for row in contracts)
    raw = to_csv(release["contracts"].raw)
    assert {row["estimate"] for row in read(raw)} == {"-7"}
    frame = pl.read_csv(io.BytesIO(raw))
    assert frame["estimate"].to_list() == [-7] * 12
    problems = to_csv(release["problems_by_region"]).decode()
    assert '"\'-unpaid, ""overtime"""' in problems
    # Every cell of every file: what a spreadsheet could run is a number or has a ' in front.
    for row in read(to_csv(*release)):
        for cell in row.values():
            if cell[:1] in set("=+-@\t\r"):
                float(cell)


STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


def test_every_start_of_a_formula_is_made_text() -> None:
    """Labels of a plan are printable; whatever a table is given, no cell is run."""
    labels = [f"{start}1+1" for start in STARTS] + ["a=1", "1-2", "'quoted", 'x",=1', "x;=1"]
    axis = Axis("answer", "?", tuple(labels))
    law = NoiseLaw("gaussian", Fraction(7), 2)
    numbers = [-at for at in range(len(labels))]
    cube = Cube((axis,), tuple(numbers), Spread.independent((len(labels),), law))
    data = to_csv(CountTable(name="t", title="?", cube=cube, hide_below=0))
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    column, estimate = rows[0].index("answer"), rows[0].index("estimate")
    assert {len(row) for row in rows} == {len(rows[0])}
    for row, label, number in zip(rows[1:], labels, numbers, strict=True):
        assert row[column] == (f"'{label}" if label[0] in STARTS else label)
        assert int(row[estimate]) == number


def test_grey_cells_are_in_csv_with_their_numbers(release: Release) -> None:
    rows = read(to_csv(release["contracts"].raw))
    grey = [row for row in rows if row["grey"] == "true"]
    assert {row["estimate"] for row in grey} >= {"29", "-13", "17", "19", "11"}
    for row in rows:
        low, high = float(row["low_95"]), float(row["high_95"])
        assert 0 <= low < high <= 1000
        # The estimate is not cut, so that rows can be added up; its range is.
        assert low <= max(0.0, float(row["estimate"])) <= high
    numbers = [int(row["estimate"]) for row in rows]
    assert sum(numbers) == release["contracts"].raw.total().estimate


def test_folder(release: Release, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "results"
    written = export(release, folder)
    names = {path.name for path in written}
    assert names == {path.name for path in folder.iterdir()}
    assert names >= {"release.json", "made-from.json", "tables.csv", "contracts.parquet"}
    assert Release.load(folder / "release.json").to_bytes() == release.to_bytes()
    rows = read((folder / "tables.csv").read_bytes())
    assert len(rows) == sum(len(table.cells()) for table in release)
    assert {row["statistic"] for row in rows} == set(release.names)
    assert {"region", "contract", "problems", "hours", "field_estimate"} <= set(rows[0])
    for table in release:
        found = pq.read_table(folder / f"{table.name}.parquet")
        assert found.to_pylist() == table.to_arrow().to_pylist()
    assert [path.name for path in folder.parent.iterdir()] == ["results"]  # nothing left beside


def test_a_statistic_called_tables(
    make_task: Callable, make_release: Callable, tmp_path: Path
) -> None:
    task = make_task(FIELDS, TABLES)
    release = make_release(task, {"tables": [40] * 3, "needed": [40] * 2})
    names = [path.name for path in export(release, tmp_path / "out", formats=("csv",))]
    assert names[:2] == ["release.json", "made-from.json"]
    assert names[2:] == ["tables.csv", "tables.statistic.csv", "needed.csv"]
    export(release, tmp_path / "out", overwrite=True)


def test_only_what_was_asked_for(release: Release, tmp_path: Path) -> None:
    written = export(release, tmp_path / "json", formats=())
    assert [path.name for path in written] == ["release.json", "made-from.json"]
    for wrong in (("xlsx",), ("csv", "pickle")):
        with pytest.raises(ReleaseError) as caught:
            export(release, tmp_path / "no", formats=wrong)  # type: ignore[arg-type]
        assert caught.value.code == "release.format"
    assert not (tmp_path / "no").exists()


def test_folders_that_hold_anything_are_left_alone(release: Release, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    export(release, empty, formats=("html",))
    with pytest.raises(ReleaseError, match="not empty"):
        export(release, empty)
    export(release, empty, formats=("csv",), overwrite=True)
    assert not (empty / "release.html").exists()  # replaced whole, not mixed with the old one
    export(release, empty, formats=(), overwrite=True)
    (empty / "letters.txt").write_text("mine")
    with pytest.raises(ReleaseError, match="other than an export"):
        export(release, empty, overwrite=True)
    assert (empty / "letters.txt").read_text() == "mine"
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine.csv").write_text("mine")
    with pytest.raises(ReleaseError):
        export(release, data, overwrite=True)
    file = tmp_path / "file"
    file.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(empty)
    for target in (file, link, file / "below"):
        with pytest.raises(ReleaseError) as caught:
            export(release, target, overwrite=True)
        assert caught.value.code == "release.folder"


def test_a_failed_export_leaves_nothing(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results"
    export(release, folder, formats=())
    before = (folder / "release.json").read_bytes()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(ReleaseError, match="No space left"):
        export(release, folder, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert (folder / "release.json").read_bytes() == before

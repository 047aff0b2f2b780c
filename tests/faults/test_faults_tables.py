"""Faults E24 to E27: tables of answers that would count some people and not others, or twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.cli_shell import Ran, Town

if TYPE_CHECKING:
    from pathlib import Path

MAPPING = 'person = "id"\n[fields.problems]\nseparator = ";"\n[fields.hours]\nclip = true\n'


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A signed round, whose office seals tables of members."""
    made = Town(tmp_path_factory.mktemp("tables") / "town")
    made.found("north", "south", "nurses")
    made.open("nurses")
    return made


def seal(town: Town, folder: Path, *rows: str, head: str = "id,region,problems,hours\n") -> Ran:
    """Seal a table into `folder/sealed`; the office that remembers is the folder's own."""
    (folder / "t.csv").write_text(head + "\n".join([*rows, ""]), encoding="utf-8")
    (folder / "m.toml").write_text(MAPPING, encoding="utf-8")
    words = ("--table", str(folder / "t.csv"), "--mapping", str(folder / "m.toml"), "--json")
    return town.seal(*words, "--out", str(folder / "sealed"), home=folder / "office")


def nothing_written(folder: Path) -> bool:
    return not (folder / "sealed").exists()


def test_e24_one_row_of_a_table_that_does_not_fit(town: Town, tmp_path: Path) -> None:
    ran = seal(town, tmp_path, "1,London,targets,4", "2,Sentinel,targets,4", "3,Wales,,")
    assert ran.code == 1 and nothing_written(tmp_path)
    assert [one["code"] for one in json.loads(ran.out)["refused"]] == ["answers.cell"]
    assert "Sentinel" not in ran.out + ran.err


def test_e25_one_person_in_several_rows_or_sealed_before(town: Town, tmp_path: Path) -> None:
    twice = seal(town, tmp_path, "1,London,,", "2,Wales,,", "1,London,,")
    assert twice.code == 1 and nothing_written(tmp_path)
    assert [one["code"] for one in json.loads(twice.out)["refused"]] == ["row.twice"]
    assert seal(town, tmp_path, "1,London,,", "2,Wales,,").done().json["sealed"] == 2
    (tmp_path / "sealed" / "all.reports").unlink()
    (tmp_path / "sealed").rmdir()
    again = seal(town, tmp_path, "2,Wales,,", "1,London,,").done().json
    assert (again["sealed"], again["left_out"]) == (0, {"sealed before": 2})
    assert nothing_written(tmp_path)


def test_e26_a_table_without_its_header(town: Town, tmp_path: Path) -> None:
    ran = seal(town, tmp_path, "2,Wales,,", head="Sentinel Smith,London,targets,4\n")
    assert (ran.code, ran.out) == (2, "") and nothing_written(tmp_path)
    assert '"error": "table.column"' in ran.err
    assert not any(cell in ran.err for cell in ("Sentinel", "Smith", "London"))


def test_e27_a_number_far_beyond_what_can_be_meant(town: Town, tmp_path: Path) -> None:
    """A little beyond is moved to the end and told; a code for "no answer" is not a number."""
    near = seal(town, tmp_path, "1,London,,12").done()
    assert near.json["sealed"] == 1
    far = tmp_path / "far"
    far.mkdir()
    ran = seal(town, far, "2,London,,999")
    assert ran.code == 1 and nothing_written(far)
    assert [one["code"] for one in json.loads(ran.out)["refused"]] == ["answers.far"]
    assert "999" not in ran.out + ran.err

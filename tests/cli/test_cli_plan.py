"""`grievance plan`: from a template to a checked plan and a mapping."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import PLAN, type_words


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


def test_the_template_checks_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    ran = type_words("plan", "new", str(path), "--title", "Our pay", "--campaign", "pay").done()
    assert ran.out == ""
    assert f"grievance plan check {path}" in ran.err
    assert 'title = "Our pay"' in path.read_text("utf-8")
    checked = type_words("plan", "check", str(path), "--reports", "500").done()
    assert "problems_by_region" in checked.out
    assert "The round costs" in checked.out
    assert "note: " in checked.err


def test_new_in_json_and_never_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    assert type_words("plan", "new", str(path), "--json").done().json == {"file": str(path)}
    before = path.read_bytes()
    type_words("plan", "new", str(path)).refused(2, "exists already", "hint: name another file")
    assert path.read_bytes() == before


def test_new_refuses_names_no_plan_may_have(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    type_words("plan", "new", str(path), "--campaign", "Our Pay").refused(2, "lowercase letters")
    assert not path.exists()


def test_check_in_json(plan: Path) -> None:
    words = ("plan", "check", str(plan), "--reports", "300", "--aggregators", "3", "--json")
    found = type_words(*words).done().json
    assert (found["reports"], found["aggregators"]) == (300, 3)
    assert {s["name"] for s in found["statistics"]} == {"problems_by_region", "hours_mean"}


def test_check_without_a_number_of_reports(plan: Path) -> None:
    assert "± people" in type_words("plan", "check", str(plan)).done().out


def test_check_in_words(plan: Path) -> None:
    out = type_words("plan", "check", str(plan), "--words").done().out
    assert "What will be published, and nothing else" in out
    assert "Unpaid hours in a usual week" in out


def test_check_warns_of_numbers_that_drown(plan: Path) -> None:
    ran = type_words("plan", "check", str(plan), "--reports", "20").done()
    assert "warning: " in ran.err


def test_check_names_file_key_and_value(plan: Path) -> None:
    plan.write_text(PLAN.replace('mean = "hours"', 'mean = "hour"'), encoding="utf-8")
    type_words("plan", "check", str(plan)).refused(2, "plan.toml: ", "hours_mean", "'hour'")


def test_check_of_nothing_and_of_other_things(tmp_path: Path) -> None:
    type_words("plan", "check", str(tmp_path / "no.toml")).refused(2, "grievance plan new")
    type_words("plan", "check", str(tmp_path)).refused(2)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    type_words("plan", "check", str(tmp_path / "x.toml")).refused(2, "UTF-8")


def test_mapping_is_toml_on_stdout(plan: Path) -> None:
    import tomllib

    ran = type_words("plan", "mapping", str(plan)).done()
    assert set(tomllib.loads(ran.out)["fields"]) == {"region", "problems", "hours"}
    assert ran.err == ""
    type_words("plan", "mapping", "no.toml").refused(2)

"""`grievance plan`: from a template to a checked plan and a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    assert "unpaid_hours_spread" in checked.out
    assert "The round costs" in checked.out
    assert "note: " in checked.err


@pytest.mark.parametrize("words", ["300", "150", "1000 --groups 6", "60"])
def test_a_new_plan_shows_something(tmp_path: Path, words: str) -> None:
    path, reports = tmp_path / "plan.toml", words.split(maxsplit=1)[0]
    type_words("plan", "new", str(path), "--reports", *words.split()).done()
    found = type_words("plan", "check", str(path), "--reports", reports, "--json").done().json
    assert [statistic["hopeless"] for statistic in found["statistics"]] == [
        0 for _ in found["statistics"]
    ]


def test_who_is_too_few_for_a_plan_is_told(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    ran = type_words("plan", "new", str(path), "--reports", "300", "--groups", "6").done()
    assert "300 people are too few for 6 groups" in ran.err
    type_words("plan", "new", str(tmp_path / "x"), "--groups", "40").refused(2, "2 to 20 groups")


def test_new_in_json_and_never_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    found = type_words("plan", "new", str(path), "--json").done().json
    assert found == {"file": str(path), "groups": 0, "shows": True}
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


# The planner.

GROUPS = "field,label,expected\nregion,London,400\nregion,North,80\nregion,Wales,10\n"


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    path = tmp_path / "groups.csv"
    path.write_text(GROUPS, encoding="utf-8")
    return path


def test_by_group_shows_what_drowns_and_what_to_merge(plan: Path, groups: Path) -> None:
    ran = type_words("plan", "check", str(plan), "--by-group", str(groups)).done()
    for words in ("drown", "[statistics.problems_by_region]", '["North", "Wales"]', "Or hear from"):
        assert words in ran.out
    assert 'you answered "overtime" to "What is a problem?"' in " ".join(ran.out.split())
    assert "warning: problems_by_region" in ran.err
    assert "in steps of 100" in ran.err


def test_tables_fit_eighty_columns(plan: Path, groups: Path) -> None:
    words = ("--by-group", str(groups), "--want", "problems_by_region:3pp", "--want=hours_mean:0.1")
    ran = type_words("plan", "check", str(plan), *words).done()
    long = [line for line in ran.out.splitlines() if len(line) > 80]
    assert all(line.lstrip().startswith("merge = ") for line in long)


def test_labels_are_never_markup(plan: Path) -> None:
    text = PLAN.replace('unit = "hours"', 'unit = "[red]h[/red]"')
    plan.write_text(text, encoding="utf-8")
    out = type_words("plan", "check", str(plan), "--reports", "300").done().out
    assert "[red]h[/red]" in out.replace("\n", "")


def test_wants_in_words_and_in_json(plan: Path) -> None:
    words = ("plan", "check", str(plan), "--reports", "2000")
    wants = ("--want", "problems_by_region:3pp", "--want", "hours_mean:0.05 hours")
    out = type_words(*words, *wants).done().out
    assert "problems_by_region: a margin of 3 points in every cell." in out
    assert "hours_mean: a margin of 0.05 hours in every group." in out
    found = type_words(*words, *wants, "--json").done().json
    assert [w["want"] for w in found["wanted"]["wants"]] == [wants[1], wants[3]]
    assert found["wanted"]["epsilon"] is not None
    assert "wanted" not in type_words(*words, "--json").done().json


def test_wants_that_cannot_be(plan: Path) -> None:
    words = ("plan", "check", str(plan), "--reports", "2000", "--want")
    type_words(*words, "hours:3pp").refused(2, "no statistic", "hours_mean")
    type_words(*words, "hours_mean:3pp").refused(2, "the unit of hours_mean is hours", "hint: ")


def test_a_chart_is_a_new_file(plan: Path, tmp_path: Path) -> None:
    chart = tmp_path / "margins.svg"
    words = ("plan", "check", str(plan), "--reports", "300", "--chart", str(chart))
    assert f"Drew {chart}" in type_words(*words).done().err
    before = chart.read_text(encoding="utf-8")
    assert before.startswith("<svg")
    assert "Pressure at work" in before
    type_words(*words).refused(2, "exists already", "name another file")
    assert chart.read_text(encoding="utf-8") == before


def test_groups_that_do_not_fit(plan: Path, groups: Path, tmp_path: Path) -> None:
    groups.write_text(GROUPS.replace("Wales", "Wessex"), encoding="utf-8")
    type_words("plan", "check", str(plan), "--by-group", str(groups)).refused(2, "no label")
    none = tmp_path / "none.csv"
    type_words("plan", "check", str(plan), "--by-group", str(none)).refused(2, "cannot be read")


def test_the_keys_of_the_json_are_those_of_the_manual(plan: Path, groups: Path) -> None:
    """Programs rely on them: what is documented is there, and what is there is documented."""
    manual = (Path(__file__).parents[2] / "docs" / "planning.md").read_text(encoding="utf-8")
    words = ("plan", "check", str(plan), "--by-group", str(groups), "--json")
    found = type_words(*words, "--want", "problems_by_region:3pp").done().json
    documented = set(re.findall(r"^\| `(\w+)` \|", manual, re.MULTILINE))
    assert documented == set(keys_of(found)) - {"gaussian", "laplace"}


def keys_of(value: object, named: bool = False) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from keys_of(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            # Fields, kinds of cost and the two beliefs are names, not keys.
            if not named:
                yield key
            inner = key in ("labels", "beliefs") or key.endswith(("cost", "budget"))
            yield from keys_of(item, named=inner)

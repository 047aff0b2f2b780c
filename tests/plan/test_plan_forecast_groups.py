"""Expected numbers by group: what is read, what follows from them, and which labels to merge."""

from __future__ import annotations

import json
import tomllib
from itertools import product
from math import ceil, hypot
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLE

from grievance.errors import UsageError
from grievance.plan import Plan
from grievance.planner import forecast, read_groups
from grievance.planner.groups import expect

PLAN = Plan.from_toml(EXAMPLE)
REGIONS = {"London": 2000, "North": 1500, "Midlands": 800, "South": 600, "Scotland": 80}
REGIONS["Wales"] = 20


def of_cells(found: Any, **labels: str) -> Any:
    (cell,) = [figure for figure in found.figures if figure.labels == labels]
    return cell


def test_cells_hold_the_product_of_their_shares() -> None:
    groups = {"region": REGIONS, "problems": {"bullying": 1000}}
    found = forecast(PLAN, by_group=groups)
    assert found.reports == 5000
    problems = found["problems_by_region"]
    cell = of_cells(problems, problems="bullying", region="London")
    assert cell.expected == pytest.approx(2000 * 1000 / 5000)
    # What nobody gave a number for: one tick a person, spread evenly.
    assert of_cells(problems, problems="targets", region="Wales").expected == pytest.approx(4)
    merged = of_cells(
        found["unpaid_hours_spread"], region="outside London", unpaid_hours="1 to 4.5"
    )
    assert merged.expected == pytest.approx(3000 / 5)
    hours = found["unpaid_hours"]
    assert of_cells(hours, region="London").expected == 2000
    assert hours.margin_units < hours.margin_units_most or hours.cells == 2
    blank = of_cells(found["unpaid_hours_spread"], region="London", unpaid_hours="not answered")
    assert (blank.expected, blank.blank, blank.hopeless, blank.points) == (0, True, False, None)
    assert blank.grey


def test_margins_are_of_the_group_and_small_groups_drown() -> None:
    found = forecast(PLAN, by_group={"region": REGIONS})["problems_by_region"]
    london = of_cells(found, problems="targets", region="London")
    wales = of_cells(found, problems="targets", region="Wales")
    assert london.margin == wales.margin == found.margin
    assert london.points < 4 < wales.points <= 100
    assert (london.hopeless, wales.hopeless) == (False, True)
    assert found.hopeless == sum(figure.hopeless for figure in found.figures)
    for figure in found.figures:
        assert figure.hopeless == (figure.expected < figure.margin)
        assert figure.grey == (figure.expected < max(PLAN.privacy.hide_below, figure.margin))
    assert found.margin_points_most == wales.points
    # Between Scotland and Wales no difference at all can show.
    assert found.difference_points is not None
    assert found.difference_points_most is None


def test_labels_without_a_number_share_what_is_left() -> None:
    shares = expect(PLAN, 1000, {"region": {"London": 500}}).shares["region"]
    assert shares["London"] == 0.5
    assert shares["Wales"] == pytest.approx(0.1)
    assert shares["not answered"] == 0
    hours = expect(PLAN, 1000, {"unpaid_hours": {"0 to 0.5": 100, "not answered": 200}})
    assert hours.shares["unpaid_hours"]["5 to 9.5"] == pytest.approx(0.7 / 4)
    assert hours.answered("unpaid_hours") == pytest.approx(0.8)
    # All bands told: what is left over left the question open.
    bands = dict.fromkeys(["0 to 0.5", "1 to 4.5", "5 to 9.5", "10 to 19.5", "20 to 40"], 100)
    assert expect(PLAN, 1000, {"unpaid_hours": bands}).answered("unpaid_hours") == 0.5


def test_people_who_leave_several_choices_open_tick_nothing() -> None:
    found = forecast(PLAN, 1200, by_group={"problems": {"not answered": 600}})
    cell = of_cells(found["problems_by_region"], problems="targets", region="Wales")
    assert cell.expected == pytest.approx(600 / 6 / 5)


@pytest.mark.parametrize(
    ("groups", "reports", "words"),
    [
        ({"regio": {"London": 1}}, 10, 'did you mean "region"'),
        ({"region": {"Londn": 1}}, 10, 'did you mean "London"'),
        ({"region": {"London": -1}}, 10, "0 or more"),
        ({"region": {"London": float("nan")}}, 10, "0 or more"),
        ({"region": {"London": True}}, 10, "0 or more"),
        ({"region": {"London": 11}}, 10, "more than the 10 people"),
        ({"region": REGIONS}, 6000, "fewer than the 6,000 people"),
        ({"region": {"not answered": 1}}, 10, "no label"),
        ({"problems": {"targets": 11}}, 10, "ticked by more people than answer"),
        ({"problems": {"targets": 6, "not answered": 5}}, 10, "ticked by more people"),
        ({"problems": {"targets": 11}}, None, "do not say how many"),
        ({"region": {"London": 0}}, None, "do not say how many"),
    ],
)
def test_numbers_that_do_not_fit_the_plan(groups: Any, reports: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        forecast(PLAN, reports, by_group=groups)


CSV = 'field,label,expected\nregion,London,400\nregion,"North",20.5\n\nproblems,targets,7\n'
TOML = "[region]\nLondon = 400\nNorth = 20.5\n[problems]\ntargets = 7\n"


@pytest.mark.parametrize(("name", "text"), [("g.csv", CSV), ("g.toml", TOML), ("g.txt", CSV)])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_expected_numbers(tmp_path: Path, name: str, text: str, mark: str) -> None:
    path = tmp_path / name
    path.write_text(mark + text, encoding="utf-8")
    expected = {"region": {"London": 400.0, "North": 20.5}, "problems": {"targets": 7.0}}
    assert read_groups(path) == expected


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("g.csv", b"", "must begin with"),
        ("g.csv", b"field;label;expected\n", "must begin with"),
        ("g.csv", b"field,label,expected\nregion,London\n", "line 2: has 2 cells"),
        ("g.csv", b"field,label,expected\nregion,London,12 people\n", "line 2: an expected"),
        ("g.csv", b"field,label,expected\nregion,London,inf\n", "line 2: an expected"),
        ("g.csv", b"field,label,expected\nr,L,1\nr,L,2\n", "line 3: r, 'L' is there twice"),
        ("g.csv", b'field,label,expected\nr,"L,1\n', "not CSV"),
        ("g.csv", b"\xff\xfe", "not UTF-8"),
        ("g.csv", b"\n" * ((1 << 20) + 1), "larger than"),
        ("g.toml", b"region = 3\n", "must be a table"),
        ("g.toml", b"[region]\nLondon = '3'\n", "London: an expected"),
        ("g.toml", b"[region]\nLondon = true\n", "London: an expected"),
        ("g.toml", b"[region]\nLondon = [1]\n", "London: an expected"),
        ("g.toml", b"[region\n", "not TOML"),
        ("g.toml", b"a." * 60 + b"a = 1\n", "not TOML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_groups(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.csv cannot be read"):
        read_groups(tmp_path / "no.csv")


def test_bands_say_where_a_mean_lies() -> None:
    lowest = forecast(PLAN, 500_000, by_group={"unpaid_hours": {"0 to 0.5": 500_000}})
    middle = forecast(PLAN, 500_000)
    # At the very end: T has M sigma, and t N has t sigma, t being nearly -M.
    ratio = lowest["unpaid_hours"].margin_units / middle["unpaid_hours"].margin_units
    assert ratio == pytest.approx(2**0.5, rel=0.02)
    top = expect(PLAN, 100, {"unpaid_hours": {"20 to 40": 100}})
    assert top.centres["unpaid_hours"] == pytest.approx(2 * 30 / 40 - 1)
    first = expect(PLAN, 100, {"unpaid_hours": {"1 to 4.5": 100}})
    assert first.centres["unpaid_hours"] == pytest.approx(2 * 2.75 / 40 - 1)
    assert expect(PLAN, 100, {"unpaid_hours": {"not answered": 100}}).centres == {
        "unpaid_hours": 0.0
    }
    assert expect(PLAN, 100).centres == {}


def test_a_share_that_may_be_nothing_has_the_margin_to_its_farther_limit() -> None:
    found = forecast(PLAN, 60_000, by_group={"problems": {"bullying": 0, "targets": 30_000}})
    problems = found["problems_by_region"]
    none = of_cells(problems, problems="bullying", region="Wales")
    some = of_cells(problems, problems="targets", region="Wales")
    # At a/64, which is a half, the denominator's noise does not count; at 0 that half of it does.
    sd = 1.96 * 2**0.5 * float(problems.noise_scale)
    assert none.points == pytest.approx(100 * hypot(71 / 64, 0.5) * sd / 10_000, rel=0.02)
    assert some.points == pytest.approx(100 * 71 / 64 * sd / 10_000, rel=0.02)


# Merging.


def pasted(text: str, toml: str) -> Plan:
    """Paste a suggestion where its tables stand, as a person would."""
    for name, table in tomllib.loads(toml).items():
        for key in table:
            head = f"[{name}.{key}]\n"
            start = text.index(head)
            stop = text.find("\n[", start)
            own = text[start : stop if stop >= 0 else len(text)]
            lines = toml.split("\n")
            new = lines[lines.index(head.strip()) + 1]
            kept = [
                line
                for line in own.removeprefix(head).split("\n")
                if not line.startswith(new.split(" ")[0] + " ")
            ]
            text = text.replace(own, "\n".join([head.strip(), new, *kept]))
    return Plan.from_toml(text)


def test_a_suggestion_can_be_pasted_and_keeps_its_word() -> None:
    found = forecast(PLAN, by_group={"region": REGIONS})["problems_by_region"]
    merging = found.merging
    assert merging is not None
    assert (found.hopeless > 0, merging.hopeless) == (True, 0)
    assert '"Scotland", "Wales"' in merging.toml
    after = forecast(pasted(EXAMPLE, merging.toml), by_group={"region": REGIONS})
    changed = after["problems_by_region"]
    assert (changed.cells, changed.hopeless) == (merging.cells, 0)
    assert changed.margin == merging.margin
    least = min(figure.expected for figure in found.figures)
    assert merging.reports == ceil(5000 * found.margin / least)
    assert not forecast(
        PLAN, by_group={"region": {k: v * merging.reports / 5000 for k, v in REGIONS.items()}}
    )["problems_by_region"].hopeless


def test_bands_are_merged_in_their_field() -> None:
    text = EXAMPLE.split("[statistics.")[0].split("[fields.problems]")[0]
    text += '[fields.h]\nquestion = "Hours?"\nminimum = 0\nmaximum = 40\nstep = 1\n'
    text += "bands = [0, 1, 5, 10, 20, 40]\n"
    text += '[statistics.s]\ndistribution = "h"\nby = ["region"]\n'
    groups = {"h": {"0": 10, "1 to 4": 300, "5 to 9": 500}}
    found = forecast(Plan.from_toml(text), 1200, by_group=groups)["s"]
    assert found.merging is not None
    assert "[fields.h]\nbands = [0, " in found.merging.toml
    after = pasted(text, found.merging.toml)
    field = after.fields["h"]
    wider: dict[str, float] = {}
    before = {"0": 10, "1 to 4": 300, "5 to 9": 500, "10 to 19": 195, "20 to 40": 195}
    tops = {"0": 1, "1 to 4": 5, "5 to 9": 10, "10 to 19": 20, "20 to 40": 40}
    low = 0
    for label, top in zip(field.band_labels, field.bands[1:], strict=True):
        wider[label] = sum(n for name, n in before.items() if low < tops[name] <= top)
        low = int(top)
    again = forecast(after, 1200, by_group={"h": wider})["s"]
    assert (again.cells, again.hopeless) == (found.merging.cells, found.merging.hopeless)


def test_fewer_cells_have_more_noise_which_may_take_another_merging() -> None:
    regions = {"London": 147, "North": 905, "Midlands": 55, "South": 150}
    regions |= {"Scotland": 1527, "Wales": 1638}
    merging = forecast(PLAN, by_group={"region": regions})["problems_by_region"].merging
    assert merging is not None
    assert merging.hopeless == 0


def test_a_merged_group_never_takes_the_name_of_an_answer() -> None:
    text = EXAMPLE.replace('"Scotland", "Wales"]', '"Scotland", "Wales", "Scotland or Wales"]', 1)
    text = text.replace('"South", "Scotland", "Wales"]', '"South", "Scotland", "Wales"]')
    groups = {"region": {**REGIONS, "Scotland": 400, "Scotland or Wales": 3000}}
    merging = forecast(Plan.from_toml(text), by_group=groups)["problems_by_region"].merging
    assert merging is not None
    assert '"Scotland to Wales" = ["Scotland", "Wales"]' in merging.toml
    assert merging.hopeless == 0


def test_where_no_merging_helps_it_is_said() -> None:
    found = forecast(PLAN, 30)["problems_by_region"]
    assert found.merging is not None
    assert found.merging.toml == ""
    assert found.merging.hopeless == found.hopeless == 30
    nobody = dict(REGIONS, Wales=0)
    drowning = forecast(PLAN, by_group={"region": nobody})["problems_by_region"].merging
    assert drowning is not None
    assert drowning.reports is None
    assert drowning.hopeless == 0


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3000), min_size=6, max_size=6).filter(sum))
def test_suggestions_hold_whatever_the_groups(numbers: list[int]) -> None:
    regions = dict(zip(REGIONS, numbers, strict=True))
    for found in forecast(PLAN, by_group={"region": regions}).statistics:
        merging = found.merging
        assert (merging is None) == (found.hopeless == 0)
        if merging is None or not merging.toml or "[fields." in merging.toml:
            continue
        after = forecast(pasted(EXAMPLE, merging.toml), by_group={"region": regions})[found.name]
        assert (after.cells, after.hopeless) == (merging.cells, merging.hopeless)
        # Nobody is dropped: merged cells hold at least as many people as any of theirs.
        for figure, other in product(found.figures, after.figures):
            if other.labels == figure.labels:
                assert other.expected == pytest.approx(figure.expected)
        json.dumps(merging.to_json(), allow_nan=False)

"""A number about people counts people: the page's first lines, requests, and what is not shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import pytest
from page_truth import read

from grievance.release import CountTable, DistributionTable, MeanTable, Release, to_csv
from grievance.release import figures as figures_of
from grievance.release.page.charts import Row, axis_for, draw
from grievance.release.page.lead import what_was_sealed, who_answered
from grievance.release.page.requests import LEVELS, level_of
from grievance.release.turnout import DISAGREE

TWICE = """
title = "Conditions"
envelope = "x25519"
campaign = "test"
opens = 2026-10-01
closes = 2026-12-20
[privacy]
mechanism = "gaussian"
epsilon = 4
delta = 1e-6
lifetime_epsilon = 10
minimum_reports = 10
reports_per_worker = 2
"""
REGION = """
[fields.region]
question = "Where do you work?"
choices = ["London", "North"]
required = true
"""
MOOD = """
[fields.mood]
question = "How is it?"
choices = ["good", "bad"]
"""
HOURS = """
[fields.hours]
question = "Unpaid hours?"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 2, 5, 10, 40]
"""
MOODS = """
[statistics.moods]
count = ["region", "mood"]
"""
MEAN = """
[statistics.hours_mean]
mean = "hours"
"""
SPREAD = """
[statistics.hours_spread]
distribution = "hours"
"""
ONLY = """
[statistics.moods]
count = ["mood"]
where = { region = ["London"] }
"""


def header(release: Release) -> str:
    return next(read(release.to_html()).find("header")).text()


def requests(release: Release) -> str:
    return read(release.to_html()).sections()["next"].text()


@pytest.fixture(scope="module")
def moods(make_task: Callable, make_release: Callable) -> Callable[..., Release]:
    """Return (cells, ...) -> a release of 600 sealed reports; cells: region x (good, bad, none)."""

    def make(cells: list[int], hide_below: int = 0, accepted: int = 600) -> Release:
        task = make_task(REGION + MOOD, MOODS, "4", hide_below)
        found: Release = make_release(task, {"moods": cells}, accepted=accepted)
        return found

    return make


def test_the_page_leads_with_people_and_not_with_reports(moods: Callable) -> None:
    release = moods([200, 100, 50, 120, 80, 30])
    said = header(release)
    found = re.search(r"Between (\d+) and (\d+) people answered\.", said)
    assert found and int(found[1]) < 580 < int(found[2]) <= 600
    assert "600 sealed reports count, blank ones that partners add as cover included." in said
    assert "everybody whose report answers at least one question; blank reports are not" in said
    assert not re.search(r"600 (reports|people|workers)", said)
    assert release.people is not None and release.people.estimate == 580
    assert "600 sealed reports, cover included" in repr(release)


def test_noise_beyond_the_reports_does_not_narrow_the_range(moods: Callable) -> None:
    inside, beyond = moods([200, 100, 50, 120, 80, 30]), moods([900, 100, 50, 120, 80, 30])
    assert inside.people is not None and beyond.people is not None
    assert (beyond.people.low, beyond.people.high) == (600 - beyond.people.margin, 600)
    below = moods([-900, 0, 0, 0, 0, 0])
    assert below.people is not None
    assert (below.people.low, below.people.high) == (0, below.people.margin)


def test_who_is_not_known_is_not_counted(make_task: Callable, make_release: Callable) -> None:
    """Neither a table about some people, nor the mean of a number that may be left out."""
    for fields, statistics, values in (
        (REGION + MOOD, ONLY, {"moods": [200, 100, 30]}),
        (HOURS, MEAN, {"hours_mean": [0, 300]}),
    ):
        release = make_release(make_task(fields, statistics), values)
        assert release.people is None
        said = header(release)
        assert "How many people answered is not known: no figure of this release is about" in said
        assert "In this number is" not in said and "1,000 sealed reports count" in said
    # Of a number that has to be given, everybody gave it.
    must = HOURS.replace('unit = "hours"', 'unit = "hours"\nrequired = true')
    release = make_release(make_task(must, MEAN), {"hours_mean": [0, 300]})
    assert release.people is not None and release.people.estimate == 300


def test_a_number_that_is_grey_lost_or_doubted_is_said_to_be(
    moods: Callable, make_task: Callable, make_release: Callable
) -> None:
    few = moods([1, 1, 0, 0, 0, 0], 10, 50)
    assert few.people is not None and few.people.grey and few.people.low == 0
    assert who_answered(few) == f"Under {few.people.under} people answered."
    faint = make_task(REGION + MOOD, MOODS, "0.2")
    lost = make_release(faint, {"moods": [5, 5, 5, 5, 5, 5]}, accepted=30)
    assert who_answered(lost) == "How many people answered is not known: the noise is too large."
    task = make_task(REGION + MOOD + HOURS, MOODS + SPREAD, "4")
    doubted = make_release(task, {"moods": [100] * 6, "hours_spread": [5000] * 5}, accepted=25_000)
    assert who_answered(doubted) == f"How many people answered cannot be said: {DISAGREE}."


def test_several_reports_of_one_worker_are_no_people(
    task_of: Callable, make_release: Callable
) -> None:
    task = task_of(TWICE + REGION + MOOD + MOODS)
    release = make_release(task, {"moods": [200, 100, 50, 120, 80, 30]})
    assert re.match(
        r"Between \d+ and \d+ reports with answers in them were counted\. A worker could give up "
        r"to 2, so there may be fewer people\.",
        who_answered(release),
    )
    words = read(release.to_html()).text()
    assert "Where this page says people, it counts reports with answers." in words
    assert "people answered" not in words.replace("who answered", "")


def test_everybody_who_answered_is_who_answered_that_question(moods: Callable) -> None:
    """19,900 was printed where 18,708 answered: the first question of the table was counted."""
    release = moods([8000, 1500, 500, 7000, 2208, 692], 0, 20_000)
    table = release["moods"]
    assert isinstance(table, CountTable)
    assert table.answered("mood").estimate == 18_708 and table.answered().estimate == 19_900
    page = read(release.to_html()).sections()["s-moods"]
    (row,) = [one.text() for one in page.find("tr") if "everybody who answered" in one.text()]
    assert row.startswith("everybody who answered18,7") and "19,9" not in row


# -- requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "said"),
    [
        ("1/2", "at least two in five"), ("501/1000", "more than half"),
        ("1/3", "at least one in three"), ("333/1000", "at least one in four"),
        ("1", "at least nine in ten"), ("99/1000", None), ("0", None),
    ],
)  # fmt: skip
def test_a_level_is_the_largest_that_is_reached(low: str, said: str | None) -> None:
    assert level_of(Fraction(low)) == said


def test_levels_are_in_order() -> None:
    levels = [level for level, _ in LEVELS]
    assert levels == sorted(levels, reverse=True)


def test_levels_go_by_the_lower_end_alone(moods: Callable) -> None:
    clear = requests(moods([3000, 2000, 100, 3500, 1500, 100], 0, 11_000))
    assert "More than half of those who answered “How is it?” said “good” (between 6" in clear
    assert "At least one in three of those who answered “How is it?” said “bad”" in clear
    # 50.3 % is more than half as a best number, and not by its lower end.
    near = moods([252, 248, 0, 251, 249, 0], 0, 1100)
    share = near["moods"].share(of={"mood": "good"})  # type: ignore[attr-defined]
    assert share.estimate == 0.503 and share.low < 0.5
    assert "ore than half" not in requests(near)
    assert "At least two in five of those who answered “How is it?” said “good”" in requests(near)


def test_means_and_medians_have_levels(make_task: Callable, make_release: Callable) -> None:
    task = make_task(HOURS, MEAN + SPREAD, "8")
    # 4,000 people, 10 hours on average: T is the sum of 2v - 80 over v in half hours.
    values = {"hours_mean": [-40 * 4000, 4000], "hours_spread": [100, 300, 1300, 2300, 20]}
    said = requests(make_release(task, values, accepted=5000))
    mean = re.search(
        r"The mean of “Unpaid hours\?” is at least ([\d.]+) hours \(between (\S+)", said
    )
    assert mean and mean[1] == mean[2] and 9 < float(mean[1]) < 10
    assert "At least half of those who answered “Unpaid hours?” gave 10 hours or more." in said


def test_every_difference_that_is_larger_than_the_noise_is_named(moods: Callable) -> None:
    release = moods([3000, 500, 100, 1500, 3500, 100], 0, 11_000)
    sections = read(release.to_html()).sections()
    larger = [cell for cell in sections["s-moods"].find("td")
              if cell.text() == "larger than the noise"]  # fmt: skip
    assert len(larger) == 2
    said = sections["next"].text()
    assert "“good” was said more often than “bad”, by between" in said
    assert "The share that said “good” is larger among “London” than among “North”" in said


# -- what the noise hides --------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy_release(make_task: Callable, make_release: Callable) -> Release:
    """A release whose shares, mean and median may be nearly anything."""
    task = make_task(REGION + MOOD + HOURS, MOODS + MEAN + SPREAD, "0.2")
    values = {
        "moods": [60, 50, 10, 11, 7, 2],
        "hours_mean": [0, 300],
        "hours_spread": [40, 40, 30, 20, 10],
    }
    found: Release = make_release(task, values, accepted=400)
    return found


def test_point_figures_that_may_be_nearly_anything_are_shown_nowhere(
    noisy_release: Release,
) -> None:
    moods, mean, spread = (noisy_release[n] for n in ("moods", "hours_mean", "hours_spread"))
    assert isinstance(moods, CountTable) and isinstance(mean, MeanTable)
    assert isinstance(spread, DistributionTable)
    figure, median = mean.mean(), spread.quantile("1/2")
    assert figure.estimate is not None and figure.high - figure.low > 36
    assert figure.point is None and figure.text == "unknown"
    assert median.band is not None and not median.known and median.text == "unknown"
    (row,) = mean.to_rows()
    assert (row["estimate"], row["margin_95"]) == (None, None)
    assert (row["low_95"], row["high_95"]) == (figure.low, figure.high)
    assert figures_of.UNKNOWN in str(row["note"])
    best = f"{figure.estimate:.3f}"[:4]
    for text in (mean.plain(), repr(mean), mean._repr_html_(), to_csv(mean).decode()):
        assert best not in text
    shares = [row for row in moods.to_rows() if row["share"] is None]
    assert shares and all(
        row["share_low_95"] is not None for row in shares if row["mood"] == "good"
    )
    # The raw integers stay where they can be checked.
    raw = {part["name"]: part["values"] for one in noisy_release.to_json()["statistics"]
           for part in one["parts"] if one["name"] == "hours_mean"}  # fmt: skip
    assert raw == {"totals": [0], "numbers": [300]}


def test_control_of_what_is_nearly_anything(
    noisy_release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_of, "NEARLY_ALL", 1.0)
    mean = noisy_release["hours_mean"]
    assert isinstance(mean, MeanTable)
    assert mean.mean().point is not None or mean.mean().high - mean.mean().low == 40


def test_a_reason_of_two_lines_is_drawn_whole() -> None:
    reason = "not known (the noise of it is much too large)"
    rows = [Row("Midlands", reason), Row("North", "10% to 20%", 10.0, 15.0, 20.0)]
    drawn = read(draw("c", "A chart", rows, axis_for(rows, percent=True)).code)
    lines = [one.text() for one in drawn.find("text") if "tick" not in str(one.attrs)]
    assert " ".join(lines[1:3]) == reason


def test_what_was_sealed_is_said_in_one_place(moods: Callable) -> None:
    assert what_was_sealed(moods([100] * 6)) == (
        "600 sealed reports count, blank ones that partners add as cover included."
    )

"""release.html says what the figures say: rounded to their noise, grey where mostly noise."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.release import CountTable, DistributionTable, MeanTable, Release, to_csv
from grievance.release.figures import Figure
from grievance.release.page.rounding import place_of, show, write

FIELDS = """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[fields.problem]
question = "What is the problem?"
choices = ["targets", "bullying"]
"""
ONE = """
[statistics.problems]
count = ["problem", "region"]
"""
TICKS_FIELDS = """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[fields.problems]
question = "Which are a problem?"
choices = ["targets", "bullying", "caseload"]
pick = 2
required = true
"""
TICKS = """
[statistics.problems]
count = ["problems", "region"]
"""


def plain(page: str) -> str:
    """The words of the page without the charts: sentences and tables."""
    body = re.sub(r"<svg.*?</svg>|<(head|nav)\b.*?</\1>", " ", page, flags=re.DOTALL)
    spaced = re.sub(r"</(li|p|td|th|h\d|tr|caption|summary)>", "\n", body)
    return unescape(re.sub(r"<[^>]+>", "", spaced))


@pytest.mark.parametrize(
    ("value", "place", "down", "up", "half"),
    [
        (38.04, 0, "38", "39", "38"),
        (1234.5, 1, "1,230", "1,240", "1,230"),
        (-0.3, 0, "-1", "0", "0"),
        (0.25, -1, "0.2", "0.3", "0.2"),
        (38.0000000001, 0, "38", "38", "38"),
        (0.1 + 0.2, -1, "0.3", "0.3", "0.3"),
    ],
)
def test_known_roundings(value: float, place: int, down: str, up: str, half: str) -> None:
    assert write(value, place, ROUND_FLOOR) == down
    assert write(value, place, ROUND_CEILING) == up
    assert write(value, place, ROUND_HALF_EVEN) == half


@pytest.mark.parametrize(
    ("margin", "whole", "place"),
    [(4, False, 0), (3.9, False, 0), (2.9, False, -1), (40, True, 1), (0.4, True, 0), (0, True, 0),
     (0, False, -2), (350, True, 2)],
)  # fmt: skip
def test_digits_follow_the_margin(margin: float, whole: bool, place: int) -> None:
    assert place_of(margin, whole=whole) == place


@given(
    low=st.floats(-1e4, 1e4), width=st.floats(1e-3, 1e4), at=st.floats(0, 1),
    kind=st.sampled_from(["share", "count", "mean"]),
)  # fmt: skip
def test_writing_down_never_narrows_an_interval(
    low: float, width: float, at: float, kind: str
) -> None:
    if kind == "share":
        low, width = (low + 1e4) / 4e4, width / 2e4
    figure = Figure(
        labels={}, estimate=low + at * width, margin=width / 2, low=low, high=low + width,
        percent=kind == "share", whole=kind == "count",
    )  # fmt: skip
    shown = show(figure)
    factor = 100 if kind == "share" else 1
    first, last = (float(text.replace(",", "")) for text in (shown.low, shown.high))
    reach = max(1.0 if kind == "count" else 0.0, width / 2 * factor / 3)
    slack = 1e-5 * max(1.0, reach)
    assert first <= low * factor + slack and last >= (low + width) * factor - slack
    assert first >= low * factor - reach - slack and last <= (low + width) * factor + reach + slack


def test_bounds_are_kept() -> None:
    figure = Figure(labels={}, estimate=44.0, margin=15, low=17, high=45)
    assert show(figure, bounds=(16, 45)).range == "17 to 45"
    wide = Figure(labels={}, estimate=44.0, margin=40, low=16.5, high=45)
    assert show(wide, bounds=(16, 45)).range == "16 to 45"


def test_a_bound_is_written_with_all_its_digits() -> None:
    wide = Figure(labels={}, estimate=2e6, margin=1e6, low=1_234_567, high=4_999_990)
    assert show(wide, bounds=(1_234_567, 4_999_990)).range == "1,234,567 to 4,999,990"


WAGES = """
[fields.wage]
question = "Monthly wage"
unit = "won"
minimum = 1000000
maximum = 5000000
step = 10
bands = [1000000, 2060740, 2500010, 5000000]
required = true
[fields.dose]
question = "Dose"
unit = "g"
minimum = 0
maximum = 0.00001
step = 0.0000001
bands = [0, 0.0000033, 0.00001]
required = true
[statistics.wages]
distribution = "wage"
[statistics.doses]
distribution = "dose"
[statistics.mean_dose]
mean = "dose"
"""


@pytest.fixture(scope="module")
def fine(make_task: Callable, make_release: Callable) -> Release:
    fields, statistics = WAGES.split("[statistics.wages]")
    task = make_task(fields, "[statistics.wages]" + statistics)
    values = {"wages": [100, 1000, 100], "doses": [1100, 100], "mean_dose": [-80 * 1200, 1200]}
    found: Release = make_release(task, values, accepted=1300)
    return found


def test_limits_of_quantiles_are_exact(fine: Release) -> None:
    half = fine["wages"].quantile("1/2")
    assert half.limits == ("2060740", "2500000")
    assert "between 2060740 and 2500000" in half.text
    assert fine["doses"].quantile("1/2").limits == ("0", "0.0000032")
    text = " ".join(plain(fine.to_html()).split())
    assert text.count("a number between 2,060,740 and 2,500,000 won") >= 2
    assert text.count("a number between 0 and 0.0000032 g") >= 2
    assert not re.search(r"\de[+-]\d", text)


def test_a_mean_of_small_numbers_keeps_its_interval(fine: Release) -> None:
    figure = fine["mean_dose"].cells()[0]
    shown = show(figure, bounds=(0.0, 1e-5))
    low, high = float(shown.low), float(shown.high)
    assert low <= figure.low < figure.high <= high
    assert high - low < 2 * (figure.high - figure.low)
    assert "(0.00000" in figure.text and "e-" not in figure.text
    (row,) = csv.DictReader(io.StringIO(to_csv(fine["mean_dose"]).decode(), newline=""))
    width = float(row["high_95"]) - float(row["low_95"])
    assert width == pytest.approx(figure.high - figure.low, rel=1e-4)
    assert float(row["margin_95"]) == pytest.approx(figure.margin, rel=1e-4)
    assert "e" not in row["low_95"] + row["high_95"] + row["estimate"]


@pytest.fixture(scope="module")
def kinds(
    task: Any, make_release: Callable, exact_values: Callable, noisy: Callable, population: Callable
) -> Release:
    # People a hundred times over, so that there is something to say about every figure.
    exact = exact_values(task, population(120, 4))
    values = noisy(task, {name: [100 * one for one in of] for name, of in exact.items()}, 6)
    found: Release = make_release(task, values, accepted=12_500)
    return found


def matches(said: tuple[str, str], figure: Figure) -> bool:
    """Whether a sentence's two numbers are this figure's ends, rounded outwards to its noise."""
    first, last = (float(one.replace(",", "")) for one in said)
    factor = 100 if figure.percent else 1
    low, high = figure.low * factor, figure.high * factor
    step = 10.0 ** math.floor(math.log10((high - low) / 2 / 3))
    return low - step < first <= low + 1e-9 and high - 1e-9 <= last < high + step


def test_sentences_have_the_numbers_of_the_figures(kinds: Release) -> None:
    page = kinds.to_html()
    for table in kinds:
        section = plain(re.findall(
            rf'<section aria-labelledby="s-{table.name}">.*?</section>', page, re.DOTALL)[0]
        )  # fmt: skip
        said = re.findall(
            r"etween ([\d.]+)% and ([\d.]+)% of those who answered \w+ “(.*?)”", section
        )
        if isinstance(table, MeanTable):
            (all_,) = re.findall(
                r"The mean of .* lies between (\S+) and (-?\d+(?:\.\d+)?)", section
            )
            assert matches(all_, table.mean())
            for label in table.axes[0].labels if table.axes else ():
                (one,) = re.findall(rf"{label}: between (\S+) and (\S+) hours\.", section)
                assert matches(one, table.mean(**{table.axes[0].name: label}))
            continue
        assert isinstance(table, CountTable) and said, table.name
        for low, high, label in said:
            axis = next(axis for axis in table.axes if label in axis.labels)
            assert matches((low, high), table.share(of={axis.name: label})), (table.name, label)
        if isinstance(table, DistributionTable):
            (half,) = re.findall(r"Half of .* between (\S+) and (-?\d+(?:\.\d+)?)", section)
            median = table.quantile("1/2")
            assert (float(half[0]), float(half[1])) == (median.low, median.high)


def test_groups_are_said_too(kinds: Release) -> None:
    words = plain(kinds.to_html())
    table = kinds["problems_by_region"]
    assert isinstance(table, CountTable)
    line = re.findall(r"“targets”: (among “London” .*)\.\n", words)[0]
    for label in ("London", "North", "Wales"):
        (one,) = re.findall(rf"among “{label}” between ([\d.]+)% and ([\d.]+)%", line)
        figure = table.share(of={"problems": "targets"}, within={"region": label})
        assert matches(one, figure)


def test_grey_counts_have_no_best_number_on_the_page(
    make_task: Callable, make_release: Callable
) -> None:
    # Numbers that stand out, and an epsilon that rounds nothing away.
    values = {"problems": [5123, 777, 4321, 613, 3219, 2468, 8421, 6173, 7351]}
    grey = make_release(make_task(FIELDS, ONE, "8", 1000), values, accepted=50_000)
    dark = make_release(make_task(FIELDS, ONE, "8", 0), values, accepted=50_000)
    for number in ("777", "613"):
        assert re.search(rf"(?<![\d,.]){number}(?![\d,.])", plain(dark.to_html()))
        assert not re.search(rf"(?<![\w,.]){number}(?![\w,.])", grey.to_html())
    page, words = grey.to_html(), plain(grey.to_html())
    for figure in grey["problems"].cells():
        assert figure.grey == (figure.estimate in (777, 613))
        if figure.grey:
            assert figure.high < figure.under <= figure.high + 1
            assert page.count(f'<span class="soft">under {figure.under}</span>') == 1
    # A grey share keeps its range, and the table its row; nothing is left out.
    assert "problems: 2 cells: “targets” and “North”" in words
    assert "“bullying” and “London”" in words
    assert "No cell of this release is grey" in plain(dark.to_html())
    assert "below 1,000, or below its own margin" in words
    assert "below its own margin, it is shown" in plain(dark.to_html())
    # Its range is drawn without a point: three groups less one, and all together, in two charts.
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert [chart.count("<circle") for chart in charts] == [2, 3, 3]
    assert [chart.count('class="bar grey"') for chart in charts] == [0, 3, 3]
    rows = list(csv.DictReader(io.StringIO(to_csv(grey["problems"]).decode(), newline="")))
    assert [row["estimate"] for row in rows] == [str(one) for one in values["problems"]]
    assert [row["grey"] for row in rows].count("true") == 2
    assert all(row["low_95"] and row["high_95"] for row in rows)


def test_a_clear_first_answer_is_named_and_a_tie_is_not(
    make_task: Callable, make_release: Callable
) -> None:
    task = make_task(TICKS_FIELDS, TICKS)
    answered = [400, 400, 400]
    clear = [350, 120, 110, 60, 60, 60, 40, 40, 40]
    names = [part.name for part in task.layout.statistics["problems"].parts]
    cells, given_ = clear, answered

    def release(cells: list[int]) -> str:
        a, _ = task.layout.statistics["problems"].centre
        asked = task.layout.statistics["problems"].denominators
        ticks = [64 * cell - a * given_[at] for cell, at in zip(cells, asked, strict=True)]
        both = {"answered": given_, "ticks": ticks}
        values = [value for name in names for value in both[name]]
        return plain(make_release(task, {"problems": values}, accepted=1300).to_html())

    words = release(cells)
    asked = words[words.index("What can be asked for next?") :]
    assert "“targets” is the most frequent answer to “Which are a problem?”" in asked
    assert "The share that ticked “targets” is larger among “London” than among the other" in asked
    tied = release([120, 120, 120, 121, 119, 120, 10, 10, 10])
    problem = tied[: tied.index("What do we know, and how surely?")]
    assert "Which of these comes first cannot be said" in problem
    asked = tied[tied.index("What can be asked for next?") :]
    assert "is the most frequent answer" not in asked
    assert "was ticked more often cannot be said from these figures" in asked
    assert "At least one in three of those who answered “Which are a problem?” ticked" not in asked
    assert "At least one in four of those who answered “Which are a problem?” ticked" in asked
    assert "“bullying” was ticked more often than “caseload”, by between" in tied

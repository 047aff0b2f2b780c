"""Tables as people meet them: grey cells, negative numbers, text, HTML, frames, errors."""

from __future__ import annotations

import builtins
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pytest

from grievance.errors import ReleaseError
from grievance.privacy.laws import NoiseLaw
from grievance.release import Difference, Figure, Release
from grievance.release.counts import CountTable
from grievance.release.cube import Axis, Cube
from grievance.release.display import width
from grievance.release.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETIVE = 30


def zeros(task: Any) -> dict[str, list[int]]:
    return {name: [0] * task.layout.statistics[name].num_released for name in task.allocations}


@pytest.fixture
def hiding(make_task: Callable, make_release: Callable) -> Release:
    """A release whose rule greys what is below 30; some cells have telling values."""
    task = make_task(hide_below=SECRETIVE)
    values = zeros(task)
    values["contracts"] = [777, 29, -13, 555, 30, 444, 17, 666, 999, 19, 888, 11]
    values["problems_by_region"] = [900, 50, 23, 80, 27, 70, 333, 21, 19, 222, 14, 26, 444, 16, 28]
    values["hours_mean"] = [-1234, 5678, 500, 29]
    values["hours_spread"] = [100, 22, 300, 400, 13, 5, 6, 7, 8, 99]
    return make_release(task, values)


def everything(release: Release) -> str:
    return "\n".join(
        [
            *(repr(table) for table in release),
            *(table.plain() for table in release),
            *(str(table.cells()) for table in release),
            release._repr_html_(),
            *(str(table.to_rows()) for table in release),
        ]
    )


def test_grey_counts_are_written_as_what_they_are_under(hiding: Release) -> None:
    table = hiding["contracts"]
    for figure in table.raw.cells():
        if figure.grey:
            assert figure.text == f"under {figure.under}"
        else:
            assert figure.text.startswith(f"{round(figure.estimate or 0)} (")
    shown = everything(hiding)
    for value in (777, 555, 666, 999, 888):
        assert f"{value} (" in shown
    raw = {figure.estimate: figure for figure in table.raw.cells()}
    assert all(raw[value].grey for value in (29, -13, 17, 19, 11))
    assert all(not raw[value].grey for value in (777, 555, 444, 666, 999, 888))
    assert raw[30].grey == (raw[30].margin > 30)  # its own margin is the other limit
    assert "grey" not in shown.replace("'grey'", "") and "(no best number: " in shown
    assert hiding.values["contracts"][1] == 29
    for row, figure in zip(table.to_rows(), table.cells(), strict=True):
        assert (row["low_95"], row["high_95"]) == (figure.low, figure.high)
        assert row["estimate"] == figure.estimate and row["grey"] == figure.grey


def test_a_share_of_few_has_a_range_alone(hiding: Release) -> None:
    problems = hiding["problems_by_region"]
    few = problems.share(of={"problems": "targets"}, within={"region": "North"})
    assert few.grey or not few.known
    spread = hiding["contracts"].share(of={"contract": "permanent"}, within={"region": "London"})
    assert spread.dark and "(" in spread.text
    rows = [row for row in problems.to_rows() if row["share_low_95"] is not None]
    assert all(0 <= row["share_low_95"] < row["share_high_95"] <= 1 for row in rows)
    grey = [one for one in problems.shares() if one and one.grey and one.known]
    assert all("(" not in one.text and one.text.endswith("%") for one in grey)


def test_nothing_is_cut_from_an_estimate_and_everything_from_a_range(
    make_task: Callable, make_release: Callable
) -> None:
    task = make_task(hide_below=0)
    values = zeros(task) | {"contracts": [-5] * 12}
    release = make_release(task, values)
    table = release["contracts"].raw
    assert table.total().estimate == -60 and table.total().grey
    assert table.total().text == f"under {table.total().under}"
    assert table.cells()[0].low == 0 < table.cells()[0].high == table.cells()[0].margin
    assert f"under {table.cells()[0].under}" in repr(table)
    share = table.share(of={"contract": "agency"})
    assert (share.estimate, share.low, share.high) == (None, 0.0, 1.0)
    assert "too large" in share.note
    assert share.text == "unknown"
    mean = release["hours_mean"].cells()[0]
    assert (mean.estimate, mean.low, mean.high, mean.text) == (None, 0.0, 40.0, "unknown")
    quantile = release["hours_spread"].quantile(0.5)
    assert (quantile.band, quantile.low, quantile.high) == (None, 0.0, 40.0)
    assert quantile.text == "unknown"
    assert release.suspect == ()


def test_text_is_aligned_and_cut() -> None:
    axis = Axis("where", "Where?", (*(f"place {at}" for at in range(99)), "東京"))
    law = NoiseLaw("gaussian", Fraction(7), 2)
    cube = Cube((axis,), tuple(range(100)), Spread.independent((100,), law))
    table = CountTable(name="places", title="Where?", cube=cube, hide_below=0)
    lines = repr(table).splitlines()
    assert lines[0] == "places: Where?"
    assert "and 40 more rows" in lines[-3]
    assert lines[-2] == "(no best number: a noisy number of people below its margin)"
    assert "noise only" in lines[-1]
    full = table.plain().splitlines()[1:-2]
    assert len(full) == 102
    assert len({width(line[: line.index(" (") if " (" in line else 0]) for line in full[2:12]}) == 1
    assert width("東京") == 4


def test_html_is_escaped(task: Any, make_release: Callable) -> None:
    page = make_release(task, zeros(task))["problems_by_region"]._repr_html_()
    assert "bullying &amp; &lt;b&gt;" in page
    assert "<b>" not in page
    assert "-unpaid, &quot;overtime&quot;" in page


def test_unknown_axes_and_labels_say_what_there_is(task: Any, make_release: Callable) -> None:
    release = make_release(task, zeros(task))
    table = release["contracts"]
    with pytest.raises(ReleaseError) as caught:
        table.total(regions="London")
    assert "contract, region" in str(caught.value.hint)
    with pytest.raises(ReleaseError) as caught:
        table.total(region="Londn")
    assert "London, North, Wales" in str(caught.value.hint)
    multi = release["problems_by_region"]
    spread, mean = release["hours_spread"], release["hours_mean"]
    for wrong in (
        lambda: table.total(region=[]),
        lambda: table.total(region=3),
        lambda: table.cell(region="London"),
        lambda: table.share(of={}),
        lambda: table.share(of={"region": "London"}, within={"region": "North"}),
        lambda: table.compare({"region": "London"}, {"region": "London"}),
        lambda: table.compare(
            {"region": "London"}, {"region": ["London", "North"]}, of={"contract": "agency"}
        ),
        lambda: multi.share(of={"region": "London"}),
        lambda: multi.share(of={"problems": ["targets", "bullying & <b>"]}),
        lambda: multi.share(of={"problems": "targets"}, within={"problems": "bullying & <b>"}),
        release["regions"].not_answered,
        lambda: spread.quantile(0),
        lambda: spread.quantile(1.5),
        lambda: spread.quantile("half"),
        lambda: spread.quantile(math.nan),
        lambda: spread.quantile(0.5, hours="0 to 0.5"),
        lambda: mean.mean(region="North"),
        lambda: mean.compare({"region": "London"}, {}),
    ):
        with pytest.raises(ReleaseError):
            wrong()


def test_frames(task: Any, make_release: Callable) -> None:
    release = make_release(task, zeros(task) | {"contracts": list(range(-3, 9))})
    for table in release:
        arrow = table.to_arrow()
        polars, pandas = table.to_polars(), table.to_pandas()
        assert isinstance(polars, pl.DataFrame)
        assert isinstance(pandas, pd.DataFrame)
        assert arrow.num_rows == len(polars) == len(pandas) == len(table.cells())
        assert arrow.column_names == polars.columns == list(pandas.columns)
        assert arrow.column("estimate").to_pylist() == [cell.point for cell in table.cells()]
    frame = release["contracts"].to_polars()
    assert frame.filter(pl.col("contract") == "=HYPERLINK(1)").height == 3  # only CSV is escaped
    assert frame["estimate"].to_list() != [float(at) for at in range(-3, 9)]
    raw = release["contracts"].raw.to_polars()
    assert raw["estimate"].to_list() == [float(at) for at in range(-3, 9)]


def test_the_sd_of_a_row_counts_every_draw(task: Any, make_release: Callable) -> None:
    release = make_release(task, zeros(task))
    sigma = float(task.allocations["problems_by_region"].scale)
    a, t = task.layout.statistics["problems_by_region"].centre
    count = (t * t + a * a) / 64**2  # (T + a answered) / 64
    # Two aggregators; a count of ticks a cell, two draws in `regions`, three counts in `problems`.
    for name, draws in (("problems_by_region", count), ("regions", 2), ("problems", 3 * count)):
        (sd,) = {row["sd"] for row in release[name].raw.to_rows()}
        assert sd == pytest.approx(sigma * math.sqrt(2 * draws))
        # Ticks by region are in no other table, but who answered by region is.
        (less,) = {row["sd"] for row in release[name].to_rows()}
        assert less < 0.99 * sd
    assert {row["sd"] for row in release["hours_mean"].to_rows()} == {None}


@pytest.mark.parametrize("package", ["polars", "pandas"])
def test_missing_packages_are_named(
    task: Any, make_release: Callable, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    table = make_release(task, zeros(task))["contracts"]
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ReleaseError) as caught:
        getattr(table, f"to_{package}")()
    assert f"pip install {package}" in str(caught.value.hint)


def test_a_field_named_like_a_column_has_its_own(task: Any, make_release: Callable) -> None:
    table = make_release(task, zeros(task))["short_spread"]
    assert table.columns == {"estimate": "field_estimate"}
    assert table.to_arrow().column_names.count("estimate") == 1
    assert table.to_rows()[0]["field_estimate"] == "-3 to -1"


def test_figures_as_text() -> None:
    def text(kind: type[Figure], estimate: float | None, low: float, high: float, **rest: Any):
        return kind({}, estimate, (high - low) / 2, low, high, **rest).text

    assert text(Figure, 123, 103, 143, whole=True) == "123 (103 to 143)"
    assert text(Figure, -4.4, 0, 15.6, whole=True) == "0 (0 to 15)"
    assert text(Figure, 310, 280, 300, whole=True) == "300 (280 to 300)"
    assert text(Figure, 12.4, 12.2, 12.6, whole=True) == "12 (12 to 12)"
    assert text(Figure, 9, 0, 29.5, whole=True, grey=True) == "under 30"
    assert text(Figure, 9, 0, 29, whole=True, grey=True) == "under 30"
    assert text(Figure, 0.04, 0, 0.12, percent=True, grey=True) == "0.0 to 12.0 %"
    assert text(Figure, 0.341, 0.302, 0.38, percent=True) == "34.1 % (30.2 to 38.0)"
    assert text(Figure, 0.341, 0.1, 0.6, percent=True) == "34 % (10 to 60)"
    assert text(Figure, 19.26, 11.55, 26.8) == "19.3 (11.6 to 26.8)"
    assert text(Figure, None, 0, 1, percent=True) == "unknown"
    assert text(Difference, -0.004, -0.2, 0.2, percent=True) == "0 points (-20 to 20)"
    sure = Difference({"a": "x"}, 30, 20, 10, 50, whole=True)
    assert sure.larger_than_noise
    assert repr(sure) == "<Difference a='x': 30 (10 to 50)>"

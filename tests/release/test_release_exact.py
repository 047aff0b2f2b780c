"""Without noise, every table says exactly what the answers say: checked against naive counting."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grievance.errors import ReleaseError
from grievance.release import CountTable, DistributionTable, MeanTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

QUICK = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
POPULATIONS = st.tuples(st.integers(1, 60), st.integers(0, 2**32))
PROBLEMS = ['-unpaid, "overtime"', "targets", "bullying & <b>"]
BANDS = [(0, 1), (1, 5), (5, 10), (10, 41)]


@pytest.fixture
def build(task, exact_values: Callable, make_release: Callable, population: Callable) -> Callable:
    def make(drawn: tuple[int, int]):
        people = population(*drawn)
        return people, make_release(task, exact_values(task, people))

    return make


def count(facts) -> int:
    return sum(1 for fact in facts if fact)


@QUICK
@given(drawn=POPULATIONS)
def test_counts_and_implied_counts(build, drawn) -> None:
    people, release = build(drawn)
    table = release["contracts"]
    assert isinstance(table, CountTable)
    labels = ["permanent", "agency", "=HYPERLINK(1)", "not answered"]
    for contract, region in product(labels, ["London", "North", "Wales"]):
        wanted = None if contract == "not answered" else contract
        expected = count(p["contract"] == wanted and p["region"] == region for p in people)
        assert table.cell(contract=contract, region=region).estimate == expected
    for region in ["London", "North", "Wales"]:
        expected = count(p["region"] == region for p in people)
        implied = release["regions"].cell(region=region)
        assert implied.estimate == expected == table.total(region=region).estimate
        # Read off the denominators of the several-choices table: two draws a cell instead of one.
        assert implied.margin > release["problems_by_region"].answered(region=region).margin
        assert table.total(region=region).margin > table.cells()[0].margin
    assert table.total().estimate == len(people)
    assert table.answered(region="London").estimate == count(
        p["region"] == "London" and p["contract"] for p in people
    )
    assert table.not_answered().estimate == count(not p["contract"] for p in people)


@QUICK
@given(drawn=POPULATIONS)
def test_single_choice_shares(build, drawn) -> None:
    people, release = build(drawn)
    table = release["contracts"]
    for regions in (["London"], ["London", "North"], ["London", "North", "Wales"]):
        among = count(p["region"] in regions and p["contract"] for p in people)
        agency = count(p["region"] in regions and p["contract"] == "agency" for p in people)
        share = table.share(of={"contract": "agency"}, within={"region": regions})
        assert share.estimate == (pytest.approx(agency / among) if among else None)
    blank = table.share(of={"contract": "not answered"})
    assert blank.estimate == pytest.approx(count(not p["contract"] for p in people) / len(people))
    two = table.share(of={"contract": ["agency", "permanent"], "region": "London"})
    among = count(p["contract"] for p in people)
    top = count(
        p["region"] == "London" and p["contract"] in ("agency", "permanent") for p in people
    )
    assert two.estimate == (pytest.approx(top / among) if among else None)


@QUICK
@given(drawn=POPULATIONS)
def test_multi_choice_tables(build, drawn) -> None:
    people, release = build(drawn)
    for name, by_region in (("problems_by_region", True), ("problems", False)):
        table = release[name]
        for problem, region in product(PROBLEMS, ["London", "North", "Wales"]):
            group = {"region": region} if by_region else {}
            inside = [p for p in people if not by_region or p["region"] == region]
            ticks = count(p["problems"] and problem in p["problems"] for p in inside)
            answered = count(p["problems"] is not None for p in inside)
            assert table.cell(problems=problem, **group).estimate == ticks
            assert table.answered(**group).estimate == answered
            assert table.not_answered(**group).estimate == len(inside) - answered
            share = table.share(of={"problems": problem}, within=group)
            assert share.estimate == (pytest.approx(ticks / answered) if answered else None)
    assert "ticks" in release["problems"].total().note
    needs = release["needs_by_contract"]
    pay = needs.share(of={"needs": "pay"}, within={"contract": "agency"})
    agency = [p for p in people if p["contract"] == "agency"]
    expected = count("pay" in p["needs"] for p in agency)
    assert pay.estimate == (pytest.approx(expected / len(agency)) if agency else None)
    with pytest.raises(ReleaseError, match="required"):
        needs.not_answered()


@QUICK
@given(drawn=POPULATIONS)
def test_means(build, drawn) -> None:
    people, release = build(drawn)
    table = release["hours_mean"]
    assert isinstance(table, MeanTable)
    for regions in (["London"], ["Wales"], ["London", "Wales"]):
        hours = [p["hours"] for p in people if p["region"] in regions and p["hours"] is not None]
        figure = table.mean(region=regions)
        assert figure.estimate == (pytest.approx(sum(hours) / len(hours)) if hours else None)
        assert table.answered(region=regions).estimate == len(hours)
    short = [p["estimate"] for p in people]
    (figure,) = release["short_mean"].cells()
    assert figure.estimate == pytest.approx(sum(short) / len(short))
    assert dict(figure.labels) == {}


@QUICK
@given(drawn=POPULATIONS, q=st.fractions("1/20", "19/20", max_denominator=20))
def test_quantiles_are_nearest_rank(build, drawn, q: Fraction) -> None:
    people, release = build(drawn)
    table = release["hours_spread"]
    assert isinstance(table, DistributionTable)
    groups = {"London": ["London"], "outside London": ["North", "Wales"]}
    for label, regions in [*groups.items(), (None, ["London", "North", "Wales"])]:
        hours = sorted(
            p["hours"] for p in people if p["region"] in regions and p["hours"] is not None
        )
        found = table.quantile(q, **({"region": label} if label else {}))
        if not hours:
            assert found.band is None
            continue
        value = hours[math.ceil(q * len(hours)) - 1]
        at = next(i for i, (low, high) in enumerate(BANDS) if low <= value < high)
        assert found.band == table.bands[at]
        assert found.low <= value <= found.high
    if label is None:
        total = table.total(hours=table.bands[0])
        assert total.estimate == count(p["hours"] in (0, 0.5) for p in people)
    # Those who left the number open are in no denominator, whatever the share is of.
    london = table.share(of={"region": "London"})
    hours = [p["region"] == "London" for p in people if p["hours"] is not None]
    assert london.estimate == (pytest.approx(sum(hours) / len(hours)) if hours else None)
    spread = release["short_spread"]
    assert spread.ranges == ((-3, -1), (0, 1), (2, 4))
    first = spread.share(of={"estimate": spread.bands[0]})
    assert first.estimate == pytest.approx(count(p["estimate"] < 0 for p in people) / len(people))


@QUICK
@given(drawn=POPULATIONS)
def test_comparisons(build, drawn) -> None:
    _people, release = build(drawn)
    london, north = {"region": "London"}, {"region": "North"}
    for name in ("contracts", "problems_by_region", "hours_spread"):
        table = release[name]
        if name == "hours_spread":
            north = {"region": "outside London"}
        difference = table.compare(london, north)
        assert difference.estimate == (
            table.total(**london).estimate - table.total(**north).estimate
        )
        assert difference.larger_than_noise == (abs(difference.estimate) > difference.margin)
    # Cells in both selections cancel, and so does their noise.
    table = release["contracts"]
    wide = table.compare({"region": ["London", "Wales"]}, {"region": ["London", "North"]})
    narrow = table.compare({"region": "Wales"}, {"region": "North"})
    assert wide.estimate == narrow.estimate
    assert wide.margin == pytest.approx(narrow.margin, rel=1e-12)
    shares = table.compare(london, {"region": "North"}, of={"contract": "agency"})
    a = table.share(of={"contract": "agency"}, within=london).estimate
    b = table.share(of={"contract": "agency"}, within={"region": "North"}).estimate
    expected = None if a is None or b is None else pytest.approx(a - b)
    assert shares.estimate == expected
    assert -1 <= shares.low <= shares.high <= 1
    means = release["hours_mean"].compare(london, {"region": "Wales"})
    assert -40 <= means.low <= means.high <= 40

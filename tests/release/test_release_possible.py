"""Ranges hold nothing that is impossible, and something always: in tables, CSV, page and text."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_truth import NOTHING, Node, ends, read

from grievance.release import CountTable, DistributionTable, MeanTable, Release, to_csv
from grievance.release.figures import NEARLY_ALL, Figure, within

PEOPLE = (0, 50, 300)
NUMBERS = {"hours_mean": (0, 40), "short_mean": (-3, 4)}


def released(
    task: Any, make_release: Callable, exact_values: Callable, population: Callable,
    noisy: Callable, people: int, seed: int,
) -> Release:  # fmt: skip
    """A release of so many people; of nobody, the reports that count are all cover."""
    values = noisy(task, exact_values(task, population(people, seed)), seed)
    found: Release = make_release(task, values, accepted=max(people, 50))
    return found


@pytest.fixture(scope="module", params=["gaussian", "laplace"])
def rounds(
    request: pytest.FixtureRequest, make_task: Callable, make_release: Callable,
    exact_values: Callable, population: Callable, noisy: Callable,
) -> list[Release]:  # fmt: skip
    """Releases of nobody, of few and of many, several of each, with much and little noise."""
    tasks = [
        make_task(epsilon=epsilon, hide_below=10, mechanism=request.param)
        for epsilon in ("0.5", "4")
    ]
    return [
        released(task, make_release, exact_values, population, noisy, people, seed)
        for task in tasks
        for people in PEOPLE
        for seed in range(2)
    ]


def figures_of(release: Release) -> list[tuple[Figure, float, float]]:
    """Figures of every kind, with the least and the most that each can be."""
    found: list[tuple[Figure, float, float]] = []
    most = release.accepted
    if release.people is not None:
        found.append((release.people, 0, most))
    for table in (*release, *(table.raw for table in release)):
        if isinstance(table, MeanTable):
            least, top = NUMBERS[table.name]
            groups: list[dict[str, object]] = [{}]
            if table.axes:
                groups += [{"region": "London"}, {"region": "Wales"}]
                span = top - least
                found.append((table.compare("London", "Wales"), -span, span))
            for group in groups:
                found += [
                    (table.mean(**group), least, top),
                    (table.total(**group), min(0, least * most), top * most),
                    (table.answered(**group), 0, most),
                ]
            continue
        assert isinstance(table, CountTable)
        found += [(cell, 0, most) for cell in table.cells()]
        found += [(share, 0, 1) for share in table.shares() if share is not None]
        pick = 2 if table.name.startswith("problems") else 1
        found += [(table.total(), 0, pick * most), (table.answered(), 0, most)]
        name, labels = table.subject.name, table.subject.labels
        apart = table.compare({name: labels[0]}, {name: labels[1]})
        found.append((apart, -most, most))
        if any(axis.name == "region" for axis in table.axes) and table.subject.name != "region":
            groups = [{"region": "London"}, {"region": table.axes[-1].labels[-1]}]
            if not isinstance(table, DistributionTable) and table.axes[-1].name == "region":
                found.append((table.compare(*groups, of={name: labels[0]}), -1, 1))
    return found


def test_no_range_is_impossible_or_empty(rounds: list[Release]) -> None:
    checked = 0
    for release in rounds:
        for figure, least, most in figures_of(release):
            slack = 1e-9 * max(1.0, most - least)
            assert least - slack <= figure.low <= figure.high <= most + slack, figure
            assert figure.high - figure.low > 0 or figure.margin == 0, figure
            if figure.high - figure.low > NEARLY_ALL * (most - least) + slack:
                assert figure.point is figure.best is None and figure.text == "unknown", figure
            if figure.best is not None:
                assert figure.low <= figure.best <= figure.high
            checked += 1
    assert checked > 1000


def test_rows_of_a_csv_hold_what_is_possible_and_can_be_added_up(rounds: list[Release]) -> None:
    below = beyond = 0
    for release in rounds:
        for row in csv.DictReader(io.StringIO(to_csv(*release).decode(), newline="")):
            mean = row["kind"] == "mean"
            least, most = NUMBERS[row["statistic"]] if mean else (0, release.accepted)
            low, high = float(row["low_95"]), float(row["high_95"])
            assert least <= low < high <= most, row
            assert (row["estimate"] == "") == (high - low > NEARLY_ALL * (most - least)) or mean
            if row["share_low_95"]:
                assert 0 <= float(row["share_low_95"]) < float(row["share_high_95"]) <= 1
            if mean:
                first, last = float(row["total_low_95"]), float(row["total_high_95"])
                assert min(0, least * release.accepted) <= first < last <= most * release.accepted
            elif row["estimate"]:
                below += float(row["estimate"]) < 0
                beyond += float(row["estimate"]) > release.accepted
        # What is read off a table is the sum of its rows: nothing was cut from them.
        raw = release["contracts"].raw
        assert isinstance(raw, CountTable)
        assert sum(cell.estimate or 0 for cell in raw.cells()) == raw.total().estimate
    assert below > 20


def test_no_range_on_a_page_or_in_text_is_impossible(rounds: list[Release]) -> None:
    for release in rounds:
        page, most = read(release.to_html()), release.accepted
        for name, section in page.sections().items():
            if not name.startswith("s-"):
                continue
            for table in section.find("table"):
                head = [cell.text() for row in table.find("thead") for cell in row.find("th")]
                for row in rows_of(table):
                    for title, said in zip(head, row, strict=True):
                        found = None if NOTHING.search(said) else said
                        if title.startswith("Share") and found:
                            low, high = ends(found) or (0, 0)
                            assert 0 <= low <= high <= 1 and "%" in said
                        elif title == "People" and found:
                            low, high = ends(found) or (0, 0)
                            assert 0 <= low <= high <= most, said
                        elif title == "Mean" and found:
                            low, high = ends(found) or (0, 0)
                            least, top = NUMBERS[name[2:]]
                            assert least <= low <= high <= top, said
        for table in release:
            for low, high in re.findall(r"\((-?\d+) to (-?\d+)\)", table.plain()):
                assert low != "-0" and int(low) <= int(high)
            if table.kind == "count":
                for low, high in re.findall(r"\d \((-?\d+) to (-?\d+)\)", table.plain()):
                    assert 0 <= int(low) <= int(high) <= max(100, most)


def rows_of(table: Node) -> list[list[str]]:
    return [
        [cell.text() for cell in row.find("th", "td")]
        for body in table.find("tbody")
        for row in body.find("tr")
    ]


@given(
    truth=st.integers(0, 300), noise=st.integers(-400, 400), margin=st.integers(0, 120),
)  # fmt: skip
def test_cutting_loses_no_possible_number(truth: int, noise: int, margin: int) -> None:
    low, high = within(truth + noise, margin, (0, 300))
    assert 0 <= low <= high <= 300
    if abs(noise) <= margin:
        assert low <= truth <= high
    assert high - low >= min(margin, 300)


def test_the_sum_of_a_number_is_covered(
    make_task: Callable, make_release: Callable, exact_values: Callable, population: Callable,
    gaussians: Callable,
) -> None:  # fmt: skip
    """All hours of 400 people, 400 times: the stated sd, and 95 of 100 ranges hold the sum."""
    task = make_task(epsilon="2")
    people = population(400, 9)
    exact = exact_values(task, people)["hours_mean"]
    hours = [
        Fraction(str(one["hours"])) for one in people
        if one["hours"] is not None and one["region"] in ("London", "Wales")
    ]  # fmt: skip
    quiet = make_release(task, {"hours_mean": exact}, accepted=400)["hours_mean"]
    assert isinstance(quiet, MeanTable)
    assert quiet.total().estimate == float(sum(hours))
    assert quiet.total().estimate == pytest.approx(
        (quiet.mean().estimate or 0) * (quiet.answered().estimate or 0)
    )
    parts = [quiet.total(region=one).estimate or 0 for one in ("London", "Wales")]
    assert sum(parts) == pytest.approx(float(sum(hours)))
    runs, rng = 400, np.random.default_rng(11)
    sigma = float(task.allocations["hours_mean"].scale)
    scales = task.layout.noise_scale("hours_mean")
    noise = np.array([gaussians(rng, sigma * scale, runs) for scale in scales])
    held, errors = 0, []
    for at in range(runs):
        values = [value + int(noise[i][at]) for i, value in enumerate(exact)]
        table = make_release(task, {"hours_mean": values}, accepted=400)["hours_mean"]
        total = table.total()
        held += total.low <= float(sum(hours)) <= total.high
        errors.append((total.estimate or 0) - float(sum(hours)))
    assert 0.92 <= held / runs <= 0.98
    # margin is 1.96 sd; 400 draws give the sd to within 10 % in all but one of 200 seeds.
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(total.margin / 1.96, rel=0.1)


def test_control_uncut_ranges_are_found(
    rounds: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "grievance.release.figures.within",
        lambda value, margin, _possible: (value - margin, value + margin),
    )
    with pytest.raises(AssertionError):
        test_no_range_is_impossible_or_empty(rounds)

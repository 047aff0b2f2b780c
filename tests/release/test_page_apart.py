"""Differences that are named as real: chosen by the plan, corrected, and right as often as said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grievance.release import CountTable, MeanTable, Release
from grievance.release.intervals import Z
from grievance.release.page import apart
from grievance.release.page.apart import MOST_PAIRS, ask, compare
from grievance.release.page.highlights import Highlights
from grievance.release.page.reading import read_tables

FIELDS = """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[fields.mood]
question = "How is it?"
choices = ["good", "fair", "bad"]
required = true
"""
STATISTICS = """
[statistics.moods]
count = ["mood", "region"]
"""


@pytest.fixture(scope="module")
def kinds(
    task: Any, make_release: Callable, exact_values: Callable, population: Callable
) -> Release:
    exact = exact_values(task, population(150, 4))
    values = {name: [8 * one for one in of] for name, of in exact.items()}
    found: Release = make_release(task, values, accepted=1300)
    return found


def test_the_answer_is_what_is_asked_last(kinds: Release) -> None:
    read = {reading.name: reading for reading in read_tables(kinds)}
    answers = {name: one.answer.name if one.answer else None for name, one in read.items()}
    assert answers == {
        "contracts": "contract", "regions": "region", "problems_by_region": "problems",
        "problems": "problems", "needs_by_contract": "needs", "hours_mean": None,
        "short_mean": None, "hours_spread": "hours", "short_spread": "estimate",
    }  # fmt: skip
    # Where people work groups other tables, so it is no problem to lead with.
    assert not read["regions"].leads and not read["contracts"].leads and read["problems"].leads


def test_comparisons_follow_from_the_plan(
    kinds: Release, task: Any, make_release: Callable
) -> None:
    zero = make_release(
        task,
        {name: [0] * task.layout.statistics[name].num_released for name in task.allocations},
    )
    asked = [ask(reading) for reading in read_tables(kinds)]
    assert asked == [ask(reading) for reading in read_tables(zero)]
    counted = dict(zip(kinds.names, map(len, asked), strict=True))
    # contracts: 3 pairs of answers, and for each answer 3 pairs of groups and 3 against the rest.
    assert counted["contracts"] == 3 + 3 * 3 + 3 * 3
    assert counted["regions"] == counted["problems"] == 3
    assert counted["hours_mean"] == 1 and counted["short_mean"] == 0
    assert counted["hours_spread"] == 4 and counted["short_spread"] == 0
    labels = {q.first for q in asked[0]} | {q.second for q in asked[0]}
    assert "not answered" not in labels


def test_many_groups_are_compared_with_the_others_only(
    make_task: Callable, make_release: Callable
) -> None:
    groups = ", ".join(f'"g{at}"' for at in range(12))
    fields = FIELDS.replace('"London", "North", "Wales"', groups)
    task = make_task(fields, STATISTICS)
    release = make_release(task, {"moods": [50] * 36})
    (reading,) = read_tables(release)
    assert MOST_PAIRS < 3 * 12 * 11 // 2
    kinds = [question.kind for question in ask(reading)]
    assert (kinds.count("answers"), kinds.count("groups"), kinds.count("rest")) == (3, 0, 36)


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_one_comparison_alone_is_the_tables_own(
    mechanism: str, make_task: Callable, make_release: Callable, exact_values: Callable,
    population: Callable,
) -> None:  # fmt: skip
    task = make_task(epsilon="4", mechanism=mechanism)
    exact = exact_values(task, population(150, 4))
    release = make_release(
        task, {name: [8 * one for one in of] for name, of in exact.items()}, accepted=1300
    )
    checked = 0
    for reading in read_tables(release):
        table = reading.table
        for question in ask(reading):
            if question.kind != "groups":
                continue
            a, b = {question.axis: question.first}, {question.axis: question.second}
            if isinstance(table, MeanTable):
                wanted = table.compare(a, b)
            else:
                assert isinstance(table, CountTable) and reading.answer is not None
                wanted = table.compare(a, b, of={reading.answer.name: question.answer})
            found = apart._answer(reading, question, Z)
            wider = apart._answer(reading, question, 1.5 * Z)
            assert found.estimate == pytest.approx(wanted.estimate)
            assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
            assert wider.low <= found.low and wider.high >= found.high
            checked += 1
    assert checked >= 15


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_noise_alone_seldom_makes_a_difference(
    mechanism: str, make_task: Callable, make_release: Callable
) -> None:
    """Nobody differs: over many draws of noise at most 5 % of releases name any difference."""
    task = make_task(FIELDS, STATISTICS, "1", mechanism=mechanism)
    law = next(iter(make_release(task, {"moods": [200] * 9})["moods"]._cube.spread.origins)).law
    runs = 150
    noise = law.sample(9 * runs, mechanism.encode()).reshape(runs, 9)

    def wrong(error: float) -> int:
        found = 0
        for draw in noise:
            release = make_release(task, {"moods": [int(200 + one) for one in draw]})
            (reading,) = read_tables(release)
            made = compare(reading, error)
            assert len(made) == 21 and not any(one.lost for one in made)
            found += any(one.apart for one in made)
        return found

    assert wrong(apart.ERROR) <= 14  # of 150 at 5 %: more has a chance below 1 in 100
    # Taken one by one, at 95 % each, a good part of all releases would name something.
    assert wrong(apart.ERROR * 21) > 40


def test_what_is_really_apart_is_found_and_turned_the_right_way(
    make_task: Callable, make_release: Callable
) -> None:
    task = make_task(FIELDS, STATISTICS, "4")
    # good: London 300, North 80, Wales 80; bad is rare everywhere.
    release = make_release(task, {"moods": [300, 80, 80, 100, 300, 300, 20, 20, 20]}, accepted=1300)
    (reading,) = read_tables(release)
    findings = Highlights(reading)
    said = {(one.upwards.asked.kind, one.upwards.asked.answer, one.upwards.asked.first)
            for one in findings.apart}  # fmt: skip
    assert {("groups", "good", "London"), ("rest", "good", "London")} <= said
    assert ("answers", "", "fair") in said and findings.leading == ("fair",) and findings.clear
    for one in findings.apart:
        turned = one.upwards
        if turned.asked.kind != "rest":
            assert turned.low > 0 and (turned.estimate or 0) > 0
    above = {(one.asked.answer, one.asked.first)
             for one in findings.apart if one.asked.kind == "rest" and one.low > 0}  # fmt: skip
    assert ("good", "London") in above and ("good", "North") not in above
    assert any(one.asked.answer == "bad" for one in findings.not_shown)


def test_grey_counts_are_compared_and_what_is_lost_is_not(
    make_task: Callable, make_release: Callable
) -> None:
    """A grey count that differs from a large one does so whatever it is exactly."""
    task = make_task(FIELDS, STATISTICS, "4", 30)
    values = [300, 80, 80, 100, 300, 300, 20, 20, 20]
    found = Highlights(read_tables(make_release(task, {"moods": values}))[0])
    (reading,) = read_tables(make_release(task, {"moods": values}))
    assert isinstance(reading.table, CountTable)
    assert reading.table.cell(mood="bad", region="London").grey
    bad = [one for one in found.comparisons if "bad" in (one.asked.answer, one.asked.second)]
    assert bad and not any(one.lost for one in bad)
    assert any(one.apart for one in bad if one.asked.kind == "answers")
    # Of hardly anybody in a group nothing can be said, and it is in no list.
    values = [300, 80, 0, 100, 300, 2, 20, 20, 1]
    nobody = Highlights(read_tables(make_release(task, {"moods": values}))[0])
    lost = [one for one in nobody.comparisons if one.lost]
    assert lost and all((one.low, one.high) == (-1, 1) for one in lost)
    assert not {id(one) for one in lost} & {id(one) for one in nobody.apart + nobody.not_shown}

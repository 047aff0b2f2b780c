"""Differences of published tables that are noise alone: which they are, and what they tell."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.sampler.noise import library_noise
from benchmarks.sampler.tails import binomial_tail
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.empirical import contrasts
from grievance.empirical.contrasts import check_residuals, find_contrasts
from grievance.empirical.tails import chi_square_below
from grievance.plan import Layout
from grievance.privacy import NoiseLaw
from grievance.testing import make_coalition
from noise_doubles import narrowed_by, quick

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plan"))

from strategies import answers_for, plans

MODULUS = 2**128
WIDE = """
title = "Overlaps"
campaign = "overlaps"
opens = 2026-10-01
closes = 2026-12-20
[privacy]
{mechanism}epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10
hide_below = 0
[fields.region]
question = "Where?"
choices = [{regions}]
[fields.trade]
question = "Which trade?"
choices = ["nurse", "carer", "porter"]
required = true
[fields.shift]
question = "Which shift?"
choices = ["day", "night"]
required = true
[fields.problems]
question = "Problems?"
choices = ["pay", "hours", "staff"]
pick = 2
required = true
[fields.hours]
question = "Unpaid hours"
minimum = 0
maximum = 10
step = 1
bands = [0, 2, 10]
[statistics.trades]
count = ["region", "trade"]
[statistics.shifts]
count = ["shift", "region"]
[statistics.problems]
count = ["problems", "region"]
[statistics.spread]
distribution = "hours"
by = ["region"]
[statistics.mean]
mean = "hours"
by = ["region"]
[statistics.north]
mean = "hours"
by = ["trade"]
where = {{ region = ["r0", "r1"] }}
"""


def wide(mechanism: str = "", regions: int = 19):
    labels = ", ".join(f'"r{i}"' for i in range(regions))
    return make_coalition(WIDE.format(mechanism=mechanism, regions=labels)).task


@pytest.fixture(scope="module")
def task():
    return wide()


def totals(task, population) -> dict[str, list[int]]:
    layout = task.layout
    bits = [0] * layout.num_bits
    for raw in population:
        bits = [a + b for a, b in zip(bits, layout.encode(layout.answers(raw)), strict=True)]
    return {
        s.name: [
            value - MODULUS if value > MODULUS // 2 else value
            for value in layout.project(s.name, bits, MODULUS)
        ]
        for s in layout.charged
    }


def people(task, number: int, seed: int = 0) -> list[dict[str, object]]:
    generator = np.random.default_rng(seed)
    regions = [*task.plan.fields["region"].choices, None]
    found: list[dict[str, object]] = [{}]
    for _ in range(number):
        ticks = generator.permutation(["pay", "hours", "staff"])[: generator.integers(0, 3)]
        found.append(
            {
                "region": regions[generator.integers(len(regions))],
                "trade": ["nurse", "carer", "porter"][generator.integers(3)],
                "shift": ["day", "night"][generator.integers(2)],
                "problems": [str(tick) for tick in ticks],
                "hours": [None, 0, 4, 10][generator.integers(4)],
            }
        )
    return found


def noisy(task, exact, noises, factor: float = 1.0) -> dict[str, list[int]]:
    found = {}
    for name, values in exact.items():
        scales = [task.allocations[name].scale * s for s in task.layout.noise_scale(name)]
        total = np.array(values, dtype=np.int64)
        for noise in noises:
            total = total + noise(scales, 1)[0]
        found[name] = [int(value) for value in total]
    return found


@settings(max_examples=50)
@given(st.data())
def test_whatever_people_answer_the_differences_are_zero(data: st.DataObject) -> None:
    plan = data.draw(plans())
    layout = Layout(plan)
    population = data.draw(st.lists(answers_for(plan), min_size=1, max_size=6))
    task = SimpleNamespace(plan=plan, layout=layout)
    exact = totals(task, population)
    for contrast in find_contrasts(task, list(exact)):
        assert sum(w * exact[name][at] for (name, at), w in contrast.weights.items()) == 0
        assert any(contrast.weights.values())


def test_every_kind_of_overlap_is_found(task) -> None:
    found = {c.between: 0 for c in find_contrasts(task, [s.name for s in task.layout.charged])}
    for contrast in find_contrasts(task, list(task.allocations)):
        found[contrast.between] += 1
    # 20 regions, "not answered" included; a mean is of 2 of them, and of those with hours.
    assert found[("trades", "shifts")] == 20
    assert found[("trades", "problems")] == 20
    assert found[("spread", "mean")] == 20
    # Means that meet in a group of regions: nobody is left out of both, so N and T agree.
    assert ("mean", "north") in found
    assert found[("mean", "north")] == 0 or found[("mean", "north")] == 2


def test_tables_over_other_people_are_left_alone() -> None:
    task = make_coalition().task
    found = find_contrasts(task, ["problems_by_region", "mean_hours"])
    assert found == []
    nothing = check_residuals(task, {"mean_hours": [1, 2, 3, 4]})
    assert (nothing.freedom, nothing.flagged) == (0, False)


def test_exact_totals_of_real_answers_cancel(task) -> None:
    exact = totals(task, people(task, 200))
    for contrast in find_contrasts(task, list(exact)):
        assert sum(w * exact[name][at] for (name, at), w in contrast.weights.items()) == 0


@pytest.mark.parametrize("mechanism", ["", 'mechanism = "laplace"\n'])
@pytest.mark.usefixtures("seldom_by_chance")
def test_noise_as_stated_passes_and_its_size_is_seen(mechanism: str) -> None:
    task = wide(mechanism)
    noise = library_noise(task.mechanism)
    found = check_residuals(task, noisy(task, totals(task, people(task, 50)), [noise, noise]))
    assert not found.flagged
    assert 60 <= found.freedom <= 200 and 0.25 < found.ratio < 2.5
    assert min(found.too_little, found.too_much) > 1e-9


def test_noise_that_an_aggregator_left_out_is_noticed(task, monkeypatch) -> None:
    """Half the variance, over 82 overlaps: one release nearly gives it away, eight do."""
    exact = totals(task, people(task, 50))
    known = find_contrasts(task, list(exact))
    monkeypatch.setattr(contrasts, "find_contrasts", lambda *_: known)
    ones = [
        check_residuals(task, noisy(task, exact, [library_noise("gaussian")])) for _ in range(8)
    ]
    assert ones[0].freedom == 82 and ones[0].seen_from == pytest.approx(0.4156, abs=1e-3)
    # Chi-square with 656 degrees of freedom under the stated noise, and half of that here.
    assert chi_square_below(sum(one.ratio * 82 for one in ones), 8 * 82) < 1e-6
    less = narrowed_by(16)  # a sixteenth of the variance is noticed for certain
    assert check_residuals(task, noisy(task, exact, [less, less])).flagged
    nothing = check_residuals(task, exact)
    assert nothing.flagged and nothing.ratio < 1e-9


def test_a_table_that_was_shifted_is_noticed(task) -> None:
    noise = library_noise("gaussian")
    values = noisy(task, totals(task, people(task, 50)), [noise, noise])
    values["trades"][0] += 800
    found = check_residuals(task, values)
    assert found.flagged and found.ratio > 1 and found.too_much < 1e-6


LAPLACE = 'mechanism = "laplace"\n'


@pytest.mark.parametrize("aggregators", [2, 3])
def test_a_large_difference_of_laplace_noise_is_no_false_alarm(
    monkeypatch: pytest.MonkeyPatch, aggregators: int
) -> None:
    """One difference of two draws an aggregator: what is flagged has the exact chance promised."""
    task = SimpleNamespace(
        mechanism="laplace",
        aggregators=(None,) * aggregators,
        allocations={
            name: SimpleNamespace(mechanism="laplace", scale=Fraction(10)) for name in "ab"
        },
        layout=SimpleNamespace(statistics={"a": 0, "b": 0}, noise_scale=lambda _name: (1,)),
    )
    one = contrasts.Contrast(("a", "b"), {("a", 0): 1, ("b", 0): -1})
    monkeypatch.setattr(contrasts, "find_contrasts", lambda *_: [one])
    law = NoiseLaw("laplace", Fraction(10), 2 * aggregators)
    flagged = [
        size
        for size in range(int(4 * law.sd), int(20 * law.sd))
        if check_residuals(task, {"a": [size], "b": [0]}).flagged
    ]
    assert flagged == list(range(flagged[0], int(20 * law.sd)))
    chance = law.tail(flagged[0] - 1)
    assert 1e-8 < chance < contrasts.ALPHA / 2


def test_a_shifted_table_of_laplace_noise_is_noticed() -> None:
    task = wide(LAPLACE)
    noise = library_noise("laplace")
    values = noisy(task, totals(task, people(task, 50)), [noise, noise])
    sd = NoiseLaw("laplace", task.allocations["trades"].scale, 2).sd
    values["trades"][0] += round(40 * sd)
    found = check_residuals(task, values)
    assert found.flagged and found.too_much < 1e-6 and found.too_little > 0.01


def test_p_values_are_even_under_the_stated_noise(monkeypatch) -> None:
    """Drawn quickly: normal noise, rounded. One in ten is below one in ten."""
    task = wide(regions=3)
    exact = totals(task, [])
    known = find_contrasts(task, list(exact))
    monkeypatch.setattr(contrasts, "find_contrasts", lambda *_: known)
    low = high = 0
    draw = quick(11)
    for _ in range(60):
        found = check_residuals(task, noisy(task, exact, [draw, draw]))
        low, high = low + (found.too_little < 0.1), high + (found.too_much < 0.1)
    for count in (low, high):
        assert binomial_tail(count, 60, 0.1) > 1e-6
        assert binomial_tail(60 - count, 60, 0.9) > 1e-6


def test_few_differences_that_happen_to_be_zero_are_no_alarm() -> None:
    """Two independent differences of small whole numbers are 0 more often than never."""
    text = WIDE.format(mechanism="", regions='"r0", "r1"').replace("epsilon = 2.0", "epsilon = 10")
    head, _, tail = text.replace("lifetime_epsilon = 4.0", "lifetime_epsilon = 10").partition(
        "[fields.problems]"
    )
    counts = tail[tail.index("[statistics.trades]") : tail.index("[statistics.problems]")]
    task = make_coalition(head + counts).task
    exact = {s.name: [0] * s.num_coordinates for s in task.layout.charged}
    assert 0 < check_residuals(task, exact).freedom <= 3
    assert not check_residuals(task, exact).flagged


def test_there_is_a_limit_to_what_is_compared(task, monkeypatch) -> None:
    monkeypatch.setattr(contrasts, "_MAX_CONTRASTS", 7)
    assert len(find_contrasts(task, list(task.allocations))) == 7

"""Centred ticks: their sensitivity by brute force over honest answers, and what became less."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.audit.accounting import Ticks
from grievance.plan import Layout, Plan
from grievance.plan.ticks import UNITS, TickTable

MODULUS = 2**64 - 2**32 + 1
MECHANISMS = {"gaussian": 2, "laplace": 1}


def plan_of(groups: int, labels: int, pick: int, *, required: bool, mechanism: str) -> Plan:
    """One table of ticks by a question of `groups` answers, if there are more than one.

    There is another question, so that who leaves the ticks open has still sent a report.
    """
    group = (
        f'\n[fields.group]\nquestion = "Where?"\nchoices = {names("g", groups)}\nrequired = true'
    )
    return Plan.from_toml(
        f"""
title = "Ticks"
campaign = "ticks"
opens = 2026-11-01
closes = 2026-11-30
[privacy]
epsilon = 1
delta = 1e-6
lifetime_epsilon = 4
mechanism = "{mechanism}"
[fields.tick]
question = "Which?"
choices = {names("t", labels)}
pick = {pick}
required = {str(required).lower()}{group if groups > 1 else ""}
[fields.other]
question = "?"
choices = ["yes", "no"]
[statistics.ticks]
count = [{'"group", ' if groups > 1 else ""}"tick"]
[statistics.others]
count = ["other"]
"""
    )


def names(letter: str, number: int) -> list[str]:
    return [f"{letter}{at}" for at in range(number)]


def answers_of(plan: Plan) -> list[dict[str, object]]:
    """All that a person may answer, as the form would send it; nothing, where that is allowed."""
    tick, group = plan.fields["tick"], plan.fields.get("group")
    ticked: list[object] = [
        list(some)
        for size in range(tick.pick + 1)
        for some in itertools.combinations(tick.choices, size)
    ]
    ticked += [] if tick.required else [None]
    found: list[dict[str, object]] = [{"tick": ticks, "other": "yes"} for ticks in ticked]
    if group is None:
        return found
    return [{**one, "group": label} for one in found for label in group.choices]


def moved(plan: Plan, norm: int, reports: list[list[int]]) -> tuple[Fraction, Fraction]:
    """(exchanged, blanked): how far honest reports are apart, in units of their noise."""
    layout = Layout(plan)
    rows = [layout.project("ticks", bits, MODULUS) for bits in reports]
    table = np.array(
        [[x - MODULUS if x > MODULUS // 2 else x for x in row] for row in rows], dtype=np.int64
    )
    scales = layout.noise_scale("ticks")
    least = int(np.lcm.reduce(scales))
    table = table * np.array([least // scale for scale in scales])
    far = max(int((np.abs(table - row) ** norm).sum(axis=1).max()) for row in table)
    blank = int((np.abs(table) ** norm).sum(axis=1).max())
    return Fraction(far, least**norm), Fraction(blank, least**norm)


def encodings(plan: Plan) -> list[list[int]]:
    layout = Layout(plan)
    found = {tuple(layout.encode(layout.answers(one))) for one in answers_of(plan)}
    return [layout.blank(), *map(list, sorted(found))]


SHAPES = [
    (groups, labels, pick)
    for groups in range(1, 5)
    for labels in range(1, 6)
    for pick in range(1, labels + 1)
]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("required", [True, False])
def test_every_small_table_moves_exactly_as_far_as_it_is_charged(
    mechanism: str, required: bool
) -> None:
    norm = MECHANISMS[mechanism]
    for groups, labels, pick in SHAPES:
        plan = plan_of(groups, labels, pick, required=required, mechanism=mechanism)
        statistic = Layout(plan).statistics["ticks"]
        charged = statistic.l2_squared if norm == 2 else statistic.l1
        far, blank = moved(plan, norm, encodings(plan))
        assert charged == far, (groups, labels, pick)
        assert statistic.tick_table is not None
        assert statistic.tick_table.blanked(*statistic.centre, norm) == blank


def test_control_ticks_with_another_centre_are_not_charged_for() -> None:
    """The brute force does look at what is released: charged as if a were 0, it is less."""
    plan = plan_of(3, 5, 3, required=True, mechanism="gaussian")
    table = Layout(plan).statistics["ticks"].tick_table
    assert table is not None
    a, t = Layout(plan).statistics["ticks"].centre
    assert a and table.moved(0, UNITS, 2) != moved(plan, 2, encodings(plan))[0] == table.moved(
        a, t, 2
    )


def random_plan(draw: random.Random) -> Plan:
    """Ticks by up to two other questions, with merges and a part of the people."""
    fields: dict[str, Any] = {}
    labels = draw.randint(1, 5)
    fields["tick"] = {
        "question": "?",
        "choices": names("t", labels),
        "pick": draw.randint(1, labels),
        "required": draw.random() < 0.5,
    }
    by = []
    where: dict[str, Any] = {}
    merge: dict[str, Any] = {}
    for name in draw.sample(["p", "q"], draw.randint(0, 2)):
        options = names(name, draw.randint(2, 3))
        required = draw.random() < 0.5
        fields[name] = {"question": "?", "choices": options, "required": required}
        by.append(name)
        if draw.random() < 0.3:
            where[name] = draw.sample(options, draw.randint(1, len(options) - 1))
        elif len(options) == 3 and draw.random() < 0.5:
            merge[name] = {"both": options[:2]}
    if labels > 2 and draw.random() < 0.5:
        merge["tick"] = {"either": names("t", labels)[:2]}
    fields["other"] = {"question": "?", "choices": ["yes", "no"]}
    order = draw.sample([*by, "tick"], len(by) + 1)
    body = {
        "title": "Ticks",
        "campaign": "ticks",
        "opens": "2026-11-01",
        "closes": "2026-11-30",
        "privacy": {
            "epsilon": "1",
            "delta": "1e-6",
            "lifetime_epsilon": "4",
            "mechanism": draw.choice(list(MECHANISMS)),
        },
        "fields": fields,
        "statistics": {
            "ticks": {"count": order, "where": where, "merge": merge},
            "others": {"count": ["other"]},
        },
    }
    return Plan.from_toml(as_toml(body))


def as_toml(body: dict[str, Any]) -> str:
    def value(one: object) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{k} = {value(v)}" for k, v in one.items()) + "}"
        if isinstance(one, bool):
            return str(one).lower()
        if isinstance(one, list):
            return "[" + ", ".join(map(value, one)) + "]"
        return f'"{one}"' if isinstance(one, str) and not one[0].isdigit() else str(one)

    lines = [f"{key} = {value(one)}" for key, one in body.items() if not isinstance(one, dict)]
    for key in ("privacy", "fields", "statistics"):
        lines += [f"{key} = {value(body[key])}"]
    return "\n".join(lines)


def test_random_plans_are_never_charged_less_than_honest_answers_move() -> None:
    """Two hundred plans with `where`, `merge` and several groups; pairs by the product's code."""
    draw, exact = random.Random(20), 0
    for _ in range(200):
        plan = random_plan(draw)
        layout = Layout(plan)
        fields = dict(plan.fields)
        options: list[list[object]] = []
        for name, field in fields.items():
            if name == "tick":
                some: list[object] = [
                    list(ticks)
                    for size in range(field.pick + 1)
                    for ticks in itertools.combinations(field.choices, size)
                ]
            else:
                some = ["yes"] if name == "other" else list(field.choices)
            options.append(some + ([] if field.required or name == "other" else [None]))
        reports = {
            tuple(layout.encode(layout.answers(dict(zip(fields, one, strict=True)))))
            for one in itertools.product(*options)
        }
        norm = MECHANISMS[plan.privacy.mechanism]
        statistic = layout.statistics["ticks"]
        charged = statistic.l2_squared if norm == 2 else statistic.l1
        far, _ = moved(plan, norm, [layout.blank(), *map(list, reports)])
        assert charged >= far
        exact += charged == far
    assert exact >= 180  # an upper bound only where `where` leaves no other group to move to


@given(
    st.integers(1, 64).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([1, 2]),
    st.integers(0, 64),
    st.integers(1, 400),
)
@settings(max_examples=5000, deadline=None)
def test_the_walk_of_the_audit_finds_what_the_formula_says(
    shape: tuple[int, int], groups: int, required: bool, norm: Any, a: int, t: int
) -> None:
    labels, most = shape
    table = TickTable(labels, most, groups, required)
    walked = Ticks(labels, most, groups, required, norm)
    assert table.moved(a, t, norm) == walked.moved(a, t)
    assert table.blanked(a, t, norm) == walked.blanked(a, t)
    assert table.centre(norm) == walked.centre()


def before(labels: int, most: int, groups: int, *, required: bool) -> int:
    """What such a table moved when ticks were released as they are, with the noise of people."""
    statuses = 1 if required else 2
    return min(2 * most, groups * labels) + min(2, groups * statuses)


def noise(table: TickTable, norm: Any, centre: tuple[int, int] | None = None) -> dict[str, float]:
    """Noise at one cost, in units of what a count that moves by 1 would have."""
    a, t = centre or table.centre(norm)
    one = float(table.moved(a, t, norm))
    one = sqrt(one) if norm == 2 else one
    count = sqrt(t * t + a * a) / UNITS
    shares = [sqrt((t / UNITS) ** 2 + (p - a / UNITS) ** 2) for p in (0, 0.2, 0.25, 0.5, 0.75, 1)]
    return {
        "count": one * count,
        "people": one,
        **{f"share {i}": one * s for i, s in enumerate(shares)},
    }


def old_noise(moved_by: int, norm: Any) -> dict[str, float]:
    one = sqrt(moved_by) if norm == 2 else float(moved_by)
    shares = [sqrt(1 + p * p) for p in (0, 0.2, 0.25, 0.5, 0.75, 1)]
    return {"count": one, "people": one, **{f"share {i}": one * s for i, s in enumerate(shares)}}


@pytest.mark.parametrize("norm", [1, 2])
def test_nothing_is_noisier_than_uncentred_ticks_were(norm: int) -> None:
    """For every table of up to 64 choices; against an exact charge counts of one group may be."""
    for labels in range(1, 65):
        for most, groups, required in itertools.product(
            range(1, labels + 1), (1, 2), (True, False)
        ):
            table = TickTable(labels, most, groups, required)
            now, old = (
                noise(table, norm),
                old_noise(before(labels, most, groups, required=required), norm),
            )
            for what, value in now.items():
                assert value <= old[what] * (1 + 1e-12), (labels, most, groups, required, what)
            tight = noise(table, norm, (0, UNITS))
            worst = 1.0 if groups > 1 else 1.09
            assert now["count"] <= tight["count"] * worst * (1 + 1e-12)


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ((5, 3, 3, False), 0.80),
        ((5, 5, 3, False), 0.66),
        ((5, 3, 1, False), 0.85),
        ((5, 3, 1, True), 0.90),
    ],
)
def test_shares_of_a_quarter_and_more_have_the_noise_that_was_promised(
    shape: tuple[int, int, int, bool], most: float
) -> None:
    labels, pick, groups, required = shape
    now = noise(TickTable(*shape), 2)
    old = old_noise(before(labels, pick, groups, required=required), 2)
    for at in (2, 3, 4, 5):
        assert now[f"share {at}"] <= most * old[f"share {at}"], at


@pytest.mark.parametrize(("norm", "most"), [(2, 1.4), (1, 3.7)])
def test_what_gets_worse_is_what_the_docs_say(norm: int, most: float) -> None:
    """Sums of ticks over all choices of a group collect the noise of the people many times."""
    worst = 0.0
    for labels, groups, required in itertools.product(range(1, 65), (1, 2), (True, False)):
        for pick in range(1, labels + 1):
            table = TickTable(labels, pick, groups, required)
            a, t = table.centre(norm)  # type: ignore[arg-type]
            one = float(table.moved(a, t, norm))  # type: ignore[arg-type]
            old = float(before(labels, pick, groups, required=required))
            ratio = sqrt(one / old) if norm == 2 else one / old
            worst = max(worst, ratio * sqrt(t * t + labels * a * a) / UNITS)
    assert most - 0.1 < worst <= most

"""Encoding, projection and tables against a recomputation that knows nothing of bits."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import all_answers, answers_for, counts_of, plans

from grievance.errors import ShapeError
from grievance.plan import ChoiceField, Layout, MultiField, NumberField, Plan, RawTable
from grievance.vdaf import FIELD128

P = FIELD128.MODULUS
LENIENT = settings(max_examples=300)


@st.composite
def populations(draw: st.DrawFn) -> tuple[Plan, list[dict[str, object]]]:
    plan = draw(plans())
    return plan, draw(st.lists(answers_for(plan), max_size=12))


def is_blank(raw: dict[str, object]) -> bool:
    return all(value is None for value in raw.values())


def shown(plan: Plan, statistic, name: str, raw: dict[str, object]) -> str:
    """The label under which a single choice is counted."""
    label = raw.get(name) or "not answered"
    for group, members in statistic.merge.get(name, {}).items():
        if label in members:
            return group
    return label


def naive(plan: Plan, name: str, people: list[dict[str, object]]) -> dict[str, Counter]:
    """Count by labels, straight from what the statistic's words say."""
    statistic = plan.statistics[name]
    found: dict[str, Counter] = {
        key: Counter() for key in ("cells", "answered", "totals", "numbers")
    }
    for raw in people:
        if is_blank(raw):
            continue
        if any((raw.get(f) or "not answered") not in kept for f, kept in statistic.where.items()):
            continue
        singles = [n for n in statistic.choices if isinstance(plan.fields[n], ChoiceField)]
        several = [n for n in statistic.choices if isinstance(plan.fields[n], MultiField)]
        group = {n: shown(plan, statistic, n, raw) for n in singles}
        key = tuple(group.values())
        if several:
            ticks = raw.get(several[0])
            found["answered"][*key, "not answered" if ticks is None else "answered"] += 1
            for label in {shown(plan, statistic, several[0], {several[0]: t}) for t in ticks or ()}:
                at = tuple(label if n == several[0] else group[n] for n in statistic.choices)
                found["cells"][at] += 1
        elif statistic.kind == "count":
            found["cells"][key] += 1
        else:
            field = plan.fields[statistic.number]
            assert isinstance(field, NumberField)
            value = raw.get(statistic.number)
            if statistic.kind == "mean":
                if value is not None:
                    steps = (Fraction(value) - field.minimum) / field.step
                    found["totals"][key] += 2 * int(steps) - field.grid_size
                    found["numbers"][key] += 1
            else:
                found["cells"][*key, band(field, value)] += 1
    return found


def band(field: NumberField, value: object) -> str:
    if value is None:
        return "not answered"
    number = Fraction(value)
    for at, (low, high) in enumerate(zip(field.bands, field.bands[1:], strict=False)):
        last = at == len(field.bands) - 2
        if low <= number < high or (last and number == high):
            return field.band_labels[at]
    raise AssertionError("outside all bands")


def released(layout: Layout, people: list[dict[str, object]]) -> dict[str, list[int]]:
    """Sum the reports of `people` mod p, project, and decode centred."""
    total = layout.blank()
    for raw in people:
        for at, bit in enumerate(layout.encode(layout.answers(raw))):
            total[at] += bit
    centred = {}
    for name in layout.statistics:
        values = layout.project(name, total, P)
        assert all(0 <= value < P for value in values)
        centred[name] = [value - P if value > P // 2 else value for value in values]
    return centred


def by_labels(table: RawTable, part: str) -> dict[tuple[str, ...], int]:
    axes = table.axes if part == "cells" else table.layout.part(part).axes
    keys = [()]
    for axis in axes:
        keys = [(*key, label) for key in keys for label in axis.labels]
    return dict(zip(keys, counts_of(table, part), strict=True))


@LENIENT
@given(populations())
def test_tables_say_what_people_answered(population) -> None:
    plan, people = population
    layout = Layout(plan)
    tables = layout.tables(released(layout, people))
    assert list(tables) == list(plan.statistics)
    for name, table in tables.items():
        expected = naive(plan, name, people)
        for part in table.layout.parts:
            kind = "cells" if part.name == "ticks" else part.name
            found = by_labels(table, kind)
            assert expected[kind].keys() <= found.keys()
            assert found == {key: expected[kind][key] for key in found}


@settings(LENIENT, max_examples=30)
@given(populations(), st.integers(0, 1000))
def test_projection_is_linear(population, offset) -> None:
    plan, people = population
    layout = Layout(plan)
    total = [0] * layout.num_bits
    for raw in people:
        total = [a + b for a, b in zip(total, layout.encode(layout.answers(raw)), strict=True)]
    share = [(P - 1 - offset * at * at) % P for at in range(layout.num_bits)]
    other = [(a - b) % P for a, b in zip(total, share, strict=True)]
    for name in layout.statistics:
        joined = zip(layout.project(name, share, P), layout.project(name, other, P), strict=True)
        assert [(a + b) % P for a, b in joined] == layout.project(name, total, P)


@pytest.mark.slow
@LENIENT
@given(populations())
def test_tables_over_the_same_people_have_equal_margins(population) -> None:
    plan, people = population
    layout = Layout(plan)
    tables = layout.tables(released(layout, people))
    sizes = {}
    for table in tables.values():
        if table.kind == "mean":
            continue
        part = "cells" if table.layout.multi is None else "answered"
        where = frozenset((f, frozenset(v)) for f, v in table.layout.where.items())
        sizes.setdefault(where, set()).add(sum(table.part(part)))
    assert all(len(found) == 1 for found in sizes.values())
    answered = sum(not is_blank(raw) for raw in people)
    assert sizes.get(frozenset(), {answered}) == {answered}


def test_shapes_are_checked() -> None:
    plan = plans_example()
    layout = Layout(plan)
    with pytest.raises(ShapeError):
        layout.project("hours", [0] * (layout.num_bits + 1), P)
    with pytest.raises(ShapeError):
        layout.project("nothing", layout.blank(), P)
    with pytest.raises(ShapeError):
        layout.tables({"hours": [0]})
    with pytest.raises(ShapeError):
        layout.tables({"nothing": []})
    with pytest.raises(ShapeError):
        layout.tables({"hours": [0, 0]})["hours"].part("cells")


def test_a_release_of_some_statistics_gives_those_tables_and_what_they_imply() -> None:
    layout = Layout(plans_example())
    assert set(layout.tables({"hours": [3, 1]})) == {"hours"}
    tables = layout.tables({"cross": [1, 2, 3, 4, 5, 6]})
    assert tables["cross"].cells == (1, 2, 3, 4, 5, 6)
    assert tables["sex"].cells == (6, 15)
    assert tables["again"].cells == (1, 4, 2, 5, 3, 6)
    assert layout.tables({}) == {}


def plans_example() -> Plan:
    return Plan.from_toml(
        """
title = "T"
campaign = "c"
opens = 2026-01-01
closes = 2026-02-01
[privacy]
mechanism = "gaussian"
epsilon = 1
delta = 1e-6
lifetime_epsilon = 1
[fields.sex]
question = "Sex?"
choices = ["a", "b"]
required = true
[fields.place]
question = "Place?"
choices = ["x", "y"]
[fields.hours]
question = "Hours?"
minimum = 0
maximum = 10
step = 1
[statistics.sex]
count = ["sex"]
[statistics.cross]
count = ["sex", "place"]
[statistics.again]
count = ["place", "sex"]
[statistics.hours]
mean = "hours"
"""
    )


@settings(max_examples=60)
@given(plans(max_fields=3, max_statistics=3, max_choices=3, max_grid=4))
def test_sensitivity_holds_for_all_pairs_of_answers(plan: Plan) -> None:
    layout = Layout(plan)
    encoded = {tuple(layout.encode(layout.answers(raw))) for raw in all_answers(plan)}
    for statistic in layout.charged:
        scale = layout.noise_scale(statistic.name)
        assert len(scale) == statistic.num_released
        points = set()
        for bits in encoded:
            values = layout.project(statistic.name, bits, P)
            points.add(tuple(v - P if v > P // 2 else v for v in values))
        worst = max(
            sum(Fraction((a - b) ** 2, s * s) for a, b, s in zip(one, other, scale, strict=True))
            for one in points
            for other in points
        )
        assert worst <= statistic.l2_squared
        # Nobody stands in the one cell where nothing at all is answered, so two are too few.
        if statistic.multi is None and statistic.kind != "mean" and statistic.cells > 2:
            assert worst == statistic.l2_squared


def test_the_sensitivity_of_a_mean_is_reached() -> None:
    layout = Layout(plans_example())
    low = layout.project("hours", layout.encode(layout.answers({"sex": "a", "hours": 0})), P)
    high = layout.project("hours", layout.encode(layout.answers({"sex": "a", "hours": 10})), P)
    assert [low, high] == [[P - 10, 1], [10, 1]]
    assert layout.noise_scale("hours") == (10, 1)
    assert layout.statistics["hours"].l2_squared == 4

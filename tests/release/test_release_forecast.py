"""Forecasts from a release: as its people spread, and nothing else of a plan depends on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from grievance.plan import NOT_ANSWERED
from grievance.plan.fields import ChoiceField, MultiField
from grievance.planner import forecast, groups_of, people_of
from grievance.planner.groups import answers_of, expect

SIZE = 900


@pytest.fixture(scope="module")
def people(population: Callable) -> list[dict[str, object]]:
    return population(SIZE, 5)


def test_without_noise_it_is_what_people_answered(
    people: list, make_task: Callable, make_release: Callable, exact_values: Callable
) -> None:
    task = make_task(epsilon="8")
    release = make_release(task, exact_values(task, people))
    found = groups_of(release, task.plan, SIZE)
    seen = set()
    for name, field in task.plan.fields.items():
        if name not in found or not isinstance(field, (ChoiceField, MultiField)):
            continue
        seen.add(type(field))
        told: Counter[object] = Counter()
        for answers in people:
            value = answers[name]
            if value is None:
                told[NOT_ANSWERED] += 1
            else:
                told.update(value if isinstance(value, list) else [value])
        assert set(found[name]) == {*answers_of(field), *([] if field.required else [NOT_ANSWERED])}
        for label, number in found[name].items():
            assert number == pytest.approx(told[label], abs=0.03 * SIZE), (name, label)
    assert seen == {ChoiceField, MultiField}
    # Of bands too, and the forecast takes all of it.
    assert set(found) >= {"region", "estimate"}
    assert sum(found["estimate"].values()) == pytest.approx(SIZE)
    assert expect(task.plan, SIZE, found).given == tuple(found)


def test_a_noisy_release_is_a_forecast_too(
    people: list, make_task: Callable, make_release: Callable, exact_values: Callable,
    noisy: Callable,
) -> None:  # fmt: skip
    for seed in range(5):
        task = make_task(epsilon="1")
        release = make_release(task, noisy(task, exact_values(task, people), seed))
        groups = groups_of(release, task.plan, SIZE)
        found = forecast(task.plan, SIZE, by_group=groups)
        # What it costs, and whose noise it is, follows from the plan alone.
        plain = forecast(task.plan, SIZE)
        assert (found.round_cost, found.mechanism) == (plain.round_cost, plain.mechanism)
        assert [s.noise_scale for s in found.statistics] == [
            s.noise_scale for s in plain.statistics
        ]


def test_how_many_answered(
    people: list, make_task: Callable, make_release: Callable, exact_values: Callable
) -> None:
    task = make_task(epsilon="8")
    found = people_of(make_release(task, exact_values(task, people)))
    assert found == pytest.approx(SIZE, rel=0.1)
    nobody = make_release(task, {name: [0] * len(values) for name, values in exact_values(
        task, people).items()})  # fmt: skip
    assert people_of(nobody) in (None, 1)


def test_other_labels_are_left_out(
    people: list, make_task: Callable, make_release: Callable, exact_values: Callable
) -> None:
    task = make_task(epsilon="8")
    release = make_release(task, exact_values(task, people))
    changed = task.plan.fields["region"].model_copy(update={"choices": ("London", "elsewhere")})
    plan = task.plan.model_copy(update={"fields": {**task.plan.fields, "region": changed}})
    assert "region" not in groups_of(release, plan, SIZE)
    assert "region" in groups_of(release, task.plan, SIZE)

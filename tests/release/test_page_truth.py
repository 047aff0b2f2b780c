"""Every number and sentence of a release's page against the answers it was made from.

Over 200 simulated releases: noise of the law that is stated, the same in every run, is put on
exact sums; nothing is sealed or summed in shares, which changes no released integer.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from page_checker import Checker
from page_truth import Asked, Tally

from grievance.demo import generate
from grievance.release import CountTable, Release
from grievance.release.figures import Figure
from grievance.release.page import apart, requests
from grievance.release.page.lead import who_answered
from grievance.release.page.requests import level_of
from noise_doubles import by_the_law

if TYPE_CHECKING:
    from collections.abc import Callable

    from page_truth import Person

FIELDS = {
    "region": """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales", "Kent"]
required = {required}
""",
    "contract": """
[fields.contract]
question = "Which contract?"
choices = ["permanent", "agency"]
""",
    "mood": """
[fields.mood]
question = "How is it?"
choices = ["good", "fair", "bad"]
""",
    "problems": """
[fields.problems]
question = "Which are a problem?"
choices = ["targets", "bullying", "caseload", "pay"]
pick = 2
""",
    "hours": """
[fields.hours]
question = "Unpaid hours?"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 2, 5, 10, 40]
""",
    "staff": """
[fields.staff]
question = "How many are short?"
minimum = -3
maximum = 12
step = 1
bands = [-3, 0, 3, 6, 12]
""",
}
PLANS = {
    "crossed": """
[statistics.mood_by_contract]
count = ["contract", "mood"]
[statistics.contracts]
count = ["contract"]
[statistics.problems_by_region]
count = ["problems", "region"]
""",
    "turned": """
[statistics.moods]
count = ["mood", "region"]
[statistics.mood_by_contract]
count = ["mood", "contract"]
where = { region = ["London", "North"] }
""",
    "merged": """
[statistics.mood_by_place]
count = ["region", "mood"]
[statistics.mood_by_place.merge]
region = { "elsewhere" = ["North", "Wales", "Kent"] }
mood = { "not bad" = ["good", "fair"] }
[statistics.problems]
count = ["problems"]
merge = { problems = { "pressure" = ["targets", "caseload"] } }
[statistics.hours_by_place]
mean = "hours"
by = ["region"]
where = { region = ["London", "North", "Wales"], contract = ["permanent", "not answered"] }
""",
    "numbers": """
[statistics.hours_mean]
mean = "hours"
by = ["region"]
[statistics.hours_spread]
distribution = "hours"
by = ["contract"]
[statistics.staff_mean]
mean = "staff"
[statistics.staff_spread]
distribution = "staff"
""",
    "nobody": """
[statistics.hours_mean]
mean = "hours"
by = ["contract"]
[statistics.moods_there]
count = ["mood"]
where = { region = ["London"] }
""",
}  # fmt: skip
COVER = 40
RUNS = [
    # plan, epsilon, hide_below, people, releases, whether the region has to be answered
    ("crossed", "2", 0, 580, 30, True),
    ("crossed", "1", 10, 900, 20, False),
    ("turned", "2", 0, 700, 35, False),
    ("merged", "2", 0, 1500, 35, True),
    ("merged", "1", 20, 400, 15, False),
    ("numbers", "2", 0, 800, 30, False),
    ("numbers", "1", 10, 250, 15, True),
    ("nobody", "2", 0, 600, 20, False),
]


def person(rng: np.random.Generator, *, required: bool) -> Person:
    """Draw one worker's answers: uneven, and many left open."""

    def maybe(chance: float, value: Any) -> Any:
        return value if rng.random() < chance else None

    region = str(rng.choice(["London", "North", "Wales", "Kent"], p=[0.55, 0.3, 0.12, 0.03]))
    here = region == "London"
    ticks = rng.permutation(["targets", "bullying", "caseload", "pay"])
    if here:
        ticks = ["targets", *(one for one in ticks if one != "targets")]
    mood = [0.2, 0.2, 0.6] if here else [0.45, 0.4, 0.15]
    answers: Person = {
        "region": region if required else maybe(0.8, region),
        "contract": maybe(0.6, str(rng.choice(["permanent", "agency"], p=[0.8, 0.2]))),
        "mood": maybe(0.75, str(rng.choice(["good", "fair", "bad"], p=mood))),
        "problems": maybe(0.7, [str(one) for one in ticks[: rng.integers(0, 3)]]),
        "hours": maybe(0.65, float(min(80, rng.poisson(16 if here else 6))) / 2),
        "staff": maybe(0.5, int(min(12, rng.poisson(4) - 1))),
    }
    return answers


@functools.cache
def draw_crowd(size: int, required: bool) -> list[Person]:
    """So many people, one in twenty of whom answers nothing where nothing has to be."""
    rng = np.random.default_rng(size)
    return [
        dict.fromkeys(("region", "contract", "mood", "problems", "hours", "staff"))
        if not required and rng.random() < 0.05
        else person(rng, required=required)
        for _ in range(size)
    ]


def drawn(world: World, make_release: Callable, number: int, cover: int = COVER) -> Release:
    """A release of exact sums with noise as every aggregator draws it, by its number."""
    task, values = world.task, {}
    for name, of in world.exact.items():
        given = task.allocations[name]
        scales = [given.scale * factor for factor in task.layout.noise_scale(name)]
        draw = by_the_law(given.mechanism, f"{number} {name} {world.people}".encode())
        draws = draw(scales, len(task.aggregators))
        values[name] = [
            value + int(each) for value, each in zip(of, draws.sum(axis=0), strict=True)
        ]
    release_id, accepted = f"r{number}-{id(world)}", world.people + cover
    found: Release = make_release(task, values, accepted=accepted, release_id=release_id)
    return found


@dataclass(frozen=True)
class World:
    """A plan, its people, and what is true of them."""

    task: Any
    exact: dict[str, list[int]]
    truths: dict[str, Asked]
    people: int


@pytest.fixture(scope="module")
def make_world(make_task: Callable, exact_values: Callable) -> Callable[..., World]:
    """Return (plan, epsilon, hide_below, size, required) -> a world."""

    def make(name: str, epsilon: str, hide_below: int, size: int, required: bool) -> World:
        plan = PLANS[name]
        asked = [one for one in FIELDS if f'"{one}"' in plan or f" {one} =" in plan]
        fields = "".join(FIELDS[one] for one in asked).format(required=str(required).lower())
        task = make_task(fields, plan, epsilon, hide_below)
        crowd = [{one: person[one] for one in asked} for person in draw_crowd(size, required)]
        truths = {one: Asked.of(task.plan, one, crowd) for one in task.plan.statistics}
        people = sum(any(value is not None for value in one.values()) for one in crowd)
        return World(task, exact_values(task, crowd), truths, people)

    return make


def pages(world: World, make_release: Callable, releases: int = 8) -> Tally:
    """What the pages of some releases said."""
    found = Tally()
    for at in range(releases):
        found.add(Checker(drawn(world, make_release, at), world.truths, world.people).check())
    return found


def test_every_number_and_sentence_of_some_pages(
    make_world: Callable, make_release: Callable
) -> None:
    """Few pages, so wide margins; the two hundred are a slow test."""
    found = Tally()
    for name, epsilon, hide_below, size, releases, required in RUNS[:1] + RUNS[5:6]:
        world = make_world(name, epsilon, hide_below, size, required)
        found.add(pages(world, make_release, releases // 5))
    assert found.said["people"] == 12 and found.held["people"] >= 9
    for kind in ("share", "count", "answered", "mean", "total", "quantile"):
        assert found.said[kind] > 20 and found.rate(kind) <= 0.12, (kind, found.wrong[:20])
    for kind in ("difference", "level"):
        assert found.said[kind] > 3 and found.rate(kind) <= 0.25, (kind, found.wrong[:20])


@pytest.mark.slow
def test_every_number_and_sentence_of_two_hundred_pages(
    make_world: Callable, make_release: Callable
) -> None:
    assert sum(run[4] for run in RUNS) == 200
    shows, hides = Tally(), Tally()
    for name, epsilon, hide_below, size, releases, required in RUNS:
        found = pages(make_world(name, epsilon, hide_below, size, required), make_release, releases)
        (hides if hide_below else shows).add(found)
    # People are counted, and cover is not, wherever a figure is about everybody.
    said = shows.said["people"] + hides.said["people"]
    assert said == sum(run[4] for run in RUNS if run[0] != "nobody")
    assert shows.held["people"] + hides.held["people"] >= 0.9 * said
    # Ranges hold what is true, dark and grey ones together.
    for kind in ("share", "count", "answered", "mean", "total", "quantile"):
        for one in (shows, hides):
            assert one.said[kind] > 90 and one.rate(kind) <= 0.06, (kind, one.wrong[:20])
    # What is called larger than the noise, or said to reach a level, is so.
    for one in (shows, hides):
        assert one.said["difference"] > 50 and one.said["level"] > 100
        for kind in ("difference", "comparison", "level"):
            assert one.family_rate(kind) <= 0.08, (kind, one.wrong[:20])
        assert one.rate("most frequent") <= 0.05
        assert one.said["wider"] > one.said["difference"]
        assert one.rate("wider") <= 0.08, one.wrong[:20]


def test_demo_people_are_in_the_range(
    task_of: Callable, exact_values: Callable, make_release: Callable
) -> None:
    """580 people and 20 blank reports: the range holds 580, and says nothing of 600."""
    text = resources.files("grievance.demo").joinpath("plan.toml").read_text("utf-8")
    task = task_of(f'envelope = "x25519"\n{text}')
    people = generate(task.plan, 580)
    world = World(task, exact_values(task, people), {}, len(people))
    held = 0
    for at in range(200):
        said = who_answered(drawn(world, make_release, at, cover=20))
        found = re.fullmatch(r"Between (\d+) and (\d+) people answered\.", said)
        assert found, said
        held += int(found[1]) <= 580 <= int(found[2])
        assert int(found[2]) - int(found[1]) < 120
    assert held >= 180


# -- controls: what is wrong is found --------------------------------------------------------


@pytest.fixture(scope="module")
def crossed(make_world: Callable) -> World:
    return make_world("crossed", "2", 0, 580, True)


def test_control_who_answered_another_question(
    make_world: Callable, make_release: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world("crossed", "2", 0, 1800, True)
    assert pages(world, make_release).rate("answered") < 0.15
    right = CountTable.answered
    monkeypatch.setattr(
        CountTable, "answered", lambda self, question=None, /, **group: right(self, **group)
    )
    assert pages(world, make_release).rate("answered") > 0.3


def test_control_reports_told_as_people(
    crossed: World, make_release: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sealed(*_: object, most: int, **__: object) -> Figure:
        return Figure({}, most, 1, most - 1, most, whole=True)

    monkeypatch.setattr("grievance.release.release.turnout", sealed)
    assert pages(crossed, make_release).rate("people") == 1


def test_control_levels_by_the_best_number(
    crossed: World, make_release: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        requests, "level_of", lambda low: level_of(min(Fraction(1), low + Fraction(1, 8)))
    )
    with pytest.raises(AssertionError, match="of those who answered"):
        pages(crossed, make_release)
    monkeypatch.setattr("page_checker.reaches_range", lambda *_: True)
    assert pages(crossed, make_release).family_rate("level") > 0.2


def test_control_differences_without_correction(
    make_world: Callable, make_release: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world("turned", "2", 0, 700, False)
    monkeypatch.setattr(apart, "quantile", lambda *_: 0.5)
    assert pages(world, make_release, 12).family_rate("difference") > 0.3


def test_control_a_sentence_that_nobody_knows(
    crossed: World, make_release: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Release.to_html
    monkeypatch.setattr(
        Release,
        "to_html",
        lambda self, **more: right(self, **more).replace("of those who answered", "of the workers"),
    )
    with pytest.raises(AssertionError, match="that nobody knows"):
        pages(crossed, make_release, 1)

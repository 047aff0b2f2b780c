"""Made-up people: the same for the same seed, fit for any plan, skewed; and their exact truth."""

from __future__ import annotations

from collections import Counter

import pytest

from grievance.demo import check_release, exact_release, generate
from grievance.plan import Layout, Plan
from grievance.release import Release
from grievance.testing import example_plan, make_coalition


@pytest.fixture(scope="module")
def plan() -> Plan:
    return example_plan()


def test_the_same_seed_gives_the_same_people(plan: Plan) -> None:
    assert generate(plan, 50, seed=3) == generate(plan, 50, seed=3)
    assert generate(plan, 50, seed=3) != generate(plan, 50, seed=4)
    assert generate(plan, 50, seed=3)[:20] == generate(plan, 20, seed=3)


def test_people_are_pinned(plan: Plan) -> None:
    """The generator may not drift: examples and talks show its numbers."""
    regions = Counter(str(person["region"]) for person in generate(plan, 1000, seed=1))
    assert regions == {"North": 545, "Midlands": 276, "South": 179}


def test_everybody_fits_the_plan(plan: Plan) -> None:
    layout = Layout(plan)
    for person in generate(plan, 300):
        layout.encode(layout.answers(person))


def test_people_differ_as_people_do(plan: Plan) -> None:
    people = generate(plan, 2000)
    regions = Counter(person["region"] for person in people)
    assert regions["North"] > 1.5 * regions["South"]
    skipped = sum("unpaid_hours" not in person for person in people)
    assert 60 < skipped < 200
    assert all("region" in person for person in people)
    hours = {
        region: [
            float(str(p["unpaid_hours"]))
            for p in people
            if p["region"] == region and "unpaid_hours" in p
        ]
        for region in regions
    }
    means = {region: sum(some) / len(some) for region, some in hours.items()}
    assert means["South"] > means["North"] + 0.5


def test_exact_release_and_checks(plan: Plan) -> None:
    coalition = make_coalition()
    task, people = coalition.task, generate(plan, 200)
    zero = {name: [0] * task.layout.statistics[name].num_released for name in task.allocations}
    like = Release.build(
        task,
        zero,
        release_id="made-up",
        accepted=200,
        accepted_root=bytes(32),
        noisy_shares=dict.fromkeys(coalition.names, "0" * 64),
    )
    exact = exact_release(task, people, like)
    table = exact["problems_by_region"]
    for region in ("North", "South"):
        ticked = sum("targets" in p.get("problems", ()) for p in people if p["region"] == region)  # type: ignore[operator]
        assert table.cell(problems="targets", region=region).estimate == ticked
    checks = check_release(exact, exact)
    assert checks
    assert all(check.inside for check in checks)
    assert not all(check.inside for check in check_release(like, exact))

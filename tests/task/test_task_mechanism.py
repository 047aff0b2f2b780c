"""The mechanism of a campaign: chosen by its first task, and the same ever after."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from grievance.cost import Cost
from grievance.crypto.documents import canonical, parse_canonical
from grievance.errors import BudgetExceededError, GrievanceError, TaskError
from grievance.task import check_mechanism_stays, check_successor, parse_task
from grievance.testing import EXAMPLE_PLAN, Coalition, make_coalition


def plan(mechanism: str) -> str:
    """The example with a mechanism; `left out` leaves the choice open without saying so."""
    if mechanism == "left out":
        return EXAMPLE_PLAN
    return EXAMPLE_PLAN.replace("[privacy]", f'[privacy]\nmechanism = "{mechanism}"')


@pytest.fixture(scope="module")
def laplace() -> Coalition:
    return make_coalition(plan("laplace"))


def body_of(coalition: Coalition) -> dict[str, Any]:
    body = parse_canonical(coalition.task.data)
    assert isinstance(body, dict)
    return body


def test_what_a_laplace_task_says(laplace: Coalition) -> None:
    task, terms = laplace.task, body_of(laplace)["privacy"]
    assert task.mechanism == "laplace"
    assert terms["mechanism"] == "discrete-laplace"
    assert terms["lifetime"] == {"pure": "4"} == task.lifetime.to_json()
    assert terms["cost"] == task.cost.to_json()
    assert task.cost <= Cost("pure", Fraction(1))
    for name, given in terms["statistics"].items():
        statistic, b = task.layout.statistics[name], Fraction(given["b"])
        ticks = {"ticks"} if statistic.multi else set()
        assert set(given) == {"b", "cost"} | ticks
        assert given["cost"] == {"pure": str(statistic.l1 / b)}
    assert parse_task(task.data).digest == task.digest


def test_delta_plays_no_part_in_laplace_noise(laplace: Coalition) -> None:
    other = make_coalition(plan("laplace").replace("delta = 1e-6", "delta = 1e-9"))
    assert other.task.allocations == laplace.task.allocations
    assert other.task.lifetime == laplace.task.lifetime


def test_m_reports_double_the_noise() -> None:
    one = make_coalition(plan("laplace")).task
    text = plan("laplace").replace("delta = 1e-6", "delta = 1e-6\nreports_per_worker = 2")
    two = make_coalition(text).task
    for name, given in two.allocations.items():
        assert abs(given.scale - 2 * one.allocations[name].scale) <= Fraction(1, 32)
        assert given.cost.amount == 2 * two.layout.statistics[name].l1 / given.scale


def test_auto_is_resolved_in_the_task_and_nowhere_else() -> None:
    chosen = make_coalition(plan("auto"))
    assert chosen.task.plan.privacy.mechanism == "auto"
    said = make_coalition(plan(chosen.task.mechanism))
    assert chosen.task.allocations == said.task.allocations
    assert body_of(chosen)["privacy"] == body_of(said)["privacy"]


def test_the_other_choice_than_autos_is_refused() -> None:
    """Neither aggregator can pass the worse one off as what `auto` stands for."""
    chosen = make_coalition(plan("auto"))
    other = "laplace" if chosen.task.mechanism == "gaussian" else "gaussian"
    swapped = body_of(make_coalition(plan(other)))
    body = body_of(chosen)
    body |= {"privacy": swapped["privacy"], "reserved": swapped["reserved"]}
    with pytest.raises(GrievanceError):
        parse_task(canonical(body))


@pytest.mark.parametrize("first", ["gaussian", "laplace", "auto"])
@pytest.mark.parametrize("then", ["gaussian", "laplace", "auto", "left out"])
def test_which_may_follow_which(first: str, then: str) -> None:
    before = make_coalition(plan(first))
    if then in (before.task.mechanism, "left out"):
        after = make_coalition(plan(then), previous=before)
        check_successor(after.task, before.task)
        assert after.task.mechanism == after.plan.privacy.mechanism == before.task.mechanism
        assert after.task.reserved == before.task.reserved + after.task.cost
        return
    with pytest.raises(TaskError) as caught:
        make_coalition(plan(then), previous=before)
    assert caught.value.code == "task.mechanism"
    assert f'mechanism = "{before.task.mechanism}"' in (caught.value.hint or "")
    check_mechanism_stays(before.plan, None)


def test_a_leader_that_does_not_mind_is_refused_by_the_others(
    laplace: Coalition,
) -> None:
    """A task of the other kind that is consistent in itself, and names ours as the one before."""
    other = make_coalition(plan("gaussian"), round_id="example-00000002")
    twice = Cost("zcdp", 2 * other.task.cost.amount)
    body = body_of(other) | {"previous": laplace.task.digest.hex(), "reserved": twice.to_json()}
    forged = parse_task(canonical(body))
    with pytest.raises(TaskError, match="mechanism") as caught:
        check_successor(forged, laplace.task)
    assert caught.value.code == "task.campaign"


def test_auto_in_a_later_task_is_refused() -> None:
    body = body_of(make_coalition(plan("auto")))
    kind, amount = next(iter(body["reserved"].items()))
    body |= {"previous": "00" * 32, "reserved": {kind: str(2 * Fraction(amount))}}
    with pytest.raises(TaskError, match="first plan") as caught:
        parse_task(canonical(body))
    assert caught.value.code == "task.field"


def test_the_pure_lifetime_holds_to_the_last_fraction(laplace: Coalition) -> None:
    body = body_of(laplace) | {"previous": "00" * 32}
    full = parse_task(canonical(body | {"reserved": {"pure": "4"}}))
    assert full.reserved == laplace.task.lifetime
    more = Cost("pure", 4 + Fraction(1, 10**12))
    with pytest.raises(BudgetExceededError):
        parse_task(canonical(body | {"reserved": more.to_json()}))


@pytest.mark.parametrize("reserved", [{"zcdp": "1"}, {"pure": "0"}, {"pure": "2/4"}, {"pure": 1}])
def test_reserved_is_of_the_campaigns_kind(laplace: Coalition, reserved: object) -> None:
    with pytest.raises(TaskError):
        parse_task(canonical(body_of(laplace) | {"reserved": reserved}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mechanism",), "discrete-gaussian"),
        (("mechanism",), "laplace"),
        (("lifetime", "pure"), "5"),
        (("cost", "pure"), "1"),
        (("statistics", "STATISTIC", "b"), "2"),
        (("statistics", "STATISTIC", "b"), "0"),
        (("statistics", "STATISTIC", "cost", "pure"), "1/100"),
    ],
)
def test_noise_and_cost_follow_from_the_plan(
    laplace: Coalition, path: tuple[str, ...], value: str
) -> None:
    body = body_of(laplace)
    name = next(iter(laplace.task.allocations))
    *way, last = (name if step == "STATISTIC" else step for step in path)
    place = body["privacy"]
    for step in way:
        place = place[step]
    assert place[last] != value
    place[last] = value
    with pytest.raises(GrievanceError):
        parse_task(canonical(body))

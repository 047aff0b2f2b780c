"""A whole round with discrete Laplace noise: it passes, and what is wrong with its costs is found.

Two aggregators, from plan to release and audit; then the same pool with one number changed by
the guilty, signed with their own keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from math import exp, sqrt
from pathlib import Path
from typing import Any

import pytest
from audit_world import Pool, faults, make_round, pool_of
from defects_tasks import reopen

from federation import PLAN, Federation
from grievance.cost import Cost
from grievance.crypto.documents import canonical
from grievance.errors import GrievanceError, PlanError, TaskError
from grievance.plan import Layout, Plan, StatisticLayout
from grievance.plan.budget import round_budget
from grievance.pool.store import open_store
from grievance.privacy import NoiseLaw
from grievance.release import Release, collect
from grievance.task import parse_task

LAPLACE = PLAN.replace(b"hide_below = 0", b'hide_below = 0\nmechanism = "laplace"')
AUTO = PLAN.replace(b"hide_below = 0", b'hide_below = 0\nmechanism = "auto"')
_ONE_FIELD = AUTO[: AUTO.index(b"[fields.problems]")]
ONE_TABLE = _ONE_FIELD + b'[statistics.who]\ncount = ["region"]\n'
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    federation = Federation(tmp_path_factory.mktemp("laplace"))
    make_round(federation, plan=LAPLACE)
    return pool_of(federation, [federation.task])


@pytest.fixture
def pool(finished: Pool, tmp_path: Path) -> Pool:
    return finished.copy(tmp_path / "pool")


def of(pool: Pool) -> Release:
    return collect(open_store(pool.folder), pool.task, pool.release_id)


def test_the_round_passes_its_audit(finished: Pool) -> None:
    report = finished.audit()
    assert (report.verdict, report.findings) == ("pass", ())
    (totals,) = report.campaigns.values()
    assert (totals.unit, totals.budget) == ("epsilon", "4")
    assert Fraction(totals.reserved) == finished.task.cost.amount <= 2
    assert set(totals.spent.values()) == {totals.reserved}
    assert totals.lifetime == "epsilon 4 without a delta"


def test_what_the_task_and_the_ledgers_say(finished: Pool) -> None:
    task, terms = finished.task, json.loads(finished.task.data)["privacy"]
    assert (task.mechanism, terms["mechanism"]) == ("laplace", "discrete-laplace")
    assert terms["lifetime"] == {"pure": "4"}
    moved = {"problems_by_region": 2 + 4, "hours_mean": 4, "hours_spread": 2}
    for name, given in terms["statistics"].items():
        b = Fraction(given["b"])
        assert given["cost"] == {"pure": str(moved[name] / b)}
        assert (64 * b).denominator == 1
        for ledger in finished.names:
            entry = finished.body(f"ledger/{ledger}/1.json")
            assert entry["event"]["statistics"][name] == given["cost"]
            assert entry["spent"] == terms["cost"]


def test_the_release_has_the_noise_it_says(finished: Pool, tmp_path: Path) -> None:
    release = of(finished)
    value = release.to_json()
    for item in value["statistics"]:
        given = finished.task.allocations[item["name"]]
        assert item["b"] == str(given.scale)
        assert "sigma" not in item
        for part in item["parts"]:
            q = exp(-1 / float(given.scale * part["scale"]))
            assert float(part["sd"]) == pytest.approx(sqrt(2 * 2 * q) / (1 - q), rel=1e-5)
    statement = "\n".join(value["privacy"]["statement"])
    assert "This holds without exception." in statement
    assert "discrete Laplace" in statement
    assert value["privacy"]["round_cost_blanked"].keys() == {"pure"}
    assert not release.suspect
    path = tmp_path / "release.json"
    path.write_bytes(release.to_bytes())
    assert finished.audit(releases=[path]).verdict == "pass"
    value["statistics"][1]["b"] += "1"
    path.write_bytes(canonical(value))
    report = finished.audit(releases=[path])
    assert [f.message for f in report.faults] == ["hours_mean does not say the noise it has"]


# -- what the guilty change -----------------------------------------------------------------


def statistic(task: dict[str, Any], name: str = "hours_spread") -> dict[str, Any]:
    found: dict[str, Any] = task["privacy"]["statistics"][name]
    return found


def total_up(task: dict[str, Any]) -> None:
    terms = task["privacy"]
    total = sum(Fraction(given["cost"]["pure"]) for given in terms["statistics"].values())
    terms["cost"] = task["reserved"] = {"pure": str(total)}


def half_the_noise(task: dict[str, Any]) -> None:
    """Half of b, and the cost left as it was."""
    statistic(task)["b"] = str(Fraction(statistic(task)["b"]) / 2)


def cheaper(task: dict[str, Any]) -> None:
    cost = statistic(task)["cost"]
    cost["pure"] = str(Fraction(cost["pure"]) / 2)
    total_up(task)


def less_noise_at_its_price(task: dict[str, Any]) -> None:
    for given in task["privacy"]["statistics"].values():
        b = Fraction(given["b"])
        less = Fraction(int(b * 64 * 9 / 10), 64)
        given["cost"] = {"pure": str(Fraction(given["cost"]["pure"]) * b / less)}
        given["b"] = str(less)
    total_up(task)


def off_the_grid(task: dict[str, Any]) -> None:
    given = statistic(task)
    b = Fraction(given["b"])
    given["b"] = str(b + Fraction(1, 1000))
    given["cost"] = {"pure": str(Fraction(2) / (b + Fraction(1, 1000)))}
    total_up(task)


def a_longer_life(task: dict[str, Any]) -> None:
    task["privacy"]["lifetime"] = {"pure": str(4 + Fraction(1, 10**12))}


def another_currency(task: dict[str, Any]) -> None:
    statistic(task)["cost"] = {"zcdp": statistic(task)["cost"]["pure"]}


def another_mechanism(task: dict[str, Any]) -> None:
    task["privacy"]["mechanism"] = "discrete-gaussian"


def priced_as_gaussian(task: dict[str, Any]) -> None:
    """All numbers right for discrete Gaussian noise, under a plan that says laplace."""
    with_plan_of("gaussian")(task)
    task["plan"]["privacy"]["mechanism"] = "laplace"
    task["reserved"] = task["privacy"]["cost"]


def another_name_for_b(task: dict[str, Any]) -> None:
    statistic(task)["sigma"] = statistic(task).pop("b")


def no_noise(task: dict[str, Any]) -> None:
    statistic(task)["b"] = "0"


CHANGES: list[tuple[Change, str]] = [
    (half_the_noise, "cost.statistic"),
    (cheaper, "cost.statistic"),
    (less_noise_at_its_price, "cost.round"),
    (off_the_grid, "cost.sigma"),
    (a_longer_life, "cost.lifetime"),
    (another_currency, "task.form"),
    (another_mechanism, "task.form"),
    (priced_as_gaussian, "task.form"),
    (another_name_for_b, "task.form"),
    (no_noise, "task.form"),
]


@pytest.mark.parametrize(
    ("change", "rule"), CHANGES, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_task_with_another_noise_or_cost_is_found(pool: Pool, change: Change, rule: str) -> None:
    reopen(pool, change)
    assert rule in faults(pool.audit())


@pytest.mark.parametrize("change", [c for c, _ in CHANGES], ids=lambda change: change.__name__)
def test_nobody_can_read_such_a_task(pool: Pool, change: Change) -> None:
    value = json.loads(pool.task.data)
    assert parse_task(canonical(value)).digest == pool.task.digest
    change(value)
    with pytest.raises(GrievanceError):
        parse_task(canonical(value))


def test_an_entry_that_charges_too_little_is_found(pool: Pool) -> None:
    def undercharge(body: dict[str, Any]) -> None:
        costs = body["event"]["statistics"]
        costs["hours_mean"] = {"pure": str(Fraction(costs["hours_mean"]["pure"]) / 2)}
        body["spent"] = {"pure": str(sum(Fraction(cost["pure"]) for cost in costs.values()))}

    pool.charge_again("south", 1, undercharge)
    assert "cost.statistic" in faults(pool.audit())


def test_an_entry_in_the_other_currency_is_found(pool: Pool) -> None:
    def exchange(body: dict[str, Any]) -> None:
        costs = body["event"]["statistics"]
        body["event"]["statistics"] = {name: {"zcdp": c["pure"]} for name, c in costs.items()}
        body["spent"] = {"zcdp": body["spent"]["pure"]}

    pool.charge_again("south", 1, exchange)
    assert {"cost.statistic", "cost.lifetime"} & faults(pool.audit())


def test_an_entry_in_both_currencies_is_found(pool: Pool) -> None:
    def mix(body: dict[str, Any]) -> None:
        costs = body["event"]["statistics"]
        costs["hours_mean"] = {"zcdp": costs["hours_mean"]["pure"]}

    pool.charge_again("south", 1, mix)
    assert faults(pool.audit())


# -- campaigns ------------------------------------------------------------------------------


def test_auto_takes_laplace_for_one_table_and_keeps_it(tmp_path: Path) -> None:
    """Resolved by the first task; the next plan has to say it, and nothing else."""
    federation = Federation.opened(tmp_path, ONE_TABLE)
    first = federation.task
    assert (first.plan.privacy.mechanism, first.mechanism) == ("auto", "laplace")
    for plan, said in ((ONE_TABLE, "auto"), (ONE_TABLE.replace(b"auto", b"gaussian"), "gaussian")):
        with pytest.raises(TaskError) as caught:
            federation.open_round(plan)
        assert caught.value.code == "task.mechanism"
        assert 'mechanism = "laplace"' in (caught.value.hint or "")
        assert said == "auto" or '"gaussian"' in str(caught.value)
        federation.sync(*federation.aggregators)
    federation.open_round(ONE_TABLE.replace(b"auto", b"laplace"))
    second = federation.task
    assert second.reserved == first.cost + second.cost
    assert second.cost.kind == "pure"
    assert pool_of(federation, [first, second]).audit().verdict == "pass"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    federation, tasks = Federation(tmp_path_factory.mktemp("laplace campaign")), []
    for _ in range(2):
        federation.open_round(LAPLACE)
        tasks.append(federation.task)
    return pool_of(federation, tasks)


def ticks_of(statistic: StatisticLayout) -> dict[str, Any]:
    if statistic.multi is None:
        return {}
    a, t = statistic.centre
    return {"ticks": {"a": a, "t": t}}


def with_plan_of(mechanism: str) -> Change:
    """The second task as it would be with another mechanism in its plan, all else the same."""

    def change(task: dict[str, Any]) -> None:
        task["plan"]["privacy"]["mechanism"] = mechanism
        plan = Plan.from_json(task["plan"])
        found = round_budget(plan, Layout(plan))
        if mechanism != "auto":
            reserved = Cost(found.cost.kind, 2 * found.cost.amount)
            task["reserved"] = reserved.to_json()
            task["privacy"] = {
                "cost": found.cost.to_json(),
                "lifetime": found.lifetime.to_json(),
                "mechanism": "discrete-gaussian",
                "statistics": {
                    name: {
                        "cost": given.cost.to_json(),
                        "sigma": str(given.scale),
                        **ticks_of(found.layout.statistics[name]),
                    }
                    for name, given in found.allocations.items()
                },
            }

    return change


@pytest.mark.parametrize("mechanism", ["gaussian", "auto"])
def test_a_round_of_another_kind_in_the_campaign_is_found(
    campaign: Pool, tmp_path: Path, mechanism: str
) -> None:
    """Signed by dishonest aggregators, whose programs do not mind."""
    pool = campaign.copy(tmp_path / "pool")
    assert pool.audit().verdict == "pass"
    for name in ("batches", "verify", "decide", "releases"):
        pool.file(f"{pool.paths.folder}/{name}").mkdir(exist_ok=True)
    reopen(pool, with_plan_of(mechanism))
    report = pool.audit()
    assert "task.campaign" in faults(report)
    said = [finding.message for finding in report.faults if finding.rule == "task.campaign"]
    expected = {"gaussian": "of another kind", "auto": "leaves the mechanism open"}
    assert any(expected[mechanism] in message for message in said)


def test_a_mechanism_that_is_none_is_refused() -> None:
    for bad in ("Laplace", "discrete-laplace", "", "pure"):
        with pytest.raises(PlanError):
            Plan.from_toml(LAPLACE.replace(b'"laplace"', f'"{bad}"'.encode()))


def test_margins_of_the_release_are_those_of_the_noise(finished: Pool) -> None:
    task = finished.task
    law = NoiseLaw("laplace", task.allocations["hours_spread"].scale, 2)
    table = of(finished)["hours_spread"]
    assert Cost("pure", Fraction(2) / law.scale) == task.allocations["hours_spread"].cost
    for figure in table.cells():
        assert figure.high - figure.low <= 2 * law.margin() + 1

"""What stands in release.json, beside the task: written here, compared here when it is read.

Everything is text, whole numbers, lists and objects, so that the file has one canonical form
(JCS); decimals are strings. All of it but the noisy integers follows from the task, so a file
that was altered anywhere else is refused when it is read. The integers themselves are
checked against the noisy shares in the pool: that is an audit, and not done here.
"""

from __future__ import annotations

from decimal import Context, Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from grievance.cost import Cost
from grievance.privacy import MEAN_L2_SQUARED_BLANKED, count_l2_squared_blanked, promise
from grievance.release.combine import implausible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from grievance.plan import RawTable, StatisticLayout
    from grievance.release.combine import Suspect
    from grievance.release.tables import Table
    from grievance.task import Task

FORMAT = "grievance/1 release"
_SD_DIGITS = Context(prec=6)
NEIGHBOURS = (
    "one worker's answers, in all reports the plan allows them in this round, are replaced by "
    "any other valid answers or left blank"
)
NEIGHBOURS_BLANKED = "one worker's answers, in all their reports of this round, are left blank"


def library() -> str:
    """Return the version of this library."""
    try:
        return version("grievance")
    except PackageNotFoundError:
        return "unknown"


def released_sd(sigma: Fraction, num_draws: int) -> str:
    """Return sigma * sqrt(num_draws) as a decimal of six digits, the same on every machine."""
    square = sigma * sigma * num_draws
    exact = Context(prec=40)
    root = exact.sqrt(exact.divide(Decimal(square.numerator), Decimal(square.denominator)))
    return f"{_SD_DIGITS.plus(root).normalize():f}"


def blanked_cost(statistic: StatisticLayout, sigma: Fraction, reports_per_worker: int) -> Cost:
    """Return what a statistic costs under the weaker relation: a report is left blank."""
    if statistic.kind == "mean":
        moved = MEAN_L2_SQUARED_BLANKED
    else:
        moved = count_l2_squared_blanked(statistic.weighted_blocks)
    return Cost("zcdp", reports_per_worker**2 * moved / (2 * sigma**2))


def privacy_json(task: Task, charged: Sequence[str]) -> dict[str, Any]:
    """Return the privacy terms in numbers and words; `charged` is what this release pays for.

    The words are about the whole round: what all its releases together may reveal.
    """
    terms = task.plan.privacy
    blanked = sum(
        (
            blanked_cost(task.layout.statistics[name], given.sigma, terms.reports_per_worker)
            for name, given in task.allocations.items()
        ),
        Cost.zero(task.cost.kind),
    )
    cost = sum((task.allocations[name].cost for name in charged), Cost.zero(task.cost.kind))
    words = promise(terms.epsilon, terms.delta, task.cost.amount, blanked_rho=blanked.amount)
    plain = task.plan.to_json()["privacy"]
    if not isinstance(plain, dict):
        raise TypeError("a plan's privacy terms are an object")
    return {
        "epsilon": plain["epsilon"],
        "delta": plain["delta"],
        "reports_per_worker": terms.reports_per_worker,
        "neighbours": NEIGHBOURS,
        "cost": cost.to_json(),
        "round_cost": task.cost.to_json(),
        "neighbours_blanked": NEIGHBOURS_BLANKED,
        "round_cost_blanked": blanked.to_json(),
        "statement": words.split("\n"),
    }


def statistic_json(task: Task, raw: RawTable, table: Table) -> dict[str, Any]:
    """Return one statistic: what it is, its noise, its cost, and its noisy integers."""
    source = raw.layout.implied_by
    given = task.allocations[source or raw.name]
    aggregators = len(task.aggregators)
    return {
        "name": raw.name,
        "kind": raw.kind,
        "title": table.title,
        "implied_by": source,
        "cost": None if source else given.cost.to_json(),
        "sigma": str(given.sigma),
        "aggregators": aggregators,
        "parts": [
            {
                "name": part.name,
                "axes": [
                    {"name": axis.name, "title": axis.title, "labels": list(axis.labels)}
                    for axis in part.axes
                ],
                "scale": part.scale,
                "terms": part.terms,
                "sd": released_sd(given.sigma * part.scale, aggregators * part.terms),
                "values": list(raw.part(part.name)),
            }
            for part in raw.layout.parts
        ],
    }


def find_suspects(
    task: Task, values: Mapping[str, Sequence[int]], accepted: int
) -> tuple[Suspect, ...]:
    """Return the released coordinates that `accepted` reports and noise cannot explain."""
    found: list[Suspect] = []
    for name, coordinates in values.items():
        parts = task.layout.statistics[name].parts
        found += implausible(
            name,
            coordinates,
            scales=[part.scale for part in parts for _ in range(part.size)],
            signed=[part.name == "totals" for part in parts for _ in range(part.size)],
            sigma=task.allocations[name].sigma,
            aggregators=len(task.aggregators),
            accepted=accepted,
        )
    return tuple(found)

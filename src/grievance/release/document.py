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
from grievance.plan.budget import blanked_cost
from grievance.privacy import noise_of, promise
from grievance.privacy.laws import NoiseLaw
from grievance.release.combine import implausible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from grievance.plan import RawTable
    from grievance.privacy import Mechanism
    from grievance.release.combine import Suspect
    from grievance.release.tables import Table
    from grievance.task import Task

FORMAT = "grievance/2 release"
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


def laws(task: Task) -> dict[str, NoiseLaw]:
    """Return for every charged statistic the noise in one released count, from all aggregators."""
    return {
        name: NoiseLaw(given.mechanism, given.scale, len(task.aggregators))
        for name, given in task.allocations.items()
    }


def released_sd(mechanism: Mechanism, scale: Fraction, num_draws: int) -> str:
    """Return the sd of a sum of draws as a decimal of six digits, the same on every machine.

    Of discrete Gaussian noise sigma * sqrt(num_draws), which it is but for very little noise; of
    discrete Laplace noise sqrt(2 q num_draws) / (1 - q), q = exp(-1/b).
    """
    exact = Context(prec=40)
    square = Decimal(num_draws)
    if mechanism == "gaussian":
        sigma = exact.divide(Decimal(scale.numerator), Decimal(scale.denominator))
        root = exact.multiply(sigma, exact.sqrt(square))
    else:
        q = exact.exp(exact.divide(Decimal(-scale.denominator), Decimal(scale.numerator)))
        root = exact.sqrt(exact.multiply(exact.multiply(2, q), square))
        root = exact.divide(root, exact.subtract(1, q))
    return f"{_SD_DIGITS.plus(root).normalize():f}"


def privacy_json(task: Task, charged: Sequence[str]) -> dict[str, Any]:
    """Return the privacy terms in numbers and words; `charged` is what this release pays for.

    The words are about the whole round: what all its releases together may reveal.
    """
    terms = task.plan.privacy
    blanked = sum(
        (
            blanked_cost(task.layout.statistics[name], given)
            for name, given in task.allocations.items()
        ),
        Cost.zero(task.cost.kind),
    )
    cost = sum((task.allocations[name].cost for name in charged), Cost.zero(task.cost.kind))
    words = promise(terms.epsilon, terms.delta, task.cost, blanked=blanked)
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
        noise_of(given.mechanism).scale_name: str(given.scale),
        "aggregators": aggregators,
        "parts": [
            {
                "name": part.name,
                "axes": [
                    {"name": axis.name, "title": axis.title, "labels": list(axis.labels)}
                    for axis in part.axes
                ],
                "adds": [part.low, part.high],
                "scale": part.scale,
                "terms": part.terms,
                "sd": released_sd(
                    given.mechanism, given.scale * part.scale, aggregators * part.terms
                ),
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
    noise = laws(task)
    for name, coordinates in values.items():
        parts = task.layout.statistics[name].parts
        found += implausible(
            name,
            coordinates,
            scales=[part.scale for part in parts for _ in range(part.size)],
            adds=[(part.low, part.high) for part in parts for _ in range(part.size)],
            law=noise[name],
            accepted=accepted,
        )
    return tuple(found)

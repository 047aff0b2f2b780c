"""The release.json that follows from a task and from totals, made without the releasing side.

Everything in that file but the name of the library that wrote it follows from the pool, so that
an audit can write all of it down and compare. Costs are recomputed (`grievance.audit.terms`), so
are deviations and words; questions, labels and their order are those of the plan.

One list may differ by a hair: which totals are `suspect`. How far noise reaches once in 10^9
times is a number computed with floats, by different formulas here and there. A total that lies
within half a percent of that limit may be in the list or not; every other one must be, or not.
"""

from __future__ import annotations

import math
from decimal import Context
from typing import TYPE_CHECKING, Any, Final

from grievance.audit import accounting
from grievance.audit.plausible import DEVIATIONS, noise_reach
from grievance.audit.promised import statement
from grievance.audit.terms import ticks_of, true_cost
from grievance.cost import Cost
from grievance.crypto.documents import parse_canonical
from grievance.plan import NumberField
from grievance.plan.decimals import decimal_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from grievance.audit.releases import AuditedRelease
    from grievance.audit.terms import AuditedTask, Mechanism
    from grievance.cost import Kind
    from grievance.plan import Part, Plan, StatisticLayout

FORMAT: Final = "grievance/2 release"
_SIX_DIGITS: Final = Context(prec=6)
_EXACT: Final = Context(prec=60)
_UNSURE: Final = 0.005
_SMOOTH_SIGMA: Final = 8
_SCALE_KEYS: Final = {"gaussian": "sigma", "laplace": "b"}


def expected_release(
    release: AuditedRelease,
    totals: Mapping[str, Sequence[int]],
    *,
    library: str,
    suspect: object,
) -> dict[str, Any]:
    """Return what the release.json of a release must be. `totals`: see `AuditedRelease`.

    `library` and `suspect` are what the file at hand says. The first is taken as it is, the
    second only for the totals that are too near to the limit to tell.
    """
    task, proposal = release.opened.task, release.proposal
    terms = parse_canonical(task.data)
    return {
        "format": FORMAT,
        "title": task.plan.title,
        "campaign": task.plan.campaign,
        "round": task.round_id,
        "rehearsal": task.rehearsal,
        "release": release.release_id,
        "task_digest": task.digest.hex(),
        "task": terms,
        "aggregators": [
            {
                "name": party.name,
                "display_name": party.display_name,
                "identity": party.identity.fingerprint.hex(),
            }
            for party in task.aggregators
        ],
        "accepted": proposal.accepted,
        "accepted_root": proposal.root.hex(),
        "noisy_shares": dict(release.digests),
        "waived": sorted(release.waived),
        "statistics": [
            _statistic(task, statistic, totals)
            for name, statistic in task.layout.statistics.items()
            if (statistic.implied_by or name) in totals
        ],
        "suspect": _suspects(task, totals, proposal.accepted, suspect),
        "privacy": _privacy(task, totals),
        "library": library,
        "vdaf": {"draft": terms["vdaf"]["draft"], "wire_version": terms["vdaf"]["version"]},
    }


def _statistic(
    task: AuditedTask, statistic: StatisticLayout, totals: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    source = statistic.implied_by
    given = task.allocations[source or statistic.name]
    values = _coordinates(statistic, totals)
    parties, parts, at = len(task.aggregators), [], 0
    for part in statistic.parts:
        parts.append(
            {
                "name": part.name,
                "axes": [
                    {"name": axis.name, "title": axis.title, "labels": list(axis.labels)}
                    for axis in part.axes
                ],
                "adds": [part.low, part.high],
                "scale": part.scale,
                "terms": part.terms,
                "sd": deviation(given.mechanism, given.scale * part.scale, parties * part.terms),
                "values": values[at : at + part.size],
            }
        )
        at += part.size
    return {
        "name": statistic.name,
        "kind": statistic.kind,
        "title": _title(task.plan, statistic),
        "implied_by": source,
        "cost": None if source else true_cost(task, statistic.name).to_json(),
        _SCALE_KEYS[given.mechanism]: str(given.scale),
        "aggregators": parties,
        "parts": parts,
    }


def _coordinates(statistic: StatisticLayout, totals: Mapping[str, Sequence[int]]) -> list[int]:
    """All coordinates of a statistic, released or read off a larger table."""
    if statistic.implied_by is None:
        return list(totals[statistic.name])
    source = totals[statistic.implied_by]
    return [sum(source[index] for index in summed) for summed in statistic.reads]


def _title(plan: Plan, statistic: StatisticLayout) -> str:
    """What a table is of: a number first, then what it is by, then of whom alone."""
    asked = [axis.title for axis in statistic.axes]
    number = plan.fields.get(statistic.number_name or "")
    if statistic.kind == "mean" and isinstance(number, NumberField):
        asked = [f"Mean of: {number.question}", *asked]
    elif statistic.kind == "distribution":
        asked = [asked[-1], *asked[:-1]]
    title = " / ".join(asked)
    if statistic.where:
        only = (f"{name}: {', '.join(labels)}" for name, labels in statistic.where.items())
        title += f" (only {'; '.join(only)})"
    return title


def deviation(mechanism: Mechanism, scale: Fraction, draws: int) -> str:
    """Return the standard deviation of `draws` draws in six digits.

    sqrt(n sigma^2) for the discrete Gaussian, and sqrt(n / 2) / sinh(1 / (2 b)) for the discrete
    Laplace.
    """
    if mechanism == "gaussian":
        square = draws * scale * scale
        wide = _EXACT.sqrt(_EXACT.divide(square.numerator, square.denominator))
    else:
        grown = _EXACT.exp(_EXACT.divide(scale.denominator, 2 * scale.numerator))
        sinh = _EXACT.divide(_EXACT.subtract(grown, _EXACT.divide(1, grown)), 2)
        wide = _EXACT.divide(_EXACT.sqrt(_EXACT.divide(draws, 2)), sinh)
    return f"{_SIX_DIGITS.plus(wide).normalize():f}"


def _privacy(task: AuditedTask, charged: Iterable[str]) -> dict[str, Any]:
    terms, kind = task.plan.privacy, task.cost.kind
    whole = _sum(kind, (true_cost(task, name) for name in task.allocations))
    blanked = _sum(kind, (_blanked(task, name) for name in task.allocations))
    return {
        "epsilon": decimal_text(terms.epsilon),
        "delta": decimal_text(terms.delta),
        "reports_per_worker": terms.reports_per_worker,
        "neighbours": "one worker's answers, in all reports the plan allows them in this round, "
        "are replaced by any other valid answers or left blank",
        "cost": _sum(kind, (true_cost(task, name) for name in charged)).to_json(),
        "round_cost": whole.to_json(),
        "neighbours_blanked": "one worker's answers, in all their reports of this round, are left "
        "blank",
        "round_cost_blanked": blanked.to_json(),
        "statement": statement(terms.epsilon, terms.delta, whole, blanked),
    }


def _sum(kind: Kind, costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost.zero(kind))


def _blanked(task: AuditedTask, name: str) -> Cost:
    """What a charged statistic costs when a report is only ever exchanged for a blank one.

    A blank report adds nothing anywhere: of a count one cell changes by 1, and of a mean one
    total and one number by one unit of their noise each.
    """
    statistic, kind = task.layout.statistics[name], task.cost.kind
    ticks = ticks_of(statistic, kind)
    moved: int | Fraction = 2 if statistic.kind == "mean" else 1
    if ticks is not None:
        moved = ticks.blanked(*ticks.centre())
    price = accounting.rho_of if kind == "zcdp" else accounting.epsilon_of
    scale, reports = task.allocations[name].scale, task.plan.privacy.reports_per_worker
    return Cost(kind, price(moved, scale, reports))


def _suspects(
    task: AuditedTask, totals: Mapping[str, Sequence[int]], accepted: int, listed: object
) -> list[dict[str, Any]]:
    # Nobody can list more totals than there are; a hostile list is not searched for long.
    most = sum(len(each) for each in totals.values())
    given = listed[:most] if isinstance(listed, list) else []
    found = []
    for name, statistic in task.layout.statistics.items():
        if name not in totals:
            continue
        terms = task.allocations[name]
        near, far = limits_of_noise(terms.mechanism, terms.scale, len(task.aggregators))
        for index, (part, total) in enumerate(_by_part(statistic, totals[name])):
            beyond = max(part.low * accepted - total, total - part.high * accepted)
            entry = {"statistic": name, "index": index}
            sure = beyond > math.ceil(part.scale * far) + 1
            if sure or (beyond > math.ceil(part.scale * near) - 1 and entry in given):
                found.append(entry)
    return found


def _by_part(statistic: StatisticLayout, totals: Sequence[int]) -> Iterator[tuple[Part, int]]:
    parts = [part for part in statistic.parts for _ in range(part.size)]
    return zip(parts, totals, strict=True)


def limits_of_noise(mechanism: Mechanism, scale: Fraction, draws: int) -> tuple[float, float]:
    """Return two widths: noise beyond the second is suspect, noise within the first is not."""
    reach = noise_reach(mechanism, scale, draws)
    if mechanism == "gaussian" and scale < _SMOOTH_SIGMA:
        # With little noise the whole numbers are coarse, and it deviates by less than sigma.
        reach = DEVIATIONS * math.sqrt(draws * _variance(float(scale)))
    return reach * (1 - _UNSURE), reach * (1 + _UNSURE)


def _variance(sigma: float) -> float:
    """The variance of the discrete Gaussian, summed up from its definition."""
    width = math.ceil(12 * sigma)
    weights = {x: math.exp(-((x / sigma) ** 2) / 2) for x in range(-width, width + 1)}
    return sum(x * x * weight for x, weight in weights.items()) / sum(weights.values())

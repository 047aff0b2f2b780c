"""Backwards: from a wanted accuracy to the epsilon it takes, or to the number of reports.

Both are found by bisection, on whole hundredths of epsilon and on whole numbers of reports; the
forecast decides each step, so an answer is one that was tried. With mechanism "auto" the better
mechanism is taken at every step, as a plan would.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from grievance.errors import PrivacyError, UsageError
from grievance.plan import limits
from grievance.plan.budget import round_budget
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import NumberField
from grievance.plan.frozen import FrozenMap
from grievance.plan.labels import shown
from grievance.plan.problems import nearest
from grievance.planner.expected import CountProspect, ExpectedLayout, MeanProspect, expected_tables
from grievance.planner.forecast import MAX_REPORTS, check_counts, most
from grievance.planner.groups import expect
from grievance.planner.model import short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.cost import Cost
    from grievance.plan import Plan
    from grievance.plan.budget import RoundBudget
    from grievance.planner.expected import Prospect
    from grievance.planner.groups import Expectation, Groups

Unit = Literal["people", "points", "units"]

_WANT = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*):(?:(?P<what>mean|diff)[=:])?"
    r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?P<unit>\D*)"
)
_POINTS = {"pp", "point", "points"}
_PEOPLE = {"", "people"}
_STEPS = 100  # of epsilon: two decimals
_FORMS = (
    'write "problems_by_region:3pp" (percentage points), ":25" (people), "unpaid_hours:0.5" '
    '(the unit of a mean), or ":diff=5pp" (a difference of two groups)'
)


@dataclass(frozen=True)
class Want:
    """One wanted accuracy: in every cell or group, a margin or difference of at most `target`."""

    statistic: str
    what: Literal["margin", "difference"]
    target: Fraction
    unit: Unit
    text: str

    def value(self, prospect: Prospect) -> float:
        """Return what the forecast gives instead; infinite if nothing would show."""
        found: float | None = None
        if isinstance(prospect, MeanProspect):
            if self.what == "margin":
                found = most(prospect.answered, lambda cell: cell.units)
            else:
                found = prospect.difference_units().most
        elif isinstance(prospect, CountProspect):
            if self.unit == "people":
                found = prospect.margin if self.what == "margin" else prospect.difference()
            elif self.what == "margin":
                found = most(prospect.answered, lambda cell: cell.points)
            else:
                found = prospect.difference_points().most
        return math.inf if found is None else found


def read_want(text: str, plan: Plan) -> Want:
    """Read a wanted accuracy as people type it. Raises UsageError.

    `NAME:3pp` and `NAME:25` for counts and distributions, `NAME:0.5h` or `NAME:mean=0.5` for a
    mean in its unit, and `NAME:diff=5pp`, `NAME:diff=25`, `NAME:diff=0.5h` for the smallest
    difference between two groups that shows.
    """
    match = _WANT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{shown(text)} is no wanted accuracy", code="usage.want", hint=_FORMS)
    name, typed = match["name"], match["unit"].strip()
    if name not in plan.statistics:
        raise UsageError(
            f"the plan has no statistic {shown(name)}{nearest(name, plan.statistics)}",
            code="usage.want",
        )
    target = Fraction(match["number"])
    if target == 0:
        raise UsageError(f"{shown(text)}: no noise is no promise; want more than 0", hint=_FORMS)
    if match["what"] == "diff" and ExpectedLayout(plan).statistics[name].cells < 2:
        raise UsageError(
            f"{shown(text)}: {name} is of one group, so there is no difference to show",
            code="usage.want",
        )
    unit: Unit
    if plan.statistics[name].kind == "mean":
        field = plan.fields[plan.statistics[name].number or ""]
        known = field.unit if isinstance(field, NumberField) else ""
        if not known.startswith(typed):
            _wrong_unit(text, f"the unit of {name} is {known}" if known else "it has no unit")
        unit = "units"
    elif match["what"] == "mean" or typed not in _POINTS | _PEOPLE:
        _wrong_unit(text, f"{name} counts people: give people, or points as in 3pp")
    else:
        unit = "points" if typed in _POINTS else "people"
    what: Literal["margin", "difference"] = "difference" if match["what"] == "diff" else "margin"
    return Want(name, what, target, unit, text.strip())


def _wrong_unit(text: str, why: str) -> None:
    raise UsageError(f"{shown(text)}: {why}", code="usage.want", hint=_FORMS)


@dataclass(frozen=True)
class Wanted:
    """What one wanted accuracy would take.

    Attributes:
        want: It.
        now: What the plan gives with the expected reports; None without a number of them where
            it counts, infinite where nothing would show.
        epsilon: The least epsilon, in hundredths, with which it holds for the expected reports;
            None if no plan may promise so little, or if it was not to be found.
        reports: The least number of reports with which it holds at the plan's epsilon; None if
            no number does.
        alone: What a plan with nothing but this statistic would give at the same epsilon.
        decides: Labels of the worst cell; "" if all are alike.
    """

    want: Want
    now: float | None
    epsilon: Fraction | None
    reports: int | None
    alone: float | None
    decides: str

    @property
    def met(self) -> bool:
        """Whether the plan gives it already."""
        return self.now is not None and self.now <= self.want.target

    def to_json(self) -> dict[str, object]:
        """Write it for programs: exact values as strings, estimates as numbers."""
        return {
            "want": self.want.text,
            "statistic": self.want.statistic,
            "what": self.want.what,
            "target": decimal_text(self.want.target),
            "unit": self.want.unit,
            "now": _finite(self.now),
            "met": self.met,
            "epsilon": None if self.epsilon is None else decimal_text(self.epsilon),
            "reports": self.reports,
            "alone": _finite(self.alone),
            "decides": self.decides,
        }


@dataclass(frozen=True)
class Answer:
    """What all wanted accuracies together would take.

    Attributes:
        wants: Each of them.
        epsilon: The least epsilon with which all hold; None if none does.
        cost: What a round costs then.
        rounds: How many of them the campaign's lifetime budget pays for.
        lifetime_epsilon: That budget in words people know.
    """

    wants: tuple[Wanted, ...]
    epsilon: Fraction | None
    cost: Cost | None
    rounds: int | None
    lifetime_epsilon: Fraction

    def to_json(self) -> dict[str, object]:
        """Write it for programs: exact values as strings."""
        return {
            "wants": [wanted.to_json() for wanted in self.wants],
            "epsilon": None if self.epsilon is None else decimal_text(self.epsilon),
            "cost": None if self.cost is None else self.cost.to_json(),
            "rounds": self.rounds,
            "lifetime_epsilon": decimal_text(self.lifetime_epsilon),
        }


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else short(value)


class _Trial:
    """Forecasts of one plan with other epsilons and numbers of reports."""

    def __init__(self, plan: Plan, expected: Expectation, aggregators: int) -> None:
        self.plan, self.expected, self.aggregators = plan, expected, aggregators
        self.layout = ExpectedLayout(plan)
        self._budgets: dict[Fraction, RoundBudget] = {}

    def budget(self, epsilon: Fraction) -> RoundBudget:
        """Return the round's budget at another epsilon. Raises PrivacyError."""
        if epsilon not in self._budgets:
            terms = self.plan.privacy
            other = terms.model_copy(update={"epsilon": epsilon})
            plan = self.plan.model_copy(update={"privacy": other})
            self._budgets[epsilon] = round_budget(plan, self.layout)
        return self._budgets[epsilon]

    def prospect(self, name: str, epsilon: Fraction, reports: float | None) -> Prospect:
        """Return what a statistic would show."""
        expected = replace(self.expected, reports=reports)
        found = self.budget(epsilon)
        self.layout = self.layout.under(found.mechanism)
        tables = expected_tables(self.layout, expected, found.allocations, self.aggregators)
        return tables[name]

    def value(self, want: Want, epsilon: Fraction, reports: float | None) -> float:
        """Return what the plan would give; infinite if no noise keeps the budget."""
        try:
            return want.value(self.prospect(want.statistic, epsilon, reports))
        except PrivacyError:
            return math.inf


def solve(
    plan: Plan,
    wants: Sequence[Want],
    reports: int | None = None,
    aggregators: int = 2,
    *,
    by_group: Groups | None = None,
) -> Answer:
    """Return what the wanted accuracies would take. Anyone runs it, before anything is collected.

    Arguments as of `grievance.planner.forecast`. Raises what it raises.
    """
    check_counts(reports, aggregators)
    expected = expect(plan, reports, by_group)
    trial = _Trial(plan, expected, aggregators)
    found = tuple(_solve(trial, want) for want in wants)
    epsilon = None
    cost, rounds = None, None
    if found and all(wanted.epsilon is not None for wanted in found):
        epsilon = max(wanted.epsilon for wanted in found if wanted.epsilon is not None)
        cost = trial.budget(epsilon).cost
        # By the campaign's own lifetime budget, which may not pay for one.
        lifetime = trial.budget(plan.privacy.epsilon).lifetime
        rounds = int(lifetime.amount / cost.amount) if cost.kind == lifetime.kind else None
    return Answer(found, epsilon, cost, rounds, plan.privacy.lifetime_epsilon)


def _solve(trial: _Trial, want: Want) -> Wanted:
    reports, epsilon = trial.expected.reports, trial.plan.privacy.epsilon
    counted = want.unit == "people" or reports is not None
    now = trial.value(want, epsilon, reports) if counted else None
    least = alone = None
    if counted:
        steps = _first(
            lambda step: trial.value(want, Fraction(step, _STEPS), reports) <= want.target,
            int(limits.MIN_EPSILON * _STEPS),
            int(limits.MAX_EPSILON * _STEPS),
        )
        least = None if steps is None else Fraction(steps, _STEPS)
        statistics = FrozenMap({want.statistic: trial.plan.statistics[want.statistic]})
        only = trial.plan.model_copy(update={"statistics": statistics})
        alone = _Trial(only, trial.expected, trial.aggregators).value(want, epsilon, reports)
    needed: int | None
    if want.unit == "people":
        # The noise in a count does not depend on how many are counted.
        needed = 1 if now is not None and now <= want.target else None
    else:
        needed = _first(
            lambda number: trial.value(want, epsilon, number) <= want.target, 1, MAX_REPORTS
        )
    return Wanted(want, now, least, needed, alone, _decides(trial, want) if counted else "")


def _decides(trial: _Trial, want: Want) -> str:
    prospect = trial.prospect(want.statistic, trial.plan.privacy.epsilon, trial.expected.reports)
    known = [
        (value, cell)
        for cell in prospect.answered
        if (value := cell.units if want.unit == "units" else cell.points) is not None
    ]
    if want.unit == "people" or len({round(value, 6) for value, _ in known}) < 2:
        return ""
    _, worst = max(known, key=lambda pair: pair[0])
    return ", ".join(worst.labels.values())


def _first(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the least number from `low` to `high` for which `holds`, which then goes on to hold.

    None if it does not hold at `high`. Whatever is returned has been tried.
    """
    if not holds(high):
        return None
    if holds(low):
        return low
    while high - low > 1:
        # Halves the number of digits first, for a range of many of them.
        between = math.isqrt(low * high) if high > 4 * low else (low + high) // 2
        if holds(between):
            high = between
        else:
            low = between
    return high

"""What wanted accuracies would take, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from grievance.plan import limits
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import NumberField

if TYPE_CHECKING:
    from grievance.plan import Plan
    from grievance.planner.fitting import Fitted
    from grievance.planner.wants import Answer, Want, Wanted


def answer_in_words(answer: Answer, plan: Plan, expected_reports: int | None) -> list[str]:
    """Say what the wanted accuracies would take, and where that is too much, what would help."""
    lines = []
    paid = _paid_in_words(answer)
    # Of one want alone its own line says what the epsilon costs; of several, a line of all.
    alone = len(answer.wants) == 1 and _epsilon_in_words(answer.wants[0], plan) is not None
    for wanted in answer.wants:
        lines += _wanted_in_words(wanted, plan, expected_reports, paid if alone else "")
    if answer.epsilon is None or not paid:
        if len(answer.wants) > 1 and any(wanted.now is not None for wanted in answer.wants):
            lines.append("No epsilon gives all of that together.")
        return lines
    if not alone:
        together = "all of that" if len(answer.wants) > 1 else "that"
        lines.append(f"Epsilon {decimal_text(answer.epsilon)} gives {together}; {paid}.")
    if answer.epsilon > 3:
        lines.append(
            "So large an epsilon promises little; the lines above say what would help instead."
        )
    return lines


def fitted_in_words(found: Fitted, reports: int, groups: int | None) -> list[str]:
    """Say what a plan to start from asks of so many people, and where that is little."""
    shape, lines = found.shape, []
    if groups and not shape.groups:
        lines.append(f"{reports:,} people are too few for {groups} groups: all are asked together.")
    if not found.green:
        lines.append(
            f"{reports:,} people are too few: no plan shows something of each answer and protects "
            "each of them. This one asks the least there is."
        )
    elif not found.steady:
        lines.append(
            "It shows something of every answer only if people spread evenly over them; with "
            "twice as many people, or fewer groups, it would surely."
        )
    return lines


def _paid_in_words(answer: Answer) -> str:
    """Say what a round with the epsilon of all wants costs; "" where no epsilon gives them."""
    if answer.epsilon is None or answer.rounds is None:
        return ""
    return (
        f"a round then costs {answer.cost}, and the lifetime budget, epsilon "
        f"{decimal_text(answer.lifetime_epsilon)}, pays for {_rounds(answer.rounds)}"
    )


def _epsilon_in_words(wanted: Wanted, plan: Plan) -> str | None:
    """Say which epsilon a want takes; None where that is the plan's own, or none does."""
    if wanted.epsilon is None:
        return None
    if not wanted.met:
        own = decimal_text(plan.privacy.epsilon)
        return f"It takes epsilon {decimal_text(wanted.epsilon)} instead of {own}"
    if wanted.epsilon < plan.privacy.epsilon:
        return f"Epsilon {decimal_text(wanted.epsilon)} would be enough for it"
    return None


def _rounds(rounds: int) -> str:
    if rounds == 0:
        return "not one: raise lifetime_epsilon too, or want less"
    return f"{rounds} round{'' if rounds == 1 else 's'}"


def _wanted_in_words(wanted: Wanted, plan: Plan, reports: int | None, paid: str = "") -> list[str]:
    want, epsilon = wanted.want, decimal_text(plan.privacy.epsilon)
    what = "a margin of" if want.what == "margin" else "differences that show from"
    where = "every cell" if want.unit != "units" else "every group"
    head = f"{want.statistic}: {what} {_amount(want, plan, float(want.target))} in {where}."
    if wanted.now is not None:
        head += f" The plan gives {_amount(want, plan, wanted.now)}"
        head += f" ({wanted.decides} decides)." if wanted.decides else "."
    lines = [head]
    takes = _epsilon_in_words(wanted, plan)
    if takes is not None:
        lines.append(f"  {takes}; {paid}." if paid else f"  {takes}.")
    if wanted.met:
        return lines
    if wanted.epsilon is None and wanted.now is not None:
        lines.append(
            f"  No epsilon gives it: even {limits.MAX_EPSILON}, the most a plan may promise, "
            "leaves more noise."
        )
    if want.unit == "people":
        lines.append("  No number of people does: the noise in a count is the same for any.")
    elif wanted.reports is None:
        lines.append("  No number of people gives it: some cell expects nobody.")
    else:
        instead = f" instead of {reports:,}" if reports is not None else ""
        lines.append(f"  Or {wanted.reports:,} people who report{instead}, at epsilon {epsilon}.")
    if wanted.alone is not None and wanted.now is not None and wanted.alone < 0.99 * wanted.now:
        lines.append(
            f"  With no other statistic in the plan it would be "
            f"{_amount(want, plan, wanted.alone)}: fewer statistics, or a higher importance, help."
        )
    if wanted.decides:
        lines.append(f"  Merging small labels helps most: {wanted.decides} decides.")
    return lines


def _amount(want: Want, plan: Plan, value: float) -> str:
    if math.isinf(value):
        return "nothing: no difference would show"
    if want.unit == "people":
        return f"{value:,.0f} people"
    if want.unit == "points":
        return f"{value:.2g} points" if value < 10 else f"{value:.0f} points"
    field = plan.fields[plan.statistics[want.statistic].number or ""]
    unit = field.unit if isinstance(field, NumberField) else ""
    return f"{value:.3g} {unit}".rstrip()

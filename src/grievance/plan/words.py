"""The plan in plain words, for a steward to consent to and a worker to read.

Everything that is asked and everything that will be published is here, in whole
sentences, and so are the names of those who must not all work together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.plan.budget import round_budget
from grievance.plan.decimals import decimal_text
from grievance.plan.exact import exactness, silence
from grievance.plan.fields import ChoiceField, MultiField
from grievance.plan.layout import Layout
from grievance.plan.witnesses import witnesses_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from grievance.plan.budget import RoundBudget
    from grievance.plan.fields import Field
    from grievance.plan.model import Plan
    from grievance.plan.parts import StatisticLayout

# Not `strftime`: it would write the month in the language of the machine.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_ENVELOPES = {
    "hybrid": "Reports are sealed so that a copy of the folder stays closed to a quantum computer "
    "too.",
    "x25519": "Reports are sealed with X25519 alone, for old devices: whoever copies the folder "
    "today could open them if a quantum computer can one day be built.",
}


def day_in_words(day: date) -> str:
    """Write a day the same way on every machine: "1 October 2026"."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does: "a, b and c"."""
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def plan_in_words(
    plan: Plan, aggregators: Sequence[str] = (), partners: Sequence[str] = ()
) -> list[str]:
    """Return the plan as lines of plain text.

    `aggregators` and `partners` are the display names of the organisations, where they are
    known already. Deterministic: everybody who consents reads the same words.
    """
    found = round_budget(plan, Layout(plan))
    layout, counting = found.layout, max(2, len(aggregators))
    lines = [
        plan.title,
        f"Open from {day_in_words(plan.opens)} to {day_in_words(plan.closes)}.",
        f"A round of the campaign {plan.campaign}.",
        "",
        "What is asked",
    ]
    for number, field in enumerate(plan.fields.values(), start=1):
        lines += _question(number, field)
    lines += ["", "What will be published, and nothing else"]
    for statistic in layout.statistics.values():
        lines += [*_statistic(plan, statistic), f"  {exactness(statistic, found, counting)}"]
    lines += _rules(plan, silence([*layout.statistics.values()], found, counting))
    lines += ["", "What is promised", *_promise(plan, found, len(aggregators))]
    lines += ["", "Who", *_who(plan, aggregators, partners), witnesses_in_words(plan)]
    return lines


def _question(number: int, field: Field) -> list[str]:
    lines = [f"{number}. {field.question}"]
    if field.help:
        lines.append(f"   {field.help}")
    if isinstance(field, ChoiceField):
        lines.append(f"   One of: {'; '.join(field.choices)}.")
    elif isinstance(field, MultiField):
        lines.append(f"   Up to {field.pick} of: {'; '.join(field.choices)}.")
    else:
        unit = f" {field.unit}" if field.unit else ""
        lines.append(
            f"   A number from {decimal_text(field.minimum)} to {decimal_text(field.maximum)}{unit}"
            f", in steps of {decimal_text(field.step)}."
        )
    lines.append("   Must be answered." if field.required else "   May be left out.")
    return lines


def _statistic(plan: Plan, statistic: StatisticLayout) -> list[str]:
    groups = [f'"{axis.title}"' for axis in statistic.groups]
    within = f", for each answer to {listed(groups)}" if groups else ""
    if statistic.number_name is not None:
        asked = plan.fields[statistic.number_name].question
        what = (
            f'the mean of "{asked}"'
            if statistic.kind == "mean"
            else f'how many people\'s answer to "{asked}" lies in each of the bands '
            f"{'; '.join(statistic.axes[-1].labels)}"
        )
        line = what + within
    elif statistic.multi is not None:
        line = f'how many people ticked each answer to "{statistic.multi.title}"{within}'
    else:
        line = (
            f"how many people gave each {'combination of answers' if len(groups) > 1 else 'answer'}"
        )
        line += f" to {listed(groups)}"
    lines = [f"- {statistic.name}: {line}."]
    for name, labels in statistic.where.items():
        lines.append(
            f'  Only people who answered "{plan.fields[name].question}" with '
            f"{listed(list(labels), 'or')}."
        )
    for name, merged in plan.statistics[statistic.name].merge.items():
        several = isinstance(plan.fields[name], MultiField)
        for group, labels in merged.items():
            lines.append(
                f'  "{group}" means {"any of " if several else ""}{listed(list(labels), "or")}.'
            )
    if statistic.implied_by is not None:
        lines.append(f"  It is read off {statistic.implied_by} and reveals nothing more.")
    return lines


def _rules(plan: Plan, silent_below: int) -> list[str]:
    terms = plan.privacy
    below = f"below {terms.hide_below} or " if terms.hide_below else ""
    least = f"{terms.minimum_reports:,} sealed reports, blank ones added as cover included"
    silent = []
    if silent_below > terms.minimum_reports:
        least_people = f"If fewer than about {silent_below:,} people answer, no table"
        silent = [f"{least_people} says something of every answer."]
    return [
        "Every number is published once, after the round has closed, with random noise added.",
        (
            f"Nothing is published from fewer than {least}: that says nothing of how many people "
            f"there are, and the noise protects them. A count {below}below the margin of its "
            'noise is shown as what it is under ("under 37"); the tables have its number.'
        ),
        *silent,
    ]


def _promise(plan: Plan, found: RoundBudget, aggregators: int) -> list[str]:
    from grievance.privacy import campaign_promise, outsiders_promise, promise

    terms = plan.privacy
    said = promise(terms.epsilon, terms.delta, found.cost, blanked=found.blanked)
    outside = outsiders_promise(
        terms.epsilon,
        terms.delta,
        found.cost,
        aggregators=aggregators,
        scale=min(given.scale for given in found.allocations.values()),
    )
    lines = [*said.splitlines(), *([outside] if outside else [])]
    times = "once" if terms.reports_per_worker == 1 else f"{terms.reports_per_worker} times"
    lines.append(f"A worker may report {times} in this round.")
    if terms.reports_per_worker > 1:
        lines.append("So what is published counts reports with answers, not people.")
    lines.append(campaign_promise(terms.lifetime_epsilon, terms.delta, found.lifetime))
    return lines


def _who(plan: Plan, aggregators: Sequence[str], partners: Sequence[str]) -> list[str]:
    names = f": {listed(aggregators)}" if aggregators else " named in the signed task"
    lines = [
        f"Reports are counted by the organisations{names}.",
        "Each of them holds only random-looking parts of every answer.",
        "No answer can be read as long as one of them refuses to work together with the others.",
        "If all of them worked together, they could read every answer.",
        "After the round they destroy its keys: from then on only an old copy of a key could.",
        _ENVELOPES[plan.envelope],
    ]
    if plan.shared_trustees:
        lines.append(
            "The same people may hold pieces of the keys of several of these organisations, as "
            "backups: with fewer people than there are organisations every answer could be read."
        )
    if partners:
        lines.append(f"Reports are passed on, sealed, by {listed(partners)}.")
    lines.append(
        "Everybody who can open the shared folder sees which organisation passed on how many "
        "reports, and when. The device on which answers are typed sees them."
    )
    return lines

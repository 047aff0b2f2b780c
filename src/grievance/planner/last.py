"""Whom a round may meet, as the campaign's last release has it.

What was released is public, and a forecast from it costs nothing. It is a forecast and nothing
else: no noise, no share of the budget and no choice of a mechanism is made from it, so a plan's
cost never depends on what people answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import ReleaseError
from grievance.plan import NOT_ANSWERED, MultiField
from grievance.planner.groups import answers_of
from grievance.release.tables import CountTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grievance.plan import Plan
    from grievance.plan.fields import Field
    from grievance.planner.groups import Groups
    from grievance.release import Figure, Release


def people_of(release: Release) -> int | None:
    """How many people answered, by a release's own noisy numbers; None where they do not say."""
    found = release.people
    return None if found is None or not found.known else max(1, round(found.estimate or 0))


def groups_of(release: Release, plan: Plan, reports: int) -> Groups:
    """Return what `reports` people would answer, spread as in a release: for `forecast`.

    Of fields that the release has a table of everybody about, with the same labels; the others
    are left out.
    """
    found = {}
    for name, field in plan.fields.items():
        shares = next(_shares(release, name, field), None)
        if shares is not None:
            found[name] = {label: reports * share for label, share in shares.items()}
    return found


def _shares(release: Release, name: str, field: Field) -> Iterator[dict[str, float]]:
    """Yield shares of everybody by label, from the tables of fewest cells on."""
    answers = answers_of(field)
    tables = [table for table in release if isinstance(table, CountTable)]
    for table in sorted(tables, key=lambda table: len(table.cells())):
        layout = release.task.layout.statistics[table.name]
        axis = next((axis for axis in layout.axes if axis.name == name), None)
        if axis is None or layout.where or not set(answers) <= set(axis.labels):
            continue
        if isinstance(field, MultiField):
            people = {label: _total(table, {name: label}) for label in answers}
            left_open = _left_open(table)
            everybody = max(_number(table.answered()), *people.values()) + left_open
            people |= {} if field.required else {NOT_ANSWERED: left_open}
        else:
            known = [*answers, *([] if field.required else [NOT_ANSWERED])]
            count = _behind if layout.multi is not None else _total
            people = {label: count(table, {name: label}) for label in known if label in axis.labels}
            everybody = sum(people.values())
        if everybody > 0:
            yield {label: number / everybody for label, number in people.items()}


def _total(table: CountTable, group: Mapping[str, str]) -> float:
    return _number(table.total(**group))


def _behind(table: CountTable, group: Mapping[str, str]) -> float:
    """People in a group of a table of ticks, of which one person may have several."""
    return _number(table.answered(**group)) + _left_open(table, group)


def _left_open(table: CountTable, group: Mapping[str, str] | None = None) -> float:
    """People who left the subject of a table open; 0 where nobody can."""
    try:
        return _number(table.not_answered(**(group or {})))
    except ReleaseError:
        return 0.0


def _number(figure: Figure) -> float:
    return max(0.0, figure.estimate or 0.0)

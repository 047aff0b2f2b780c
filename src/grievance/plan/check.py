"""What only the whole plan can tell: which fields and labels a statistic may name, and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.plan.fields import ChoiceField, MultiField, NumberField
from grievance.plan.labels import folded, shown
from grievance.plan.problems import Problem, nearest, plan_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.plan.model import Plan
    from grievance.plan.statistics import Statistic

Found = tuple[tuple[str, ...], str, str]
_KIND_WORDS = {"choice": "one choice", "multi": "several choices", "number": "a number"}


def check_plan(plan: Plan, *, source: str) -> None:
    """Raise PlanError for the first few references, merges and sizes that do not hold."""
    found = [
        Problem(("statistics", name, *where), code, message)
        for name, statistic in plan.statistics.items()
        for where, code, message in _check_statistic(plan, statistic)
    ]
    if not found:
        found = list(_unused(plan))
    if not found:
        from grievance.plan.layout import check_sizes

        found = [
            Problem(("statistics", *([name] if name else [])), "plan.block", message)
            for name, message in check_sizes(plan)
        ]
    if found:
        raise plan_error(found, source)


def _unused(plan: Plan) -> Iterator[Problem]:
    used: set[str] = set()
    for statistic in plan.statistics.values():
        used |= {*statistic.choices, *statistic.where}
        if statistic.number is not None:
            used.add(statistic.number)
    for name in plan.fields:
        if name not in used:
            yield Problem(
                ("fields", name),
                "plan.field",
                "no statistic uses it, so it must not be asked; use it in one or take it out",
            )


def _check_statistic(plan: Plan, statistic: Statistic) -> Iterator[Found]:
    key = "count" if statistic.kind == "count" else "by"
    several = 0
    for name in statistic.choices:
        field = plan.fields.get(name)
        if field is None:
            yield (key,), "plan.statistic", f"no field {shown(name)}{nearest(name, plan.fields)}"
        elif isinstance(field, NumberField):
            yield (
                (key,),
                "plan.statistic",
                f"{name} is a number; choose `mean` or `distribution` for it",
            )
        elif isinstance(field, MultiField):
            several += 1
            if key == "by":
                yield (
                    (key,),
                    "plan.statistic",
                    f"{name} allows several choices, so its groups would overlap; group by others",
                )
    if key == "count" and several > 1:
        yield (
            (key,),
            "plan.statistic",
            "crosses two fields with several choices; make one table for each",
        )
    if statistic.number is not None:
        yield from _check_number(plan, statistic)
    yield from _check_where(plan, statistic)
    yield from _check_merge(plan, statistic)


def _check_number(plan: Plan, statistic: Statistic) -> Iterator[Found]:
    name = statistic.number or ""
    field = plan.fields.get(name)
    if field is None:
        yield (
            (statistic.kind,),
            "plan.statistic",
            f"no field {shown(name)}{nearest(name, plan.fields)}",
        )
    elif not isinstance(field, NumberField):
        yield (
            (statistic.kind,),
            "plan.statistic",
            f"{name} asks for {_KIND_WORDS[field.kind]}, not for a number; use `count`",
        )
    elif statistic.kind == "distribution" and not field.bands:
        yield (
            (statistic.kind,),
            "plan.statistic",
            f"{name} has no bands; add `bands` to fields.{name}",
        )


def _check_where(plan: Plan, statistic: Statistic) -> Iterator[Found]:
    for name, labels in statistic.where.items():
        at = ("where", name)
        field = plan.fields.get(name)
        if field is None:
            yield at, "plan.statistic", f"no field {shown(name)}{nearest(name, plan.fields)}"
            continue
        if not isinstance(field, ChoiceField):
            yield (
                at,
                "plan.statistic",
                f"asks for {_KIND_WORDS[field.kind]}; restrict by fields with one choice",
            )
            continue
        unknown = [label for label in labels if label not in field.options]
        for label in unknown[:1]:
            yield (
                at,
                "plan.statistic",
                f"{shown(label)} is no choice of it{nearest(label, field.options)}",
            )
        if not unknown and len(labels) == len(field.options):
            yield at, "plan.statistic", "names every choice, so it restricts nothing; leave it out"


def _check_merge(plan: Plan, statistic: Statistic) -> Iterator[Found]:
    for name, groups in statistic.merge.items():
        at = ("merge", name)
        if name not in statistic.choices:
            yield (
                at,
                "plan.statistic",
                f"the table is not over {shown(name)}{nearest(name, statistic.choices)}",
            )
            continue
        field = plan.fields.get(name)
        if not isinstance(field, (ChoiceField, MultiField)):
            continue  # said already, where the table names the field
        options = field.options if isinstance(field, ChoiceField) else field.choices
        kept = statistic.where.get(name, options)
        taken = {folded(option) for option in options}
        for group, labels in groups.items():
            if folded(group) in taken:
                yield (
                    (*at, group),
                    "plan.label",
                    "is also a choice of the field; give the group another name",
                )
            for label in labels:
                if label not in options:
                    yield (
                        (*at, group),
                        "plan.statistic",
                        f"{shown(label)} is no choice of {name}{nearest(label, options)}",
                    )
                elif label not in kept:
                    yield (
                        (*at, group),
                        "plan.statistic",
                        f"{shown(label)} is left out by `where`; take it out of the group",
                    )

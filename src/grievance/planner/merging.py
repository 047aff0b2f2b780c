"""Which labels to merge where cells would drown in the noise, in the words of a plan.

Neighbouring labels are merged, so that scales stay scales, always the smallest label with its
smaller neighbour, on the axis where that gains most for the cells it gives up. What comes of it
is not estimated: the changed plan is forecast.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from grievance.errors import GrievanceError
from grievance.plan import NOT_ANSWERED, Plan
from grievance.plan.budget import round_budget
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import NumberField
from grievance.plan.labels import folded, label_problem
from grievance.planner.expected import ExpectedLayout, expected_tables
from grievance.planner.model import Merging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.plan import Axis
    from grievance.planner.expected import Prospect

_TRIES = 4
_MAX_REPORTS = 1e9


@dataclass(frozen=True)
class _Group:
    """Labels that stand together: the axis's labels they were, the answers, and their share."""

    labels: tuple[str, ...]
    answers: tuple[str, ...]
    share: float

    def with_next(self, other: _Group, most: float) -> _Group:
        return _Group(
            self.labels + other.labels,
            self.answers + other.answers,
            min(most, self.share + other.share),
        )


@dataclass(frozen=True)
class _Line:
    """One axis: its groups, without the people who leave it open."""

    axis: Axis
    groups: tuple[_Group, ...]
    most: float

    @property
    def least(self) -> float:
        return min(group.share for group in self.groups)

    def merged(self) -> _Line:
        """Merge the smallest group with its smaller neighbour."""
        shares = [group.share for group in self.groups]
        at = shares.index(min(shares))
        beside = [place for place in (at - 1, at + 1) if 0 <= place < len(shares)]
        first, last = sorted((at, min(beside, key=lambda place: shares[place])))
        one = self.groups[first].with_next(self.groups[last], self.most)
        return replace(self, groups=(*self.groups[:first], one, *self.groups[last + 1 :]))

    @property
    def worth(self) -> float:
        """How much the smallest cell gains for the part of the cells that is given up."""
        if len(self.groups) <= 2:
            return -1.0
        if self.least <= 0:
            return math.inf
        given_up = math.log(len(self.groups) / (len(self.groups) - 1))
        return math.log(self.merged().least / self.least) / given_up


def merging(prospect: Prospect, aggregators: int) -> Merging:
    """Return what to do about the cells of `prospect` that would drown."""
    lines = _lines(prospect)
    least = min(cell.expected or 0.0 for cell in prospect.answered)
    needed = (prospect.expected.reports or 0.0) * prospect.margin / least if least > 0 else None
    if needed is not None and needed > _MAX_REPORTS:
        needed = None
    toml, best, target = "", prospect, prospect.margin
    for _ in range(_TRIES):
        merged = _merge(lines, prospect.people, target)
        if merged is None:
            break
        changed, words = _change(prospect, merged)
        try:
            after = _forecast_of(changed, prospect, aggregators)
        except GrievanceError:
            break  # no such plan may be: keep what there is
        toml, best = words, after
        if not any(cell.hopeless for cell in after.cells):
            break
        # Fewer cells have another part of the budget.
        target = 1.05 * max(target, after.margin)
    return Merging(
        toml=toml,
        cells=best.statistic.cells,
        hopeless=sum(cell.hopeless for cell in best.cells),
        margin=best.margin,
        reports=None if needed is None else math.ceil(needed),
    )


def _lines(prospect: Prospect) -> list[_Line]:
    lines = []
    for axis in prospect.statistic.axes:
        field = prospect.plan.fields[axis.name]
        answers = field.band_labels if isinstance(field, NumberField) else field.choices
        under: dict[str, list[str]] = {label: [] for label in axis.labels}
        # A field that is not required has one pick more, for those who leave it open.
        for answer, pick in zip(answers, axis.picks, strict=False):
            if pick is not None:
                under[axis.labels[pick]].append(answer)
        shares = prospect.expected.of_axis(axis)
        groups = tuple(
            _Group((label,), tuple(under[label]), share)
            for label, share in zip(axis.labels, shares, strict=True)
            if label != NOT_ANSWERED and under[label]
        )
        most = prospect.expected.answered(axis.name) if axis.kind == "multi" else 1.0
        if groups:
            lines.append(_Line(axis, groups, most))
    return lines


def _merge(lines: Sequence[_Line], base: float, target: float) -> list[_Line] | None:
    """Merge until the smallest of `base` people's cells holds `target`; None if it cannot."""
    found = list(lines)
    if not found:
        return None
    while base * math.prod(line.least for line in found) < target:
        place = max(range(len(found)), key=lambda at: (found[at].worth, len(found[at].groups)))
        if found[place].worth < 0:
            return None
        found[place] = found[place].merged()
    return found


def _change(prospect: Prospect, lines: Sequence[_Line]) -> tuple[dict[str, Any], str]:
    """Return the plan's JSON form with labels merged, and the lines to paste."""
    value: dict[str, Any] = prospect.plan.to_json()
    name = prospect.statistic.name
    statistic = next(s for s in value["statistics"] if s["name"] == name)
    words: list[str] = []
    merge: dict[str, dict[str, list[str]]] = dict(statistic["merge"])
    for line in lines:
        if line.axis.kind == "band":
            if len(line.groups) < sum(label != NOT_ANSWERED for label in line.axis.labels):
                edges = _edges(line)
                field = next(f for f in value["fields"] if f["name"] == line.axis.name)
                field["bands"] = edges
                words += [f"[fields.{line.axis.name}]", f"bands = [{', '.join(edges)}]"]
            continue
        groups = {}
        for at, group in enumerate(line.groups, start=1):
            if len(group.answers) > 1:
                groups[_name(group, at, prospect, line)] = list(group.answers)
        if groups:
            merge[line.axis.name] = groups
    if merge != statistic["merge"]:
        statistic["merge"] = {
            field: dict(sorted(groups.items())) for field, groups in sorted(merge.items())
        }
        inside = ", ".join(f"{field} = {_inline(groups)}" for field, groups in merge.items())
        words += [f"[statistics.{name}]", f"merge = {{ {inside} }}"]
    return value, "\n".join(words)


def _edges(line: _Line) -> list[str]:
    edges = [line.axis.edges[0]]
    place = 0
    for group in line.groups:
        place += len(group.answers)
        edges.append(line.axis.edges[place])
    return [decimal_text(edge) for edge in edges]


def _inline(groups: dict[str, list[str]]) -> str:
    return "{ " + ", ".join(f"{_text(g)} = {_list(some)}" for g, some in groups.items()) + " }"


def _list(labels: Sequence[str]) -> str:
    return "[" + ", ".join(_text(label) for label in labels) + "]"


def _text(text: str) -> str:
    """Write a label as TOML: it is printable, so JSON's form of it is TOML's too."""
    return json.dumps(text, ensure_ascii=False)


def _name(group: _Group, at: int, prospect: Prospect, line: _Line) -> str:
    """Return a name for a group that may stand beside the field's answers."""
    if len(group.labels) == 1:
        return group.labels[0]  # merged in the plan already, and left as it was
    field = prospect.plan.fields[line.axis.name]
    taken = {folded(answer) for answer in getattr(field, "choices", ())}
    for name in (
        " or ".join(group.answers),
        f"{group.answers[0]} to {group.answers[-1]}",
        f"{group.answers[0]} and {len(group.answers) - 1} more",
    ):
        if label_problem(name) is None and folded(name) not in taken:
            return name
    return f"group {at}"


def _forecast_of(changed: dict[str, Any], prospect: Prospect, aggregators: int) -> Prospect:
    plan = Plan.from_json(changed)
    layout = ExpectedLayout(plan)
    found = round_budget(plan, layout)
    expected = prospect.expected
    for name, field in plan.fields.items():
        before = prospect.plan.fields[name]
        if isinstance(field, NumberField) and isinstance(before, NumberField):
            expected = _with_bands(expected, name, before, field)
    tables = expected_tables(
        layout.under(found.mechanism), expected, found.allocations, aggregators
    )
    return tables[prospect.statistic.name]


def _with_bands(expected: Any, name: str, before: NumberField, after: NumberField) -> Any:
    """Return the expectation with the shares of bands added up to those of wider bands."""
    if before.bands == after.bands:
        return expected
    shares, place = expected.shares[name], 0
    wider = {}
    for label, top in zip(after.band_labels, after.bands[1:], strict=True):
        wider[label] = 0.0
        while place < len(before.band_labels) and before.bands[place + 1] <= top:
            wider[label] += shares[before.band_labels[place]]
            place += 1
    wider[NOT_ANSWERED] = shares[NOT_ANSWERED]
    return replace(expected, shares={**expected.shares, name: wider})

"""Whom a coalition expects: how many reports, and how many people under each label.

Numbers are given for the labels people know them of; the rest follows by two rules, which the
forecast repeats in words: labels without a number share evenly what is left of their question,
and nobody leaves a question open unless the numbers say so. Questions are taken for independent:
a cell of a cross-tab is expected to hold the product of its labels' shares.
"""

from __future__ import annotations

import csv
import io
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from grievance.errors import UsageError
from grievance.plan.fields import MultiField, NumberField
from grievance.plan.labels import ANSWERED, NOT_ANSWERED, shown
from grievance.plan.problems import nearest
from grievance.plan.ticks import UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from grievance.plan import Axis, Part, Plan, StatisticLayout
    from grievance.plan.fields import Field

Groups = Mapping[str, Mapping[str, float]]
"""field -> label -> expected number of people."""

MAX_FILE = 1 << 20
"""Bytes of a file of expected numbers."""

_COLUMNS = ["field", "label", "expected"]
_MOST = 1e10
_ROUNDING = 1e-9  # of a sum of numbers that people typed


def _refuse(message: str, hint: str | None = None) -> NoReturn:
    raise UsageError(message, code="usage.groups", hint=hint)


def read_groups(path: str | PathLike[str]) -> dict[str, dict[str, float]]:
    """Read expected numbers: CSV with the columns field, label, expected, or TOML.

    In TOML there is a table for each field: `[region]`, then `London = 400`. Raises UsageError
    for a file that cannot be read or is neither. Whether fields and labels exist is checked by
    `forecast`, which knows the plan.
    """
    name = Path(path).name
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        _refuse(f"{name} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        _refuse(f"{name} is not UTF-8 text", "save it as UTF-8")
    if len(data) > MAX_FILE:
        _refuse(f"{name} is larger than {MAX_FILE >> 20} MiB")
    if Path(path).suffix.lower() == ".toml":
        return _read_toml(text, name)
    return _read_csv(text, name)


def _read_toml(text: str, name: str) -> dict[str, dict[str, float]]:
    from grievance.plan.load import check_keys
    from grievance.plan.toml_words import explain

    try:
        check_keys(text)  # keys of many parts keep the parser busy
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse(f"{name} is not TOML: {explain(error, text)}")
    except (ValueError, RecursionError) as error:
        _refuse(f"{name} is not TOML: {error}")
    for field, labels in raw.items():
        if not isinstance(labels, dict):
            _refuse(f"{name}: {shown(field)} must be a table of labels and numbers")
    return {
        field: {label: _number(number, f"{name}: {field}, {label}") for label, number in t.items()}
        for field, t in raw.items()
    }


def _read_csv(text: str, name: str) -> dict[str, dict[str, float]]:
    try:
        reader = csv.reader(io.StringIO(text), strict=True)
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        _refuse(f"{name} is not CSV: {error}")
    if not rows or [cell.strip() for cell in rows[0][1]] != _COLUMNS:
        _refuse(f"{name} must begin with the line field,label,expected")
    found: dict[str, dict[str, float]] = {}
    for place, row in rows[1:]:
        if len(row) != len(_COLUMNS):
            _refuse(f"{name}, line {place}: has {len(row)} cells, not 3", "put quotes round commas")
        field, label, number = (cell.strip() for cell in row)
        labels = found.setdefault(field, {})
        if label in labels:
            _refuse(f"{name}, line {place}: {field}, {shown(label)} is there twice")
        labels[label] = _number(_parsed(number), f"{name}, line {place}")
    return found


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _number(value: object, where: str) -> float:
    try:
        number = float(value) if isinstance(value, (int, float)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number <= _MOST:
        _refuse(f"{where}: an expected number is 0 or more, without a unit")
    return number


@dataclass(frozen=True)
class Expectation:
    """Shares of everybody by field and answer, and how many everybody is.

    Attributes:
        reports: How many reports are expected; None if nobody said.
        shares: For every field and answer ("not answered" among them) the share of everybody
            who gives it; of a field with several choices, who ticks it. A number without bands
            has one answer, "answered".
        given: The fields numbers were given for.
        centres: For numbers with bands that numbers were given for, where in its range the mean
            is expected: from -1 to 1.
    """

    reports: float | None
    shares: Mapping[str, Mapping[str, float]]
    given: tuple[str, ...]
    centres: Mapping[str, float]

    def uneven(self, plan: Plan) -> Expectation:
        """Return the same people where every question without numbers is answered unevenly.

        Its second answer is given half as often as its first, the third a third as often, and so
        on; as many leave it open, and tick as many choices, as before.
        """
        shares = dict(self.shares)
        for name in plan.fields.keys() - set(self.given):
            answers = [label for label in shares[name] if label != NOT_ANSWERED]
            weights = [1 / place for place in range(1, len(answers) + 1)]
            part = math.fsum(shares[name][label] for label in answers) / math.fsum(weights)
            spread = [part * weight for weight in weights]
            shares[name] = {**shares[name], **dict(zip(answers, spread, strict=True))}
        return replace(self, shares=shares)

    def answered(self, field: str) -> float:
        """Return the share who answer a field."""
        return 1 - self.shares[field].get(NOT_ANSWERED, 0.0)

    def of_axis(self, axis: Axis) -> list[float]:
        """Return the share of everybody under each label of an axis of the plan."""
        shares = self.shares[axis.name]
        if axis.kind == "status":
            answered = self.answered(axis.name)
            return [answered if label == ANSWERED else 1 - answered for label in axis.labels]
        found = [0.0] * axis.size
        for pick, share in zip(axis.picks, shares.values(), strict=False):
            if pick is not None:
                found[pick] += share
        # Ticking several merged choices counts once.
        most = self.answered(axis.name) if axis.kind == "multi" else 1.0
        return [min(most, share) for share in found]

    def of_people(self, statistic: StatisticLayout) -> float:
        """Return the share of everybody that `where` lets in, by fields that are no axes."""
        axes = {axis.name for axis in statistic.axes}
        share = 1.0
        for name, labels in statistic.where.items():
            if name not in axes:
                share *= math.fsum(self.shares[name][label] for label in labels)
        return share

    def values(self, statistic: StatisticLayout, part: Part) -> list[float]:
        """Return the expected values of a part, row-major.

        A mean lies where the numbers given for its bands put it, each in the middle of its band,
        and else in the middle of the range. There its noise is least; at the ends it is up to 1.4
        times as much.
        """
        base = (self.reports or 0.0) * self.of_people(statistic)
        number = statistic.number_name or ""
        if part.name in ("numbers", "totals"):
            base *= self.answered(number)
        if part.name == "totals":
            base *= self.centres.get(number, 0.0) * statistic.grid_size
        found = [base]
        for axis in part.axes:
            shares = self.of_axis(axis)
            if part.name == "ticks" and axis.kind == "multi":
                answered = self.answered(axis.name)
                shares = [UNITS * share + part.low * answered for share in shares]
            found = [value * share for value in found for share in shares]
        return found

    def counts(self, statistic: StatisticLayout) -> list[float]:
        """Return the people expected in every cell of a count or distribution, row-major."""
        found = [(self.reports or 0.0) * self.of_people(statistic)]
        for axis in statistic.axes:
            found = [value * share for value in found for share in self.of_axis(axis)]
        return found


def expect(plan: Plan, reports: int | None = None, by_group: Groups | None = None) -> Expectation:
    """Work out whom a plan would meet. Without `reports`, it is the largest sum in `by_group`.

    Raises UsageError for fields or labels that the plan does not have, and for numbers that do
    not add up to `reports`.
    """
    groups = by_group or {}
    for name, labels in groups.items():
        if name not in plan.fields:
            _refuse(f"the plan has no field {shown(name)}{nearest(name, plan.fields)}")
        known = [*answers_of(plan.fields[name]), *_blank(plan.fields[name])]
        for label, number in labels.items():
            if label not in known:
                _refuse(f"{name} has no label {shown(label)}{nearest(label, known)}")
            _number(number, f"{name}, {label}")
    total: float | None = reports
    if total is None:
        sums = [
            math.fsum(labels.values())
            for name, labels in groups.items()
            if not isinstance(plan.fields[name], MultiField)
        ]
        total = max(sums, default=None) or None
        if groups and total is None:
            _refuse("these numbers do not say how many reports to expect", "add --reports")
    shares = {
        name: _shares(name, field, groups.get(name, {}), total)
        for name, field in plan.fields.items()
    }
    centres = {
        name: _centre(field, shares[name])
        for name, field in plan.fields.items()
        if isinstance(field, NumberField) and field.bands and name in groups
    }
    return Expectation(total, shares, tuple(groups), centres)


def _centre(field: NumberField, shares: Mapping[str, float]) -> float:
    """Return where the mean lies if everybody is in the middle of their band: from -1 to 1."""
    of_bands = [shares[label] for label in field.band_labels]
    edges = field.band_edges
    middles = [
        (low + (high - (1 if high != edges[-1] else 0))) / 2 for low, high in pairwise(edges)
    ]
    people = math.fsum(of_bands)
    if people <= 0:
        return 0.0
    mean = math.fsum(s * v for s, v in zip(of_bands, middles, strict=True)) / people
    return 2 * mean / field.grid_size - 1


def answers_of(field: Field) -> tuple[str, ...]:
    """Return what somebody may answer, as numbers are given for it: choices, or bands."""
    if isinstance(field, NumberField):
        return field.band_labels or (ANSWERED,)
    return field.choices


def _blank(field: Field) -> tuple[str, ...]:
    return () if field.required else (NOT_ANSWERED,)


def _shares(
    name: str, field: Field, numbers: Mapping[str, float], total: float | None
) -> dict[str, float]:
    answers = answers_of(field)
    blank = 0.0
    told = {label: number for label, number in numbers.items() if label != NOT_ANSWERED}
    if numbers and total is not None:
        told = {label: number / total for label, number in told.items()}
        blank = numbers.get(NOT_ANSWERED, 0.0) / total
    if isinstance(field, MultiField):
        if blank > 1 + _ROUNDING or any(s > 1 - blank + _ROUNDING for s in told.values()):
            _refuse(f"{name}: a label is ticked by more people than answer")
        # One tick a person, spread evenly, where nothing is known.
        even = (1 - blank) / len(answers)
        shares = {label: told.get(label, even) for label in answers}
        return shares | {NOT_ANSWERED: blank}
    left = 1 - blank - math.fsum(told.values())
    if left < -_ROUNDING:
        _refuse(
            f"{name}: the expected numbers are more than the {total:,.0f} people",
            "leave out --reports: it is the largest sum of one field",
        )
    left = max(0.0, left)
    others = [label for label in answers if label not in told]
    if not others and left > _ROUNDING:
        if field.required or NOT_ANSWERED in numbers:
            _refuse(
                f"{name}: the expected numbers are fewer than the {total:,.0f} people",
                "give numbers that add up, or leave labels out to share what is left",
            )
        blank += left
    shares = {label: told.get(label, left / len(others) if others else 0.0) for label in answers}
    return shares | {NOT_ANSWERED: blank}


def spread_in_words(expected: Expectation, plan: Plan) -> Sequence[str]:
    """Say what was taken for granted about who answers what."""
    if expected.reports is None:
        return ()
    known = f" Given: {', '.join(expected.given)}." if expected.given else ""
    return (
        "People are spread evenly over the answers of every question without numbers, nobody "
        f"leaves one open, and questions are taken for independent.{known}"
        + (
            " Of several choices everybody ticks one."
            if any(
                isinstance(field, MultiField) and name not in expected.given
                for name, field in plan.fields.items()
            )
            else ""
        ),
    )

"""The noise that was really drawn: where published tables must agree, they differ by noise alone.

Two tables over the same people have margins that are equal in the exact totals, whatever anybody
answered. Their difference in a release is therefore pure noise, of known variance. Nothing else
that is published lets one look at the noise itself.

Every table is taken apart into slices. A slice says what it counts (people, a tick, the total
of a number) and for every field how it sorts the possible answers into classes, some of which
it leaves out. Two slices of one kind are compared after merging, field by field, classes that
share an answer; a merged class is of use where neither slice leaves out any of its answers.
Every non-blank report has exactly one answer to a field, "not answered" included, and a blank
one is counted nowhere, so the sums of both slices over such cells agree.

All differences together, z = C x with covariance V = C diag(noise) C', give z' V^+ z: for
Gaussian noise chi-square with rank(V) degrees of freedom. For Laplace noise the variance of that
sum is larger, and its tails are heavier than any chi-square's. Small sums are then judged by the
chi-square that has the same first two moments (Satterthwaite 1946), which gives them more chance
than they have. Large ones would be flagged too often by it: up to 2e-5 instead of 5e-7. So each
difference is judged alone, by Chernoff's bound on the exact moments of its noise, times the number
of differences (Bonferroni). That holds for any number of them, and sees one table that is shifted,
but hardly noise that is a little too large everywhere.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from grievance.empirical.laws import variance_of
from grievance.empirical.tails import chi_square_below, chi_square_quantile, chi_square_tail
from grievance.plan.axes import all_indices
from grievance.plan.fields import ChoiceField, NumberField
from grievance.privacy.lattice import Term

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grievance.empirical.laws import Floats
    from grievance.plan.axes import Axis
    from grievance.plan.parts import Part, StatisticLayout
    from grievance.task import Task

Place = tuple[str, int]
"""A released coordinate: statistic, and its index there."""

Picks = tuple[int | None, ...]
Field = tuple[str, str]  # name, and what of it is sorted: choice, band or status

ALPHA = 1e-6
_MAX_CONTRASTS = 4_000
_RANK_TOLERANCE = 1e-9
_CHERNOFF_STEPS = 64
_LAPLACE_EXCESS = 3.0  # excess kurtosis of one draw


@dataclass(frozen=True)
class _Slice:
    """Coordinates of one part: what they count, how answers are sorted, and where they are."""

    counts: tuple[object, ...]
    fields: Mapping[Field, Picks]
    axes: tuple[Field, ...]
    places: Mapping[tuple[int, ...], Place]


@dataclass(frozen=True)
class Contrast:
    """Sums of released coordinates that cancel in the exact totals: place to +1 or -1."""

    between: tuple[str, str]
    weights: Mapping[Place, int]


def _number_picks(task: Task, name: str) -> Picks:
    """How a mean sorts a number's answers: all bands count, "not answered" does not."""
    asked = task.plan.fields[name]
    bands = len(asked.band_labels) if isinstance(asked, NumberField) and asked.bands else 1
    return (0,) * bands if asked.required else (*(0,) * bands, None)


def _fields(task: Task, statistic: StatisticLayout, axes: Sequence[Axis]) -> dict[Field, Picks]:
    found: dict[Field, Picks] = {
        (axis.name, axis.kind): axis.picks for axis in axes if axis.kind != "multi"
    }
    for name, labels in statistic.where.items():
        asked = task.plan.fields[name]
        if (name, "choice") not in found and isinstance(asked, ChoiceField):
            found[name, "choice"] = tuple(0 if o in labels else None for o in asked.options)
    if statistic.kind == "mean" and statistic.number_name is not None:
        found[statistic.number_name, "band"] = _number_picks(task, statistic.number_name)
    return found


def _slices(task: Task, statistic: StatisticLayout, part: Part) -> Iterator[_Slice]:
    fields = _fields(task, statistic, part.axes)
    sorted_by = tuple((axis.name, axis.kind) for axis in part.axes if axis.kind != "multi")
    multi = next((axis for axis in part.axes if axis.kind == "multi"), None)
    kinds: dict[tuple[object, ...], dict[tuple[int, ...], Place]] = {}
    for at, index in enumerate(all_indices(part.axes), start=part.offset):
        counts: tuple[object, ...] = ("people",)
        if part.name == "totals":
            counts = ("total", statistic.number_name)
        cell = list(index)
        if multi is not None:
            label = cell.pop(part.axes.index(multi))
            ticks = tuple(tick for tick, pick in enumerate(multi.picks) if pick == label)
            counts = ("ticks", multi.name, ticks, part.low)  # centred alike, or not the same
        kinds.setdefault(counts, {})[tuple(cell)] = (statistic.name, at)
    for counts, places in kinds.items():
        yield _Slice(counts, fields, sorted_by, places)


def _merged(one: Picks, other: Picks) -> list[tuple[set[int], set[int]]]:
    """Return the finest classes that both sortings know: (classes of one, classes of other)."""
    groups: list[tuple[set[int | None], set[int | None]]] = []
    for a, b in zip(one, other, strict=True):
        joined: tuple[set[int | None], set[int | None]] = ({a}, {b})
        rest = []
        for group in groups:
            # Left-out answers are no class: they do not tie others together, they only spoil.
            if (a is not None and a in group[0]) or (b is not None and b in group[1]):
                joined[0].update(group[0])
                joined[1].update(group[1])
            else:
                rest.append(group)
        groups = [*rest, joined]
    usable = []
    for left, right in groups:
        if None not in left and None not in right:
            whole = (set(), set())  # type: tuple[set[int], set[int]]
            whole[0].update(x for x in left if x is not None)
            whole[1].update(x for x in right if x is not None)
            usable.append(whole)
    return usable


def _compare(one: _Slice, other: _Slice) -> Iterator[dict[Place, int]]:
    """Yield the differences of two slices over every merged cell."""
    names = list({**one.fields, **other.fields})
    merged = []
    for name in names:
        known = one.fields.get(name) or other.fields[name]
        everybody: Picks = (0,) * len(known)
        merged.append(_merged(one.fields.get(name, everybody), other.fields.get(name, everybody)))
    for cell in product(*merged):
        weights: dict[Place, int] = {}
        for side, part, sign in ((0, one, 1), (1, other, -1)):
            classes = {name: cell[at][side] for at, name in enumerate(names)}
            for index in product(*(sorted(classes[name]) for name in part.axes)):
                place = part.places[index]
                weights[place] = weights.get(place, 0) + sign
        yield weights


def find_contrasts(task: Task, released: Sequence[str]) -> list[Contrast]:
    """Return all differences between pairs of charged statistics that are noise alone."""
    slices = {
        name: [
            found
            for part in task.layout.statistics[name].parts
            for found in _slices(task, task.layout.statistics[name], part)
        ]
        for name in released
    }
    contrasts: list[Contrast] = []
    for first, second in combinations(released, 2):
        for one, other in product(slices[first], slices[second]):
            if one.counts != other.counts:
                continue
            for weights in _compare(one, other):
                contrasts.append(Contrast((first, second), weights))
                if len(contrasts) >= _MAX_CONTRASTS:
                    return contrasts
    return contrasts


@dataclass(frozen=True)
class Residuals:
    """What the differences between published tables say about the noise in them.

    Attributes:
        statistics: The statistics that were compared.
        contrasts: How many differences were looked at, redundant ones included.
        freedom: How many of them are independent; 0 where no tables overlap.
        ratio: Their size, squared, divided by what the stated noise gives on average: about 1.
        too_little: Chance of so small differences or smaller under the stated noise.
        too_much: Chance of so large ones or larger, at most; for Laplace noise, of one so large.
        seen_from: Least ratio of true to stated variance below 1, such as 0.5, that would be
            flagged with a probability of one half.
    """

    statistics: tuple[str, ...]
    contrasts: int
    freedom: int
    ratio: float
    too_little: float
    too_much: float
    seen_from: float

    @property
    def flagged(self) -> bool:
        """Whether the noise is not of the stated size, but for a chance of ALPHA."""
        return self.freedom > 0 and min(self.too_little, self.too_much) < ALPHA / 2


def check_residuals(task: Task, values: Mapping[str, Sequence[int]]) -> Residuals:
    """Test the noise in published releases against what their task states. Run by anyone.

    `values` are the released coordinates of charged statistics, over the same reports.
    """
    contrasts = find_contrasts(task, [n for n in task.layout.statistics if n in values])
    used = sorted({place for contrast in contrasts for place in contrast.weights})
    if not used:
        return Residuals((), 0, 0, 1.0, 1.0, 1.0, 0.0)
    index = {place: at for at, place in enumerate(used)}
    matrix = np.zeros((len(contrasts), len(used)))
    for row, contrast in enumerate(contrasts):
        for place, weight in contrast.weights.items():
            matrix[row, index[place]] = weight
    x = np.array([float(values[name][at]) for name, at in used])
    sds = np.array([math.sqrt(_variance(task, name, at)) for name, at in used])
    # In units of the noise the contrasts span a subspace; only what lies in it is noise alone.
    basis = _basis(matrix * sds)
    seen = basis @ (x / sds)
    rank = len(basis)
    square = float(seen @ seen)
    # Noise comes in whole numbers: values a little further out count as small too, so that few
    # differences that all happen to be 0 are no alarm.
    coarse = float(np.linalg.norm(basis / sds)) / 2
    stretch, freedom = _matched(task, basis, rank)
    quantile = stretch * chi_square_quantile(ALPHA / 2, freedom)
    median = stretch * chi_square_quantile(0.5, freedom)
    return Residuals(
        statistics=tuple(dict.fromkeys(name for name, _ in used)),
        contrasts=len(contrasts),
        freedom=rank,
        ratio=square / rank,
        too_little=chi_square_below((math.sqrt(square) + coarse) ** 2 / stretch, freedom),
        too_much=(
            chi_square_tail(square, rank)
            if task.mechanism == "gaussian"
            else _one_so_large(task, matrix, x, used)
        ),
        seen_from=quantile / median,
    )


def _variance(task: Task, name: str, at: int) -> float:
    """Return the stated variance of one released coordinate, all aggregators' noise in it."""
    given, scale = task.allocations[name], task.layout.noise_scale(name)[at]
    return len(task.aggregators) * variance_of(given.mechanism, given.scale * scale)


def _basis(rows: Floats) -> Floats:
    """Return an orthonormal basis of the row space."""
    _, sizes, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(right[sizes > _RANK_TOLERANCE * sizes[0]])


def _one_so_large(task: Task, matrix: Floats, x: Floats, used: Sequence[Place]) -> float:
    """Return a bound on the chance that any difference of Laplace noise is as large as one here.

    Chernoff: P(|D| >= d) <= 2 E exp(s D) / exp(s d) for every s, and E exp(s D) is known exactly.
    """
    rows = np.unique(matrix, axis=0)
    draws = len(task.aggregators)
    scales = [
        float(task.allocations[name].scale * task.layout.noise_scale(name)[at]) for name, at in used
    ]
    moments: dict[tuple[tuple[float, float, int], ...], list[tuple[float, float]]] = {}
    least = 0.0
    for row in rows:
        kinds = Counter((scales[at], abs(float(row[at]))) for at in np.flatnonzero(row))
        key = tuple(sorted((*kind, draws * count) for kind, count in kinds.items()))
        if key not in moments:
            # Beyond `most` the moment is infinite.
            most = 1 / max(scale * factor for scale, factor, _ in key)
            terms = [Term("laplace", scale, count, factor) for scale, factor, count in key]
            steps = [most * step / _CHERNOFF_STEPS for step in range(1, _CHERNOFF_STEPS)]
            moments[key] = [(s, math.fsum(term.log_moment(s) for term in terms)) for s in steps]
        distance = abs(float(row @ x))
        least = min(least, *(moment - s * distance for s, moment in moments[key]))
    return min(1.0, 2 * len(rows) * math.exp(least))


def _matched(task: Task, basis: Floats, rank: int) -> tuple[float, float]:
    """Return (stretch, freedom): stretch times a chi-square of the same mean and variance."""
    if task.mechanism == "gaussian":
        return 1.0, float(rank)
    leverage = np.sum(basis**2, axis=0)
    excess = _LAPLACE_EXCESS / len(task.aggregators)
    variance = 2 * rank + excess * float(np.sum(leverage**2))
    stretch = variance / (2 * rank)
    return stretch, rank / stretch

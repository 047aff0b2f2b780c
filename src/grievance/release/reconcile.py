"""Overlapping tables over the same people, reconciled by weighted least squares.

Two tables about the same people say the same thing twice wherever their axes meet: the sums of
problems by region over problems, and of contracts by region over contracts, are both people by
region. Released, they differ by their noise. Here they are replaced by the one set of tables
that agrees with itself and lies nearest to all of them, each weighted by its precision: the
best linear unbiased estimate. It is computed in closed form. A table splits into orthogonal
residuals, one for every set S of its axes: what depends on exactly those axes, and sums to 0
along each. Noise that is independent and equal in every cell stays so in all residuals. So
each residual is averaged over the tables that have it, by precision, and a table is added up
again from the residuals of all sets of its axes.

Which tables are about the same people is what `grievance.plan.implied` says: the same `where`.
Axes are the same if the same answers lie under the same places of both. A merged axis is an
axis of its own; tables still meet in their other axes and in the total. Denominators of
several-choices counts are such tables (answered, not answered), and so are the numbers of
people of a mean whose number everybody must answer. Among themselves, tables of ticks of one
question, totals of one number, and numbers of people who answered one optional number agree
in the same way.

If tables disagree by more than noise explains, somebody made them disagree: a dishonest
aggregator, or many dishonest reports. Then nothing is averaged, and it is said.

Sources: Xiao, He, Zhang and Kifer, "An Optimal and Scalable Matrix Mechanism for Noisy
Marginals under Convex Loss Functions", sections 4 and 5; Wilson and Hilferty, "The distribution
of chi-square" (1931), for the test of agreement.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from grievance.plan import NumberField
from grievance.privacy.laws import NoiseLaw
from grievance.release.figures import DIGITS
from grievance.release.spread import Origin, Spread

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from grievance.plan import Layout, Part, StatisticLayout

    Key = Hashable
    Array = NDArray[np.float64]

DISAGREEMENT: Final = {"gaussian": 6.0, "laplace": 9.0}
"""How many standard deviations tables may be apart: by chance once in about 10^9 releases."""


@dataclass(frozen=True)
class Shape:
    """A released table without its numbers: its axes by meaning, their sizes, its noise."""

    keys: tuple[Key, ...]
    sizes: tuple[int, ...]
    law: NoiseLaw

    def summed(self, keys: Collection[Key]) -> int:
        """Return how many of its cells are summed to one of a table over `keys`."""
        pairs = zip(self.keys, self.sizes, strict=True)
        return math.prod(size for key, size in pairs if key not in keys)

    def precision(self, keys: Collection[Key]) -> float:
        """Return 1 / variance of a cell of such a sum; 0 for a table without those axes."""
        if not set(keys) <= set(self.keys):
            return 0.0
        return 1 / (self.law.variance * self.summed(keys))


@dataclass(frozen=True)
class Observed:
    """One released table: what it is of, and its integers."""

    statistic: str
    shape: Shape
    values: tuple[int, ...]


EVERYBODY: Final = ("people", frozenset[object]())
"""What the tables have in common that count everybody who answered anything."""


def people(layout: Layout, statistic: StatisticLayout, part: Part) -> Hashable:
    """Return what tables must have in common to be reconciled: what they count, and of whom."""
    where = frozenset((name, frozenset(labels)) for name, labels in statistic.where.items())
    if part.name == "totals":
        return "totals", where, statistic.number_name
    if part.name == "numbers":
        number = layout.plan.fields.get(statistic.number_name or "")
        if not (isinstance(number, NumberField) and number.required):
            return "numbers", where, statistic.number_name
    elif part.name == "ticks" and statistic.multi is not None:
        return "ticks", where, statistic.multi.meaning
    return "people", where


def keys_of(part: Part) -> tuple[Key, ...]:
    """Return the meanings of a part's axes."""
    return tuple(axis.meaning for axis in part.axes)


def overlaps(
    layout: Layout, values: Mapping[str, Sequence[int]], laws: Mapping[str, NoiseLaw]
) -> dict[Hashable, Overlap]:
    """Gather the released tables by the people they are about. `laws`: one released count."""
    found: dict[Hashable, list[Observed]] = {}
    for name, coordinates in values.items():
        statistic = layout.statistics[name]
        for part in statistic.parts:
            sizes = tuple(axis.size for axis in part.axes)
            shape = Shape(keys_of(part), sizes, scaled(laws[name], part.scale))
            integers = tuple(coordinates[part.offset : part.offset + part.size])
            found.setdefault(people(layout, statistic, part), []).append(
                Observed(name, shape, integers)
            )
    return {key: Overlap(tuple(tables)) for key, tables in found.items()}


def scaled(law: NoiseLaw, factor: int) -> NoiseLaw:
    """Return the law of draws at `factor` times the scale."""
    return NoiseLaw(law.mechanism, law.scale * factor, law.draws)


@lru_cache(maxsize=4096)
def _weights(shapes: tuple[Shape, ...], subset: tuple[Key, ...]) -> tuple[float, ...]:
    """Return the weight of each table in the residual on `subset`."""
    precision = [shape.precision(subset) for shape in shapes]
    whole = math.fsum(precision)
    return tuple(one / whole for one in precision)


@lru_cache(maxsize=1024)
def _spread(shapes: tuple[Shape, ...], keys: tuple[Key, ...]) -> Spread:
    """Return the noise of the reconciled table over `keys`, which are axes of one of `shapes`."""
    sizes = {key: size for s in shapes for key, size in zip(s.keys, s.sizes, strict=True)}
    order = _order(shapes)
    given = {
        frozenset(keys.index(key) for key in subset): _weights(shapes, subset)
        for subset in _subsets(sorted(keys, key=order.__getitem__))
    }
    return Spread(
        tuple(sizes[key] for key in keys),
        tuple(
            Origin(
                shape.law,
                frozenset(place for place, key in enumerate(keys) if key in shape.keys),
                shape.summed(keys),
                {places: weights[at] for places, weights in given.items()},
            )
            for at, shape in enumerate(shapes)
        ),
    )


def _order(shapes: Sequence[Shape]) -> dict[Key, int]:
    """Return one common order of all axes."""
    seen = dict.fromkeys(key for shape in shapes for key in shape.keys)
    return {key: place for place, key in enumerate(seen)}


class Overlap:
    """Released tables over the same people, each with noise of its own."""

    def __init__(self, tables: Sequence[Observed]) -> None:
        self.tables = tuple(tables)
        self._shapes = tuple(table.shape for table in tables)
        self._order = _order(self._shapes)
        self._size = {
            key: size for s in self._shapes for key, size in zip(s.keys, s.sizes, strict=True)
        }
        self._residuals: dict[tuple[Key, ...], Array] = {}

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics whose tables meet here."""
        return tuple(dict.fromkeys(table.statistic for table in self.tables))

    @cached_property
    def agrees(self) -> bool:
        """Whether noise explains how far the tables are apart."""
        limit = max(DISAGREEMENT[shape.law.mechanism] for shape in self._shapes)
        square, degrees = self._distance()
        if degrees == 0:
            return True
        # Wilson and Hilferty: the cube root of chi-square is all but normal.
        part = 2 / (9 * degrees)
        return (math.cbrt(square / degrees) - (1 - part)) / math.sqrt(part) <= limit

    @property
    def reconciles(self) -> bool:
        """Whether there are several tables, and they agree."""
        return len(self.tables) > 1 and self.agrees

    def read(self, keys: Sequence[Key]) -> tuple[tuple[float, ...], Spread]:
        """Return the estimates of the table over `keys`, row-major, and their noise.

        `keys` must be among the axes of one of the released tables.
        """
        import numpy as np

        order = self._sorted(keys)
        total = np.zeros(tuple(self._size[key] for key in order))
        for subset in _subsets(order):
            shape = tuple(self._size[key] if key in subset else 1 for key in order)
            rest = math.prod(self._size[key] for key in order if key not in subset)
            total += self._residual(subset).reshape(shape) / rest
        back = [order.index(key) for key in keys]
        values = np.round(total.transpose(back), DIGITS).ravel() + 0.0  # no negative zero
        return tuple(values.tolist()), _spread(self._shapes, tuple(keys))

    def _sorted(self, keys: Iterable[Key]) -> list[Key]:
        return sorted(keys, key=self._order.__getitem__)

    @cached_property
    def _arrays(self) -> list[Array]:
        """The tables as arrays, their axes in the common order."""
        import numpy as np

        return [
            np.array(table.values, dtype=np.float64)
            .reshape(table.shape.sizes)
            .transpose([table.shape.keys.index(key) for key in self._sorted(table.shape.keys)])
            for table in self.tables
        ]

    def _margin(self, at: int, subset: tuple[Key, ...]) -> Array:
        """Return a table summed over all axes but `subset`."""
        ordered = self._sorted(self._shapes[at].keys)
        gone = tuple(place for place, key in enumerate(ordered) if key not in subset)
        summed: Array = self._arrays[at].sum(axis=gone)
        return summed

    def _residual(self, subset: tuple[Key, ...]) -> Array:
        """Return the residual on `subset`, averaged over the tables that have it."""
        import numpy as np

        if subset not in self._residuals:
            mean = np.zeros(tuple(self._size[key] for key in subset))
            for at, weight in enumerate(_weights(self._shapes, subset)):
                if weight:
                    mean += weight * self._margin(at, subset)
            self._residuals[subset] = _centred(mean)
        return self._residuals[subset]

    def _distance(self) -> tuple[float, int]:
        """Return the squared distance of the tables from their average, and its freedom."""
        square, degrees = 0.0, 0
        found = {s for shape in self._shapes for s in _subsets(self._sorted(shape.keys))}
        for subset in found:
            precision = [shape.precision(subset) for shape in self._shapes]
            having = [at for at, one in enumerate(precision) if one]
            if len(having) < 2:
                continue
            for at in having:
                apart = _centred(self._margin(at, subset)) - self._residual(subset)
                square += precision[at] * float((apart * apart).sum())
            degrees += (len(having) - 1) * math.prod(self._size[key] - 1 for key in subset)
        return square, degrees


def _subsets(keys: Sequence[Key]) -> Iterator[tuple[Key, ...]]:
    for length in range(len(keys) + 1):
        yield from itertools.combinations(keys, length)


def _centred(table: Array) -> Array:
    """Take the mean off along every axis."""
    for axis in range(table.ndim):
        table = table - table.mean(axis=axis, keepdims=True)
    return table

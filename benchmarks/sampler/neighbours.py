"""Neighbouring inputs on which a plan's statistics differ as much as they can.

Two people's answers are chosen, one for each input, so that exchanging the one for the other
moves the released numbers furthest, in units of their noise. Answers go through the plan's own
encoding and projection. The search improves one field after the other, from several beginnings;
it may miss the very worst pair, which makes bounds weaker and never wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.plan.fields import ChoiceField, MultiField
from grievance.privacy import noise_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from grievance.plan import Layout
    from grievance.plan.fields import Field
    from grievance.privacy import Allocation, Mechanism

    Raw = Mapping[str, object]

_MODULUS = 2**128
_ROUNDS = 3
_MAX_LABELS = 12


@dataclass(frozen=True)
class Neighbours:
    """Exact totals of two inputs that differ in the reports of `distance` workers.

    Attributes:
        statistics: The statistics the coordinates belong to, in order.
        near: Totals of the one input.
        far: Totals of the other.
        scales: Noise scale of every coordinate.
        distance: How many workers' answers are exchanged.
        bits: The same inputs as block bits of a report times the number of reports: what an
            aggregate holds before it is projected. (near, far)
    """

    statistics: tuple[str, ...]
    near: tuple[int, ...]
    far: tuple[int, ...]
    scales: tuple[Fraction, ...]
    distance: int
    bits: tuple[tuple[int, ...], tuple[int, ...]]

    def moved(self, mechanism: Mechanism) -> Fraction | float:
        """Return what additive noise of these scales loses exactly: rho, or pure epsilon."""
        pairs = zip(self.near, self.far, self.scales, strict=True)
        norm = noise_of(mechanism).norm
        return sum((abs(b - a) / scale) ** norm for a, b, scale in pairs) / norm

    def places(self, most: int) -> list[int]:
        """Return the places of at most `most` coordinates: first those that differ."""
        order = sorted(range(len(self.near)), key=lambda at: self.near[at] == self.far[at])
        return sorted(order[:most])

    def at(self, places: Sequence[int]) -> tuple[list[int], list[int], list[Fraction]]:
        """Return both inputs' totals and the scales at these places."""
        near, far = ([side[place] for place in places] for side in (self.near, self.far))
        return near, far, [self.scales[place] for place in places]


def _options(field: Field) -> list[object]:
    """Return the answers worth trying: extremes, and no answer where that is allowed."""
    none: list[object] = [] if field.required else [None]
    if isinstance(field, ChoiceField):
        return [*field.choices[:_MAX_LABELS], *none]
    if isinstance(field, MultiField):
        first, last = field.choices[: field.pick], field.choices[-field.pick :]
        return [first, last, (), *none]
    return [field.minimum, field.maximum, *none]


def _written(field: Field, value: object) -> object:
    # Numbers are read as integers or decimals; a Fraction is written as one of the grid.
    if isinstance(field, ChoiceField | MultiField) or value is None:
        return value
    from grievance.plan.decimals import decimal_text

    return decimal_text(value)  # type: ignore[arg-type]


class _Search:
    def __init__(
        self,
        layout: Layout,
        names: Sequence[str],
        allocations: Mapping[str, Allocation],
        mechanism: Mechanism,
    ) -> None:
        self.layout, self.names, self.mechanism = layout, names, mechanism
        self.scales = tuple(
            allocations[name].scale * scale for name in names for scale in layout.noise_scale(name)
        )
        self.fields = layout.plan.fields
        self.options = {name: _options(field) for name, field in self.fields.items()}
        self._known: dict[str, list[int]] = {}

    def bits(self, raw: Raw | None) -> list[int]:
        if raw is None:
            return self.layout.blank()
        written = {name: _written(self.fields[name], value) for name, value in raw.items()}
        return self.layout.encode(self.layout.answers(written))

    def totals(self, bits: Sequence[int]) -> list[int]:
        values = []
        for name in self.names:
            for value in self.layout.project(name, bits, _MODULUS):
                values.append(value - _MODULUS if value > _MODULUS // 2 else value)
        return values

    def _totals_of(self, raw: Raw | None) -> list[int]:
        key = repr(raw)
        if key not in self._known:
            self._known[key] = self.totals(self.bits(raw))
        return self._known[key]

    def moved(self, one: Raw | None, other: Raw | None) -> float:
        pairs = zip(self._totals_of(one), self._totals_of(other), self.scales, strict=True)
        power = noise_of(self.mechanism).norm
        return sum(float(abs(b - a) / scale) ** power for a, b, scale in pairs)

    def starts(self) -> Iterator[dict[str, object]]:
        """Yield answers that some statistic counts, by its `where`."""
        first = {name: options[0] for name, options in self.options.items()}
        seen = []
        for name in self.names:
            where = self.layout.statistics[name].where
            start = {**first, **{field: labels[0] for field, labels in where.items()}}
            start = {
                field: value if value in self.options[field] else None
                for field, value in start.items()
            }
            if start not in seen:
                seen.append(start)
                yield start

    def climb(self, start: dict[str, object]) -> tuple[float, Raw, Raw | None]:
        one, other = dict(start), dict(start)
        best = 0.0
        for _ in range(_ROUNDS):
            before = best
            for field, options in self.options.items():
                tries = [
                    (self.moved({**one, field: a}, {**other, field: b}), at)
                    for at, (a, b) in enumerate((a, b) for a in options for b in options)
                ]
                value, at = max(tries, key=lambda found: (found[0], -found[1]))
                if value > best:
                    best = value
                    one[field] = options[at // len(options)]
                    other[field] = options[at % len(options)]
            if best == before:
                break
        blank = self.moved(one, None)
        return (blank, one, None) if blank > best else (best, one, other)


def worst_pair(
    layout: Layout,
    names: Sequence[str],
    allocations: Mapping[str, Allocation],
    mechanism: Mechanism,
    distance: int = 1,
) -> Neighbours:
    """Return neighbours for the charged statistics `names`, `distance` workers apart.

    Each of these workers sends as many reports as the plan allows one worker, all alike, the
    rest of the people are blank. `allocations` gives the noise.
    """
    search = _Search(layout, names, allocations, mechanism)
    _, one, other = max((search.climb(start) for start in search.starts()), key=lambda f: f[0])
    reports = distance * layout.plan.privacy.reports_per_worker
    near, far = (tuple(reports * bit for bit in search.bits(raw)) for raw in (one, other))
    return Neighbours(
        statistics=tuple(names),
        near=tuple(search.totals(near)),
        far=tuple(search.totals(far)),
        scales=search.scales,
        distance=distance,
        bits=(near, far),
    )

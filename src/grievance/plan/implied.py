"""Statistics that are sums of another's cells: they take no bits and no budget.

A count or distribution is implied by another when both are about the same people (the
same `where`) and every one of its axes is an axis of the other with the same labels under
the same positions (so the same merges). Dropping the other axes then only sums: each
person stands under exactly one label of every axis dropped, "not answered" included. A
multi-choice axis is never summed over, because a person stands under several of its
labels or none; a table without it is read off the denominators, where each person of a
group is counted once, as answered or as not answered. Means are never implied and imply
nothing.

Of two statistics that imply each other, the earlier one in the plan is charged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grievance.plan.axes import all_indices, cell_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.plan.parts import Part, Reads, StatisticLayout


def covers(large: StatisticLayout, small: StatisticLayout) -> bool:
    """Whether every value of `small` is a sum of coordinates of `large`."""
    if "mean" in (large.kind, small.kind):
        return False
    people = [{f: frozenset(labels) for f, labels in s.where.items()} for s in (large, small)]
    meanings = {axis.meaning for axis in large.axes}
    return people[0] == people[1] and all(axis.meaning in meanings for axis in small.axes)


def _source_part(large: StatisticLayout, small: StatisticLayout, part: Part) -> Part:
    """Return the part of `large` whose coordinates are summed for `part` of `small`."""
    through_denominators = large.multi is not None and small.multi is None
    return large.part("answered" if through_denominators else part.name)


def _terms(large: StatisticLayout, small: StatisticLayout) -> int:
    part = small.parts[-1]
    return _source_part(large, small, part).size // part.size


def find_sources(statistics: Sequence[StatisticLayout]) -> dict[str, str]:
    """Map every implied statistic to the charged one it is read off.

    Where several would do, the one with the fewest terms per cell, hence the least noise
    for equal sigma; ties to the earlier. `covers` is transitive, so at the end of every
    chain there is a charged statistic that covers the whole chain.
    """
    covering = {
        small.name: [
            large
            for at, large in enumerate(statistics)
            if at != place and covers(large, small) and not (at > place and covers(small, large))
        ]
        for place, small in enumerate(statistics)
    }
    sources = {}
    for small in statistics:
        charged = [large for large in covering[small.name] if not covering[large.name]]
        if charged:
            sources[small.name] = min(charged, key=lambda large: _terms(large, small)).name
    return sources


def reads_of(large: StatisticLayout, small: StatisticLayout) -> Reads:
    """For each coordinate of `small`, in order, the coordinates of `large` that it sums."""
    return tuple(summed for part in small.parts for summed in _reads_of_part(large, small, part))


def _reads_of_part(
    large: StatisticLayout, small: StatisticLayout, part: Part
) -> list[tuple[int, ...]]:
    source = _source_part(large, small, part)
    meanings = [axis.meaning for axis in source.axes]
    positions = [meanings.index(axis.meaning) for axis in part.axes]
    reads: list[list[int]] = [[] for _ in range(part.size)]
    for coordinate, at in enumerate(all_indices(source.axes), start=source.offset):
        reads[cell_at(part.axes, [at[position] for position in positions])].append(coordinate)
    return [tuple(summed) for summed in reads]


def read_off(large: StatisticLayout, small: StatisticLayout) -> StatisticLayout:
    """Return `small` as implied by `large`, whose noise it has."""
    parts = tuple(
        replace(part, terms=source.size // part.size, scale=source.scale)
        for part, source in ((part, _source_part(large, small, part)) for part in small.parts)
    )
    return replace(small, parts=parts, source=large)

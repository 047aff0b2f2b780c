"""From a plan to blocks of bits: which bit of a report means what.

Everything that depends on positions is decided in this package's `axes`, `parts`,
`implied` and `layout`, and nowhere else: blocks and their parents, the coordinates a
statistic releases, which statistics are read off others. `encode` fills the bits,
`tables` reads the released coordinates.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from grievance.plan import limits
from grievance.plan.frozen import FrozenMap
from grievance.plan.implied import find_sources, read_off
from grievance.plan.parts import StatisticLayout, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grievance.plan.answers import Answers
    from grievance.plan.model import Plan
    from grievance.plan.tables import RawTable
    from grievance.privacy import Mechanism, StatisticShape
    from grievance.vdaf import Block, Prio3BlockCountVec


def check_sizes(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (statistic or "", problem) for every table, and the report, that is too large.

    Nothing is built here that grows with the sizes asked for.
    """
    described = [describe(plan, name, statistic) for name, statistic in plan.statistics.items()]
    too_large = False
    for statistic in described:
        size = max(statistic.num_coordinates, statistic.total_bits)
        if size > limits.MAX_CELLS:
            too_large = True
            yield (
                statistic.name,
                f"has {size:,} cells; at most {limits.MAX_CELLS:,}: cross fewer fields, or merge",
            )
    if too_large:
        return
    coordinates = sum(s.num_coordinates for s in described)
    if coordinates > limits.MAX_COORDINATES:
        too_many = f"have {coordinates:,} cells together, those read off others too; at most "
        yield "", too_many + f"{limits.MAX_COORDINATES:,}: ask for fewer tables, or merge"
        return
    sources = find_sources(described)
    total = sum(s.total_bits for s in described if s.name not in sources)
    if total > limits.MAX_BITS:
        yield (
            "",
            f"take {total:,} bits of a report; at most {limits.MAX_BITS:,}: cross less, or merge",
        )


class Layout:
    """The bits of a plan's reports and the coordinates of its releases.

    `mechanism` decides how ticks are centred, and nothing else: bits and places do not depend on
    it. Where a plan leaves it open, Gaussian noise stands in until it is resolved (`under`).

    Attributes:
        plan: The plan.
        mechanism: Whose noise it is for.
        statistics: Every statistic by name, implied ones included, in the plan's order.
        num_bits: Block bits of a report, and entries of an aggregate.
    """

    def __init__(self, plan: Plan, mechanism: Mechanism | None = None) -> None:
        self.plan = plan
        said = plan.privacy.mechanism
        self.mechanism: Mechanism = mechanism or ("gaussian" if said == "auto" else said)
        described = [describe(plan, name, s, self.mechanism) for name, s in plan.statistics.items()]
        by_name = {statistic.name: statistic for statistic in described}
        sources = find_sources(described)
        placed: dict[str, StatisticLayout] = {}
        start = 0
        for statistic in described:
            source = sources.get(statistic.name)
            if source is not None:
                placed[statistic.name] = read_off(by_name[source], statistic)
            else:
                bits = statistic.total_bits
                placed[statistic.name] = replace(statistic, start=start, num_bits=bits)
                start += bits
        self.statistics: Mapping[str, StatisticLayout] = FrozenMap(placed)
        self.num_bits = start

    def __repr__(self) -> str:
        return f"<Layout of {self.plan.campaign!r}: {self.num_bits} bits>"

    def under(self, mechanism: Mechanism) -> Self:
        """Return the layout of the same plan for a mechanism's noise."""
        return self if mechanism == self.mechanism else type(self)(self.plan, mechanism)

    @property
    def charged(self) -> tuple[StatisticLayout, ...]:
        """The statistics with bits and budget of their own, in the plan's order."""
        return tuple(s for s in self.statistics.values() if s.implied_by is None)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The circuit's blocks, in the plan's order."""
        from grievance.vdaf import Block

        return tuple(
            Block(length, max_weight, parents)
            for statistic in self.charged
            for length, max_weight, parents in statistic.block_specs()
        )

    @cached_property
    def chunk_length(self) -> int:
        """The chunk length with the smallest proof, ties to the smaller chunk."""
        from grievance.vdaf import best_chunk_length

        return best_chunk_length(self.blocks)

    def vdaf(self, shares: int) -> Prio3BlockCountVec:
        """Return the VDAF of this plan for `shares` aggregators."""
        from grievance.vdaf import Prio3BlockCountVec

        return Prio3BlockCountVec(shares, self.blocks, self.chunk_length)

    def answers(self, raw: Mapping[str, object]) -> Answers:
        """Check a worker's answers. Raises AnswerError, which never repeats a value."""
        from grievance.plan.answers import check_answers

        return check_answers(self.plan, raw)

    def encode(self, answers: Answers) -> list[int]:
        """Return the block bits of checked answers: `num_bits` zeros and ones."""
        from grievance.plan.encode import encode

        return encode(self, answers)

    def blank(self) -> list[int]:
        """Return the block bits of a report without answers: zeros."""
        return [0] * self.num_bits

    def shapes(self) -> list[StatisticShape]:
        """Return what the budget is split over: the charged statistics, in the plan's order."""
        from grievance.privacy import StatisticShape

        return [
            StatisticShape(
                name=s.name,
                l2_squared=s.l2_squared,
                error=s.error,
                importance=s.importance,
                scale=max(s.noise_scale),
                l1=s.l1,
            )
            for s in self.charged
        ]

    def project(self, name: str, aggregate: Sequence[int], modulus: int) -> list[int]:
        """Map an aggregated output share to one statistic's released coordinates, mod p.

        Linear, so the projections of all aggregators' shares add up to that of the sum.
        Empty for an implied statistic. Raises ShapeError for a wrong length or name.
        """
        from grievance.plan.tables import project

        return project(self, name, aggregate, modulus)

    def noise_scale(self, name: str) -> tuple[int, ...]:
        """Return per released coordinate the factor on the scale: 1, M for a mean's totals, t."""
        statistic = self.statistics[name]
        return () if statistic.implied_by else statistic.noise_scale

    def tables(self, values: Mapping[str, Sequence[int]]) -> dict[str, RawTable]:
        """Turn released coordinates of charged statistics into tables, implied ones read off.

        Statistics whose source is not in `values` are left out.
        """
        from grievance.plan.tables import tables

        return tables(self, values)

"""What stands out of a statistic: which answers lead, and which groups differ from the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.release.counts import CountTable
from grievance.release.page.apart import WIDER_ERROR, compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.release.figures import Figure
    from grievance.release.page.apart import Comparison
    from grievance.release.page.reading import Reading


@dataclass(frozen=True)
class Highlights:
    """A statistic as it is read, with its comparisons and the figures of everybody together."""

    reading: Reading

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every comparison of the statistic, answered."""
        return compare(self.reading)

    @property
    def apart(self) -> list[Comparison]:
        """Differences larger than the noise, the largest first among those of a kind."""
        return _apart(self.comparisons)

    @cached_property
    def wider(self) -> list[Comparison]:
        """The same of the wider list, each with its interval there."""
        return _apart(compare(self.reading, WIDER_ERROR))

    @property
    def not_shown(self) -> list[Comparison]:
        """Differences that the noise hides. What is lost in it is neither."""
        return [one for one in self.comparisons if not one.apart and not one.lost]

    @cached_property
    def shares(self) -> dict[str, Figure]:
        """Of everybody in the table, which share gave each answer."""
        table, answer = self.reading.table, self.reading.answer
        if not isinstance(table, CountTable) or answer is None:
            return {}
        return {label: table.share(of={answer.name: label}) for label in self.reading.answers}

    @cached_property
    def leading(self) -> tuple[str, ...]:
        """The answers no other was shown to be ahead of, the largest figure first.

        What is grey or lost in the noise is left out. Empty where nothing can be said: no
        share is known, or so many answers were offered that they are not compared.
        """
        known = {label: figure for label, figure in self.shares.items() if figure.dark}
        among = [one.upwards for one in self.comparisons if one.asked.kind == "answers"]
        if not known or (len(self.shares) > 1 and not among):
            return ()
        behind = {one.asked.second for one in among if one.apart}
        best = sorted(known, key=lambda label: -(known[label].estimate or 0.0))
        return tuple(label for label in best if label not in behind)

    @property
    def clear(self) -> bool:
        """Whether one answer was shown to be ahead of every other."""
        if len(self.leading) != 1:
            return False
        (first,) = self.leading
        behind = {
            one.upwards.asked.second
            for one in self.apart
            if one.asked.kind == "answers" and one.upwards.asked.first == first
        }
        return len(self.shares) > 1 and set(self.shares) == {first} | behind


def _apart(comparisons: Sequence[Comparison]) -> list[Comparison]:
    order = {"answers": 0, "groups": 1, "rest": 2}
    return sorted(
        (one for one in comparisons if one.apart),
        key=lambda one: (order[one.asked.kind], -abs(one.estimate or 0.0)),
    )


def each_once(found: Sequence[Highlights]) -> list[Highlights]:
    """Return the highlights to lead with: one for each question, about all people if there is one.

    Among several it is the one with the fewest comparisons, chosen by the plan: corrected for
    fewer, it tells most apart.
    """
    best: dict[tuple[str, str], Highlights] = {}
    for one in found:
        reading = one.reading
        key = (reading.question, reading.table.kind)
        if reading.leads and (key not in best or _rank(one) < _rank(best[key])):
            best[key] = one
    return list(best.values())


def _rank(one: Highlights) -> tuple[bool, int]:
    return bool(one.reading.only), len(one.comparisons)

"""How many people answered: the one figure of a release that is about everybody, if it has one.

Every released table of people without a `where` counts everybody once, under some answer or as
"not answered": whoever sent a report in which at least one question of the round was answered. A
blank report, such as the cover that relays add, is zero in every table and is not in the sum. So
the sum over such a table is a number of people with the table's own noise, and reconciling several
of them gives the one with the least. How many reports were accepted is public and says something
else: cover is among them, and nobody knows how much.

A mean counts only people who gave the number, unless it had to be given; a table with a `where`
only some people. From those alone nothing follows about everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.release.figures import DIGITS, UNKNOWN, Figure, says_nothing
from grievance.release.reconcile import EVERYBODY, overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.plan import Layout
    from grievance.privacy.laws import NoiseLaw

DISAGREE = "the tables that count them disagree by more than the noise explains"


def turnout(
    layout: Layout,
    values: Mapping[str, Sequence[int]],
    *,
    laws: Mapping[str, NoiseLaw],
    hide_below: int,
    most: int,
) -> Figure | None:
    """Return how many people answered, with its 95 % interval; None where no table says it.

    Arguments as in `make_tables`. The interval is that of the nearest possible number, 0 to
    `most` reports, cut to what is possible. The `note` is DISAGREE where the tables cannot all
    be right, and UNKNOWN where the noise hides the number.
    """
    found = overlaps(layout, values, laws).get(EVERYBODY)
    if found is None:
        return None
    if not found.agrees:
        return Figure({}, None, most / 2, 0, most, note=DISAGREE, whole=True)
    (total,), spread = found.read(())
    margin = spread.noise(((1, ()),)).margin
    value = round(total, DIGITS)
    # Noise can push a number out of what is possible; the interval of the nearest possible one
    # holds the rest of its own, and does not shrink to nothing at the edge.
    inside = min(max(value, 0), most)
    low, high = max(0, inside - margin), min(most, inside + margin)
    few = hide_below > 0 and value < hide_below
    return Figure(
        labels={},
        estimate=inside,
        margin=margin,
        low=low,
        high=high,
        withheld=f"withheld: a noisy number of people below {hide_below}" if few else "",
        note=UNKNOWN if says_nothing(low, high, (0, most)) else "",
        whole=True,
    )

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

from grievance.release.cube import Cube
from grievance.release.figures import Figure, is_grey, of_total
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

    Arguments as in `make_tables`. The `note` is DISAGREE where the tables cannot all be right, and
    UNKNOWN where the noise hides the number.
    """
    found = overlaps(layout, values, laws).get(EVERYBODY)
    if found is None:
        return None
    if not found.agrees:
        return Figure({}, None, most / 2, 0, most, note=DISAGREE, whole=True)
    total, spread = found.read(())
    (counted,) = Cube((), total, spread).cells()
    return of_total(
        Figure, counted, labels={}, possible=(0, most), grey=is_grey(counted, hide_below)
    )

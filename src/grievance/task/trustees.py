"""Who could read a round without being an aggregator: the trustees of its aggregators' backups.

Any `threshold` of an aggregator's trustees can act as it. So the split between aggregators is
worth as much as the split between their trustees: people whom two aggregators have in common
count on both sides. With c of them and thresholds k1 and k2, a round is refused where
c >= min(k1, k2): those c alone would be one of the two. An aggregator of the round that is
another's trustee is on both sides by itself.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from grievance.errors import TaskError
from grievance.task.backup import MAX_TRUSTEES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.task.backup import BackupClaim
    from grievance.task.identity import Identity

    Party = tuple[Identity, BackupClaim | None]

_HINT = (
    "whoever it concerns makes another backup, with other trustees (`grievance backup make`), "
    "and the leader opens a new round"
)


def check_trustees(parties: Sequence[Party], *, shared: bool) -> None:
    """Check who would hold the keys of a round's aggregators. Raises TaskError `task.trustees`.

    `shared`: the plan allows trustees in common, whatever their number, and says so to workers.
    An aggregator of the round is never allowed to be another's trustee.
    """
    keys, names = {member.key for member, _ in parties}, {member.name for member, _ in parties}
    for member, claim in parties:
        trustees = claim.trustees if claim else ()
        inside = [one.name for one in trustees if one.key in keys or one.name in names]
        if inside:
            raise TaskError(
                f"{' and '.join(inside)} would be an aggregator of this round and a trustee of "
                f"{member.name} as well: the two sides would not be kept apart",
                code="task.trustees",
                hint=_HINT,
            )
    if shared:
        return
    for one, other in combinations(parties, 2):
        common = common_trustees(one, other)
        if common and len(common) >= min(_threshold(one), _threshold(other)):
            raise TaskError(
                f"{one[0].name} and {other[0].name} both have {', '.join(common)} as trustees: "
                "enough of them to act as one of the two, and they know pieces of the other",
                code="task.trustees",
                hint=f"{_HINT}; or write shared_trustees = true in the plan, which tells the "
                "workers",
            )


def common_trustees(one: Party, other: Party) -> list[str]:
    """The trustees that two aggregators have in common, as the first one calls them."""
    if one[1] is None or other[1] is None:
        return []
    return [trustee.name for trustee in one[1].trustees if trustee.key in other[1].keys]


def _threshold(party: Party) -> int:
    return party[1].threshold if party[1] is not None else MAX_TRUSTEES + 1


def overlap_in_words(parties: Sequence[Party]) -> str:
    """Warn of people who hold pieces of the keys of several aggregators; "" where nobody does."""
    pairs = [
        f"{', '.join(common)} of {one[0].display_name} and {other[0].display_name}"
        for one, other in combinations(parties, 2)
        if (common := common_trustees(one, other))
    ]
    if not pairs:
        return ""
    return (
        f"Take care: there are trustees in common: {'; '.join(pairs)}. The fewer people hold "
        "pieces of all the keys, the fewer could read every answer together."
    )

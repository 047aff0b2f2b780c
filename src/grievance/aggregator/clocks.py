"""Which clock is wrong, where two of them differ: words, never a refusal.

Ledger entries carry no time and everything is decided by the order chain, so a wrong clock
endangers nothing; but a cosignature says when it was made. A clock that once ran a year ahead
must not stop an aggregator for a year. What a clock says is held against what was signed: by us,
by the clock here as it was then, and by others under our newest head, by theirs. Others write
the day, so less than a day and a half says nothing about theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from grievance import task as tasks
from grievance.aggregator.watched import watched
from grievance.errors import LedgerError, SignatureError
from grievance.ledger.checkpoint import MAX_NOTE_SIZE, check_cosignature
from grievance.ledger.cosigned import read_checkpoint
from grievance.pool.layout import checkpoint_path, cosignature_path
from grievance.pool.store import find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.aggregator.office import Office

OURS: Final = timedelta(minutes=10)
"""How far behind its own past a clock may be: it was set a little."""

THEIRS: Final = timedelta(hours=36)
AROUND: Final = timedelta(days=180)
"""How long before and after a plan's dates something of its round is likely to be signed."""


@dataclass(frozen=True)
class Moments:
    """What clocks said.

    Attributes:
        now: The clock here.
        ours: The newest moment at which we made a file, by the clock here as it was.
        head: When we made our newest head, likewise.
        theirs: Organisation to when it cosigned that head, by its own clock.
        opens: When the newest round we signed opens by its plan.
        closes: When it closes.
    """

    now: datetime
    ours: datetime | None = None
    head: datetime | None = None
    theirs: Mapping[str, datetime] | None = None
    opens: datetime | None = None
    closes: datetime | None = None

    def is_likely(self, moment: datetime) -> bool | None:
        """Whether a moment lies around the dates of the plan; None without a plan."""
        if self.opens is None or self.closes is None:
            return None
        return self.opens - AROUND <= moment <= self.closes + AROUND


def clock_warnings(office: Office) -> list[str]:
    """What is wrong with which clock, in words; empty when nothing seems to be."""
    return warnings(read_moments(office, datetime.now(UTC)))


def warnings(seen: Moments) -> list[str]:
    """Say which of two clocks that differ is likely the wrong one, and what to do."""
    found: list[str] = []
    here = f"the clock here says {_said(seen.now)}"
    theirs = sorted((seen.theirs or {}).items(), key=lambda one: one[1])
    later = [one for one in theirs if one[1] - seen.now > THEIRS]
    if seen.ours is not None and seen.ours - seen.now >= OURS:
        line = f"{here}, but we signed something at {_said(seen.ours)}"
        found.append(f"{line}: {_which(seen, later)}")
    elif later:
        name, moment = later[-1]
        line = f"{here}, but {name} cosigned our ledger at {_said(moment)}"
        alone = len(later) == 1 and seen.is_likely(moment) is False
        wrong = f"the clock of {name} is likely ahead: tell them" if alone else _BEHIND
        found.append(f"{line}: {wrong}")
    return found


_BEHIND: Final = (
    "the clock here is likely behind: set it; cosignatures carry a wrong time until then"
)
_AHEAD: Final = (
    "the clock here likely ran ahead then and is right now: leave it; what was signed then keeps "
    "its wrong time"
)


def _which(seen: Moments, later: list[tuple[str, datetime]]) -> str:
    """Say whether the clock here is behind now, or was ahead when we signed."""
    if later:
        return f"{later[-1][0]} signed later too, so {_BEHIND}"
    early = [name for name, moment in (seen.theirs or {}).items()
             if seen.head is not None and seen.head - moment > THEIRS]  # fmt: skip
    if early:
        return f"{early[0]} cosigned before that, so {_AHEAD}"
    if seen.ours is not None:
        likely = seen.is_likely(seen.now), seen.is_likely(seen.ours)
        if likely == (False, True):
            return f"by the dates of the plan {_BEHIND}"
        if likely == (True, False):
            return f"by the dates of the plan {_AHEAD}"
    return (
        "it is behind now, or was ahead then; look at another clock, and set it if it is wrong: "
        "cosignatures carry a wrong time until then"
    )


def read_moments(office: Office, now: datetime) -> Moments:
    """Gather what the clocks said, from our state and the cosignatures under our newest head."""
    state, name, key = office.state, office.home.name, office.home.key.public
    size = len(state.ledger())
    head = read_checkpoint(office.home.store, name, key, size) if size else None
    theirs: dict[str, datetime] = {}
    peers = {n: led.key for n, led in watched(office.home, state).items() if led.peer}
    for other, identity in peers.items() if head is not None else ():
        data = find(office.home.store, cosignature_path(name, size, other), MAX_NOTE_SIZE)
        if data is None or head is None:
            continue
        try:
            seconds = check_cosignature(bytes(data), head, other, identity)
            theirs[other] = datetime.fromtimestamp(seconds, UTC)
        except (LedgerError, SignatureError, OverflowError, OSError, ValueError):
            continue
    plans = [tasks.parse_task(data).plan for data in state.tasks()]
    newest = max(plans, key=lambda plan: plan.opens, default=None)
    return Moments(
        now=now,
        ours=state.newest_file(),
        head=state.made_at(checkpoint_path(name, size)) if size else None,
        theirs=theirs,
        opens=datetime.combine(newest.opens, time(), UTC) if newest else None,
        closes=datetime.combine(newest.closes, time(), UTC) if newest else None,
    )


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

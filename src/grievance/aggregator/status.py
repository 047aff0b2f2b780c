"""What waits for whom, since when, and the command that moves it.

Read from the pool and our own state; changes nothing. Source: docs/design.md, section 15.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from grievance.aggregator import consent, sightings
from grievance.aggregator.collected import collected, never_released
from grievance.aggregator.remembered import history_of, opening_of
from grievance.errors import GrievanceError
from grievance.history import Entry, awaited, lacks
from grievance.history.steps import BATCH, CONSENT, DECIDE, JOIN, OPENING, RELEASE
from grievance.plan.period import days_overdue
from grievance.pool.layout import RoundPaths
from grievance.pool.order import OrderedBatch
from grievance.pool.proposals import ReleaseView

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from grievance.aggregator.bench import Bench
    from grievance.aggregator.office import Office
    from grievance.history import History, Turn
    from grievance.pool.rounds import Invitation


@dataclass(frozen=True)
class Waiting:
    """One thing that cannot go on: who has to act, on what, since when, with which command."""

    who: str
    what: str
    since: str | None
    command: str


@dataclass
class RoundStatus:
    """Where one round stands, seen from this office.

    `opens` and `closes` are the plan's dates; `overdue_days` is how long a round that still
    takes reports is past its closing day. `silent` are relays that have passed nothing on;
    `given_up` the places of batches that were voided and have none now. `cannot_be_released` says
    why a closed round never can be.
    """

    round: str
    title: str
    stage: str
    rehearsal: bool
    aggregators: list[str]
    opens: str
    closes: str
    overdue_days: int = 0
    partners: list[str] = field(default_factory=list)
    expelled: list[str] = field(default_factory=list)
    batches: int = 0
    rows: int = 0
    decided: int = 0
    accepted: int = 0
    releases: dict[str, str] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    cannot_be_released: str | None = None
    fault: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)

    def wait(self, turn: Turn, since: datetime | None) -> None:
        """Note whose turn it is."""
        text = since.isoformat() if since is not None else None
        self.waiting.append(Waiting(turn.who, turn.what, text, turn.command))


def status(office: Office, today: date | None = None) -> list[RoundStatus]:
    """The status of every round of the pool that this organisation takes part in.

    `today`: the day to hold the plans' dates against; without one no round is overdue.
    """
    found = []
    for invitation in _invitations(office):
        members = [member.name for member in invitation.members]
        line = RoundStatus(
            invitation.round_id,
            invitation.plan.title,
            "invited",
            invitation.card.rehearsal,
            members,
            invitation.plan.opens.isoformat(),
            invitation.plan.closes.isoformat(),
        )
        try:
            _fill(office, invitation, line)
        except GrievanceError as error:
            line.fault = str(error)
        if today is not None and line.stage == "open":
            line.overdue_days = days_overdue(invitation.plan, today)
        found.append(line)
    return found


def _invitations(office: Office) -> list[Invitation]:
    """What we agreed to, from our own state; what we are invited to besides, from the pool."""
    home, found = office.home, {i.round_id: i for i in office.home.invitations()}
    for round_id in consent.joined(home, office.state):
        with contextlib.suppress(GrievanceError):
            agreed = consent.find_consent(home, office.state, round_id)
            if agreed is not None:
                found[round_id] = agreed.invitation
    return [found[round_id] for round_id in sorted(found)]


def _fill(office: Office, invitation: Invitation, line: RoundStatus) -> None:
    state, task = office.state, office.task(invitation.round_id)
    if task is None:
        line.evidence = _told(sightings.two_cards(state, invitation.round_id))
    opening = opening_of(office, invitation, task)
    since = state.made_at(RoundPaths(invitation.round_id).card(office.home.name))
    turns = list(awaited(opening, OPENING))
    for turn in turns:
        line.wait(turn, since)
    line.stage = "invited" if any(turn.step in (JOIN, CONSENT) for turn in turns) else "joined"
    if task is None or not opening.is_written:
        return
    line.evidence = _told(sightings.two_versions(state, [task]) + sightings.forks(state, task))
    if turns:
        return
    if state.is_destroyed(task.digest):
        line.stage = "destroyed"
        return
    bench, chain = office.bench(task), office.chain(task)
    line.stage = "closed" if chain.closed else "open"
    line.partners = [name for name in chain.partners if name not in chain.expelled]
    line.expelled = sorted(chain.expelled)
    history = history_of(bench, chain)
    _fill_batches(bench, history, line)
    for view in history.releases.values():
        _fill_release(bench, history, view, line)
    came = collected(state, chain)
    line.silent = came.silent
    given_up = (batch for batch in chain.batches if batch.seq in chain.voided)
    line.given_up = [batch.seq for batch in given_up if not chain.has_batch(batch.digest)]
    if line.stage != "released":
        line.cannot_be_released = never_released(office.home.store, chain, came)


def _told(held: Sequence[sightings.Evidence]) -> list[str]:
    return [f"{item.words}; the proof is in {item.path}" for item in held]


def _fill_batches(bench: Bench, history: History, line: RoundStatus) -> None:
    counted, stored = history.chain.counted, bench.state.batches(bench.seat.task.digest)
    rows = [stored[batch.seq] for batch in counted if batch.seq in stored]
    decided = [row for row in rows if row.decided]
    line.batches, line.rows = len(counted), sum(batch.rows for batch in counted)
    line.decided, line.accepted = len(decided), sum(row.accepted or 0 for row in decided)
    if history.chain.closed and line.decided == line.batches:
        line.stage = "decided"
    for turn in awaited(history, BATCH):
        line.wait(turn, _since(bench, turn))


def _fill_release(bench: Bench, history: History, view: ReleaseView, line: RoundStatus) -> None:
    said = set()
    for turn in awaited(history, RELEASE, view):
        # One thing each: whoever syncs does all that is theirs.
        if turn.who not in said:
            line.wait(turn, _since(bench, turn))
        said.add(turn.who)
    refused = view.declined_by
    if refused is not None:
        line.releases[view.release_id] = f"declined by {refused.aggregator}"
    elif view.missing(bench.seat.task):
        line.releases[view.release_id] = "proposed"
    elif lacks(history, view):
        line.releases[view.release_id] = "approved"
    else:
        line.releases[view.release_id] = "published"
        line.stage = "released"


def _since(bench: Bench, turn: Turn) -> datetime | None:
    """When we did what is now for somebody else to follow."""
    paths, about = bench.paths, turn.about
    if isinstance(about, OrderedBatch):
        ours = paths.decide if turn.step is DECIDE else paths.verify
        return bench.state.made_at(ours(about.seq, bench.name))
    view = about.view if isinstance(about, Entry) else about
    if isinstance(view, ReleaseView):
        return bench.state.made_at(paths.approval(view.release_id, bench.name))
    return None

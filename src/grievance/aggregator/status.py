"""What waits for whom, since when, and the command that moves it.

Read from the pool and our own state; changes nothing. Source: docs/design.md, section 15.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from grievance.aggregator import consent, decisions, releases, shares, sightings
from grievance.aggregator.bench import find_batch
from grievance.aggregator.collected import collected, never_released
from grievance.errors import GrievanceError, TaskError
from grievance.plan.period import days_overdue
from grievance.pool import rounds as pool_rounds
from grievance.pool.layout import RoundPaths, share_path
from grievance.pool.proposals import read_releases

if TYPE_CHECKING:
    from datetime import date, datetime

    from grievance.aggregator.bench import Bench
    from grievance.aggregator.office import Office
    from grievance.pool.order import OrderChain
    from grievance.pool.proposals import ReleaseView
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

    def wait(self, who: str, what: str, since: datetime | None, command: str) -> None:
        """Note something that waits."""
        text = since.isoformat() if since is not None else None
        self.waiting.append(Waiting(who, what, text, command))


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
    home, round_id = office.home, invitation.round_id
    if office.task(round_id) is None:
        _fill_unsigned(office, invitation, line)
    if line.waiting:
        return
    line.stage = "joined"
    found = pool_rounds.read_task_and_signatures(home.store, round_id)
    since = office.state.made_at(RoundPaths(round_id).card(home.name))
    cards = pool_rounds.read_cards(home.store, invitation)
    first, then = "", ""
    if consent.differences(invitation, cards):
        first = "reads what the cards say now, consents or not, and "
        then = f"grievance round consent {round_id}, then "
    if found is None:
        what = f"{first}writes and signs the task"
        line.wait(line.aggregators[0], what, since, f"{then}grievance sync")
        return
    for name in found[2]:
        line.wait(name, f"{first}signs the task", since, f"{then}grievance sync")
    task = office.task(round_id)
    if task is not None:
        held = sightings.two_versions(office.state, [task]) + sightings.forks(office.state, task)
        line.evidence = [f"{item.words}; the proof is in {item.path}" for item in held]
    if task is None or line.waiting:
        return
    if office.state.is_destroyed(task.digest):
        line.stage = "destroyed"
        return
    bench, chain = office.bench(task), office.chain(task)
    line.stage = "closed" if chain.closed else "open"
    line.partners = [name for name in chain.partners if name not in chain.expelled]
    line.expelled = sorted(chain.expelled)
    _fill_batches(bench, chain, line)
    for view in read_releases(home.store, task):
        _fill_release(bench, chain, view, line)
    came = collected(office.state, chain)
    line.silent = came.silent
    given_up = (batch for batch in chain.batches if batch.seq in chain.voided)
    line.given_up = [batch.seq for batch in given_up if not chain.has_batch(batch.digest)]
    if line.stage != "released":
        line.cannot_be_released = never_released(home.store, chain, came)


def _fill_unsigned(office: Office, invitation: Invitation, line: RoundStatus) -> None:
    """A round whose task we have not signed: who joins, and what has to be read again."""
    home, state, round_id = office.home, office.state, invitation.round_id
    agreed = consent.find_consent(home, state, round_id)
    others: list[GrievanceError] = []
    cards = pool_rounds.read_cards(home.store, invitation, others)
    if agreed is not None:
        held = sightings.two_cards(state, round_id)
        line.evidence = [f"{item.words}; the proof is in {item.path}" for item in held]
        if consent.find_change(home, agreed) is not None:
            raise TaskError(
                f"{agreed.leader.name} has put another invitation in the place of the one that you "
                "agreed to: `grievance sync` signs nothing, and says where both are kept",
                code="consent.changed",
            )
    if others:
        raise others[0]
    paths = RoundPaths(round_id)
    since = state.made_at(paths.card(home.name))
    for name in line.aggregators:
        if name not in cards and state.outgoing(paths.card(name)) is None:
            what, command = "reads the plan and joins the round", f"grievance round join {round_id}"
            line.wait(name, what, since, command)
    if line.waiting:
        return
    consent.check_claims(invitation, cards)
    if agreed is not None and consent.waits_for_consent(agreed, cards):
        what = "reads what the cards say now, and consents or not"
        line.wait(home.name, what, since, f"grievance round consent {round_id}")


def _fill_batches(bench: Bench, chain: OrderChain, line: RoundStatus) -> None:
    task, stored = bench.seat.task, bench.state.batches(bench.seat.task.digest)
    line.batches, line.rows = len(chain.counted), sum(b.rows for b in chain.counted)
    for batch in chain.counted:
        row = stored.get(batch.seq)
        if row is None:
            have = find_batch(bench, batch) is not None
            line.wait(
                bench.name if have else batch.partner,
                f"checks batch {batch.seq}" if have else f"batch {batch.seq} has not arrived",
                None,
                "grievance sync",
            )
            continue
        if row.decided:
            line.decided += 1
            line.accepted += row.accepted or 0
            continue
        since = bench.state.made_at(bench.paths.verify(batch.seq, bench.name))
        for index, party in enumerate(task.aggregators):
            if index != bench.seat.index and decisions.read_findings(bench, batch, index) is None:
                line.wait(party.name, f"checks batch {batch.seq}", since, "grievance sync")
    if chain.closed and line.decided == line.batches:
        _fill_decisions(bench, chain, line)


def _fill_decisions(bench: Bench, chain: OrderChain, line: RoundStatus) -> None:
    line.stage = "decided"
    for batch in chain.counted:
        since = bench.state.made_at(bench.paths.decide(batch.seq, bench.name))
        for index, party in enumerate(bench.seat.task.aggregators):
            if decisions.read_decision(bench, batch, index) is None:
                line.wait(party.name, f"decides batch {batch.seq}", since, "grievance sync")


def _fill_release(bench: Bench, chain: OrderChain, view: ReleaseView, line: RoundStatus) -> None:
    task, release_id = bench.seat.task, view.release_id
    since = bench.state.made_at(bench.paths.approval(release_id, bench.name))
    refused = view.declined_by
    if refused is not None:
        line.releases[release_id] = f"declined by {refused.aggregator}"
        return
    line.releases[release_id] = "proposed"
    for name in view.missing(task):
        line.wait(
            name,
            f"approves or declines release {release_id}",
            since,
            f"grievance release approve {release_id}",
        )
    if view.missing(task):
        return
    line.releases[release_id] = "approved"
    if release_id not in chain.releases:
        line.wait(task.aggregators[0].name, f"orders release {release_id}", since, "grievance sync")
        return
    for name, what in releases.unready(bench, view).items():
        line.wait(name, what, since, "grievance sync")
    missing = shares.missing_share(bench, release_id)
    for party in task.aggregators:
        if bench.store.size(bench.paths.noisy(release_id, party.name)) is None:
            what = f"publishes its noisy share of {release_id}"
            if missing is not None and party.name == bench.name:
                what += f" when {share_path(bench.name, missing.size)} has arrived"
            line.wait(party.name, what, since, "grievance sync")
    if not any(release_id in waiting.what for waiting in line.waiting):
        line.releases[release_id] = "published"
        line.stage = "released"

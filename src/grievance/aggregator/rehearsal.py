"""A rehearsal: a second aggregator on the same machine, to try a round out.

There is no split trust in it, which is why the cards and the task say so, every command
says so, and a rehearsal's task can never be mistaken for a real one: the flag is part of
what workers' devices check and show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.aggregator.desk import Desk
from grievance.aggregator.releases import answer
from grievance.aggregator.rounds import join_round
from grievance.aggregator.run import sync
from grievance.home import Home
from grievance.pool.layout import RoundPaths
from grievance.pool.proposals import Approval, read_releases

if TYPE_CHECKING:
    from pathlib import Path


def _helper_root(home: Home) -> Path:
    return home.root / "rehearsal-helper"


def make_helper(home: Home) -> Home:
    """The local helper organisation of an organisation's rehearsals, made when first needed."""
    root = _helper_root(home)
    if (root / "organisation.json").exists():
        helper = Home.open(root, home.passphrase)
        _introduce(home, helper)
        return helper
    name = f"{home.name[:30]}-rehearsal"
    display = f"{home.display_name} (rehearsal helper)"
    helper = Home.create(root, name, display, home.pool, home.passphrase)
    _introduce(home, helper)
    return helper


def _introduce(home: Home, helper: Home) -> None:
    """Let the two know each other's keys, also where an earlier run was cut short."""
    if helper.known_key(home.name) is None:
        helper.trust(home.identity)
    if home.known_key(helper.name) is None:
        home.trust(helper.identity)


def sync_helper(home: Home) -> bool:
    """Do everything the local helper can do, consent included. False when there was nothing.

    It acts in rehearsals only: an invitation to a real round is left alone.
    """
    if not (_helper_root(home) / "organisation.json").exists():
        return False
    helper = Home.open(_helper_root(home), home.passphrase)
    did = False
    with Desk.open(helper) as desk:
        for invitation in helper.invitations():
            mine = helper.identity in invitation.members[1:]
            if not (mine and invitation.card.rehearsal):
                continue
            if desk.state.outgoing(RoundPaths(invitation.round_id).card(helper.name)) is None:
                join_round(helper, desk.state, invitation)
                did = True
        result = sync(desk)
        did = did or bool(result.done)
        for invitation in helper.invitations():
            if helper.identity in invitation.members and invitation.card.rehearsal:
                did = _approve_all(desk, invitation.round_id) or did
        desk.publish()
    return did


def _approve_all(desk: Desk, round_id: str) -> bool:
    if desk.task(round_id) is None:
        return False
    bench, chain = desk.open_bench(round_id)
    did = False
    for view in read_releases(desk.home.store, bench.seat.task):
        if bench.name not in view.answers and view.declined_by is None:
            answer(bench, chain, view.release_id, Approval(bench.name, "approve", "rehearsal"))
            did = True
    return did

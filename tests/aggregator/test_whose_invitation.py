"""Whose invitation counts: nobody who can write into the pool stops a round, or a command."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from federation import NAMED_PLAN, PLAN, Federation
from grievance import task as tasks
from grievance.aggregator import Office, SyncResult
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.aggregator.rehearsal import make_helper, sync_helper
from grievance.aggregator.rounds import join_round, new_round
from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import PoolError, TrustError
from grievance.home import Home, read_identity
from grievance.pool.layout import RoundPaths
from grievance.pool.rounds import read_task

if TYPE_CHECKING:
    from pathlib import Path

REHEARSED = NAMED_PLAN.replace(b'"trial"', b'"tryout"')


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation(tmp_path)


def invite(federation: Federation) -> str:
    north, south = federation.leader, federation.homes["south"]
    with Office.open(north) as office:
        made = new_round(north, office.state, PLAN, [south.identity])
        office.publish()
    federation.round_id = made.round_id
    return made.round_id


def join(federation: Federation) -> None:
    south = federation.homes["south"]
    invitation = south.invitation(federation.round_id)
    assert invitation is not None
    with Office.open(south) as office:
        join_round(south, office.state, invitation)
        office.publish()


def rival(federation: Federation, home: Home) -> Path:
    """A leader's card of somebody else's for the same plan, beside the one of the round."""
    members = [home.identity, *(federation.homes[name].identity for name in ("north", "south"))]
    card = tasks.make_card(
        home.key,
        HpkePrivateKey.generate("X25519").public,
        round_id=federation.round_id,
        plan_sha256=hashlib.sha256(PLAN).digest(),
        members=members,
    )
    path = federation.paths.card(home.name)
    home.store.put(path, card)
    return federation.file(path)


def test_a_partners_card_does_not_stop_a_round_that_was_joined(federation: Federation) -> None:
    invite(federation)
    join(federation)
    rival(federation, federation.homes["carers"])
    federation.settle()
    task = read_task(federation.leader.store, federation.round_id)
    assert task is not None
    assert [party.name for party in task.aggregators] == ["north", "south"]


def test_our_own_card_alone_says_what_we_joined(federation: Federation) -> None:
    """Without the card that it consents to there is no invitation, and not another one."""
    invite(federation)
    join(federation)
    south = federation.homes["south"]
    card = federation.file(federation.paths.card("north"))
    kept = card.read_bytes()
    rival(federation, federation.homes["carers"])
    card.unlink()
    assert south.invitation(federation.round_id) is None
    assert south.invitations() == []
    card.write_bytes(kept)
    (found,) = south.invitations()
    assert found.members[0] == federation.leader.identity


def test_somebody_elses_card_under_our_name_decides_nothing(federation: Federation) -> None:
    invite(federation)
    rival(federation, federation.homes["carers"])
    members = (federation.homes["carers"].identity, federation.homes["south"].identity)
    forged = tasks.make_card(
        federation.homes["carers"].key,
        HpkePrivateKey.generate("X25519").public,
        round_id=federation.round_id,
        plan_sha256=hashlib.sha256(PLAN).digest(),
        members=members,
    )
    federation.file(federation.paths.card("south")).write_bytes(forged)
    with pytest.raises(TrustError):
        federation.homes["south"].invitation(federation.round_id)


def test_two_believable_invitations_are_told_before_anybody_joins(federation: Federation) -> None:
    invite(federation)
    card = rival(federation, federation.homes["carers"])
    south = federation.homes["south"]
    with pytest.raises(TrustError) as caught:
        south.invitation(federation.round_id)
    assert caught.value.code == "round.invitations"
    assert f"carers and north each invite south to {federation.round_id}" in caught.value.message
    assert federation.paths.cards in (caught.value.hint or "")
    # The round is still there to be seen, and other commands go on.
    assert [found.round_id for found in south.invitations()] == [federation.round_id]
    federation.sync()
    card.unlink()
    join(federation)
    federation.settle()
    assert read_task(south.store, federation.round_id) is not None


def test_an_unknown_leader_does_not_count_beside_a_known_one(federation: Federation) -> None:
    invite(federation)
    rival(federation, Home.create(federation.folder / "adam", "adam", "Adam", federation.pool))
    join(federation)
    federation.settle()
    assert read_task(federation.leader.store, federation.round_id) is not None


def test_recover_keeps_the_leaders_files_beside_a_rival(federation: Federation) -> None:
    invite(federation)
    join(federation)
    federation.settle()
    rival(federation, federation.homes["carers"])
    north, paths = federation.leader, federation.paths
    north.state_path.rename(federation.folder / "old.sqlite")
    recover(north, Told())
    with Office.open(north) as office:
        for path in (paths.plan, paths.task, paths.verify_key, paths.card("north")):
            assert office.state.outgoing(path) is not None, path


# The local helper of a rehearsal.


def rehearse(home: Home, plan: bytes = REHEARSED, *more: Home) -> str:
    helper = make_helper(home)
    with Office.open(home) as office:
        members = [helper.identity, *(other.identity for other in more)]
        made = new_round(home, office.state, plan, members, rehearsal=True)
        office.publish()
    return made.round_id


def test_a_strangers_rehearsal_is_left_alone(federation: Federation) -> None:
    north = federation.leader
    helper = make_helper(north)
    stranger = Home.create(federation.folder / "eve", "eve", "Eve", federation.pool)
    for known in (False, True):
        if known:  # nor may a partner that is known command it
            helper.trust(stranger.identity)
        with Office.open(stranger) as office:
            named = read_identity(stranger.store, helper.name)
            made = new_round(
                stranger,
                office.state,
                REHEARSED.replace(b"Pressure", b"Known" if known else b"Unknown"),
                [named],
                rehearsal=True,
            )
            office.publish()
        result = sync_helper(north)
        assert (result.done, result.faults) == ([], [])
        with Office.open(helper) as office:
            assert office.state.outgoing(RoundPaths(made.round_id).card(helper.name)) is None


def test_a_rehearsal_that_cannot_be_joined_stops_no_other(federation: Federation) -> None:
    """The local helper has compared nobody's fingerprint but that of its own organisation."""
    from grievance.cli.office import sync_once

    north = federation.leader
    both = [
        rehearse(north, REHEARSED.replace(b"Pressure", b"Others"), federation.homes["south"]),
        rehearse(north),
    ]
    result = sync_once(north)
    (fault,) = result.faults
    assert fault.code == "trust.unknown" and "south" in fault.message
    assert read_task(north.store, both[0]) is None
    assert read_task(north.store, both[1]) is not None
    # It is told every time, and once.
    assert [f.code for f in sync_once(north).faults] == ["trust.unknown"]


def test_a_fault_that_both_sides_meet_is_told_once(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grievance.cli.office import sync_once

    def fault(message: str) -> PoolError:
        return PoolError(message, code="pool.waiting")

    ours = SyncResult(faults=[fault("of both")])
    theirs = SyncResult(faults=[fault("of both"), fault("of the helper")])
    monkeypatch.setattr("grievance.aggregator.sync", lambda _office, _progress: ours)
    monkeypatch.setattr("grievance.aggregator.rehearsal.sync_helper", lambda _home, **_: theirs)
    faults = sync_once(federation.leader).faults
    assert [f.message for f in faults] == ["of both", "of the helper"]

"""Releases go in the order of the chain, whatever arrives when; what `sync` does stands alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from federation import PLAN, Federation
from grievance.aggregator import Office, advance, releases
from grievance.aggregator import office as office_module
from grievance.aggregator.status import status
from grievance.errors import PoolError, ReleaseError
from grievance.pool.proposals import Approval

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.pool.proposals import ReleaseView


@pytest.fixture
def closed(tmp_path: Path) -> Federation:
    federation = Federation.opened(tmp_path / "town")
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.close()
    return federation


def two_at_once(federation: Federation) -> tuple[ReleaseView, ReleaseView]:
    """Both stewards propose everything; neither copy of the pool holds the other's yet."""
    first = federation.propose("north")
    folder = federation.file(federation.paths.proposal(first.release_id)).parent
    away = folder.rename(federation.file("late"))
    second = federation.propose("south")
    away.rename(folder)
    return first, second


def charged(federation: Federation, name: str) -> list[str]:
    home = federation.homes[name]
    with Office.open(home) as office:
        log = releases.own_ledger(office.state, name, home.key.public)
    return [entry.event.release for entry in log.entries if hasattr(entry.event, "release")]


def test_who_approved_one_does_not_approve_another_that_overlaps(closed: Federation) -> None:
    first, second = two_at_once(closed)
    with pytest.raises(ReleaseError) as refused:
        closed.answer("north", second.release_id)
    assert refused.value.code == "release.open" and first.release_id in str(refused.value)
    # They agree on north's.
    closed.answer("north", second.release_id, "decline")
    closed.answer("south", first.release_id)
    closed.settle()
    assert charged(closed, "north") == charged(closed, "south") == [first.release_id]
    assert closed.file(closed.paths.noisy(first.release_id, "south")).is_file()


def test_both_charge_what_was_ordered_first(
    closed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stewards who approve both; the leader's power fails between order and charge."""
    monkeypatch.setattr(releases, "_check_no_other", lambda *_: None)
    first, second = two_at_once(closed)
    # By name the leader would come to the other one first.
    ordered, late = sorted((first, second), key=lambda view: view.release_id, reverse=True)
    closed.answer("north", second.release_id)
    closed.answer("south", first.release_id)
    missing = "south" if late is first else "north"
    path = closed.file(closed.paths.approval(late.release_id, missing))
    data = path.read_bytes()
    path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(office_module.Office, "_lost", lambda *_: [])
        patch.setattr(releases, "charge", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            closed.sync("north")
        assert list(closed.chain().releases) == [ordered.release_id]
    path.write_bytes(data)
    for _ in range(3):
        faults = [fault for one in closed.sync(clean=False) for fault in one.faults]
        assert {fault.code for fault in faults} <= {"release.twice"}
    assert charged(closed, "north") == charged(closed, "south") == [ordered.release_id]
    assert closed.file(closed.paths.noisy(ordered.release_id, "south")).is_file()
    # The leader says why the other one is not ordered; nothing more is charged.
    assert faults and late.release_id in str(faults[0])


def _power_cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_nothing_goes_before_an_ordered_proposal_that_has_not_arrived(closed: Federation) -> None:
    view = closed.propose("north")
    closed.answer("south", view.release_id)
    closed.sync("north")
    folder = closed.file(closed.paths.proposal(view.release_id)).parent
    shutil.move(folder, closed.file("late"))
    with Office.open(closed.homes["south"]) as office:
        bench, chain = office.open_bench(closed.round_id)
        assert list(chain.releases) == [view.release_id]
        assert advance.advance_releases(office, bench, chain, lambda: None) == ([], [])
    shutil.move(closed.file("late"), folder)
    closed.settle()
    assert charged(closed, "south") == [view.release_id]


def test_a_declined_proposal_cannot_use_up_the_numbers(closed: Federation) -> None:
    home = closed.homes["south"]
    with Office.open(home) as office:
        bench, chain = office.open_bench(closed.round_id)
        huge = replace(releases.draft(bench, chain, None), attempt=2**53 - 1)
    release_id = huge.release_id(closed.task)
    declined = Approval("south", "decline", "").sign(closed.task, huge, home.key)
    with Office.open(home) as office, office.state.transaction():
        office.state.spool(closed.paths.proposal(release_id), huge.sign(closed.task, home.key))
        office.state.spool(closed.paths.approval(release_id, "south"), declined)
    closed.sync("south")
    view = closed.propose("north")
    assert view.proposal.attempt == 0
    closed.answer("south", view.release_id)
    closed.settle()
    assert charged(closed, "south") == [view.release_id]


@pytest.mark.parametrize("how", ["file", "link", "folder"])
def test_a_place_that_cannot_be_written_stops_no_other_round(tmp_path: Path, how: str) -> None:
    federation = Federation.opened(tmp_path / "town")
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.release()
    decisions = federation.file(federation.paths.decide(3, "north")).parent.parent
    federation.open_round(PLAN.replace(b'"trial"', b'"other"'))
    if how == "folder":
        ours = decisions / "3" / "north.json"
        ours.unlink()
        (ours / "deep").mkdir(parents=True)
    else:
        away = decisions.rename(tmp_path / "away")
        decisions.symlink_to(away) if how == "link" else decisions.write_bytes(b"x")
    federation.relay("carers", federation.seal(5))
    results = [one for _ in range(3) for one in federation.sync(clean=False)]
    told = [fault for one in results for fault in one.faults]
    assert any(isinstance(fault, PoolError) and "decide" in str(fault) for fault in told)
    assert any("5 of 5 sealed reports count" in line for one in results for line in one.done)


def test_verifier_shares_that_somebody_waits_for_are_compared_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office_module, "SMALL_FILE_SIZE", 2_000)
    federation = Federation.opened(tmp_path / "town")
    federation.relay("nurses", federation.seal(40))
    federation.sync("north")
    path = federation.file(federation.paths.verify(3, "north"))
    whole = path.read_bytes()
    assert len(whole) > 2_000
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    federation.sync("south")
    federation.settle()
    assert path.read_bytes() == whole
    with Office.open(federation.leader) as office:
        (line,) = status(office)
    assert line.accepted == 40
